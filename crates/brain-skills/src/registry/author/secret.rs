//! Secret keys of registries, and the files that hold them.
//!
//! A key file is PKCS#8 in PEM, as `openssl genpkey -algorithm ed25519` writes it. Invariants: a file is never
//! overwritten, and is its owner's alone; one that others may read is not used; keys are never displayed.

use std::{
    fmt,
    fs::File,
    io::{Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer as _, SigningKey};

use super::Error;
use crate::registry::{
    PublicKey,
    keys::{Quorum, Signed, hex},
};

/// What comes before the 32 bytes of an Ed25519 key in PKCS#8.
const PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
const MAX_BYTES: u64 = 4096;

/// A secret key.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// A new key, by the kernel's random numbers.
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| Error::Random {
            reason: error.to_string(),
        })?;
        Ok(Self(SigningKey::from_bytes(&bytes)))
    }

    /// The key that others know.
    pub fn public(&self) -> Result<PublicKey, Error> {
        let public = PublicKey::of(self.0.verifying_key().as_bytes());
        public.ok_or_else(|| Error::Random {
            reason: "the key is weak".to_owned(),
        })
    }

    /// Writes the key into a new file that only its owner may read.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let failed = |error: std::io::Error| Error::KeyFile {
            path: path.to_owned(),
            reason: match error.kind() {
                std::io::ErrorKind::AlreadyExists => "it is there already; choose another name".to_owned(),
                _ => error.to_string(),
            },
        };
        let text = format!(
            "{BEGIN}\n{}\n{END}\n",
            STANDARD.encode([&PREFIX[..], self.0.as_bytes()].concat())
        );
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(failed)
    }

    /// Reads a key from a file that only its owner may read.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let unusable = |reason: String| Error::KeyFile {
            path: path.to_owned(),
            reason,
        };
        let file = File::open(path).map_err(|error| unusable(error.to_string()))?;
        let mode = file.metadata().map_err(|error| unusable(error.to_string()))?.mode();
        if mode & 0o077 != 0 {
            let reason = format!(
                "its mode is {:03o}; others may read it, run chmod 600 on it",
                mode & 0o777
            );
            return Err(unusable(reason));
        }
        let mut text = String::new();
        let read = file.take(MAX_BYTES).read_to_string(&mut text);
        read.map_err(|error| unusable(error.to_string()))?;
        Self::read(&text).ok_or_else(|| unusable("it is no Ed25519 key in PKCS#8 PEM".to_owned()))
    }

    fn read(text: &str) -> Option<Self> {
        let body = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
        let body: String = body.split_whitespace().collect();
        let bytes = STANDARD.decode(body).ok()?;
        let key: [u8; 32] = bytes.strip_prefix(&PREFIX)?.try_into().ok()?;
        Some(Self(SigningKey::from_bytes(&key)))
    }

    /// Signs, if the key belongs to the quorum.
    pub(super) fn sign(&self, quorum: &Quorum, message: &[u8]) -> Option<Signed> {
        let mine = |key: &PublicKey| key.as_bytes() == self.0.verifying_key().as_bytes();
        let (id, _) = quorum.keys.iter().find(|(_, key)| mine(key))?;
        Some(Signed {
            keyid: id.clone(),
            sig: hex(&self.0.sign(message).to_bytes()),
        })
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn it_reads_what_openssl_writes() {
        // The key of RFC 8410, section 10.3.
        let text = format!("{BEGIN}\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n{END}\n");
        let key = SecretKey::read(&text).unwrap();
        let public = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
        assert_eq!(hex(key.public().unwrap().as_bytes()), public);
        for wrong in [
            "",
            BEGIN,
            &text.replace("MC4C", "MC4D"),
            &text.replace("VhC", "Vh"),
            &format!("{text}x"),
        ] {
            assert!(SecretKey::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn files_are_new_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.pem");
        let key = SecretKey::generate().unwrap();
        key.save(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SecretKey::load(&path).unwrap().public().unwrap(), key.public().unwrap());
        assert!(SecretKey::generate().unwrap().save(&path).is_err());
        assert_eq!(SecretKey::load(&path).unwrap().public().unwrap(), key.public().unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(SecretKey::load(&path).unwrap_err().to_string().contains("chmod 600"));
        assert!(!format!("{key:?}").contains(&hex(key.0.as_bytes())));
    }
}
