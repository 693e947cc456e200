//! What an export is made of beside its records, as JSON.
//!
//! Invariant: whatever is signed is the canonical JSON of the object without its field `signature`.

use serde::{Deserialize, Serialize};

use super::signing::{KeyId, PublicKey, Signature};
use crate::{digest::Digest, ids::TenantId};

/// The type of a [`Checkpoint`].
pub const CHECKPOINT: &str = "studio-brain-audit-checkpoint/1";
/// The type of a [`Key`].
pub const KEY: &str = "studio-brain-audit-key/1";
/// The type of a [`Manifest`].
pub const EXPORT: &str = "studio-brain-audit-export/1";
/// The type of a [`Seal`].
pub const SEAL: &str = "studio-brain-audit-seal/1";

/// The end of a chain as it was at a moment, signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    /// [`CHECKPOINT`].
    pub r#type: String,
    /// Whose chain.
    pub tenant_id: TenantId,
    /// The number of its last record.
    pub seq: i64,
    /// The hash of that record.
    pub hash: Digest,
    /// When.
    pub at: String,
    /// By which key.
    pub key_id: KeyId,
    /// Of all the other fields.
    pub signature: Signature,
}

impl Checkpoint {
    /// Whether the key that it names is among these and signed it.
    #[must_use]
    pub fn is_signed(&self, keys: &[PublicKey]) -> bool {
        let by = keys.iter().find(|key| key.id() == self.key_id);
        by.is_some_and(|key| key.signed(self, &self.signature))
    }
}

/// A public key, and the one before it that vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Key {
    /// [`KEY`].
    pub r#type: String,
    /// Its name.
    pub key_id: KeyId,
    /// The key.
    pub public_key: PublicKey,
    /// The key that vouches for it; none for the first, and for one whose predecessor was lost.
    pub endorsed_by: Option<KeyId>,
    /// Of all the other fields, by that key.
    pub signature: Option<Signature>,
}

/// The first line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// [`EXPORT`].
    pub r#type: String,
    /// Whose chain.
    pub tenant_id: TenantId,
    /// When it was exported.
    pub exported_at: String,
    /// How many records follow.
    pub row_count: i64,
    /// The number of the first.
    pub first_seq: i64,
    /// The number of the last; one less than the first where there are none.
    pub last_seq: i64,
    /// When the first was written.
    pub first_at: Option<String>,
    /// When the last was written.
    pub last_at: Option<String>,
    /// The hash of the record before the first; zeros where that is the first of all.
    pub prev_hash: Digest,
    /// The hash of the last.
    pub last_hash: Digest,
    /// All keys, each after the one that vouches for it.
    pub keys: Vec<Key>,
    /// The newest checkpoints among these records, in their order.
    pub checkpoints: Vec<Checkpoint>,
}

/// The last line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Seal {
    /// [`SEAL`].
    pub r#type: String,
    /// The SHA-256 of all bytes before this line.
    pub payload_hash: Digest,
    /// The key that signed it, where one is configured.
    pub key_id: Option<KeyId>,
    /// Of the other fields.
    pub signature: Option<Signature>,
}
