//! Settings of how long stored rows are kept.

use crate::access::Access;
use crate::definition::{Definition, Section};
use crate::valid::Valid;

/// How long stored rows are kept.
#[derive(Debug, Clone)]
pub struct Retention {
    /// Whether old rows are removed.
    pub enabled: bool,
    /// Age in days from which a row is old.
    pub days: u32,
}

impl Retention {
    pub(crate) fn blank() -> Self {
        Self {
            enabled: false,
            days: 0,
        }
    }
}

pub(crate) const DEFINITIONS: &[Definition] = &[
    Definition::new(
        Section::Retention,
        "STUDIO_BRAIN_ENABLE_RETENTION_PRUNE",
        "false",
        Valid::Flag,
        Access::Flag(|config| &mut config.retention.enabled),
        "Whether events, ended tasks and dead letters older than the retention time are removed, every hour, by the replica \
         that consumes the first stream. What an open run or task still needs stays.",
    ),
    Definition::new(
        Section::Retention,
        "STUDIO_BRAIN_RETENTION_DAYS",
        "180",
        Valid::Number {
            min: 7,
            max: 3_650,
            unit: "days",
        },
        Access::U32(|config| &mut config.retention.days),
        "Age from which a row may be removed.",
    ),
];
