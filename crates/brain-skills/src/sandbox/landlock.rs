//! Landlock's rules for one program: what it may open, where it may connect, whom it may signal.
//!
//! Invariants: whatever the kernel's version of Landlock knows is handled, so what no rule allows is refused; the rules say
//! the same as the mounts, so that either alone holds.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// The newest version whose rules are written here.
const NEWEST: ABI = ABI::V7;

/// A place in the tree of files, and what is allowed below it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Use {
    /// Seeing what is there.
    List,
    /// Reading.
    Read,
    /// Reading and executing.
    Execute,
    /// Everything but executing and making devices.
    Change,
    /// Reading and writing a file that is there.
    Device,
}

impl Use {
    fn access(self) -> BitFlags<AccessFs> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        match self {
            Self::List => AccessFs::ReadDir.into(),
            Self::Read => read,
            Self::Execute => read | AccessFs::Execute,
            Self::Change => {
                AccessFs::from_all(NEWEST)
                    & !(AccessFs::Execute
                        | AccessFs::MakeChar
                        | AccessFs::MakeBlock
                        | AccessFs::MakeSock
                        | AccessFs::IoctlDev)
            }
            Self::Device => AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate,
        }
    }
}

/// Puts the rules on this process, for good, and says whether they are in force; `port` is the one that it may connect to.
pub(super) fn restrict<'a>(
    places: impl IntoIterator<Item = (&'a Path, Use)>,
    port: Option<u16>,
) -> Result<bool, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for (path, allowed) in places {
        rules = allow(rules, path, allowed)?;
    }
    if let Some(port) = port {
        rules = rules.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
    }
    // The process gave up gaining rights before.
    let status = rules.no_new_privs(false).restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

fn allow(rules: RulesetCreated, path: &Path, allowed: Use) -> Result<RulesetCreated, RulesetError> {
    let Ok(place) = PathFd::new(path) else {
        return Ok(rules); // Not there: nothing to allow.
    };
    let access = match is_directory(&place) {
        true => allowed.access(),
        false => allowed.access() & AccessFs::from_file(NEWEST),
    };
    rules.add_rule(PathBeneath::new(place, access))
}

fn is_directory(place: &PathFd) -> bool {
    let copy: std::io::Result<OwnedFd> = place.as_fd().try_clone_to_owned();
    copy.and_then(|copy| std::fs::File::from(copy).metadata())
        .is_ok_and(|metadata| metadata.is_dir())
}
