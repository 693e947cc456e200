//! Which user the servers run as: the caller, or, when the caller is root, an unprivileged account.
//!
//! PostgreSQL refuses to run as root, and a development server has no business doing so either.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::unistd::{Gid, Uid, User, geteuid, setgid, setgroups, setuid};

/// Accounts tried in this order; the first one that this machine knows and lets a process become is taken.
const CANDIDATES: [&str; 4] = ["nobody", "postgres", "daemon", "bin"];

/// An unprivileged account that a server process is started as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Numeric user id, never 0.
    pub uid: u32,
    /// Numeric id of the account's main group.
    pub gid: u32,
    /// Login name, for messages.
    pub name: String,
}

impl Account {
    /// The account for a server that keeps its state in `directory`: none when the caller is an ordinary user,
    /// otherwise the unprivileged owner of the directory (of the nearest one above it that exists), otherwise the
    /// first of the usual service accounts.
    ///
    /// # Errors
    /// When the caller is root and no unprivileged account can be used.
    pub fn for_directory(directory: &Path) -> Result<Option<Self>> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        if let Some(facts) = directory
            .ancestors()
            .find_map(|ancestor| std::fs::metadata(ancestor).ok())
            && facts.uid() != 0
            && let Ok(Some(user)) = User::from_uid(Uid::from_raw(facts.uid()))
        {
            return Ok(Some(Self::from(user)));
        }
        for name in CANDIDATES {
            if let Ok(Some(user)) = User::from_name(name) {
                let account = Self::from(user);
                if account.uid != 0 && account.works() {
                    return Ok(Some(account));
                }
            }
        }
        bail!(
            "the database servers refuse to run as root, and none of the accounts {} can be used on this machine; \
             run this as an ordinary user",
            CANDIDATES.join(", ")
        )
    }

    /// Whether this account may enter every directory down to `path`, as far as the path exists.
    #[must_use]
    pub fn can_reach(&self, path: &Path) -> bool {
        path.ancestors()
            .filter_map(|ancestor| std::fs::metadata(ancestor).ok())
            .all(|facts| {
                let needed = if facts.uid() == self.uid {
                    0o100
                } else if facts.gid() == self.gid {
                    0o010
                } else {
                    0o001
                };
                !facts.is_dir() || facts.mode() & needed != 0
            })
    }

    /// Makes this account the owner of `path` itself (not of what is below it).
    ///
    /// # Errors
    /// When the owner cannot be changed.
    pub fn take_over(&self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("cannot make {} the owner of {}", self.name, path.display()))
    }

    /// Turns the calling process into this account for good, supplementary groups included.
    ///
    /// # Errors
    /// When the kernel refuses, which leaves the process partly changed: end it.
    pub fn become_it(&self) -> Result<()> {
        #[cfg(not(target_vendor = "apple"))]
        setgroups(&[]).context("cannot drop the supplementary groups")?;
        setgid(Gid::from_raw(self.gid)).with_context(|| format!("cannot become the group of {}", self.name))?;
        setuid(Uid::from_raw(self.uid)).with_context(|| format!("cannot become {}", self.name))
    }

    /// Has `command` run as this account. The standard library drops the supplementary groups with it.
    pub fn apply(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// A container may know an account by name and yet not map its id, so starting something is the only proof.
    fn works(&self) -> bool {
        let mut probe = Command::new("true");
        self.apply(&mut probe);
        probe
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    }
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            name: user.name,
        }
    }
}

/// Creates `directory` with its parents, private to `account` (or to the caller when there is none).
///
/// # Errors
/// When it cannot be created, or its owner or mode cannot be changed.
pub fn private_directory(directory: &Path, account: Option<&Account>) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    if let Some(account) = account {
        account.take_over(directory)?;
    }
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))
        .with_context(|| format!("cannot make {} private", directory.display()))
}
