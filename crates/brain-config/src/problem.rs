//! What is wrong with a configuration, told so that a person can put it right, without any secret.

use std::fmt;

use serde::Serialize;

use crate::Source;

/// Longest part of a refused value that is shown, in characters.
const SHOWN_CHARACTERS: usize = 120;

/// One variable whose value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Name of the variable, or the file and line that could not be read.
    pub variable: String,
    /// The refused value; `[redacted]` for a secret, empty where there is none.
    pub value: String,
    /// What is valid, in words that complete "must be …".
    pub expected: String,
    /// Where the value came from.
    pub source: Option<Source>,
}

impl Problem {
    /// A refused value that may be shown, shortened and with control characters escaped.
    pub(crate) fn shown(variable: &str, value: &str, source: Source, expected: String) -> Self {
        Self {
            variable: printable(variable),
            value: printable(value),
            expected,
            source: Some(source),
        }
    }

    /// A refused value of which nothing may be shown.
    pub(crate) fn hidden(variable: &str, source: Source, expected: String) -> Self {
        Self {
            variable: printable(variable),
            value: "[redacted]".to_owned(),
            expected,
            source: Some(source),
        }
    }

    /// A place that could not be read, where no value is known.
    pub(crate) fn unreadable(place: String, expected: String) -> Self {
        Self {
            variable: place,
            value: String::new(),
            expected,
            source: None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.variable)?;
        if let Some(source) = self.source {
            write!(f, "={} (from {source})", self.value)?;
        }
        write!(f, ": must be {}", self.expected)
    }
}

/// Everything that is wrong with a configuration. Its `Display` is one line for each problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// The number of problems.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none; never so in an error that this crate returns.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems, in the order of the definitions.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A foreign text as one line of bounded length. Credentials inside a URL count as a secret.
pub(crate) fn printable(text: &str) -> String {
    let credentials = text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
    if credentials {
        return "[redacted]".to_owned();
    }
    let mut shown: String = text
        .chars()
        .take(SHOWN_CHARACTERS)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN_CHARACTERS).is_some() {
        shown.push('…');
    }
    shown
}
