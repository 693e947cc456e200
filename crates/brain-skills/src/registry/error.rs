//! What can go wrong between a registry and those who read or write it.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::reference::SkillRef;

/// Why a registry could not be read, trusted or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry does not answer now.
    #[error("{what} cannot be read: {reason}; try again, and check the registry's address and the proxy settings")]
    Unavailable {
        /// What was asked for.
        what: String,
        /// What happened.
        reason: String,
    },
    /// The registry has no such file.
    #[error("the registry has no {what}; check its address, and whether its files were copied completely")]
    Missing {
        /// What was asked for.
        what: String,
    },
    /// The registry answers with a redirect, which is never followed.
    #[error("{what} is redirected; redirects are not followed, give the registry's final address")]
    Redirected {
        /// What was asked for.
        what: String,
    },
    /// The file is larger than is allowed or was announced.
    #[error("{what} is larger than {limit} bytes; nothing of it was used")]
    TooLarge {
        /// What was asked for.
        what: String,
        /// The largest size.
        limit: u64,
    },
    /// The file is not what it should be.
    #[error("{what} is malformed: {reason}; whoever keeps the registry must publish it again")]
    Malformed {
        /// What was read.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Not enough of the right keys signed.
    #[error("{what} is not signed as it must be: {valid} of {threshold} keys signed validly; do not trust this copy")]
    Signatures {
        /// What was read.
        what: String,
        /// How many distinct keys of the role signed it.
        valid: usize,
        /// How many must.
        threshold: usize,
    },
    /// An older version than one that was already trusted.
    #[error("{what} went back from version {had} to {got}: an old copy is being replayed, or a mirror is behind")]
    Rollback {
        /// What was read.
        what: String,
        /// The version that was trusted before.
        had: u64,
        /// The version that was offered.
        got: u64,
    },
    /// Something else than the metadata above it says.
    #[error("{what} is not the one that the signed metadata names: {reason}; the copy mixes states of the registry")]
    Mixed {
        /// What was read.
        what: String,
        /// What differs.
        reason: String,
    },
    /// The metadata is too old to be believed.
    #[error("{what} expired at {since}; refresh, or whoever keeps the registry must sign it again")]
    Expired {
        /// What was read.
        what: String,
        /// When it expired.
        since: Timestamp,
    },
    /// Nothing was trusted yet.
    #[error("nothing of this registry is trusted yet; refresh it first")]
    NotRefreshed,
    /// No publisher has this skill.
    #[error("the registry has no {skill}; see which versions it lists")]
    UnknownSkill {
        /// What was looked for.
        skill: SkillRef,
    },
    /// The publisher who owns the name cannot be trusted now.
    #[error("the publisher {publisher} of {skill} cannot be used: {reason}")]
    Publisher {
        /// What was looked for.
        skill: SkillRef,
        /// Who owns the name.
        publisher: String,
        /// What is wrong with the publisher's metadata.
        reason: String,
    },
    /// The skill was revoked.
    #[error("{skill} was revoked at {time}: {reason}; use another version")]
    Revoked {
        /// What was looked for.
        skill: SkillRef,
        /// When.
        time: Timestamp,
        /// Why.
        reason: String,
    },
    /// The trusted state belongs to another root.
    #[error("the trusted state in {} began with another root; remove it if this root is right", path.display())]
    OtherRoot {
        /// Where the state is.
        path: PathBuf,
    },
    /// Another process holds the state for too long.
    #[error("another process works on {}; wait for it to end", path.display())]
    Busy {
        /// Where the lock is.
        path: PathBuf,
    },
    /// A local file cannot be used.
    #[error("{} cannot be used: {reason}", path.display())]
    Local {
        /// Which file.
        path: PathBuf,
        /// What happened.
        reason: String,
    },
    /// A setting cannot be used.
    #[error("{reason}")]
    Setting {
        /// What is wrong and what to write instead.
        reason: String,
    },
}

impl Error {
    /// Whether the same may work later without anybody changing anything.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Busy { .. })
    }

    pub(super) fn malformed(what: &str, reason: impl ToString) -> Self {
        Self::Malformed {
            what: what.to_owned(),
            reason: reason.to_string(),
        }
    }

    pub(super) fn mixed(what: &str, reason: impl ToString) -> Self {
        Self::Mixed {
            what: what.to_owned(),
            reason: reason.to_string(),
        }
    }

    pub(super) fn local(path: &std::path::Path, reason: impl ToString) -> Self {
        Self::Local {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }

    pub(super) fn setting(reason: impl ToString) -> Self {
        Self::Setting {
            reason: reason.to_string(),
        }
    }
}
