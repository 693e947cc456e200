//! The tables of system calls as programs for the kernel.
//!
//! Invariants: three filters work together, and the strictest answer counts: kill, then an error, then allowed; a call of a
//! foreign architecture or of the x32 table ends the program.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

use super::rules::{
    ABSENT, ALLOWED, ALLOWED_HERE, CONDITIONAL, CONDITIONAL_HERE, Conditional, EGRESS, Group, KILLED, Test,
};

/// The filters of one kind of program, in the order in which they are installed.
#[derive(Debug, Clone)]
pub(super) struct Filters(Vec<BpfProgram>);

impl Filters {
    /// Compiles the tables, with or without those for egress.
    pub(super) fn compile(egress: bool) -> Result<Self, seccompiler::BackendError> {
        let mut allowed: BTreeMap<i64, Vec<SeccompRule>> = unconditional(ALLOWED.iter().chain(ALLOWED_HERE));
        let conditional = CONDITIONAL.iter().chain(CONDITIONAL_HERE);
        for entry in conditional.chain(if egress { EGRESS } else { &[] }) {
            allowed.insert(entry.call, alternatives(entry)?);
        }
        // The other filters answer for these; this one must let them through for that.
        allowed.extend(ABSENT.iter().map(|call| (*call, Vec::new())));
        let absent = ABSENT.iter().map(|call| (*call, Vec::new())).collect();
        let (eperm, enosys) = (libc::EPERM.cast_unsigned(), libc::ENOSYS.cast_unsigned());
        let killed = program(unconditional(KILLED), SeccompAction::Allow, SeccompAction::KillProcess)?;
        Ok(Self(vec![
            refuse_x32(killed),
            program(absent, SeccompAction::Allow, SeccompAction::Errno(enosys))?,
            program(allowed, SeccompAction::Errno(eperm), SeccompAction::Allow)?,
        ]))
    }

    /// The filters as bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for filter in &self.0 {
            bytes.extend(u32::try_from(filter.len()).unwrap_or(0).to_le_bytes());
            for step in filter {
                bytes.extend(step.code.to_le_bytes());
                bytes.extend([step.jt, step.jf]);
                bytes.extend(step.k.to_le_bytes());
            }
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub(super) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut filters = Vec::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_first_chunk::<4>()?;
            let size = usize::try_from(u32::from_le_bytes(*length)).ok()?.checked_mul(8)?;
            let (steps, rest) = rest.split_at_checked(size)?;
            let steps = steps.as_chunks::<8>().0;
            filters.push(steps.iter().map(|[c0, c1, jt, jf, k @ ..]| sock_filter {
                code: u16::from_le_bytes([*c0, *c1]),
                jt: *jt,
                jf: *jf,
                k: u32::from_le_bytes(*k),
            }));
            bytes = rest;
        }
        Some(Self(filters.into_iter().map(Iterator::collect).collect()))
    }

    /// Puts them on this process, for good.
    pub(super) fn install(&self) -> Result<(), seccompiler::Error> {
        // The last one first: it is the longest, and the others must still be let in by it.
        self.0.iter().try_for_each(|filter| seccompiler::apply_filter(filter))
    }
}

fn unconditional<'a>(groups: impl IntoIterator<Item = &'a Group>) -> BTreeMap<i64, Vec<SeccompRule>> {
    let calls = groups.into_iter().flat_map(|group| group.calls);
    calls.map(|call| (*call, Vec::new())).collect()
}

fn alternatives(entry: &Conditional) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let tests = entry.alternatives.iter().filter(|tests| !tests.is_empty());
    tests
        .map(|tests| {
            let conditions = tests.iter().map(|(at, test)| condition(*at, *test));
            SeccompRule::new(conditions.collect::<Result<_, _>>()?)
        })
        .collect()
}

fn condition(at: u8, test: Test) -> Result<SeccompCondition, seccompiler::BackendError> {
    let (length, operator, value) = match test {
        Test::Is(value) => (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value.into()),
        Test::None(bits) => (SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bits.into()), 0),
        Test::Bits(mask, value) => {
            let operator = SeccompCmpOp::MaskedEq(mask.into());
            (SeccompCmpArgLen::Dword, operator, value.into())
        }
        Test::NoneWide(bits) => (SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(bits), 0),
    };
    SeccompCondition::new(at, length, operator, value)
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let architecture: TargetArch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, otherwise, matched, architecture)?.try_into()
}

/// Puts a check before a filter that ends the program on calls of the x32 table, which share the architecture of the others.
fn refuse_x32(filter: BpfProgram) -> BpfProgram {
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const KILL_PROCESS: u32 = 0x8000_0000;
    const X32: u32 = 0x4000_0000;
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let mut steps = vec![
        step(LOAD_WORD, 0, 0, 0),
        step(JUMP_IF_AT_LEAST, 0, 1, X32),
        step(RETURN, 0, 0, KILL_PROCESS),
    ];
    steps.extend(filter);
    steps
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_filters_survive_the_way_to_the_launcher() {
        for egress in [false, true] {
            let filters = Filters::compile(egress).unwrap();
            let read = Filters::from_bytes(&filters.to_bytes()).unwrap();
            assert_eq!(read.0, filters.0);
            assert!(filters.0.iter().all(|filter| filter.len() < 4096));
        }
        let bytes = Filters::compile(false).unwrap().to_bytes();
        assert!(Filters::from_bytes(&bytes[..bytes.len() - 1]).is_none());
    }

    #[test]
    fn no_call_is_in_two_tables_and_every_group_says_why() {
        let mut seen = BTreeSet::new();
        let groups = ALLOWED.iter().chain(ALLOWED_HERE).chain(KILLED);
        for group in groups {
            assert!(!group.reason.is_empty());
            assert!(group.calls.iter().all(|call| seen.insert(*call)), "{}", group.reason);
        }
        for entry in CONDITIONAL.iter().chain(CONDITIONAL_HERE).chain(EGRESS) {
            assert!(!entry.reason.is_empty());
            assert!(seen.insert(entry.call), "{}", entry.reason);
        }
        assert!(ABSENT.iter().all(|call| seen.insert(*call)));
    }

    #[test]
    fn what_escapes_are_made_of_is_in_no_table_of_allowed_calls() {
        let allowed: BTreeSet<i64> = ALLOWED
            .iter()
            .chain(ALLOWED_HERE)
            .flat_map(|group| group.calls.iter().copied())
            .collect();
        for call in [
            libc::SYS_ptrace,
            libc::SYS_unshare,
            libc::SYS_memfd_create,
            libc::SYS_execveat,
            libc::SYS_keyctl,
            libc::SYS_perf_event_open,
            libc::SYS_socket,
            libc::SYS_bind,
            libc::SYS_mknodat,
            libc::SYS_shmget,
        ] {
            assert!(!allowed.contains(&call), "{call}");
        }
    }
}
