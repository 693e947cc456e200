//! Signatures as the specification of Standard Webhooks has them: who has the secret knows that a request came from here.
//!
//! Invariants: id, time and body are signed together, so that none can be exchanged; no secret is in an error or a log.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use brain_config::{ExposeSecret as _, SecretSlice, SecretString, signing_key};
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;
use uuid::Uuid;

/// The header with the id of a message, the same whenever it is sent again.
pub const ID: &str = "webhook-id";
/// The header with the time of sending, in seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures, separated by blanks.
pub const SIGNATURE: &str = "webhook-signature";

/// Why a secret cannot be signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret is whsec_ and the base64 of at least 24 bytes, or 24 to 512 bytes of text")]
pub struct InvalidSecret;

/// The secrets of an installation: the one in use, and the one before it while receivers change over.
#[derive(Clone)]
pub struct Keys(Vec<SecretSlice<u8>>);

impl Keys {
    /// Signs with the first secret, and with the second as well where there is one.
    ///
    /// # Errors
    /// [`InvalidSecret`] when one of them is none.
    pub fn new(secret: &SecretString, previous: Option<&SecretString>) -> Result<Self, InvalidSecret> {
        let keys = std::iter::once(secret).chain(previous);
        let keys = keys.map(|secret| signing_key(secret.expose_secret()).ok_or(InvalidSecret));
        keys.collect::<Result<_, _>>().map(Self)
    }

    /// The value of [`SIGNATURE`] for one sending of a message.
    #[must_use]
    pub fn sign(&self, id: Uuid, at: Timestamp, body: &[u8]) -> String {
        let signatures = self.0.iter().filter_map(|key| {
            // A key of any length will do, so there is always a signature.
            let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret()).ok()?;
            mac.update(format!("{id}.{}.", at.as_second()).as_bytes());
            mac.update(body);
            Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
    const ID: Uuid = Uuid::from_u128(7);

    fn at() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    /// The expected value was computed with `openssl dgst -sha256 -hmac 012345678901234567890123 -binary | base64`.
    #[test]
    fn a_signature_is_what_other_programs_compute() {
        let keys = Keys::new(&SECRET.into(), None).unwrap();
        let signature = keys.sign(ID, at(), br#"{"a":1}"#);
        assert_eq!(signature, "v1,r76WSC4gSA4rMGeXAlwzCpdvIcgJWYX1ysN7dt5ns4Y=");
        // The same bytes as plain text are the same key.
        let plain = Keys::new(&"012345678901234567890123".into(), None).unwrap();
        assert_eq!(plain.sign(ID, at(), br#"{"a":1}"#), signature);
    }

    #[test]
    fn while_a_secret_is_exchanged_there_are_two_signatures() {
        let other: SecretString = "another secret of enough bytes".into();
        let both = Keys::new(&SECRET.into(), Some(&other)).unwrap().sign(ID, at(), b"x");
        let one = |secret: &SecretString| Keys::new(secret, None).unwrap().sign(ID, at(), b"x");
        assert_eq!(both, format!("{} {}", one(&SECRET.into()), one(&other)));
    }

    #[test]
    fn id_time_and_body_are_signed() {
        let keys = Keys::new(&SECRET.into(), None).unwrap();
        let signed = keys.sign(ID, at(), b"x");
        let later = Timestamp::from_second(1_700_000_001).unwrap();
        assert_ne!(keys.sign(Uuid::from_u128(8), at(), b"x"), signed);
        assert_ne!(keys.sign(ID, later, b"x"), signed);
        assert_ne!(keys.sign(ID, at(), b"y"), signed);
    }

    #[test]
    fn a_bad_secret_is_refused_and_none_is_shown() {
        assert_eq!(Keys::new(&"short".into(), None).err(), Some(InvalidSecret));
        assert_eq!(
            Keys::new(&SECRET.into(), Some(&"whsec_!".into())).err(),
            Some(InvalidSecret)
        );
        assert_eq!(format!("{:?}", Keys::new(&SECRET.into(), None)), "Ok(Keys(1))");
    }
}
