//! What a valid configuration leaves an operator to look at.

use std::fmt;

use serde::Serialize;

use crate::definition::{definition, definitions};
use crate::problem::printable;

/// Names with this prefix are ours, so an unknown one is likely a slip of the pen.
const PREFIX: &str = "STUDIO_BRAIN_";
/// Names with this prefix belong to the development tools, which check them themselves.
const TOOL_PREFIX: &str = "STUDIO_BRAIN_DEV_";
/// Similarity, from 0 to 1, below which naming a known variable would only mislead.
const LEAST_SIMILARITY: f64 = 0.5;
/// Longest name that is compared, in characters; ours are far shorter.
const COMPARED_CHARACTERS: usize = 100;

/// Something that works but is probably not what was meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Warning {
    /// Name of the variable.
    pub variable: String,
    /// What is the matter with it, and what to do.
    pub message: String,
}

impl Warning {
    pub(crate) fn new(variable: &str, message: impl Into<String>) -> Self {
        Self {
            variable: printable(variable),
            message: message.into(),
        }
    }

    /// About a name that looks like ours but is not; none when the name is somebody else's business.
    pub(crate) fn unknown(name: &str) -> Option<Self> {
        let ours = is_ours(name) && definition(name).is_none() && !name.starts_with(TOOL_PREFIX);
        ours.then(|| Self::new(name, format!("is not a known variable and has no effect{}", hint(name))))
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.message)
    }
}

/// Whether the name carries our prefix, in whatever case.
pub(crate) fn is_ours(name: &str) -> bool {
    name.get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// The end of a sentence about an unknown name: the known one that it resembles most.
pub(crate) fn hint(name: &str) -> String {
    match nearest(name) {
        Some(known) => format!("; did you mean {known}?"),
        None => "; docs/ENVIRONMENT_REFERENCE.md lists the known ones".to_owned(),
    }
}

/// The prefix that most names share says nothing about likeness, so it is left out of the comparison.
fn nearest(name: &str) -> Option<&'static str> {
    let bare = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
    let upper: String = name
        .chars()
        .take(COMPARED_CHARACTERS)
        .collect::<String>()
        .to_ascii_uppercase();
    let wanted = bare(&upper);
    definitions()
        .iter()
        .map(|known| {
            (
                strsim::normalized_damerau_levenshtein(&wanted, &bare(known.name)),
                known.name,
            )
        })
        .filter(|(similarity, _)| *similarity >= LEAST_SIMILARITY)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, name)| name)
}
