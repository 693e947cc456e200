//! API tokens as text: `brain_<id>_<secret>`.
//!
//! The prefix lets scanners find tokens that leaked; the id finds the row; the secret has 256 random bits, so that its
//! plain SHA-256 can be stored: nobody can guess it, and there is nothing for a slow hash to protect.

use std::{borrow::Cow, fmt, str::FromStr};

use brain_config::{ExposeSecret as _, SecretString};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What every token begins with.
const PREFIX: &str = "brain_";
/// Hexadecimal digits of an id.
const ID_DIGITS: usize = 16;
/// Hexadecimal digits of a secret.
const SECRET_DIGITS: usize = 64;

/// The public part of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenId(u64);

impl JsonSchema for TokenId {
    fn schema_name() -> Cow<'static, str> {
        "TokenId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{16}$" })
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<TokenId> for String {
    fn from(id: TokenId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for TokenId {
    type Error = InvalidToken;

    fn try_from(text: String) -> Result<Self, InvalidToken> {
        text.parse()
    }
}

impl FromStr for TokenId {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        if !is_hex(text, ID_DIGITS) {
            return Err(InvalidToken);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| InvalidToken)
    }
}

/// A text that is no token, or no id of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not the id of a token: 16 hexadecimal digits in lower case")]
pub struct InvalidToken;

/// A token with its secret. Shown once, when it is made.
pub struct Token {
    id: TokenId,
    secret: SecretString,
}

impl Token {
    /// A new one, from the randomness of the operating system.
    ///
    /// # Errors
    /// When the operating system has none to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 8 + 32];
        getrandom::fill(&mut bytes)?;
        let (id, secret) = bytes.split_at(8);
        let mut digits = String::with_capacity(SECRET_DIGITS);
        for byte in secret {
            digits.push_str(&format!("{byte:02x}"));
        }
        Ok(Self {
            id: TokenId(id.iter().fold(0, |id, byte| id << 8 | u64::from(*byte))),
            secret: digits.into(),
        })
    }

    /// Reads what a caller presents. Whether it is any good only the store knows.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        Some(Self {
            id: id.parse().ok()?,
            secret: is_hex(secret, SECRET_DIGITS).then(|| secret.into())?,
        })
    }

    /// Its public part.
    #[must_use]
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// The whole text, for whoever is to use it.
    #[must_use]
    pub fn reveal(&self) -> SecretString {
        format!("{PREFIX}{}_{}", self.id, self.secret.expose_secret()).into()
    }

    /// What is stored in place of the secret.
    pub(crate) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.secret.expose_secret()).into()
    }

    /// Takes the same time wherever the first difference is.
    pub(crate) fn is(&self, digest: &[u8]) -> bool {
        self.digest().ct_eq(digest).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}_…", self.id)
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_given() {
        let token = Token::generate().unwrap();
        let text = token.reveal();
        let read = Token::parse(text.expose_secret()).unwrap();
        assert_eq!(read.id(), token.id());
        assert!(read.is(&token.digest()));
        assert!(!Token::generate().unwrap().is(&token.digest()));
        assert!(!format!("{token:?}").contains(token.secret.expose_secret()));
    }

    #[test]
    fn other_texts_are_refused() {
        let good = Token::generate().unwrap().reveal();
        let good = good.expose_secret();
        for wrong in [
            "",
            "brain_",
            "brain__",
            &good[1..],
            &good[..good.len() - 1],
            &format!("{good}0"),
            &good.to_uppercase(),
            &good.replace("brain_", "brain_+"),
        ] {
            assert!(Token::parse(wrong).is_none(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn foreign_text_never_panics(text in "(brain_)?\\PC*") {
            let _ = Token::parse(&text);
            let _ = text.parse::<TokenId>();
        }
    }
}
