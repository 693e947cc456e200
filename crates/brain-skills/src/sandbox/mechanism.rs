//! The mechanisms that confine a program, by the names that settings and reports use.
//!
//! Invariants: each has one name and one remedy; a report has every mechanism once, in the order of [`Mechanism::ALL`].

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::launch::{Enforced, State};

/// One thing that confines a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mechanism {
    /// A user namespace, in which the program is nobody outside.
    UserNamespace,
    /// A user of its own for each running program.
    DedicatedUser,
    /// Its own tree of files, of which all but the temporary part is read-only.
    MountNamespace,
    /// Its own table of processes.
    PidNamespace,
    /// Its own network, with no way out.
    NetNamespace,
    /// Its own shared memory and queues of System V.
    IpcNamespace,
    /// Its own host name.
    UtsNamespace,
    /// No sight of the control groups.
    CgroupNamespace,
    /// A `/proc` that shows its own processes alone.
    PrivateProc,
    /// No capabilities, and none to be had.
    Capabilities,
    /// No program gains rights by being executed.
    NoNewPrivileges,
    /// Limits of each process.
    ResourceLimits,
    /// Landlock's rules for files.
    LandlockFiles,
    /// Landlock's rules for TCP.
    LandlockTcp,
    /// Landlock's scopes: no signals and no abstract sockets to others.
    LandlockScopes,
    /// The list of allowed system calls.
    Seccomp,
    /// A limit of memory for the whole tree.
    CgroupMemory,
    /// A limit of processes for the whole tree.
    CgroupPids,
    /// A limit of processor time for the whole tree.
    CgroupCpu,
}

impl Mechanism {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::UserNamespace,
        Self::DedicatedUser,
        Self::MountNamespace,
        Self::PidNamespace,
        Self::NetNamespace,
        Self::IpcNamespace,
        Self::UtsNamespace,
        Self::CgroupNamespace,
        Self::PrivateProc,
        Self::Capabilities,
        Self::NoNewPrivileges,
        Self::ResourceLimits,
        Self::LandlockFiles,
        Self::LandlockTcp,
        Self::LandlockScopes,
        Self::Seccomp,
        Self::CgroupMemory,
        Self::CgroupPids,
        Self::CgroupCpu,
    ];

    /// Its name in settings and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserNamespace => "user_namespace",
            Self::DedicatedUser => "dedicated_user",
            Self::MountNamespace => "mount_namespace",
            Self::PidNamespace => "pid_namespace",
            Self::NetNamespace => "net_namespace",
            Self::IpcNamespace => "ipc_namespace",
            Self::UtsNamespace => "uts_namespace",
            Self::CgroupNamespace => "cgroup_namespace",
            Self::PrivateProc => "private_proc",
            Self::Capabilities => "capabilities",
            Self::NoNewPrivileges => "no_new_privileges",
            Self::ResourceLimits => "resource_limits",
            Self::LandlockFiles => "landlock_files",
            Self::LandlockTcp => "landlock_tcp",
            Self::LandlockScopes => "landlock_scopes",
            Self::Seccomp => "seccomp",
            Self::CgroupMemory => "cgroup_memory",
            Self::CgroupPids => "cgroup_pids",
            Self::CgroupCpu => "cgroup_cpu",
        }
    }

    /// What brings it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::UserNamespace => {
                "allow user namespaces: user.max_user_namespaces above 0, and where the distribution has them \
                 kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0; in a container, a \
                 seccomp profile that lets clone and unshare through"
            }
            Self::DedicatedUser => "run the brain as root, with a range of users that nobody else has",
            Self::MountNamespace => {
                "run the brain as root or allow user namespaces, on Linux 5.13 or later; in a container, allow mounts"
            }
            Self::PidNamespace
            | Self::NetNamespace
            | Self::IpcNamespace
            | Self::UtsNamespace
            | Self::CgroupNamespace => "run the brain as root or allow user namespaces",
            Self::PrivateProc => "in a container, leave /proc unmasked; without it programs have no /proc at all",
            Self::Capabilities | Self::NoNewPrivileges | Self::ResourceLimits => "run on Linux 5.13 or later",
            Self::LandlockFiles => "run on Linux 5.13 or later, with landlock in the lsm= list of the kernel",
            Self::LandlockTcp => "run on Linux 6.7 or later, with landlock in the lsm= list of the kernel",
            Self::LandlockScopes => "run on Linux 6.12 or later, with landlock in the lsm= list of the kernel",
            Self::Seccomp => "run on a kernel with CONFIG_SECCOMP_FILTER, on x86_64 or aarch64",
            Self::CgroupMemory | Self::CgroupPids | Self::CgroupCpu => {
                "run the brain as root with /sys/fs/cgroup writable, or delegate a version 2 group to its user \
                 (Delegate=yes in its unit)"
            }
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no mechanism has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no mechanism is called {name:?}; there are: {known}", known = known_names())]
pub struct UnknownMechanism {
    name: String,
}

fn known_names() -> String {
    Mechanism::ALL.map(Mechanism::name).join(", ")
}

impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|mechanism| mechanism.name() == name);
        known.ok_or_else(|| UnknownMechanism { name: name.to_owned() })
    }
}

/// What the self-test found out about one mechanism.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Which.
    pub mechanism: Mechanism,
    /// Whether it confines programs.
    pub state: State,
    /// Whether programs may be started without it.
    pub required: bool,
    /// What brings it, where it is missing.
    pub remedy: Option<String>,
}

impl Report {
    /// Says what is known of one mechanism.
    #[must_use]
    pub fn new(mechanism: Mechanism, state: State, required: bool) -> Self {
        let remedy = matches!(state, State::Missing(_)).then(|| mechanism.remedy().to_owned());
        Self {
            mechanism,
            state,
            required,
            remedy,
        }
    }

    /// The same, as it is recorded on a running program.
    #[must_use]
    pub fn enforced(&self) -> Enforced {
        Enforced {
            mechanism: self.mechanism.name().to_owned(),
            state: self.state.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn every_mechanism_is_read_by_its_own_name() {
        for mechanism in Mechanism::ALL {
            assert_eq!(mechanism.name().parse::<Mechanism>().unwrap(), mechanism);
            assert_eq!(serde_json::to_value(mechanism).unwrap(), mechanism.name());
        }
        let error = "selinux".parse::<Mechanism>().unwrap_err().to_string();
        assert!(error.contains("selinux") && error.contains("landlock_files"), "{error}");
    }

    #[test]
    fn only_what_is_missing_has_a_remedy() {
        assert_eq!(Report::new(Mechanism::Seccomp, State::Enforced, true).remedy, None);
        let missing = Report::new(Mechanism::Seccomp, State::Missing("no".into()), true);
        assert!(missing.remedy.unwrap().contains("CONFIG_SECCOMP_FILTER"));
    }
}
