//! What must not be installed or launched any more.
//!
//! Invariant: whichever of the reference and the digest is revoked, the skill is refused.

use std::collections::BTreeSet;

use crate::{
    SkillRef,
    digest::Digest,
    refused::{Refused, Stage},
};

/// Revoked skills, by what they are called and by what they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations {
    references: BTreeSet<SkillRef>,
    digests: BTreeSet<Digest>,
}

impl Revocations {
    /// These, and no others.
    #[must_use]
    pub fn new(references: impl IntoIterator<Item = SkillRef>, digests: impl IntoIterator<Item = Digest>) -> Self {
        Self {
            references: references.into_iter().collect(),
            digests: digests.into_iter().collect(),
        }
    }

    /// Refuses what is revoked.
    ///
    /// # Errors
    /// [`Refused`] at the stage of revocations.
    pub fn check(&self, reference: &SkillRef, digest: Option<Digest>) -> Result<(), Refused> {
        if self.references.contains(reference) {
            let reason = format!("{reference} was revoked; use another version");
            return Err(Refused::at(Stage::Revoked, reason));
        }
        match digest.filter(|digest| self.digests.contains(digest)) {
            Some(digest) => {
                let reason = format!("the files of {reference}, {digest}, were revoked; use another version");
                Err(Refused::at(Stage::Revoked, reason))
            }
            None => Ok(()),
        }
    }
}
