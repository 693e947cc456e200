//! Public keys of registries, and the thresholds of signatures that roles ask for.
//!
//! Invariants: only Ed25519, verified strictly (no malleable signature, no point of small order, no second spelling of
//! a key); a key's identity is the SHA-256 of its canonical JSON, and any other is refused; towards a threshold a key
//! counts once, however often and under whatever identities it signed.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Error, canonical};
use crate::digest::Digest;

/// The largest number of keys of one role, and of signatures on one document.
pub(super) const MAX_KEYS: usize = 64;

/// A public key that may sign for a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// A signature as documents carry it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Signed {
    pub(super) keyid: String,
    pub(super) sig: String,
}

/// Who may sign for a role, and how many of them must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quorum {
    pub(super) keys: BTreeMap<String, PublicKey>,
    pub(super) threshold: usize,
}

impl PublicKey {
    /// The key of these 32 bytes, unless it is weak or not spelt in the one right way.
    #[must_use]
    pub fn of(bytes: &[u8; 32]) -> Option<Self> {
        // A coordinate of the field's size or more is a second spelling of a smaller one.
        let above = bytes[31] & 0x7f == 0x7f && bytes[1..31].iter().all(|byte| *byte == 0xff) && bytes[0] >= 0xed;
        let key = VerifyingKey::from_bytes(bytes).ok()?;
        (!above && !key.is_weak()).then_some(Self(key))
    }

    /// The key in TUF's form.
    pub(super) fn to_json(&self) -> Value {
        json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": hex(self.0.as_bytes())}})
    }

    /// The identity of the key: the SHA-256 of its canonical JSON.
    #[must_use]
    pub fn id(&self) -> String {
        Digest::of(&canonical::write(&self.to_json())).hex()
    }

    /// The bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let bytes: Option<[u8; 64]> = unhex(signature);
        bytes.is_some_and(|bytes| self.0.verify_strict(message, &Signature::from_bytes(&bytes)).is_ok())
    }
}

/// The keys of a document by identity; one that is not the digest of its key is refused with the whole document.
pub(super) fn read_keys(what: &str, keys: &BTreeMap<String, Value>) -> Result<BTreeMap<String, PublicKey>, Error> {
    keys.iter()
        .map(|(id, key)| {
            let refused = |reason: &str| Error::malformed(what, format_args!("key {}: {reason}", shortened(id)));
            if Digest::of(&canonical::write(key)).hex() != *id {
                return Err(refused("its identity is not the digest of the key"));
            }
            if key["keytype"] != "ed25519" || key["scheme"] != "ed25519" {
                return Err(refused("only ed25519 keys are accepted"));
            }
            let bytes = key["keyval"]["public"].as_str().and_then(unhex);
            let read = bytes.and_then(|bytes| PublicKey::of(&bytes));
            let read = read.ok_or_else(|| refused("it is no sound Ed25519 key"))?;
            Ok((id.clone(), read))
        })
        .collect()
}

impl Quorum {
    /// The quorum of these identities; each must be among the keys.
    pub(super) fn read(
        what: &str,
        all: &BTreeMap<String, PublicKey>,
        ids: &[String],
        threshold: u64,
    ) -> Result<Self, Error> {
        let mut keys = BTreeMap::new();
        for id in ids {
            let key = all.get(id);
            let key = key.ok_or_else(|| Error::malformed(what, format_args!("no key {} is there", shortened(id))))?;
            if keys.insert(id.clone(), key.clone()).is_some() {
                return Err(Error::malformed(what, "a role names one key twice"));
            }
        }
        let quorum = Self {
            keys,
            threshold: usize::try_from(threshold).unwrap_or(usize::MAX),
        };
        let distinct = quorum.distinct();
        if ids.len() > MAX_KEYS || quorum.threshold == 0 || quorum.threshold > distinct {
            let reason = format_args!("a threshold of {threshold} with {distinct} different keys cannot be met");
            return Err(Error::malformed(what, reason));
        }
        Ok(quorum)
    }

    fn distinct(&self) -> usize {
        let bytes: BTreeSet<_> = self.keys.values().map(PublicKey::as_bytes).collect();
        bytes.len()
    }

    /// How many different keys of this quorum signed the message.
    pub(super) fn valid(&self, message: &[u8], signatures: &[Signed]) -> usize {
        let mut signers = BTreeSet::new();
        for signature in signatures.iter().take(MAX_KEYS) {
            if let Some(key) = self.keys.get(&signature.keyid)
                && key.verifies(message, &signature.sig)
            {
                signers.insert(key.as_bytes());
            }
        }
        signers.len()
    }

    /// Whether enough different keys signed the message.
    pub(super) fn check(&self, what: &str, message: &[u8], signatures: &[Signed]) -> Result<(), Error> {
        let valid = self.valid(message, signatures);
        if valid < self.threshold {
            return Err(Error::Signatures {
                what: what.to_owned(),
                valid,
                threshold: self.threshold,
            });
        }
        Ok(())
    }
}

fn shortened(id: &str) -> String {
    id.chars().take(16).collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of lower-case digits; other spellings are refused, so that one signature has one text.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    let digit = |at: u8| match at {
        b'0'..=b'9' => Some(at - b'0'),
        b'a'..=b'f' => Some(at - b'a' + 10),
        _ => None,
    };
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    fn quorum(keys: &[&SigningKey], threshold: u64) -> Quorum {
        let publics = keys.iter().map(|key| PublicKey(key.verifying_key()));
        let all: BTreeMap<_, _> = publics.map(|key| (key.id(), key)).collect();
        let ids: Vec<_> = all.keys().cloned().collect();
        Quorum::read("test", &all, &ids, threshold).unwrap()
    }

    fn sign(key: &SigningKey, message: &[u8]) -> Signed {
        Signed {
            keyid: PublicKey(key.verifying_key()).id(),
            sig: hex(&key.sign(message).to_bytes()),
        }
    }

    #[test]
    fn each_key_counts_once() {
        let (one, two) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let quorum = quorum(&[&one, &two], 2);
        let (first, second) = (sign(&one, b"m"), sign(&two, b"m"));
        assert_eq!(quorum.valid(b"m", &[first.clone(), first.clone()]), 1);
        assert!(quorum.check("m", b"m", &[first.clone(), first.clone()]).is_err());
        assert!(quorum.check("m", b"m", &[first.clone(), second.clone()]).is_ok());
        assert_eq!(quorum.valid(b"other", &[first, second]), 0);
    }

    #[test]
    fn one_key_under_two_identities_counts_once() {
        let key = PublicKey(SigningKey::from_bytes(&[1; 32]).verifying_key());
        let mut second = key.to_json();
        second["note"] = json!("the same key in another dress");
        let second_id = Digest::of(&canonical::write(&second)).hex();
        let all = BTreeMap::from([(key.id(), key.to_json()), (second_id.clone(), second)]);
        let read = read_keys("test", &all).unwrap();
        let ids = [key.id(), second_id.clone()];
        assert!(Quorum::read("test", &read, &ids, 2).is_err());
        let quorum = Quorum::read("test", &read, &ids, 1).unwrap();
        let first = sign(&SigningKey::from_bytes(&[1; 32]), b"m");
        let again = Signed {
            keyid: second_id,
            ..first.clone()
        };
        assert_eq!(quorum.valid(b"m", &[first, again]), 1);
    }

    #[test]
    fn forged_identities_and_foreign_kinds_are_refused() {
        let key = PublicKey(SigningKey::from_bytes(&[1; 32]).verifying_key());
        let other = PublicKey(SigningKey::from_bytes(&[2; 32]).verifying_key());
        assert!(read_keys("test", &BTreeMap::from([(other.id(), key.to_json())])).is_err());
        let mut rsa = key.to_json();
        rsa["keytype"] = json!("rsa");
        let id = Digest::of(&canonical::write(&rsa)).hex();
        assert!(read_keys("test", &BTreeMap::from([(id, rsa)])).is_err());
    }

    #[test]
    fn weak_keys_and_second_spellings_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert!(PublicKey::of(&identity).is_none());
        assert!(PublicKey::of(&[0; 32]).is_none());
        // 2^255 - 19 + 3 is a second spelling of the y coordinate 3, which is on the curve and not of small order.
        let mut three = [0; 32];
        three[0] = 3;
        let mut spelt = [0xff; 32];
        (spelt[0], spelt[31]) = (0xed + 3, 0x7f);
        assert!(PublicKey::of(&three).is_some());
        assert!(PublicKey::of(&spelt).is_none());
    }

    #[test]
    fn malleable_signatures_are_refused() {
        // The order of the group, little-endian: adding it to S gives a second signature that a lax verifier takes.
        let order: [u8; 32] = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
        let key = SigningKey::from_bytes(&[1; 32]);
        let quorum = quorum(&[&key], 1);
        let mut bytes = key.sign(b"m").to_bytes();
        let mut carry = 0;
        for (byte, add) in bytes[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            (*byte, carry) = (sum as u8, sum >> 8);
        }
        let malleable = Signed {
            sig: hex(&bytes),
            ..sign(&key, b"m")
        };
        assert_eq!(quorum.valid(b"m", std::slice::from_ref(&malleable)), 0);
        let upper = Signed {
            sig: sign(&key, b"m").sig.to_uppercase(),
            ..malleable
        };
        assert_eq!(quorum.valid(b"m", &[upper]), 0);
        assert_eq!(quorum.valid(b"m", &[sign(&key, b"m")]), 1);
    }
}
