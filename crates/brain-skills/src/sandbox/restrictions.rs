//! What a process gives up for good: its user, its capabilities, its limits, and gaining any of them back.
//!
//! Invariants: in this order, since each step needs rights that a later one takes; nothing here can be undone.

use std::io;

use super::{
    mechanism::Mechanism,
    plan::{Failure, Plan},
    sys,
};

/// The bits of PR_SET_SECUREBITS that say that user 0 is nobody, and that nobody changes that.
const ROOT_IS_NOBODY: libc::c_ulong = 0b1110_1111;
const LAST_CAPABILITY: libc::c_ulong = 63;

/// Becomes this user, with no other group.
pub(super) fn become_user((user, group): (u32, u32)) -> Result<(), Failure> {
    sys::leave_groups()
        .and_then(|()| sys::become_user(user, group))
        .map_err(|error| Failure::unconfined(Mechanism::DedicatedUser, &error))
}

/// Gives up everything else; `user` is whom to become where there is no user namespace.
pub(super) fn apply(plan: &Plan, user: Option<(u32, u32)>) -> Result<(), Failure> {
    let capabilities = |error: io::Error| Failure::unconfined(Mechanism::Capabilities, &error);
    for capability in 0..=LAST_CAPABILITY {
        match sys::process_control(libc::PR_CAPBSET_DROP, capability, 0) {
            Ok(_) => {}
            // The first number that the kernel does not know ends the list.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            Err(error) => return Err(capabilities(error)),
        }
    }
    let clear = libc::PR_CAP_AMBIENT_CLEAR_ALL.cast_unsigned().into();
    sys::process_control(libc::PR_CAP_AMBIENT, clear, 0).map_err(capabilities)?;
    sys::process_control(libc::PR_SET_SECUREBITS, ROOT_IS_NOBODY, 0).map_err(capabilities)?;
    if let Some(user) = user {
        become_user(user)?;
    }
    sys::drop_capabilities().map_err(capabilities)?;
    limit(plan).map_err(|error| Failure::unconfined(Mechanism::ResourceLimits, &error))?;
    sys::process_control(libc::PR_SET_DUMPABLE, 0, 0)
        .and_then(|_| sys::process_control(libc::PR_SET_NO_NEW_PRIVS, 1, 0))
        .map(drop)
        .map_err(|error| Failure::unconfined(Mechanism::NoNewPrivileges, &error))
}

/// Sets the limits of each process.
fn limit(plan: &Plan) -> io::Result<()> {
    const SPARE_ADDRESSES: u64 = 4 << 30;
    let limits = &plan.limits;
    let seconds = limits.cpu.as_secs().max(1);
    // The first process of the namespace is counted too, and so is the launcher for a moment.
    let processes = u64::from(limits.processes) + 2;
    let files = limits.open_files.into();
    let mut all = vec![
        (libc::RLIMIT_NOFILE, files, files),
        (libc::RLIMIT_NPROC, processes, processes),
        // One second more, so that the signal that says so can be told from a kill.
        (libc::RLIMIT_CPU, seconds, seconds + 1),
        // One byte is too little for any core, and unlike zero also keeps the kernel from piping one to a program.
        (libc::RLIMIT_CORE, 1, 1),
        (libc::RLIMIT_FSIZE, limits.scratch_bytes, limits.scratch_bytes),
        (libc::RLIMIT_MEMLOCK, 64 << 10, 64 << 10),
        (libc::RLIMIT_MSGQUEUE, 0, 0),
        (libc::RLIMIT_NICE, 0, 0),
        (libc::RLIMIT_RTPRIO, 0, 0),
        (libc::RLIMIT_SIGPENDING, 256, 256),
        (libc::RLIMIT_STACK, 8 << 20, 64 << 20),
    ];
    if !plan.has(Mechanism::CgroupMemory) {
        // What a process reserves without using it is no memory, so addresses get more room than data.
        let addresses = limits.memory_bytes.saturating_add(SPARE_ADDRESSES);
        all.push((libc::RLIMIT_DATA, limits.memory_bytes, limits.memory_bytes));
        all.push((libc::RLIMIT_AS, addresses, addresses));
    }
    all.into_iter()
        .try_for_each(|(limit, soft, hard)| sys::set_limit(limit, soft, hard))
}
