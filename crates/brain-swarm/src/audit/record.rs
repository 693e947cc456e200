//! A record of the trail, and what it is hashed as.
//!
//! Invariant: the hash of a record is the SHA-256 of its canonical JSON without `hash`. It holds no number but whole ones, so
//! that every language finds the same text.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    digest::{Digest, NotCanonical},
    ids::TenantId,
};

/// The longest text of a record, in characters; what is longer is cut.
const MAX_TEXT_CHARS: usize = 4096;

/// What kind of actor did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AuditActorType")]
pub enum ActorKind {
    /// A caller of the interface: `local`, `admin`, a token or somebody that an issuer vouches for.
    Principal,
    /// The brain by itself.
    System,
}

impl ActorKind {
    /// The word in the database and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::System => "system",
        }
    }
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// What kind.
    pub kind: ActorKind,
    /// Which one.
    pub id: String,
}

impl Actor {
    /// A caller of the interface.
    pub fn principal(id: impl Into<String>) -> Self {
        Self {
            kind: ActorKind::Principal,
            id: id.into(),
        }
    }

    /// A part of the brain, such as `migrations`.
    pub fn system(id: impl Into<String>) -> Self {
        Self {
            kind: ActorKind::System,
            id: id.into(),
        }
    }
}

/// How the matter stood as to approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AuditApprovalState")]
pub enum ApprovalState {
    /// It needs none.
    NotRequired,
    /// It waits for one.
    Pending,
    /// A person approved.
    Approved,
    /// A person rejected.
    Rejected,
    /// An exemption stood in its place.
    Exempt,
    /// The system refused by itself.
    Denied,
}

impl ApprovalState {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NotRequired,
        Self::Pending,
        Self::Approved,
        Self::Rejected,
        Self::Exempt,
        Self::Denied,
    ];

    /// The word in the database and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotRequired => "not_required",
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Exempt => "exempt",
            Self::Denied => "denied",
        }
    }
}

/// A text that names no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an approval state is not_required, pending, approved, rejected, exempt or denied")]
pub struct InvalidState;

impl std::str::FromStr for ApprovalState {
    type Err = InvalidState;

    fn from_str(word: &str) -> Result<Self, InvalidState> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == word);
        found.ok_or(InvalidState)
    }
}

/// What else is to be said: names with texts, whole numbers, truth values and lists of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata(Map<String, Value>);

impl Metadata {
    /// Says one more thing.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Said>) -> Self {
        self.0.insert(name.to_owned(), value.into().0);
        self
    }

    /// The same, where there is something to say.
    #[must_use]
    pub fn maybe(self, name: &'static str, value: Option<impl Into<Said>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// What is said.
    #[must_use]
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

/// A value that may stand in [`Metadata`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said(Value);

impl From<&str> for Said {
    fn from(text: &str) -> Self {
        Self(Value::String(cut(text)))
    }
}

impl From<String> for Said {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<i32> for Said {
    fn from(number: i32) -> Self {
        Self(number.into())
    }
}

impl From<u32> for Said {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

impl From<bool> for Said {
    fn from(truth: bool) -> Self {
        Self(truth.into())
    }
}

impl From<Uuid> for Said {
    fn from(id: Uuid) -> Self {
        Self(id.to_string().into())
    }
}

impl From<Digest> for Said {
    fn from(digest: Digest) -> Self {
        Self(digest.to_string().into())
    }
}

impl From<Timestamp> for Said {
    fn from(at: Timestamp) -> Self {
        Self(written(at).into())
    }
}

impl From<Vec<String>> for Said {
    fn from(texts: Vec<String>) -> Self {
        Self(texts.iter().map(|text| cut(text)).collect())
    }
}

/// What is to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who did it.
    pub actor: Actor,
    /// What: resource and verb, such as `token.create`.
    pub action: &'static str,
    /// Why, in the words of whoever did it; empty where nobody was asked.
    pub rationale: String,
    /// To what: the id of the thing.
    pub target: String,
    /// Whether it was allowed, and by what.
    pub approval_state: ApprovalState,
    /// The digest of what went in.
    pub input_hash: Option<Digest>,
    /// The digest of what came out.
    pub output_hash: Option<Digest>,
    /// What else there is to say.
    pub metadata: Metadata,
}

impl Entry {
    /// Something that needed no approval.
    #[must_use]
    pub fn new(actor: Actor, action: &'static str, target: impl Into<String>) -> Self {
        Self {
            actor,
            action,
            rationale: String::new(),
            target: target.into(),
            approval_state: ApprovalState::NotRequired,
            input_hash: None,
            output_hash: None,
            metadata: Metadata::default(),
        }
    }
}

/// A record as it is stored, exported and hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "AuditRecord")]
pub struct Record {
    /// Its place in the chain of its tenant, from 1.
    pub seq: i64,
    /// Its id.
    pub id: Uuid,
    /// When, in UTC to the microsecond: `2026-01-31T12:00:00.000000Z`.
    pub at: String,
    /// Whose chain it is in.
    pub tenant_id: TenantId,
    /// What kind of actor did it.
    pub actor_type: ActorKind,
    /// Who did it.
    pub actor_id: String,
    /// What was done.
    pub action: String,
    /// Why.
    pub rationale: String,
    /// To what.
    pub target: String,
    /// Whether it was allowed, and by what.
    pub approval_state: ApprovalState,
    /// The digest of what went in.
    pub input_hash: Option<Digest>,
    /// The digest of what came out.
    pub output_hash: Option<Digest>,
    /// What else there is to say: texts, whole numbers, truth values and lists of them.
    #[schemars(with = "Map<String, Value>")]
    pub metadata: Value,
    /// The hash of the record before; zeros for the first.
    pub prev_hash: Digest,
    /// The SHA-256 of this record as canonical JSON (RFC 8785) without this field.
    pub hash: Digest,
}

/// A record that cannot be hashed.
#[derive(Debug, thiserror::Error)]
#[error("a record of the audit trail cannot be written: {0}")]
pub struct Unwritable(#[from] NotCanonical);

impl Record {
    /// The record of an entry at the end of a chain.
    pub(super) fn following(
        (tenant_id, seq, prev_hash): (&TenantId, i64, Digest),
        at: Timestamp,
        entry: Entry,
    ) -> Result<Self, Unwritable> {
        let mut record = Self {
            seq,
            id: Uuid::now_v7(),
            at: written(at),
            tenant_id: tenant_id.clone(),
            actor_type: entry.actor.kind,
            actor_id: cut(&entry.actor.id),
            action: entry.action.to_owned(),
            rationale: cut(&entry.rationale),
            target: cut(&entry.target),
            approval_state: entry.approval_state,
            input_hash: entry.input_hash,
            output_hash: entry.output_hash,
            metadata: entry.metadata.into_value(),
            prev_hash,
            hash: Digest::NONE,
        };
        record.hash = record.digest()?;
        Ok(record)
    }

    /// What its hash should be.
    ///
    /// # Errors
    /// When it holds what has no canonical form.
    pub fn digest(&self) -> Result<Digest, Unwritable> {
        let mut value = serde_json::to_value(self).map_err(NotCanonical::from)?;
        if let Some(fields) = value.as_object_mut() {
            fields.remove("hash");
        }
        Ok(Digest::of_json(&value)?)
    }
}

/// A moment as every record writes it.
pub(super) fn written(at: Timestamp) -> String {
    format!("{at:.6}")
}

/// What PostgreSQL can hold and people can read: no NUL, and not at any length.
fn cut(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(MAX_TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn record() -> Record {
        let entry = Entry {
            rationale: "because\0 it is good".to_owned(),
            metadata: Metadata::default()
                .with("b", 1)
                .with("a", "text")
                .maybe("c", None::<&str>),
            ..Entry::new(Actor::principal("admin"), "token.create", "t-1")
        };
        let at = "2026-01-31T12:00:00.5Z".parse().unwrap();
        Record::following((&TenantId::single(), 7, Digest::of(b"before")), at, entry).unwrap()
    }

    #[test]
    fn a_record_says_when_to_the_microsecond_and_holds_no_nul() {
        let record = record();
        assert_eq!(record.at, "2026-01-31T12:00:00.500000Z");
        assert_eq!(record.rationale, "because it is good");
        assert_eq!(record.metadata, serde_json::json!({"a": "text", "b": 1}));
    }

    #[test]
    fn its_hash_covers_everything_but_itself() {
        let record = record();
        let text = serde_json::to_string(&record).unwrap();
        let read: Record = serde_json::from_str(&text).unwrap();
        assert_eq!(read, record);
        assert_eq!(read.digest().unwrap(), record.hash);
        let other = Record {
            target: "t-2".to_owned(),
            ..record.clone()
        };
        assert_ne!(other.digest().unwrap(), record.hash);
        let elsewhere = Record {
            prev_hash: Digest::NONE,
            ..record.clone()
        };
        assert_ne!(elsewhere.digest().unwrap(), record.hash);
    }
}
