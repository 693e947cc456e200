//! What can go wrong when a registry is changed.

use std::path::PathBuf;

use crate::reference::SkillRef;

/// Why a registry was not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What is there cannot be read or trusted.
    #[error(transparent)]
    Registry(#[from] crate::registry::Error),
    /// There is a registry already.
    #[error("{} is a registry already; choose another directory", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// A key file cannot be used.
    #[error("the key file {} cannot be used: {reason}", path.display())]
    KeyFile {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No random numbers.
    #[error("no key can be made: {reason}; try again")]
    Random {
        /// What happened.
        reason: String,
    },
    /// A change waits for signatures.
    #[error("a change waits for signatures; sign it or discard it first")]
    Waiting,
    /// No change waits for signatures.
    #[error("no change waits for signatures")]
    NothingWaits,
    /// What waits was made from an older state.
    #[error("the change that waits was made before {role} changed; discard it and make it again")]
    Outdated {
        /// Which role changed meanwhile.
        role: String,
    },
    /// There is no such role.
    #[error("the registry has no role or publisher {role:?}")]
    UnknownRole {
        /// What was named.
        role: String,
    },
    /// The name cannot be a publisher's, or is one already.
    #[error("{name:?} cannot be added as a publisher: {reason}")]
    Publisher {
        /// What was named.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The publisher does not own the skill's name.
    #[error("{publisher} does not own the name of {skill}; its names are {patterns:?}")]
    NotOwner {
        /// Who wanted to publish.
        publisher: String,
        /// What.
        skill: SkillRef,
        /// The paths that it owns.
        patterns: Vec<String>,
    },
    /// The version is there already, with other bytes.
    #[error("{skill} is published already with other bytes; a version never changes, publish another one")]
    Published {
        /// Which one.
        skill: SkillRef,
    },
    /// A key of the online roles is missing.
    #[error("no key of {role} was given, with which every change is signed")]
    MissingKey {
        /// Which role.
        role: String,
    },
    /// The reason is too long or empty.
    #[error("a revocation needs a reason of 1 to {limit} bytes")]
    Reason {
        /// The longest.
        limit: usize,
    },
}
