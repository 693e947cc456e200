//! The list of every variable: the single source for parsing, defaults, help and the generated files.

use std::fmt;
use std::sync::LazyLock;

use serde::Serialize;

use crate::access::Access;
use crate::valid::{Valid, Value};
use crate::{
    Config, artifacts, audit, bus, log, memory, oidc, postgres, redis, retention, server, skills, swarm, telemetry,
};

/// One variable: what it is called, what it accepts, what it means.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Definition {
    /// Name of the environment variable.
    pub name: &'static str,
    /// The part of the tree it belongs to.
    pub section: Section,
    /// The value that holds when nothing is set, written as in `.env`; empty when there is none.
    pub default: &'static str,
    /// What it accepts.
    pub valid: Valid,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// False while the value is checked but nothing acts on it yet.
    pub effective: bool,
    /// A sentence that says what it means.
    pub help: &'static str,
    pub(crate) access: Access,
}

impl Definition {
    pub(crate) const fn new(
        section: Section,
        name: &'static str,
        default: &'static str,
        valid: Valid,
        access: Access,
        help: &'static str,
    ) -> Self {
        let secret = matches!(access, Access::Secret(_) | Access::OptionalSecret(_));
        Self {
            name,
            section,
            default,
            valid,
            secret,
            effective: true,
            help,
            access,
        }
    }

    /// Marks a variable that is checked but that nothing acts on yet.
    pub(crate) const fn not_effective_yet(self) -> Self {
        Self {
            effective: false,
            ..self
        }
    }

    /// Whether it may be left without a value; an empty text then means unset.
    #[must_use]
    pub const fn is_optional(&self) -> bool {
        self.access.is_optional()
    }

    /// What is valid, in words that complete "must be …".
    #[must_use]
    pub fn expected(&self) -> String {
        let expected = self.valid.to_string();
        if self.is_optional() {
            format!("{expected}, or empty for none")
        } else {
            expected
        }
    }

    /// Checks the text and puts its value into the tree.
    ///
    /// # Errors
    ///
    /// What would be valid, when the text is not.
    pub(crate) fn apply(&self, config: &mut Config, text: &str) -> Result<(), String> {
        let value = if self.is_optional() && text.trim().is_empty() {
            Some(Value::Absent)
        } else {
            self.valid.check(text)
        };
        let stored = value.is_some_and(|value| self.access.store(config, value));
        if stored { Ok(()) } else { Err(self.expected()) }
    }
}

/// The parts of the configuration, in the order in which they are documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Section {
    /// HTTP server.
    Server,
    /// Issuers of tokens.
    Oidc,
    /// Logs.
    Log,
    /// PostgreSQL.
    Postgres,
    /// Redis or Valkey.
    Redis,
    /// Event bus over Redis Streams.
    Bus,
    /// Artifact store.
    Artifacts,
    /// Vector memory.
    Memory,
    /// Swarm and its orchestrator.
    Swarm,
    /// Retention of stored rows.
    Retention,
    /// Audit trail.
    Audit,
    /// OpenTelemetry export.
    Telemetry,
    /// Skills.
    Skills,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "HTTP server",
            Self::Oidc => "Issuers of tokens (OpenID Connect)",
            Self::Log => "Logs",
            Self::Postgres => "PostgreSQL",
            Self::Redis => "Redis or Valkey",
            Self::Bus => "Event bus",
            Self::Artifacts => "Artifact store",
            Self::Memory => "Vector memory",
            Self::Swarm => "Swarm",
            Self::Retention => "Retention",
            Self::Audit => "Audit trail",
            Self::Telemetry => "Telemetry",
            Self::Skills => "Skills",
        })
    }
}

/// Every variable, section by section.
#[must_use]
pub fn definitions() -> &'static [Definition] {
    static ALL: LazyLock<Vec<Definition>> = LazyLock::new(|| {
        [
            server::DEFINITIONS,
            oidc::DEFINITIONS,
            log::DEFINITIONS,
            postgres::DEFINITIONS,
            redis::DEFINITIONS,
            bus::DEFINITIONS,
            artifacts::DEFINITIONS,
            memory::DEFINITIONS,
            swarm::DEFINITIONS,
            retention::DEFINITIONS,
            audit::DEFINITIONS,
            telemetry::DEFINITIONS,
            skills::DEFINITIONS,
        ]
        .concat()
    });
    &ALL
}

/// The definition of the variable with this exact name.
#[must_use]
pub fn definition(name: &str) -> Option<&'static Definition> {
    definitions().iter().find(|definition| definition.name == name)
}
