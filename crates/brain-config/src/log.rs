//! Settings of the log.

use crate::Config;
use crate::access::Access;
use crate::definition::{Definition, Section};
use crate::valid::Valid;

/// What is logged, and in which form.
#[derive(Debug, Clone)]
pub struct Log {
    /// Least severe level that is written.
    pub level: LogLevel,
    /// Form of a line.
    pub format: LogFormat,
}

/// Severity of a log line, from the most talkative to the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// Everything, for finding faults.
    Debug,
    /// What happens in normal operation.
    Info,
    /// What an operator should look at some time.
    Warn,
    /// What needs an operator.
    Error,
}

impl LogLevel {
    const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warn, Self::Error];
    const NAMES: &[&str] = &["debug", "info", "warn", "error"];

    /// The word that selects it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// Readable lines, for people.
    Pretty,
}

impl LogFormat {
    const ALL: [Self; 2] = [Self::Json, Self::Pretty];
    const NAMES: &[&str] = &["json", "pretty"];

    /// The word that selects it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Pretty => "pretty",
        }
    }
}

impl Log {
    pub(crate) fn blank() -> Self {
        Self {
            level: LogLevel::Info,
            format: LogFormat::Json,
        }
    }
}

pub(crate) const DEFINITIONS: &[Definition] = &[
    Definition::new(
        Section::Log,
        "STUDIO_BRAIN_LOG_LEVEL",
        "info",
        Valid::Choice(LogLevel::NAMES),
        Access::Parsed {
            set: |config, text| {
                let level = LogLevel::ALL.into_iter().find(|level| level.as_str() == text);
                level.map(|level| config.log.level = level).is_some()
            },
            get: |config: &Config| config.log.level.as_str().to_owned(),
        },
        "Least severe level of the log lines that are written.",
    ),
    Definition::new(
        Section::Log,
        "STUDIO_BRAIN_LOG_FORMAT",
        "json",
        Valid::Choice(LogFormat::NAMES),
        Access::Parsed {
            set: |config, text| {
                let format = LogFormat::ALL.into_iter().find(|format| format.as_str() == text);
                format.map(|format| config.log.format = format).is_some()
            },
            get: |config: &Config| config.log.format.as_str().to_owned(),
        },
        "Form of the log lines: JSON for machines, or readable text for people.",
    ),
];
