//! Why a skill was refused, and at which stage of its way in.
//!
//! Invariant: each refusal names its stage and a reason that a person can act on; nothing of what was refused stays.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A step on the way of a skill from its reference to a running program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Reading the reference, and what is locked for it.
    Reference,
    /// What may be installed, and what may be asked for.
    Policy,
    /// Finding it in a registry.
    Resolve,
    /// Fetching its bytes.
    Download,
    /// Unpacking or copying its files.
    Archive,
    /// Reading its `manifest.json`.
    Manifest,
    /// Reading its `SKILL.md`.
    SkillMd,
    /// Comparing digests.
    Checksum,
    /// Verifying who published it.
    Signature,
    /// Putting it in its place.
    Install,
    /// Asking whether it was revoked.
    Revoked,
}

impl Stage {
    /// Its name, as it is written in audit rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Policy => "policy",
            Self::Resolve => "resolve",
            Self::Download => "download",
            Self::Archive => "archive",
            Self::Manifest => "manifest",
            Self::SkillMd => "skill_md",
            Self::Checksum => "checksum",
            Self::Signature => "signature",
            Self::Install => "install",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The skill is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("refused at stage {stage}: {reason}")]
pub struct Refused {
    /// Where.
    pub stage: Stage,
    /// Why, and what to do about it.
    pub reason: String,
}

impl Refused {
    /// A refusal at this stage.
    #[must_use]
    pub fn at(stage: Stage, reason: impl Into<String>) -> Self {
        Self {
            stage,
            reason: reason.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_stage_is_written_as_it_is_displayed() {
        for stage in [Stage::Reference, Stage::SkillMd, Stage::Revoked, Stage::Archive] {
            assert_eq!(serde_json::to_value(stage).unwrap(), stage.as_str());
        }
    }
}
