//! Patterns of names: `*` stands for any characters, also none, and everything else for itself.
//!
//! Invariant: matching takes time in proportion to the pattern and the name, whatever both are.

use std::{fmt, str::FromStr};

use crate::SkillRef;

/// The longest pattern, in bytes.
const MAX_BYTES: usize = 256;

/// A pattern of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

/// The text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no pattern; write 1 to 256 visible ASCII characters, with * for any of them")]
pub struct Malformed(String);

impl Pattern {
    /// Whether it stands for this whole text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut at, mut held) = (0, 0);
        // Where the last star was, and what it stands for so far.
        let mut star: Option<(usize, usize)> = None;
        while held < text.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, held));
                    at += 1;
                }
                Some(byte) if *byte == text[held] => {
                    at += 1;
                    held += 1;
                }
                _ => match star {
                    Some((starred, from)) => {
                        star = Some((starred, from + 1));
                        at = starred + 1;
                        held = from + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }

    /// Whether it stands for this skill: by its name, or by `name@version` where the pattern has an `@`.
    #[must_use]
    pub fn matches_skill(&self, skill: &SkillRef) -> bool {
        if self.0.contains('@') {
            self.matches(&skill.to_string())
        } else {
            self.matches(skill.name())
        }
    }
}

impl FromStr for Pattern {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > MAX_BYTES || !visible {
            return Err(Malformed(text.chars().take(80).collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().matches(text)
    }

    #[test]
    fn a_star_stands_for_anything_and_the_rest_for_itself() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "x"),
            ("a*c", "abc"),
            ("a*c", "ac"),
            ("*.b", "a.a.b"),
            ("a**", "a"),
            ("*a*b*", "xaybz"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("a", "ab"),
            ("a", ""),
            ("a*c", "acb"),
            ("a.c", "abc"),
            ("?", "a"),
            ("[a]", "a"),
            ("A", "a"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        for wrong in ["", " ", "a b", "a\n", "ä", &"x".repeat(257)] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_pattern_with_an_at_sign_means_versions() {
        let skill: SkillRef = "mail-triage@1.4.0".parse().unwrap();
        for (pattern, is) in [
            ("mail-*", true),
            ("mail-*@1.*", true),
            ("mail-*@2.*", false),
            ("*@1.4.0", true),
            ("*", true),
            ("mail", false),
            ("mail-triage@1.4", false),
            ("*1.4.0", false),
        ] {
            assert_eq!(
                pattern.parse::<Pattern>().unwrap().matches_skill(&skill),
                is,
                "{pattern}"
            );
        }
    }

    #[test]
    fn many_stars_do_not_take_long() {
        let pattern = "a*".repeat(127) + "b";
        assert!(!matches(&pattern, &"a".repeat(100_000)));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_definition(pattern in "[ab*]{1,8}", text in "[ab]{0,8}") {
            fn plain(pattern: &[u8], text: &[u8]) -> bool {
                match pattern {
                    [] => text.is_empty(),
                    [b'*', rest @ ..] => (0..=text.len()).any(|from| plain(rest, &text[from..])),
                    [first, rest @ ..] => text.first() == Some(first) && plain(rest, &text[1..]),
                }
            }
            prop_assert_eq!(matches(&pattern, &text), plain(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
