//! Which mechanisms the machine has: each is tried by a short-lived process of its own.
//!
//! Invariants: nothing that is tried outlives its process; an answer says what the kernel said.

use std::{io, os::fd::BorrowedFd};

use super::{
    mechanism::Mechanism,
    sys::{self, Side},
};

const NAMESPACES: [(Mechanism, i32); 6] = [
    (Mechanism::MountNamespace, libc::CLONE_NEWNS),
    (Mechanism::PidNamespace, libc::CLONE_NEWPID),
    (Mechanism::NetNamespace, libc::CLONE_NEWNET),
    (Mechanism::IpcNamespace, libc::CLONE_NEWIPC),
    (Mechanism::UtsNamespace, libc::CLONE_NEWUTS),
    (Mechanism::CgroupNamespace, libc::CLONE_NEWCGROUP),
];

/// What is missing, and what the kernel said about it.
pub(super) fn missing(_control: BorrowedFd<'_>) -> Vec<(Mechanism, String)> {
    let mut missing = Vec::new();
    let users = tried(|| sys::unshare(libc::CLONE_NEWUSER));
    let own = match &users {
        Ok(()) => libc::CLONE_NEWUSER,
        Err(error) => {
            missing.push((Mechanism::UserNamespace, refused(error)));
            0
        }
    };
    for (mechanism, flag) in NAMESPACES {
        if let Err(error) = tried(|| sys::unshare(own | flag)) {
            missing.push((mechanism, refused(&error)));
        }
    }
    let proc = own | libc::CLONE_NEWNS | libc::CLONE_NEWPID;
    if let Err(error) = tried(|| sys::unshare(proc).and_then(|()| tried(mount_proc))) {
        missing.push((Mechanism::PrivateProc, format!("mounting it: {}", refused(&error))));
    }
    let landlock = sys::landlock_version();
    let versions = [
        (Mechanism::LandlockFiles, 1),
        (Mechanism::LandlockTcp, 4),
        (Mechanism::LandlockScopes, 6),
    ];
    for (mechanism, needed) in versions {
        if landlock < needed {
            let why = format!("the kernel has version {landlock} of Landlock; {needed} is needed");
            missing.push((mechanism, why));
        }
    }
    if let Err(error) = tried(|| sys::process_control(libc::PR_GET_SECCOMP, 0, 0).map(drop)) {
        missing.push((Mechanism::Seccomp, refused(&error)));
    }
    missing
}

fn mount_proc() -> io::Result<()> {
    sys::mount::mount(None, c"/", libc::MS_REC | libc::MS_PRIVATE, None)?;
    let options = Some(c"hidepid=invisible,subset=pid");
    sys::mount::mount(Some(c"proc"), c"/proc", libc::MS_NOSUID, options)
}

fn refused(error: &io::Error) -> String {
    format!("the kernel refuses it: {error}")
}

/// Tries something in a process of its own, whose exit code is the number of the error.
fn tried(what: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let Side::Parent(pid) = sys::clone(libc::SIGCHLD)? else {
        let code = what()
            .err()
            .map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO));
        sys::exit(code)
    };
    let status = sys::reap(pid, true)?.map_or(libc::EIO << 8, |reaped| reaped.status);
    match (libc::WIFEXITED(status), libc::WEXITSTATUS(status)) {
        (true, 0) => Ok(()),
        (true, code) => Err(io::Error::from_raw_os_error(code)),
        (false, _) => Err(io::Error::other("the process that tried it was killed")),
    }
}
