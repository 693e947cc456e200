//! Verifying an export: pure, from its bytes alone, line by line.
//!
//! Invariants: every byte of an export that verifies was looked at; whatever is wrong has a [`Place`], which is the first one at
//! which something else stands than should. `examples/verify_audit.py` finds the same places.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, BufRead, Read as _},
};

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use super::{
    chain::{Break, Chain},
    document::{CHECKPOINT, EXPORT, KEY, Manifest, SEAL, Seal},
    record::Record,
    signing::{KeyId, PublicKey},
};
use crate::{
    digest::{self, Digest},
    ids::TenantId,
};

/// The longest line.
const MAX_LINE_BYTES: u64 = 16 * 1024 * 1024;

/// Where an export is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// In its first line.
    Manifest,
    /// At the record with this number.
    Row(i64),
    /// In its last line.
    Seal,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest => f.write_str("manifest"),
            Self::Row(seq) => write!(f, "row {seq}"),
            Self::Seal => f.write_str("seal"),
        }
    }
}

/// Why an export is not to be believed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is not what it says.
    #[error("{why}")]
    Wrong {
        /// Where.
        place: Place,
        /// What.
        why: String,
    },
    /// It cannot be read.
    #[error("the export cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

impl From<Break> for Refusal {
    fn from(broken: Break) -> Self {
        Self::Wrong {
            place: Place::Row(broken.seq()),
            why: broken.to_string(),
        }
    }
}

/// What an export proved to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// Whose chain.
    pub tenant_id: TenantId,
    /// The number of the first record.
    pub first_seq: i64,
    /// The number of the last.
    pub last_seq: i64,
    /// The hash of the last, which stands for all before it.
    pub last_hash: Digest,
    /// The key that signed it.
    pub key_id: Option<KeyId>,
    /// Whether a key that was trusted vouches for that one.
    pub trusted: bool,
    /// How many checkpoints it holds.
    pub checkpoints: usize,
    /// How many of them are by keys that a trusted key vouches for.
    pub trusted_checkpoints: usize,
}

/// Verifies an export. With trusted keys it must be signed by one of them, or by one that one of them vouches for.
///
/// # Errors
/// [`Refusal`].
pub fn verify(mut export: impl BufRead, trusted: &[PublicKey]) -> Result<Verified, Refusal> {
    let mut payload = Sha256::new();
    let first = line(&mut export)?;
    payload.update(&first);
    let manifest: Manifest =
        read(&first).ok_or_else(|| wrong(Place::Manifest, "it is not the first line of an export"))?;
    let keys = checked(&manifest, trusted)?;

    let mut chain = Chain::after(manifest.tenant_id.clone(), manifest.first_seq - 1, manifest.prev_hash);
    let mut signed: BTreeMap<i64, Digest> = BTreeMap::new();
    signed.extend(
        manifest
            .checkpoints
            .iter()
            .map(|checkpoint| (checkpoint.seq, checkpoint.hash)),
    );
    let (mut first_at, mut last_at) = (None, None);
    for _ in 0..manifest.row_count {
        let row = line(&mut export)?;
        if row.is_empty() || read::<Seal>(&row).is_some() {
            return Err(Break::Missing { seq: chain.next() }.into());
        }
        let record: Record = read(&row).ok_or_else(|| chain.unreadable())?;
        chain.follow(&record)?;
        if signed.get(&chain.seq()).is_some_and(|hash| *hash != chain.hash()) {
            return Err(Break::Checkpoint { seq: chain.seq() }.into());
        }
        payload.update(&row);
        first_at = first_at.or_else(|| Some(record.at.clone()));
        last_at = Some(record.at);
    }
    chain.end(manifest.last_seq, manifest.last_hash)?;
    if (first_at, last_at) != (manifest.first_at.clone(), manifest.last_at.clone()) {
        return Err(wrong(Place::Manifest, "its times are not those of its records"));
    }

    let seal = sealed(&mut export, payload, &keys)?;
    let trusts = |id: &KeyId| keys.iter().any(|(key, trusted)| *trusted && key.id() == *id);
    let is_trusted = seal.key_id.as_ref().is_some_and(trusts);
    if !trusted.is_empty() && !is_trusted {
        return Err(wrong(Place::Seal, "it is not signed by a key that is trusted"));
    }
    Ok(Verified {
        trusted: is_trusted,
        trusted_checkpoints: manifest.checkpoints.iter().filter(|one| trusts(&one.key_id)).count(),
        checkpoints: manifest.checkpoints.len(),
        tenant_id: manifest.tenant_id,
        first_seq: manifest.first_seq,
        last_seq: manifest.last_seq,
        last_hash: manifest.last_hash,
        key_id: seal.key_id,
    })
}

/// The keys of a manifest that fits itself, and whether each is trusted.
fn checked(manifest: &Manifest, trusted: &[PublicKey]) -> Result<Vec<(PublicKey, bool)>, Refusal> {
    let refuse = |why: &str| Err(wrong(Place::Manifest, why));
    if manifest.r#type != EXPORT {
        return refuse("it is of another type");
    }
    let counts = manifest.first_seq >= 1 && manifest.row_count >= 0;
    let end = manifest.first_seq.checked_add(manifest.row_count);
    if !counts || end.is_none_or(|end| manifest.last_seq != end - 1) {
        return refuse("it counts other rows than it names");
    }
    if manifest.first_seq == 1 && manifest.prev_hash != Digest::NONE {
        return refuse("something comes before its first row");
    }
    let mut keys: Vec<(PublicKey, bool)> = Vec::new();
    for key in &manifest.keys {
        if key.r#type != KEY || key.key_id != key.public_key.id() {
            return refuse("a key has the name of another one");
        }
        let mut is_trusted = trusted.contains(&key.public_key);
        match (&key.endorsed_by, &key.signature) {
            (None, None) => {}
            (Some(by), Some(signature)) => match keys.iter().find(|(known, _)| known.id() == *by) {
                Some((endorser, trusted)) if endorser.signed(key, signature) => is_trusted |= *trusted,
                _ => return refuse("a key is not endorsed by the one that it names"),
            },
            _ => return refuse("a key is half endorsed"),
        }
        keys.push((key.public_key, is_trusted));
    }
    for checkpoint in &manifest.checkpoints {
        let by = keys.iter().find(|(key, _)| key.id() == checkpoint.key_id);
        let here = checkpoint.tenant_id == manifest.tenant_id
            && (manifest.first_seq..=manifest.last_seq).contains(&checkpoint.seq);
        let good = by.is_some_and(|(key, _)| key.signed(checkpoint, &checkpoint.signature));
        if checkpoint.r#type != CHECKPOINT || !here || !good {
            return refuse("a checkpoint is not what was signed");
        }
    }
    Ok(keys)
}

/// The last line, which covers all before it.
fn sealed(export: &mut impl BufRead, payload: Sha256, keys: &[(PublicKey, bool)]) -> Result<Seal, Refusal> {
    let refuse = |why: &str| wrong(Place::Seal, why);
    let last = line(export)?;
    if last.is_empty() {
        return Err(refuse("it is missing: the export was cut off"));
    }
    let seal: Seal = read(&last).ok_or_else(|| refuse("something else stands in its place"))?;
    let payload: [u8; 32] = payload.finalize().into();
    if seal.r#type != SEAL || seal.payload_hash != payload.into() {
        return Err(refuse("what it covers was changed"));
    }
    match (&seal.key_id, &seal.signature) {
        (None, None) => {}
        (Some(id), Some(signature))
            if keys
                .iter()
                .any(|(key, _)| key.id() == *id && key.signed(&seal, signature)) => {}
        _ => return Err(refuse("its signature is not right")),
    }
    if !line(export)?.is_empty() {
        return Err(refuse("something follows it"));
    }
    Ok(seal)
}

fn wrong(place: Place, why: &str) -> Refusal {
    let why = format!("{place}: {why}");
    Refusal::Wrong { place, why }
}

/// A line with its end; nothing at the end of the file.
fn line(export: &mut impl BufRead) -> Result<Vec<u8>, io::Error> {
    let mut line = Vec::new();
    export.take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
    Ok(line)
}

/// What a line says, where it is whole and written as it must be.
fn read<T: Serialize + DeserializeOwned>(line: &[u8]) -> Option<T> {
    let text = line.strip_suffix(b"\n")?;
    let value: T = serde_json::from_slice(text).ok()?;
    (digest::canonical(&value).ok()? == text).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(verify(bytes.as_slice(), &[]).is_err());
        }

        #[test]
        fn a_manifest_of_any_numbers_never_panics(first: i64, last: i64, count: i64, line in "\\PC{0,64}") {
            let zeros = Digest::NONE;
            let text = format!(
                "{{\"checkpoints\":[],\"exportedAt\":\"\",\"firstAt\":null,\"firstSeq\":{first},\"keys\":[],\"lastAt\":null,\
                 \"lastHash\":\"{zeros}\",\"lastSeq\":{last},\"prevHash\":\"{zeros}\",\"rowCount\":{count},\
                 \"tenantId\":\"default\",\"type\":\"{EXPORT}\"}}\n{line}\n"
            );
            prop_assert!(verify(text.as_bytes(), &[]).is_err());
        }
    }
}
