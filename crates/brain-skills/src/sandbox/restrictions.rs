//! What a process gives up for good: its user, its capabilities, its limits, and gaining any of them back.
//!
//! Invariants: in this order, since each step needs rights that a later one takes; nothing here can be undone.

use std::{collections::BTreeSet, io};

use super::{
    mechanism::Mechanism,
    plan::{Failure, Plan},
    sys,
};
use crate::launch::Limits;

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

/// Sets the limits of each process, but for its time on a processor.
fn limit(plan: &Plan) -> io::Result<()> {
    set(plan, |resource| resource != libc::RLIMIT_CPU)
}

/// Limits the time on a processor; in the program alone, since the first process of the namespace works for all others.
pub(super) fn limit_processor(plan: &Plan) -> io::Result<()> {
    set(plan, |resource| resource == libc::RLIMIT_CPU)
}

fn set(plan: &Plan, which: impl Fn(u32) -> bool) -> io::Result<()> {
    let all = limits(&plan.limits, &plan.without).into_iter();
    all.filter(|limit| which(limit.resource))
        .try_for_each(|limit| sys::set_limit(limit.resource, limit.soft, limit.hard))
}

/// A limit of a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProcessLimit {
    /// Of what.
    pub(super) resource: u32,
    /// Where the process hears of it.
    pub(super) soft: u64,
    /// Where it ends.
    pub(super) hard: u64,
}

/// The limits of each process, where these mechanisms are missing.
pub(super) fn limits(limits: &Limits, without: &BTreeSet<Mechanism>) -> Vec<ProcessLimit> {
    const SPARE_ADDRESSES: u64 = 4 << 30;
    let limit = |resource, soft, hard| ProcessLimit { resource, soft, hard };
    let same = |resource, value: u64| limit(resource, value, value);
    let seconds = limits.cpu.as_secs().max(1);
    let mut all = vec![
        same(libc::RLIMIT_NOFILE, limits.open_files.into()),
        // The first process of the namespace is counted too, and so is the launcher for a moment.
        same(libc::RLIMIT_NPROC, u64::from(limits.processes) + 2),
        // One second more, so that the signal that says so can be told from a kill.
        limit(libc::RLIMIT_CPU, seconds, seconds + 1),
        // One byte is too little for any core, and unlike zero also keeps the kernel from piping one to a program.
        same(libc::RLIMIT_CORE, 1),
        same(libc::RLIMIT_FSIZE, limits.scratch_bytes),
        same(libc::RLIMIT_MEMLOCK, 64 << 10),
        same(libc::RLIMIT_MSGQUEUE, 0),
        same(libc::RLIMIT_NICE, 0),
        same(libc::RLIMIT_RTPRIO, 0),
        same(libc::RLIMIT_SIGPENDING, 256),
        limit(libc::RLIMIT_STACK, 8 << 20, 64 << 20),
    ];
    if without.contains(&Mechanism::CgroupMemory) {
        // What a process reserves without using it is no memory, so addresses get more room than data.
        all.push(same(libc::RLIMIT_DATA, limits.memory_bytes));
        all.push(same(
            libc::RLIMIT_AS,
            limits.memory_bytes.saturating_add(SPARE_ADDRESSES),
        ));
    }
    all
}
