//! Sessions of the dashboard in the database: begun, looked up, ended.
//!
//! Invariants: the secret of a session is in its cookie alone, what is stored is its SHA-256; a session holds no rights of its
//! own, it only says which token it stands for.

use std::fmt;

use brain_connectivity::postgres::Postgres;
use brain_swarm::ids::TenantId;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{
    TokenId,
    tokens::{self, Error, StoredToken},
};

/// Sessions that a token may have at the same time; the oldest end.
const MAX_SESSIONS: i64 = 20;

/// What a cookie holds: 256 random bits.
pub(crate) struct SessionSecret([u8; 32]);

/// What is stored in place of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SessionDigest([u8; 32]);

impl SessionSecret {
    /// A new one, from the randomness of the operating system.
    ///
    /// # Errors
    /// When the operating system has none to give.
    pub(crate) fn generate() -> Result<Self, Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(Error::Randomness)?;
        Ok(Self(bytes))
    }

    /// Reads what a cookie holds.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// The text of the cookie.
    pub(crate) fn reveal(&self) -> String {
        hex(&self.0)
    }

    pub(crate) fn digest(&self) -> SessionDigest {
        SessionDigest(Sha256::digest(self.0).into())
    }

    /// What is made of the secret for one purpose, and tells nothing of it.
    pub(crate) fn derive(&self, purpose: &[&[u8]]) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("a key may have any length")
        };
        for part in purpose {
            mac.update(part);
        }
        hex(&mac.finalize().into_bytes())
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(…)")
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Which token a session stands for.
#[derive(Debug)]
pub(crate) enum StandsFor {
    /// An API token.
    Token(Box<StoredToken>),
    /// The administrator's token of that SHA-256.
    Administrator(Vec<u8>),
    /// One that is gone, or of which this version does not know what is in its row.
    Nothing,
}

/// A session as it is stored.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) stands_for: StandsFor,
    pub(crate) expires_at: Timestamp,
}

/// Keeps a new session of a token, or of the administrator's token of that SHA-256. Sessions that are over go.
pub(super) async fn insert(
    postgres: &Postgres,
    session: SessionDigest,
    tenant: &TenantId,
    of: Result<TokenId, [u8; 32]>,
    expires_at: Timestamp,
) -> Result<(), Error> {
    let (token, admin) = match of {
        Ok(token) => (Some(token.to_string()), None),
        Err(digest) => (None, Some(digest)),
    };
    let admin = admin.as_ref().map(<[u8; 32]>::as_slice);
    let client = postgres.client().await?;
    client
        .execute("DELETE FROM brain_sessions WHERE expires_at < now()", &[])
        .await?;
    // The new one counts too.
    let others = MAX_SESSIONS - 1;
    client
        .execute(
            include_str!("sql/insert_session.sql"),
            &[
                &session.0.as_slice(),
                &tenant.as_str(),
                &token,
                &admin,
                &expires_at,
                &others,
            ],
        )
        .await?;
    Ok(())
}

/// A session that is not over, with what it stands for.
pub(super) async fn find(postgres: &Postgres, session: SessionDigest) -> Result<Option<Stored>, Error> {
    let client = postgres.client().await?;
    let statement = client.prepare_cached(include_str!("sql/select_session.sql")).await?;
    let row = client.query_opt(&statement, &[&session.0.as_slice()]).await?;
    Ok(row.map(|row| {
        let stands_for = match row.get::<_, Option<Vec<u8>>>("admin_sha256") {
            Some(digest) => StandsFor::Administrator(digest),
            None if row.get::<_, Option<&str>>("token_id").is_none() => StandsFor::Nothing,
            None => tokens::read(&row).map_or(StandsFor::Nothing, |token| StandsFor::Token(Box::new(token))),
        };
        Stored {
            stands_for,
            expires_at: row.get("session_expires_at"),
        }
    }))
}

/// Ends a session.
pub(super) async fn delete(postgres: &Postgres, session: SessionDigest) -> Result<(), Error> {
    let client = postgres.client().await?;
    client
        .execute(
            "DELETE FROM brain_sessions WHERE session_sha256 = $1",
            &[&session.0.as_slice()],
        )
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_secret_is_read_as_it_was_given() {
        let secret = SessionSecret::generate().unwrap();
        let text = secret.reveal();
        let read = SessionSecret::parse(&text).unwrap();
        assert_eq!(read.digest(), secret.digest());
        assert_ne!(SessionSecret::generate().unwrap().digest(), secret.digest());
        assert!(!format!("{secret:?}").contains(&text));
        for wrong in ["", &text[1..], &format!("{text}0"), &text.to_uppercase()] {
            assert!(SessionSecret::parse(wrong).is_none() || wrong == text, "{wrong}");
        }
    }

    #[test]
    fn what_is_derived_differs_by_secret_and_purpose() {
        let (one, other) = (SessionSecret([1; 32]), SessionSecret([2; 32]));
        let form = one.derive(&[b"form"]);
        assert_eq!(form, one.derive(&[b"form"]));
        assert_ne!(form, other.derive(&[b"form"]));
        assert_ne!(form, one.derive(&[b"login"]));
        assert_ne!(form, hex(&one.digest().0));
    }

    proptest! {
        #[test]
        fn foreign_text_never_panics(text in "\\PC*") {
            let _ = SessionSecret::parse(&text);
        }
    }
}
