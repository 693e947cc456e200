//! What was revoked: the target `revoked.json` of the repository's own targets role.
//!
//! Format: `{"format": 1, "revoked": [{"reference": "name@version", "reason": "...", "time": "..."}]}`, where an entry
//! has either `reference` or `digest` (the tree digest, `sha256:...`). Invariant: an entry that is not understood
//! refuses the whole list, so that no revocation is overlooked.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Error, canonical};
use crate::{digest::Digest, reference::SkillRef};

/// The longest reason, in bytes.
pub const MAX_REASON_BYTES: usize = 1024;

/// What an entry names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// One version by its name.
    Reference(SkillRef),
    /// Exactly these files, whatever they are called.
    Tree(Digest),
}

/// When and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// When it was revoked.
    pub time: Timestamp,
    /// Why.
    pub reason: String,
}

/// The whole list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations(BTreeMap<Subject, Revocation>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    revoked: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<SkillRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    reason: String,
    time: Timestamp,
}

impl Revocations {
    /// Why this skill with these files may not be used, if it was revoked.
    #[must_use]
    pub fn of(&self, skill: &SkillRef, tree: &Digest) -> Option<&Revocation> {
        let by_name = self.0.get(&Subject::Reference(skill.clone()));
        by_name.or_else(|| self.0.get(&Subject::Tree(*tree)))
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = (&Subject, &Revocation)> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an entry; the first reason and time of a subject stay.
    pub(super) fn add(&mut self, subject: Subject, revocation: Revocation) {
        self.0.entry(subject).or_insert(revocation);
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let what = super::names::REVOKED;
        let value = canonical::read(bytes).map_err(|error| Error::malformed(what, error))?;
        let document: Document = serde_json::from_value(value).map_err(|error| Error::malformed(what, error))?;
        if document.format != 1 {
            return Err(Error::malformed(
                what,
                "its format is newer than this program; upgrade the program",
            ));
        }
        let mut read = Self::default();
        for entry in document.revoked {
            let subject = match (entry.reference, entry.digest) {
                (Some(skill), None) => Subject::Reference(skill),
                (None, Some(tree)) => Subject::Tree(tree),
                _ => {
                    return Err(Error::malformed(
                        what,
                        "an entry names not exactly one of reference and digest",
                    ));
                }
            };
            if entry.reason.len() > MAX_REASON_BYTES {
                return Err(Error::malformed(what, "a reason is too long"));
            }
            let (time, reason) = (entry.time, entry.reason);
            read.add(subject, Revocation { time, reason });
        }
        Ok(read)
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, Error> {
        let entries = self.0.iter().map(|(subject, revocation)| Entry {
            reference: match subject {
                Subject::Reference(skill) => Some(skill.clone()),
                Subject::Tree(_) => None,
            },
            digest: match subject {
                Subject::Tree(tree) => Some(*tree),
                Subject::Reference(_) => None,
            },
            reason: revocation.reason.clone(),
            time: revocation.time,
        });
        let document = Document {
            format: 1,
            revoked: entries.collect(),
        };
        serde_json::to_vec_pretty(&document).map_err(|error| Error::malformed(super::names::REVOKED, error))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let tree = Digest::of(b"x");
        let skill: SkillRef = "a@1.0.0".parse().unwrap();
        let mut list = Revocations::default();
        let why = |reason: &str| Revocation {
            time: "2026-01-02T03:04:05Z".parse().unwrap(),
            reason: reason.to_owned(),
        };
        list.add(Subject::Reference(skill.clone()), why("steals"));
        list.add(Subject::Reference(skill.clone()), why("another reason"));
        list.add(Subject::Tree(tree), why("mines"));
        let read = Revocations::read(&list.write().unwrap()).unwrap();
        assert_eq!(read, list);
        assert_eq!(read.of(&skill, &Digest::of(b"")).unwrap().reason, "steals");
        assert_eq!(read.of(&"b@2.0.0".parse().unwrap(), &tree).unwrap().reason, "mines");
        assert!(read.of(&"a@1.0.1".parse().unwrap(), &Digest::of(b"")).is_none());
    }

    #[test]
    fn an_entry_that_is_not_understood_refuses_the_list() {
        for wrong in [
            r#"{"format":2,"revoked":[]}"#,
            r#"{"format":1,"revoked":[{"reason":"","time":"2026-01-01T00:00:00Z"}]}"#,
            r#"{"format":1,"revoked":[{"reference":"a@latest","reason":"","time":"2026-01-01T00:00:00Z"}]}"#,
            r#"{"format":1,"revoked":[{"names":"a*","reason":"","time":"2026-01-01T00:00:00Z"}]}"#,
            r#"{"format":1,"revoked":[],"revoked":[]}"#,
        ] {
            assert!(Revocations::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(Revocations::read(br#"{"format":1,"revoked":[]}"#).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Revocations::read(&bytes);
        }
    }
}
