//! The configuration in force as text that may be logged: a secret is only ever set or missing.

use serde::Serialize;

use crate::definition::definitions;
use crate::{Config, Source};

/// One variable with the value in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RedactedEntry {
    /// Name of the variable.
    pub variable: &'static str,
    /// Value as it would be written in `.env`; `[set]` or `[missing]` for a secret.
    pub value: String,
    /// Whether the value is hidden.
    pub secret: bool,
    /// Where the value came from.
    pub source: Source,
}

pub(crate) fn entries(config: &Config) -> Vec<RedactedEntry> {
    // The accessors borrow mutably, so that one of them can serve both directions.
    let mut tree = config.clone();
    definitions()
        .iter()
        .map(|definition| RedactedEntry {
            variable: definition.name,
            value: definition.access.show(&mut tree),
            secret: definition.secret,
            source: config.origins.get(definition.name).copied().unwrap_or(Source::Default),
        })
        .collect()
}
