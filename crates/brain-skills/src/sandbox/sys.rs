//! The system calls that the standard library lacks, each behind a safe function.
//!
//! Invariants: all `unsafe` code of the launcher is here and in `sys/`; every function returns the error of the kernel as
//! it is; none keeps a pointer to what it was given.
#![allow(unsafe_code, reason = "system calls that the standard library has no function for")]

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    os::unix::process::CommandExt,
    process::Command,
    ptr,
};

use tokio::io::{Interest, unix::AsyncFd};

use super::restrictions::ProcessLimit;

pub(super) mod mount;
pub(super) mod socket;

/// Turns what a call returned into a result.
fn check(returned: libc::c_long) -> io::Result<libc::c_long> {
    if returned < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(returned)
}

/// Makes a text for the kernel of one of ours.
pub(super) fn c_string(text: impl Into<Vec<u8>>) -> io::Result<CString> {
    CString::new(text).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Takes what the kernel returned as a descriptor of ours.
fn owned(raw: libc::c_long) -> io::Result<OwnedFd> {
    let raw = RawFd::try_from(raw).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Which side of a new process this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The new one.
    Child,
    /// The old one, and the number of the new one.
    Parent(i32),
}

/// Copies this process, with `flags` of clone(2).
///
/// Only for processes of one thread: the launcher has no other.
pub(super) fn clone(flags: i32) -> io::Result<Side> {
    // SAFETY: without CLONE_VM the child has its own copy of everything, as after fork; the launcher has one thread, so no
    // lock can be held by another.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(flags), 0, 0, 0, 0) })?;
    match i32::try_from(pid).map_err(io::Error::other)? {
        0 => Ok(Side::Child),
        pid => Ok(Side::Parent(pid)),
    }
}

/// Ends this process at once, without running anything else.
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: takes no pointer, and does not return.
    unsafe { libc::_exit(code) }
}

/// Starts a session of its own.
pub(super) fn new_session() -> io::Result<()> {
    // SAFETY: takes no pointer.
    check(libc::c_long::from(unsafe { libc::setsid() })).map(drop)
}

/// Leaves namespaces for new ones.
pub(super) fn unshare(flags: i32) -> io::Result<()> {
    // SAFETY: takes no pointer.
    check(libc::c_long::from(unsafe { libc::unshare(flags) })).map(drop)
}

/// Closes every descriptor from this one on.
pub(super) fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: takes no pointer; the callers own no descriptor from `first` on, or never touch them again.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// Makes `to` another name of `from`; it stays open in programs that are executed.
pub(super) fn duplicate_as(from: BorrowedFd<'_>, to: RawFd) -> io::Result<()> {
    // SAFETY: takes no pointer; `to` is one of the three standard descriptors, which nothing here owns.
    check(libc::c_long::from(unsafe { libc::dup2(from.as_raw_fd(), to) })).map(drop)
}

/// A pipe: what is written to the second is read from the first.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for the two numbers that the kernel writes.
    check(libc::c_long::from(unsafe {
        libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC)
    }))?;
    Ok((owned(ends[0].into())?, owned(ends[1].into())?))
}

/// The user that this process acts as.
pub(super) fn effective_user() -> u32 {
    // SAFETY: takes no pointer and cannot fail.
    unsafe { libc::geteuid() }
}

/// The group that this process acts as.
pub(super) fn effective_group() -> u32 {
    // SAFETY: takes no pointer and cannot fail.
    unsafe { libc::getegid() }
}

/// Leaves all supplementary groups.
pub(super) fn leave_groups() -> io::Result<()> {
    // SAFETY: a count of zero, so the pointer is not read.
    check(libc::c_long::from(unsafe { libc::setgroups(0, ptr::null()) })).map(drop)
}

/// Becomes this user and this group for good.
pub(super) fn become_user(user: u32, group: u32) -> io::Result<()> {
    // SAFETY: take no pointers.
    unsafe {
        check(libc::c_long::from(libc::setresgid(group, group, group)))?;
        check(libc::c_long::from(libc::setresuid(user, user, user)))?;
    }
    Ok(())
}

/// Names this host, as far as this namespace goes.
pub(super) fn set_host_name(name: &str) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of `name`.
    check(libc::c_long::from(unsafe {
        libc::sethostname(name.as_ptr().cast(), name.len())
    }))
    .map(drop)
}

/// Calls prctl(2) with numbers alone.
pub(super) fn process_control(option: i32, first: libc::c_ulong, second: libc::c_ulong) -> io::Result<i32> {
    // SAFETY: the options used here take numbers, none of them a pointer.
    let answer = check(libc::c_long::from(unsafe { libc::prctl(option, first, second, 0, 0) }))?;
    i32::try_from(answer).map_err(io::Error::other)
}

/// Sets a limit of this process, soft and hard.
pub(super) fn set_limit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: `limit` lives through the call, which only reads it.
    check(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            libc::c_long::from(resource),
            ptr::from_ref(&limit),
            ptr::null_mut::<libc::rlimit64>(),
        )
    })
    .map(drop)
}

/// Gives up every capability of this thread.
pub(super) fn drop_capabilities() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    #[derive(Default, Clone, Copy)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    let header = Header {
        version: 0x2008_0522,
        pid: 0,
    };
    let data = [Data::default(); 2];
    // SAFETY: both have the layout of version 3 of the call, and live through it.
    check(unsafe { libc::syscall(libc::SYS_capset, ptr::from_ref(&header), data.as_ptr()) }).map(drop)
}

/// Resets every signal to what it does by default, and blocks none.
pub(super) fn reset_signals() {
    // SAFETY: SIG_DFL is a disposition, not a pointer to a function; the set is initialised by sigemptyset before it is read.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// Blocks the signal that tells of ended children, and makes a descriptor that is readable when it is pending.
pub(super) fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised by sigemptyset before it is read, and lives through the calls.
    let raw = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        check(libc::c_long::from(libc::sigprocmask(
            libc::SIG_BLOCK,
            &raw const set,
            ptr::null_mut(),
        )))?;
        libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    owned(check(raw.into())?)
}

/// Waits until one of the two can be read, or its other end is gone; says for each whether it is.
pub(super) fn wait_readable(descriptors: [BorrowedFd<'_>; 2], events: [i16; 2]) -> io::Result<[bool; 2]> {
    let mut polled = [0, 1].map(|at| libc::pollfd {
        fd: descriptors[at].as_raw_fd(),
        events: events[at],
        revents: 0,
    });
    // SAFETY: `polled` has as many entries as is said.
    let answer = unsafe { libc::ppoll(polled.as_mut_ptr(), 2, ptr::null(), ptr::null()) };
    match check(answer.into()) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(polled.map(|one| one.revents != 0)),
    }
}

/// A child that has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reaped {
    /// Its number.
    pub pid: i32,
    /// Its status, as wait(2) gives it.
    pub status: i32,
    /// The time that it spent on a processor, in microseconds.
    pub cpu_micros: u64,
}

/// Takes a child that has ended off the list, if there is one.
pub(super) fn reap(pid: i32, block: bool) -> io::Result<Option<Reaped>> {
    let mut status = 0;
    let flags = if block { 0 } else { libc::WNOHANG };
    // SAFETY: rusage is plain numbers, for which zeroes are values; both pointers live through the call.
    let (got, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        let got = libc::wait4(pid, &raw mut status, flags | libc::__WALL, &raw mut usage);
        (got, usage)
    };
    let micros = |time: libc::timeval| {
        u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_usec).unwrap_or(0)
    };
    match check(got.into()) {
        Ok(0) => Ok(None),
        Ok(_) => Ok(Some(Reaped {
            pid: got,
            status,
            cpu_micros: micros(usage.ru_utime) + micros(usage.ru_stime),
        })),
        Err(error) => Err(error),
    }
}

/// Executes a program in place of this one; returns only if that failed.
pub(super) fn execute(path: &CStr, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |texts: &[CString]| -> Vec<*const libc::c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both arrays end with a null pointer, and all they point to outlives the call.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// A descriptor that stands for the process with this number; of a child that has not been waited for.
pub(super) fn process_descriptor(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer.
    owned(check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?)
}

/// Sends a signal to the process that a descriptor stands for.
pub(super) fn signal_process(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: no information goes with the signal, so the pointer is null.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal,
            ptr::null::<libc::siginfo_t>(),
            0,
        )
    })
    .map(drop)
}

/// Sends a signal to a group of processes.
pub(super) fn signal_group(group: i32, signal: i32) -> io::Result<()> {
    // SAFETY: takes no pointer.
    check(libc::c_long::from(unsafe { libc::killpg(group, signal) })).map(drop)
}

/// Takes the lock of an open file or directory, if nobody has it.
pub(super) fn try_lock(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes no pointer.
    check(libc::c_long::from(unsafe {
        libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB)
    }))
    .map(drop)
}

/// The version of Landlock that the kernel has; zero where it has none.
pub(super) fn landlock_version() -> i64 {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the call only answers a number, and the pointer must be null.
    let answer = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<u8>(), 0, VERSION) };
    answer.max(0)
}

/// Makes a system call with numbers alone and says how it ended; for trying what must be refused.
pub(super) fn attempt(number: libc::c_long, arguments: [libc::c_long; 4]) -> io::Result<libc::c_long> {
    let [first, second, third, fourth] = arguments;
    // SAFETY: the callers pass null for every pointer, which the kernel refuses with EFAULT where it gets that far.
    check(unsafe { libc::syscall(number, first, second, third, fourth, 0, 0) })
}

/// A descriptor whose readiness can be waited for within a runtime.
pub(super) fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: it owns its descriptor, which stays open and the same until both are dropped together.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    registered.map_err(io::Error::from)
}

/// Lets a command start in a session of its own and with these limits.
pub(super) fn limit_before_execution(command: &mut Command, limits: Vec<ProcessLimit>) {
    let prepare = move || {
        new_session()?;
        limits.iter().try_for_each(|limit| {
            // The brain may have less to give than is asked for, and no right to more.
            match set_limit(limit.resource, limit.soft, limit.hard) {
                Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(()),
                result => result,
            }
        })
    };
    // SAFETY: between fork and exec it makes system calls alone, and allocates nothing.
    unsafe { command.pre_exec(prepare) };
}
