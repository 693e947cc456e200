//! What a health report says, as people and programs read it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a dependency is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "CheckStatus")]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It works.
    Ok,
    /// It works, but not as it should.
    Degraded,
    /// It does not work.
    Error,
    /// It is switched off by configuration.
    Disabled,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Error => "error",
            Self::Disabled => "disabled",
        })
    }
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How the dependency is.
    pub status: Status,
    /// Facts about it, for people and dashboards.
    pub details: Option<Value>,
    /// What is wrong and how to mend it.
    pub error: Option<String>,
}

impl Outcome {
    /// It works.
    #[must_use]
    pub fn ok() -> Self {
        Self::of(Status::Ok, None)
    }

    /// It works, but not as it should.
    #[must_use]
    pub fn degraded(error: impl Into<String>) -> Self {
        Self::of(Status::Degraded, Some(error.into()))
    }

    /// It does not work.
    #[must_use]
    pub fn error(error: impl Into<String>) -> Self {
        Self::of(Status::Error, Some(error.into()))
    }

    /// It is switched off by configuration.
    #[must_use]
    pub fn disabled() -> Self {
        Self::of(Status::Disabled, None)
    }

    /// Adds facts.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    fn of(status: Status, error: Option<String>) -> Self {
        Self {
            status,
            details: None,
            error,
        }
    }
}

/// The answer of one dependency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Which dependency.
    pub name: String,
    /// How it is.
    pub status: Status,
    /// How long it took to answer, in milliseconds; none when it is disabled.
    pub latency_ms: Option<f64>,
    /// Facts about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// What is wrong and how to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Check {
    pub(super) fn new(name: &str, outcome: Outcome, took: Duration) -> Self {
        // Two decimals say enough, and keep tables and logs readable.
        let millis = (took.as_secs_f64() * 100_000.0).round() / 100.0;
        Self {
            name: name.to_owned(),
            status: outcome.status,
            latency_ms: (outcome.status != Status::Disabled).then_some(millis),
            details: outcome.details,
            error: outcome.error,
        }
    }

    /// Whether it does not stand in the way: it works, or is not wanted.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self.status, Status::Ok | Status::Disabled)
    }
}

/// The answers of all dependencies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "HealthReport")]
pub struct Report {
    /// When they were asked.
    pub at: Timestamp,
    /// Whether every check is ok or disabled.
    pub ok: bool,
    /// One for each dependency, in the order of [`ORDER`](super::ORDER).
    pub checks: Vec<Check>,
}

impl Report {
    /// A report of these checks, in this order.
    #[must_use]
    pub fn new(at: Timestamp, checks: Vec<Check>) -> Self {
        Self {
            at,
            ok: checks.iter().all(Check::is_ok),
            checks,
        }
    }

    /// The check of this name.
    #[must_use]
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }
}
