//! The name of an artifact in its bucket.
//!
//! A key means the same object on every S3-compatible store: what one of them would normalise, trim or
//! collapse into another key is refused here.

use std::{fmt, str::FromStr};

use super::Error;

/// Longest key in bytes; the limit of S3 itself.
pub const MAX_KEY_BYTES: usize = 1024;

/// A valid artifact key: segments separated by `/`, none of them empty, `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactKey(String);

impl ArtifactKey {
    /// Takes `key` over when it is valid.
    ///
    /// # Errors
    /// [`Error::InvalidKey`] with the rule that it breaks.
    pub fn new(key: impl Into<String>) -> Result<Self, Error> {
        let key = key.into();
        match broken_rule(&key) {
            Some(reason) => Err(Error::InvalidKey { key, reason }),
            None => Ok(Self(key)),
        }
    }

    /// The key as it stands in the bucket.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn broken_rule(key: &str) -> Option<&'static str> {
    if key.is_empty() {
        return Some("it is empty");
    }
    if key.len() > MAX_KEY_BYTES {
        return Some("it is longer than 1024 bytes");
    }
    if key.chars().any(char::is_control) {
        return Some("it holds a control character");
    }
    if key.starts_with('/') {
        return Some("it starts with a slash");
    }
    // A listing is XML, where white space at the edges of a text does not survive.
    if key.trim() != key {
        return Some("it starts or ends with white space");
    }
    key.split('/').find_map(|segment| match segment {
        "" => Some("it has an empty segment"),
        // Clients resolve these before they send the request, so they would name another object.
        "." | ".." => Some("it has a `.` or `..` segment"),
        _ => None,
    })
}

impl fmt::Display for ArtifactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ArtifactKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for ArtifactKey {
    type Err = Error;

    fn from_str(key: &str) -> Result<Self, Error> {
        Self::new(key)
    }
}

impl TryFrom<String> for ArtifactKey {
    type Error = Error;

    fn try_from(key: String) -> Result<Self, Error> {
        Self::new(key)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_a_store_would_change() {
        for (key, reason) in [
            ("", "it is empty"),
            ("/a", "it starts with a slash"),
            ("a/../b", "it has a `.` or `..` segment"),
            ("..", "it has a `.` or `..` segment"),
            ("a/./b", "it has a `.` or `..` segment"),
            ("a//b", "it has an empty segment"),
            ("a/", "it has an empty segment"),
            (" a", "it starts or ends with white space"),
            ("a\nb", "it holds a control character"),
            ("a\u{7f}", "it holds a control character"),
        ] {
            match ArtifactKey::new(key) {
                Err(Error::InvalidKey { reason: found, .. }) => assert_eq!(found, reason, "{key:?}"),
                other => panic!("{key:?} gave {other:?}"),
            }
        }
        assert!(ArtifactKey::new("é".repeat(513)).is_err());
        assert!(ArtifactKey::new("é".repeat(512)).is_ok());
    }

    #[test]
    fn accepts_names_that_need_escaping() {
        for key in [
            "a",
            "runs/7/report (1).txt",
            "a+b=c&d?e#f%2e",
            "ключ/值",
            "..a/b..",
            "a:b*c'd~e",
        ] {
            assert_eq!(ArtifactKey::new(key).unwrap().as_str(), key);
        }
    }

    proptest! {
        #[test]
        fn an_accepted_key_is_kept_as_it_is(key in any::<String>()) {
            if let Ok(accepted) = ArtifactKey::new(key.clone()) {
                prop_assert_eq!(accepted.as_str(), key.as_str());
                prop_assert!(!key.split('/').any(|segment| segment.is_empty() || segment == "." || segment == ".."));
            }
        }
    }
}
