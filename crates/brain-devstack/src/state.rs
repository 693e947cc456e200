//! Where the servers of a project keep their state.
//!
//! Normally that is a folder of the clone. When root works in a clone that no other account may enter
//! (`/root/project`, a private temporary folder), the unprivileged servers could not reach their own files there, so a
//! folder outside it is used, named after the clone's path.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;
use sha2::{Digest, Sha256};

use crate::account::Account;

/// Folders that every account may enter on the usual systems, for state that stays; the first that is there is taken.
const LASTING: [&str; 2] = ["/var/lib", "/var/tmp"];
/// The same for state that is thrown away.
const PASSING: [&str; 2] = ["/tmp", "/var/tmp"];

/// Where a project's servers keep their state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir {
    /// The folder; it may not exist yet.
    pub path: PathBuf,
    /// True when the folder asked for could not be used and `path` lies outside the clone.
    pub moved: bool,
}

/// The folder for the servers' state: `wanted`, unless the account that they run as could not enter it.
///
/// # Errors
/// When no folder can be used.
pub fn lasting(wanted: &Path) -> Result<StateDir> {
    let Some(account) = Account::for_directory(wanted)? else {
        return Ok(StateDir {
            path: wanted.to_owned(),
            moved: false,
        });
    };
    if account.can_reach(wanted) {
        return Ok(StateDir {
            path: wanted.to_owned(),
            moved: false,
        });
    }
    let base = first_reachable(&account, LASTING.iter().map(PathBuf::from))?.join("studio-brain-dev");
    if !is_ours(&base) && base.exists() {
        bail!(
            "{} belongs to another user; remove it, or work in a clone that everybody may enter",
            base.display()
        );
    }
    Ok(StateDir {
        path: base.join(name_for(wanted)),
        moved: true,
    })
}

/// A fresh folder for a throw-away stack, which every account may enter.
///
/// # Errors
/// When no folder can be created.
pub(crate) fn passing() -> Result<PathBuf> {
    let candidates = std::iter::once(std::env::temp_dir()).chain(PASSING.iter().map(PathBuf::from));
    let base = match Account::for_directory(Path::new("/"))? {
        Some(account) => first_reachable(&account, candidates)?,
        None => std::env::temp_dir(),
    };
    for attempt in 0_u32..1000 {
        let path = base.join(format!("{PASSING_PREFIX}{}-{attempt}", std::process::id()));
        match std::fs::create_dir(&path) {
            Ok(()) => {
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
                    .with_context(|| format!("cannot open {} to the servers", path.display()))?;
                return Ok(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("cannot create {}", path.display())),
        }
    }
    bail!(
        "too many folders named {PASSING_PREFIX}* in {}; remove the old ones",
        base.display()
    )
}

/// How the folders of throw-away stacks are named.
const PASSING_PREFIX: &str = "studio-brain-test-";

/// The folders of the caller's throw-away stacks, running or left over.
pub(crate) fn passing_folders() -> Vec<PathBuf> {
    let bases = std::iter::once(std::env::temp_dir()).chain(PASSING.iter().map(PathBuf::from));
    bases
        .filter_map(|base| std::fs::read_dir(base).ok())
        .flat_map(|entries| entries.flatten())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PASSING_PREFIX))
        .map(|entry| entry.path())
        .filter(|folder| is_ours(folder))
        .collect()
}

/// Whether this is a folder of the caller's, not a link to one.
fn is_ours(folder: &Path) -> bool {
    std::fs::symlink_metadata(folder).is_ok_and(|facts| facts.is_dir() && facts.uid() == geteuid().as_raw())
}

fn first_reachable(account: &Account, candidates: impl Iterator<Item = PathBuf>) -> Result<PathBuf> {
    let mut tried = Vec::new();
    for candidate in candidates {
        if candidate.is_dir() && account.can_reach(&candidate) {
            return Ok(candidate);
        }
        tried.push(candidate.display().to_string());
    }
    bail!(
        "the account {} that the servers run as may enter none of {}",
        account.name,
        tried.join(", ")
    )
}

/// A short name that differs for each clone and still tells a person which one it is.
fn name_for(wanted: &Path) -> String {
    let digest = Sha256::digest(wanted.as_os_str().as_encoded_bytes());
    let short: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let project = wanted.parent().and_then(Path::file_name).unwrap_or_default();
    format!("{}-{short}", project.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clones_of_the_same_name_get_different_folders() {
        let one = name_for(Path::new("/root/a/studio-brain/.dev"));
        let other = name_for(Path::new("/root/b/studio-brain/.dev"));
        assert!(one.starts_with("studio-brain-"), "{one}");
        assert_ne!(one, other);
    }
}
