//! The launcher: what this program is when the brain has executed it again to start a confined program.
//!
//! Invariants: it has one thread and an empty environment; it never returns into the program that it is part of; it says on
//! the connection that is its standard input why it gave up.

use std::{
    ffi::OsStr,
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use super::{
    init,
    mechanism::Mechanism,
    plan::{self, Failure, Message, Plan, Received, Task},
    probe,
    root::Parts,
    seccomp::Filters,
    sys::{self, Side},
};

/// The first argument that makes a launcher of this program.
pub const WORD: &str = "--start-confined-skill";
/// The user and the group that a program is inside a user namespace.
pub(super) const INSIDE: u32 = 1000;

/// Becomes a launcher and never returns, if this program was executed as one; else does nothing.
///
/// To be called first of all in `main`, before there are threads.
pub fn run_if_asked() {
    if std::env::args_os().nth(1).as_deref() != Some(OsStr::new(WORD)) {
        return;
    }
    let stdin = io::stdin();
    let control = stdin.as_fd();
    let code = match run(control) {
        Ok(()) => 0,
        Err(failure) => {
            // If the brain is gone there is nobody to tell.
            let _gone = Message::Failed(failure).send(control, None);
            1
        }
    };
    sys::exit(code);
}

fn run(control: BorrowedFd<'_>) -> Result<(), Failure> {
    sys::close_from(3).map_err(|error| Failure::at("closing descriptors", &error))?;
    sys::new_session().map_err(|error| Failure::at("starting a session", &error))?;
    let groups = plan::receive_groups(control).map_err(|error| Failure::at("reading the groups", &error))?;
    for group in groups.into_iter().flatten() {
        fs::write(group.join("cgroup.procs"), "0")
            .map_err(|error| Failure::at(format_args!("joining {}", group.display()), &error))?;
    }
    // This may take long: the launcher may have been started in advance.
    let received = plan::receive(control).map_err(|error| Failure::at("reading the plan", &error))?;
    let Some(Received { plan, stdio, filters }) = received else {
        return Ok(());
    };
    if matches!(plan.task, Task::Probe) {
        let missing = Message::Missing(probe::missing(control));
        return missing
            .send(control, None)
            .map_err(|error| Failure::at("answering", &error));
    }
    let filters = Filters::from_bytes(&filters).ok_or_else(|| Failure::program("its filters cannot be read"))?;
    start(control, &plan, stdio, &filters)
}

/// The namespaces that the plan asks for, as flags of clone(2).
fn namespaces(plan: &Plan) -> i32 {
    let flags = [
        (Mechanism::UserNamespace, libc::CLONE_NEWUSER),
        (Mechanism::MountNamespace, libc::CLONE_NEWNS),
        (Mechanism::PidNamespace, libc::CLONE_NEWPID),
        (Mechanism::NetNamespace, libc::CLONE_NEWNET),
        (Mechanism::IpcNamespace, libc::CLONE_NEWIPC),
        (Mechanism::UtsNamespace, libc::CLONE_NEWUTS),
        (Mechanism::CgroupNamespace, libc::CLONE_NEWCGROUP),
    ];
    let asked = flags.into_iter().filter(|(mechanism, _)| plan.has(*mechanism));
    asked.fold(0, |all, (_, flag)| all | flag)
}

/// Starts the first process of the new namespaces as a child of the brain.
fn start(control: BorrowedFd<'_>, plan: &Plan, stdio: [OwnedFd; 3], filters: &Filters) -> Result<(), Failure> {
    // Root may go anywhere and copies mounts here; others can do so only within their new namespaces.
    let parts = match sys::effective_user() {
        0 => Some(Parts::take(plan)?),
        _ => None,
    };
    let (wait, go) = sys::pipe().map_err(|error| Failure::at("making a pipe", &error))?;
    let flags = namespaces(plan) | libc::CLONE_PARENT | libc::SIGCHLD;
    let cloned = sys::clone(flags).map_err(|error| match error.raw_os_error() {
        Some(libc::EPERM | libc::ENOSPC | libc::EINVAL) => {
            Failure::unconfined(Mechanism::UserNamespace, &format!("making namespaces: {error}"))
        }
        _ => Failure::at("making a process", &error),
    })?;
    let Side::Parent(pid) = cloned else {
        drop(go);
        init::run(control, plan, parts, stdio, filters, wait)
    };
    drop(wait);
    let told = Message::Init(pid).send(control, None);
    told.map_err(|error| Failure::at("telling the brain", &error))?;
    if plan.has(Mechanism::UserNamespace) {
        map_users(pid, plan.user)
            .map_err(|error| Failure::unconfined(Mechanism::UserNamespace, &format!("mapping users: {error}")))?;
    }
    io::Write::write_all(&mut fs::File::from(go), b"!").map_err(|error| Failure::at("letting it go on", &error))
}

/// Says who the user and the group inside are outside.
fn map_users(pid: i32, user: Option<(u32, u32)>) -> io::Result<()> {
    let (user, group) = user.unwrap_or_else(|| {
        let (user, group) = (sys::effective_user(), sys::effective_group());
        (user, group)
    });
    if sys::effective_user() != 0 {
        fs::write(format!("/proc/{pid}/setgroups"), "deny")?;
    }
    fs::write(format!("/proc/{pid}/gid_map"), format!("{INSIDE} {group} 1"))?;
    fs::write(format!("/proc/{pid}/uid_map"), format!("{INSIDE} {user} 1"))
}
