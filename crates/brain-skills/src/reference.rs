//! References to skills: `name@version`, where the version is one exact semantic version.
//!
//! Invariants: a [`SkillRef`] names one version for ever; what it displays is what was read, byte for byte; its name
//! is safe as one part of a path and stays itself under case folding and Unicode normalisation.

use std::{fmt, str::FromStr};

use semver::Version;
use serde::{Deserialize, Serialize};

/// The longest name of a skill, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// The longest version, in characters.
pub const MAX_VERSION_CHARS: usize = 64;

/// Words that name whatever is newest; they are refused in upper and lower case.
pub const FLOATING: [&str; 5] = ["latest", "head", "main", "master", "edge"];

/// Why a text is not a reference to a skill.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no `@`, or nothing on one side of it.
    #[error("{text:?} is not a skill reference; write name@version, such as calendar-triage@1.4.0")]
    Incomplete {
        /// What was given, shortened.
        text: String,
    },
    /// The name has characters or a length that names do not have.
    #[error(
        "{name:?} is not a skill name; use 1 to {MAX_NAME_BYTES} of a-z, 0-9, '-', '_' and '.', beginning and ending \
         with a letter or digit, without two dots in a row"
    )]
    Name {
        /// The name that was given, shortened.
        name: String,
    },
    /// The version is a word that means another version tomorrow.
    #[error("{tag:?} is a floating tag; name an exact version, such as {name}@1.4.0")]
    Floating {
        /// The name of the skill.
        name: String,
        /// The tag that was given.
        tag: String,
    },
    /// The version is longer than any real one.
    #[error("the version has {chars} characters, at most {MAX_VERSION_CHARS} are allowed")]
    TooLong {
        /// How long it is.
        chars: usize,
    },
    /// The version is not an exact semantic version.
    #[error("{version:?} is not an exact semantic version such as 1.4.0: {problem}")]
    Version {
        /// The version that was given.
        version: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// One exact version of one skill.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SkillRef {
    name: String,
    version: Version,
}

impl SkillRef {
    /// The name of the skill.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of the skill, including pre-release and build parts.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }
}

impl fmt::Display for SkillRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl FromStr for SkillRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text
            .split_once('@')
            .filter(|(name, version)| !name.is_empty() && !version.is_empty());
        let Some((name, version)) = parts else {
            return Err(Error::Incomplete { text: shortened(text) });
        };
        if !is_name(name) {
            return Err(Error::Name { name: shortened(name) });
        }
        // The length comes first, so that no later message has to carry an endless text.
        let chars = version.chars().count();
        if chars > MAX_VERSION_CHARS {
            return Err(Error::TooLong { chars });
        }
        if FLOATING.iter().any(|tag| tag.eq_ignore_ascii_case(version)) {
            return Err(Error::Floating {
                name: name.to_owned(),
                tag: version.to_owned(),
            });
        }
        let problem = |problem: String| Error::Version {
            version: version.to_owned(),
            problem,
        };
        let parsed = Version::parse(version).map_err(|error| problem(error.to_string()))?;
        // One version has one spelling; a parser that becomes lenient must not change that.
        if parsed.to_string() != version {
            return Err(problem(format!("its exact spelling is {parsed}")));
        }
        Ok(Self {
            name: name.to_owned(),
            version: parsed,
        })
    }
}

impl TryFrom<String> for SkillRef {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<SkillRef> for String {
    fn from(skill: SkillRef) -> Self {
        skill.to_string()
    }
}

fn is_name(name: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let edges = [name.bytes().next(), name.bytes().next_back()];
    name.len() <= MAX_NAME_BYTES
        && name
            .bytes()
            .all(|byte| alphanumeric(byte) || matches!(byte, b'-' | b'_' | b'.'))
        && edges.into_iter().all(|edge| edge.is_some_and(alphanumeric))
        && !name.contains("..")
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn problem(text: &str) -> Error {
        text.parse::<SkillRef>().unwrap_err()
    }

    #[test]
    fn reads_exact_versions() {
        for text in ["a@0.0.1", "calendar-triage@1.4.0", "x.y_z-9@10.20.30-rc.1+build.7"] {
            let skill: SkillRef = text.parse().unwrap();
            assert_eq!(skill.to_string(), text);
            let json = serde_json::to_string(&skill).unwrap();
            assert_eq!(serde_json::from_str::<SkillRef>(&json).unwrap(), skill);
        }
    }

    #[test]
    fn refuses_floating_tags_in_any_case() {
        for tag in FLOATING.iter().flat_map(|tag| [tag.to_string(), tag.to_uppercase()]) {
            assert!(matches!(problem(&format!("a@{tag}")), Error::Floating { .. }), "{tag}");
        }
        assert!(serde_json::from_str::<SkillRef>("\"a@latest\"").is_err());
    }

    #[test]
    fn refuses_long_versions_at_the_limit_and_not_before() {
        let of_length = |chars: usize| format!("a@1.0.0-{}", "x".repeat(chars - "1.0.0-".len()));
        assert!(of_length(MAX_VERSION_CHARS).parse::<SkillRef>().is_ok());
        assert_eq!(problem(&of_length(MAX_VERSION_CHARS + 1)), Error::TooLong { chars: 65 });
    }

    #[test]
    fn refuses_what_is_not_exact() {
        for version in [
            "1",
            "1.2",
            "^1.2.3",
            "1.2.x",
            "*",
            "v1.2.3",
            "1.2.3 ",
            "01.2.3",
            "1.2.3@1.2.3",
            ">=1.0.0",
        ] {
            assert!(
                matches!(problem(&format!("a@{version}")), Error::Version { .. }),
                "{version}"
            );
        }
    }

    #[test]
    fn refuses_names_that_are_no_plain_path_part() {
        for name in [
            "A",
            "a/b",
            "..",
            "a..b",
            ".a",
            "a-",
            "a b",
            "a\\b",
            "a\0b",
            "ä",
            "a\u{202e}b",
            &"a".repeat(65),
        ] {
            assert!(
                matches!(problem(&format!("{name}@1.0.0")), Error::Name { .. }),
                "{name:?}"
            );
        }
        for text in ["", "@", "a", "a@", "@1.0.0", "1.0.0"] {
            assert!(matches!(problem(text), Error::Incomplete { .. }), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_read_without_loss(text in "\\PC{0,80}|[a-z@.0-9+-]{0,40}") {
            if let Ok(skill) = text.parse::<SkillRef>() {
                prop_assert_eq!(skill.to_string(), text);
            }
        }

        #[test]
        fn what_is_accepted_is_pinned_and_safe(
            name in "[a-z0-9]([a-z0-9._-]{0,10}[a-z0-9])?",
            (major, minor, patch) in any::<(u64, u64, u64)>(),
            pre in "(-[0-9A-Za-z-]{1,8}(\\.[a-z]{1,4})?)?",
        ) {
            let text = format!("{name}@{major}.{minor}.{patch}{pre}");
            match text.parse::<SkillRef>() {
                Ok(skill) => {
                    prop_assert_eq!(skill.to_string(), text);
                    prop_assert!(!skill.name().contains("..") && !skill.name().contains('/'));
                    prop_assert!(skill.version().to_string().len() <= MAX_VERSION_CHARS);
                }
                Err(Error::Name { .. }) => prop_assert!(name.contains("..")),
                Err(Error::TooLong { chars }) => prop_assert!(chars > MAX_VERSION_CHARS),
                // A numeric pre-release part with a leading zero is no semantic version.
                Err(Error::Version { .. }) => prop_assert!(pre.starts_with("-0")),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }
}
