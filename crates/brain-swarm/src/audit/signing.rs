//! Ed25519 keys and signatures (RFC 8032), and what is signed: a JSON object in canonical form without its `signature`.
//!
//! Invariants: the secret half of a key leaves this module in the file that it is generated into, and nowhere else; a signature is
//! verified strictly, so that two programs that verify it agree.

use std::{fmt, path::Path, str::FromStr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use crate::digest::{self, Digest, NotCanonical};

/// What an Ed25519 seed is in PKCS#8 (RFC 8410): as OpenSSL writes it, and as it is with the public key behind.
const PKCS8: [&[u8]; 2] = [
    b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20",
    b"\x30\x51\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20",
];
/// The largest file that is read as a key.
const MAX_FILE_BYTES: u64 = 16 * 1024;
/// How many digits of the digest of a key are its name.
const ID_DIGITS: usize = 16;

/// The name of a key: the first 16 hexadecimal digits of the SHA-256 of its public half.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(Box<str>);

impl KeyId {
    /// As it is in the database.
    pub(super) fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The public half of a key; written as 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// A text that is no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public key is 64 hexadecimal digits in lower case")]
pub struct InvalidPublicKey;

impl PublicKey {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(Digest::of(&self.0).to_string()[..ID_DIGITS].into())
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether the key signed this object, which may hold its signature already.
    #[must_use]
    pub fn signed(&self, object: &impl Serialize, signature: &Signature) -> bool {
        let Ok(message) = message(object) else { return false };
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| key.verify_strict(&message, &signature).is_ok())
    }
}

impl TryFrom<&[u8]> for PublicKey {
    type Error = InvalidPublicKey;

    fn try_from(bytes: &[u8]) -> Result<Self, InvalidPublicKey> {
        bytes.try_into().map(Self).map_err(|_| InvalidPublicKey)
    }
}

impl FromStr for PublicKey {
    type Err = InvalidPublicKey;

    fn from_str(text: &str) -> Result<Self, InvalidPublicKey> {
        // The same form as a digest has.
        let bytes: Digest = text.parse().map_err(|_| InvalidPublicKey)?;
        Ok(Self(*bytes.bytes()))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Digest::from(self.0), f)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A signature; written as 128 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// What stands in the place of one that is still to be made.
    pub(super) const NONE: Self = Self([0; 64]);

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Signature {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || D::Error::custom("a signature is 128 hexadecimal digits in lower case");
        let (first, second) = text.split_at_checked(64).ok_or_else(wrong)?;
        let mut bytes = [0; 64];
        for (half, digits) in bytes.chunks_exact_mut(32).zip([first, second]) {
            let digest: Digest = digits.parse().map_err(|_| wrong())?;
            half.copy_from_slice(digest.bytes());
        }
        Ok(Self(bytes))
    }
}

/// What is signed of an object: its canonical JSON without `signature`.
fn message(object: &impl Serialize) -> Result<Vec<u8>, NotCanonical> {
    let mut value = serde_json::to_value(object)?;
    if let Value::Object(fields) = &mut value {
        fields.remove("signature");
    }
    digest::canonical(&value)
}

/// A key that signs; clones share it, and its memory is wiped when the last one goes.
#[derive(Clone)]
pub struct Signer(Arc<SigningKey>);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Others than its owner can read it.
    #[error(
        "{path} can be read by others than its owner; run `chmod 600 {path}`, or make a new key if somebody may have read it"
    )]
    Exposed {
        /// Which.
        path: String,
    },
    /// It holds no key.
    #[error(
        "{path} holds no Ed25519 key: neither 32 bytes in base64 nor PKCS#8 in PEM; `brain audit key generate` makes one"
    )]
    NoKey {
        /// Which.
        path: String,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes")]
    Randomness(#[source] getrandom::Error),
}

impl Signer {
    /// Reads a key from a file that nobody but its owner can read.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        use std::io::Read as _;
        let shown = || path.display().to_string();
        let failed = |source| KeyError::File { path: shown(), source };
        let file = std::fs::File::open(path).map_err(failed)?;
        // Of the file that was opened, whatever the path leads to by now.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
                return Err(KeyError::Exposed { path: shown() });
            }
        }
        let mut text = String::new();
        file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(failed)?;
        Self::parse(&text).ok_or_else(|| KeyError::NoKey { path: shown() })
    }

    /// The key of a text: 32 bytes in base64, or PKCS#8 in PEM.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let pem = text
            .strip_prefix("-----BEGIN PRIVATE KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PRIVATE KEY-----"));
        let digits: String = pem.unwrap_or(text).split_whitespace().collect();
        let bytes = STANDARD.decode(digits).ok()?;
        let seed = match pem {
            Some(_) => {
                let rest = PKCS8.iter().find_map(|prefix| bytes.strip_prefix(*prefix))?;
                rest.get(..32)?
            }
            None => &bytes,
        };
        Some(Self(Arc::new(SigningKey::from_bytes(seed.try_into().ok()?))))
    }

    /// Makes a key and writes it to a new file that only its owner can read.
    ///
    /// # Errors
    /// [`KeyError`]; a file that is there stays as it is.
    pub fn generate(path: &Path) -> Result<Self, KeyError> {
        use std::io::Write as _;
        let failed = |source| KeyError::File {
            path: path.display().to_string(),
            source,
        };
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(KeyError::Randomness)?;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        let written = writeln!(file, "{}", STANDARD.encode(seed)).and_then(|()| file.sync_all());
        written.map_err(failed)?;
        Ok(Self(Arc::new(SigningKey::from_bytes(&seed))))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs an object, but for a signature that it may hold.
    ///
    /// # Errors
    /// When it has no canonical form.
    pub fn sign(&self, object: &impl Serialize) -> Result<Signature, NotCanonical> {
        Ok(Signature(self.0.sign(&message(object)?).to_bytes()))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signer").field(&self.public().id()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    /// RFC 8032, section 7.1, test 1.
    const SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    /// The same seed as `openssl pkcs8` writes it.
    const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

    #[test]
    fn a_key_is_read_from_base64_and_from_pem() {
        for text in [SEED, PEM, &format!("  {SEED}\n")] {
            let signer = Signer::parse(text).unwrap();
            assert_eq!(signer.public().to_string(), PUBLIC);
        }
        for wrong in [
            "",
            "AAAA",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            "no base64!",
        ] {
            assert!(Signer::parse(wrong).is_none(), "{wrong}");
        }
        assert!(!format!("{:?}", Signer::parse(SEED)).contains("nWGx"));
    }

    #[test]
    fn a_signature_is_of_everything_but_itself() {
        let signer = Signer::parse(SEED).unwrap();
        let mut object = json!({"b": 1, "a": "x"});
        let signature = signer.sign(&object).unwrap();
        object["signature"] = serde_json::to_value(signature).unwrap();
        assert!(signer.public().signed(&object, &signature));
        let read: Signature = serde_json::from_value(object["signature"].clone()).unwrap();
        assert_eq!(read, signature);
        object["b"] = json!(2);
        assert!(!signer.public().signed(&object, &signature));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let path = brain_testkit::scratch_dir().join("key");
        let signer = Signer::generate(&path).unwrap();
        assert_eq!(Signer::read(&path).unwrap().public(), signer.public());
        assert!(
            matches!(Signer::generate(&path), Err(KeyError::File { .. })),
            "it is there already"
        );
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = Signer::read(&path).unwrap_err();
        assert!(matches!(error, KeyError::Exposed { .. }), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}
