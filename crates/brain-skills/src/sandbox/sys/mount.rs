//! Mounts by descriptor: taking a copy of a tree, restricting it, and putting it elsewhere.
//!
//! Invariants: a copy is nowhere to be seen until it is put somewhere; what goes with its last descriptor is the copy, never
//! what it was taken from.
#![allow(unsafe_code, reason = "system calls that the standard library has no function for")]

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    ptr,
};

use super::{check, owned};

/// What a mount forbids.
pub(in crate::sandbox) mod attribute {
    /// Changes.
    pub(in crate::sandbox) const READ_ONLY: u64 = 0x1;
    /// Programs that run as somebody else.
    pub(in crate::sandbox) const NO_SETUID: u64 = 0x2;
    /// Devices.
    pub(in crate::sandbox) const NO_DEVICES: u64 = 0x4;
    /// Executing anything.
    pub(in crate::sandbox) const NO_EXECUTE: u64 = 0x8;
}

/// A copy of the tree of mounts at `path`, attached to nothing.
pub(in crate::sandbox) fn copy_tree(path: &CStr) -> io::Result<OwnedFd> {
    const OPEN_TREE_CLONE: u32 = 1;
    const AT_RECURSIVE: u32 = 0x8000;
    let flags = OPEN_TREE_CLONE | AT_RECURSIVE | libc::O_CLOEXEC.cast_unsigned();
    // SAFETY: the path lives through the call, which only reads it.
    owned(check(unsafe {
        libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags)
    })?)
}

/// Forbids things on a whole tree of mounts.
pub(in crate::sandbox) fn restrict(tree: BorrowedFd<'_>, attributes: u64) -> io::Result<()> {
    const AT_RECURSIVE: i32 = 0x8000;
    #[repr(C)]
    struct Attributes {
        set: u64,
        clear: u64,
        propagation: u64,
        userns: u64,
    }
    let asked = Attributes {
        set: attributes,
        clear: 0,
        propagation: libc::MS_PRIVATE,
        userns: 0,
    };
    // SAFETY: the structure has the layout of its first version, whose size is passed; it and the path live through the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | AT_RECURSIVE,
            ptr::from_ref(&asked),
            size_of::<Attributes>(),
        )
    })
    .map(drop)
}

/// Puts a copied tree at `path`.
pub(in crate::sandbox) fn put_tree(tree: BorrowedFd<'_>, path: &CStr) -> io::Result<()> {
    const FROM_DESCRIPTOR: u32 = 0x4;
    // SAFETY: both paths live through the call, which only reads them.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            path.as_ptr(),
            FROM_DESCRIPTOR,
        )
    })
    .map(drop)
}

/// Mounts a new file system of this kind, or changes the mount that is there.
pub(in crate::sandbox) fn mount(
    kind: Option<&CStr>,
    path: &CStr,
    flags: libc::c_ulong,
    options: Option<&CStr>,
) -> io::Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: every text lives through the call, which only reads them; null is allowed for those left out.
    check(libc::c_long::from(unsafe {
        libc::mount(
            pointer(kind),
            path.as_ptr(),
            pointer(kind),
            flags,
            pointer(options).cast(),
        )
    }))
    .map(drop)
}

/// Makes the current directory the root, and forgets the root that was.
pub(in crate::sandbox) fn enter_root() -> io::Result<()> {
    let here = c".".as_ptr();
    // SAFETY: the text is static.
    unsafe {
        check(libc::syscall(libc::SYS_pivot_root, here, here))?;
        check(libc::c_long::from(libc::umount2(here, libc::MNT_DETACH)))?;
    }
    Ok(())
}
