//! The section "Exhausting resources": that skill dies with a typed error, everything else goes on.
//!
//! The brain itself being killed is in `brain`.

use std::time::Duration;

use brain_skills::{
    launch::{Ended, Limit},
    sandbox::Mechanism,
};

use super::{Case, REFUSED, Until};

super::cases! { EXHAUSTING:
    fork_bomb => Case {
        name: "fork bomb",
        tried: "every process forks for as long as it can, then all spin",
        stopped_by: "pids group or RLIMIT_NPROC, then the kill of the tree",
        source: include_str!("programs/fork_bomb.py"),
        until: Until::Ready,
        ends: Ended::Killed,
        ..REFUSED
    },
    memory_bomb => Case {
        name: "memory bomb",
        tried: "one process takes more and more",
        stopped_by: "memory group; without one RLIMIT_DATA, and the program hears it",
        source: include_str!("programs/memory_bomb.py"),
        limits: |limits| limits.memory_bytes = 128 << 20,
        ends: Ended::Limit(Limit::Memory),
        depends: Some((Mechanism::CgroupMemory, Some(Ended::Exited(1)))),
        ..REFUSED
    },
    memory_of_many => Case {
        name: "memory bomb of many processes",
        tried: "each takes less than the limit, all together more",
        stopped_by: "memory group",
        source: include_str!("programs/memory_of_many.py"),
        limits: |limits| limits.memory_bytes = 128 << 20,
        ends: Ended::Limit(Limit::Memory),
        depends: Some((Mechanism::CgroupMemory, None)),
        ..REFUSED
    },
    full_scratch => Case {
        name: "filling the tmpfs",
        tried: "files until no more can be written; one huge sparse file",
        stopped_by: "size of the tmpfs, RLIMIT_FSIZE",
        source: include_str!("programs/full_scratch.py"),
        limits: |limits| limits.scratch_bytes = 16 << 20,
        ..REFUSED
    },
    full_inodes => Case {
        name: "filling its inodes",
        tried: "empty files until no more can be made",
        stopped_by: "inodes of the tmpfs",
        source: include_str!("programs/full_inodes.py"),
        limits: |limits| limits.scratch_files = 512,
        ..REFUSED
    },
    spinning => Case {
        name: "spinning",
        tried: "an endless loop that ignores SIGXCPU",
        stopped_by: "RLIMIT_CPU",
        source: include_str!("programs/spinning.py"),
        limits: |limits| limits.cpu = Duration::from_secs(1),
        ends: Ended::Limit(Limit::Cpu),
        ..REFUSED
    },
    open_files => Case {
        name: "opening every descriptor",
        tried: "open until no more goes, then ask for a higher limit",
        stopped_by: "RLIMIT_NOFILE",
        source: include_str!("programs/open_files.py"),
        ..REFUSED
    },
    stopping => Case {
        name: "stopping itself",
        tried: "SIGSTOP to itself and to its child",
        stopped_by: "the kill of the tree",
        source: include_str!("programs/stopping.py"),
        until: Until::Stopped,
        ends: Ended::Killed,
        ..REFUSED
    },
    deaf => Case {
        name: "ignoring SIGTERM",
        tried: "ignore every signal that can be ignored",
        stopped_by: "the kill of the tree",
        source: include_str!("programs/deaf.py"),
        until: Until::Ready,
        ends: Ended::Killed,
        ..REFUSED
    },
    daemon => Case {
        name: "double fork with a new session",
        tried: "a grandchild in a session of its own, without standard streams, that never ends",
        stopped_by: "the end of the process table",
        source: include_str!("programs/daemon.py"),
        ..REFUSED
    },
    left_open => Case {
        name: "exiting while a child keeps stdout open",
        tried: "the output must end nevertheless",
        stopped_by: "the end of the process table",
        source: include_str!("programs/left_open.py"),
        ..REFUSED
    },
    zombies => Case {
        name: "zombies",
        tried: "200 orphans, then children that nobody waits for",
        stopped_by: "the first process reaps; pids group or RLIMIT_NPROC",
        source: include_str!("programs/zombies.py"),
        ..REFUSED
    },
    core_dumps => Case {
        name: "core dumps (none are written)",
        tried: "signals that dump, in `/tmp` and in a writable mount; a higher limit",
        stopped_by: "RLIMIT_CORE",
        source: include_str!("programs/core_dumps.py"),
        ends: Ended::Signalled(11),
        ..REFUSED
    },
}
