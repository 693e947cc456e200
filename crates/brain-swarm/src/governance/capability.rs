//! A capability: something that agents may do to the world outside, with all that governs it.
//!
//! Invariant: a [`Definition`] is complete enough to be decided about; what is only advisable is the linter's matter.

use std::{fmt, num::NonZeroU32, str::FromStr, sync::Arc, time::Duration};

use jsonschema::Validator;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    digest::{Digest, NotCanonical},
    schema::Document,
};

/// The longest id of a capability, in bytes.
pub const MAX_ID_BYTES: usize = 64;
/// The longest time that an executor may be given.
pub const MAX_TIME_LIMIT: Duration = Duration::from_secs(60);

/// The id of a capability, such as `github.issue.create`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CapabilityId(Arc<str>);

/// A text that is no id of a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a capability's id is 1 to 64 lower-case letters, digits, `.`, `-` and `_`, and begins with a letter")]
pub struct InvalidId;

impl CapabilityId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scope that lets somebody execute it.
    #[must_use]
    pub fn scope(&self) -> String {
        format!("capability:{self}:execute")
    }
}

impl FromStr for CapabilityId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_');
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if begins && text.len() <= MAX_ID_BYTES && text.bytes().all(plain) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId)
        }
    }
}

impl TryFrom<String> for CapabilityId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<CapabilityId> for String {
    fn from(id: CapabilityId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for CapabilityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CapabilityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl schemars::JsonSchema for CapabilityId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CapabilityId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "maxLength": MAX_ID_BYTES, "pattern": "^[a-z][a-z0-9._-]*$",
            "examples": ["github.issue.create"],
        })
    }
}

/// How bad it can get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Hardly.
    Low,
    /// Somebody has to tidy up.
    Medium,
    /// It costs money, time or trust.
    High,
    /// It cannot be made good.
    Critical,
}

impl Risk {
    /// The word in the file and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Whose approval it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalMode {
    /// Nobody's.
    None,
    /// Any person's who may approve, also of the one who asked.
    Manual,
    /// That of a person who is not the one who asked.
    TwoPerson,
}

/// What carries it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(
    tag = "type",
    rename_all = "snake_case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
#[schemars(rename = "CapabilityExecutor")]
pub enum ExecutorSpec {
    /// A signed request to a URL.
    Webhook {
        /// Where it goes.
        url: String,
        /// Where it goes to undo it; it cannot be undone by the brain where there is none.
        #[serde(default, alias = "rollback_url", skip_serializing_if = "Option::is_none")]
        rollback_url: Option<String>,
        /// How long it may take in all, in seconds.
        #[serde(default = "default_time_limit", alias = "time_limit_seconds")]
        time_limit_seconds: u32,
    },
    /// A command of an installed skill, run in the sandbox.
    Skill {
        /// Which: `name@version`. The tenant of a proposal must have installed it.
        #[schemars(length(max = 129), regex(pattern = "^[a-z0-9][a-z0-9._-]*@[0-9]+[.][0-9]+[.][0-9]+"))]
        skill: String,
        /// The command that does it.
        #[schemars(length(min = 1, max = 64))]
        command: String,
        /// The command that undoes it; it cannot be undone by the brain where there is none.
        #[serde(default, alias = "rollback_command", skip_serializing_if = "Option::is_none")]
        rollback_command: Option<String>,
        /// The digest that its tree must have.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
        /// How long it may take in all, in seconds.
        #[serde(default = "default_time_limit", alias = "time_limit_seconds")]
        time_limit_seconds: u32,
    },
}

const fn default_time_limit() -> u32 {
    30
}

impl ExecutorSpec {
    /// Whether it can undo what it did.
    #[must_use]
    pub const fn can_roll_back(&self) -> bool {
        match self {
            Self::Webhook { rollback_url, .. } => rollback_url.is_some(),
            Self::Skill { rollback_command, .. } => rollback_command.is_some(),
        }
    }

    /// How long it may take in all.
    #[must_use]
    pub fn time_limit(&self) -> Duration {
        let (Self::Webhook { time_limit_seconds, .. } | Self::Skill { time_limit_seconds, .. }) = self;
        Duration::from_secs((*time_limit_seconds).into())
    }
}

/// A capability as it is defined.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Capability")]
pub struct Definition {
    /// Its name.
    pub id: CapabilityId,
    /// What it acts on.
    pub target: String,
    /// What it does, for people.
    pub description: String,
    /// Whether it changes nothing.
    pub read_only: bool,
    /// Whether a person must approve each use.
    pub requires_approval: bool,
    /// Whose approval that is.
    pub approval_mode: ApprovalMode,
    /// How bad it can get; the linter asks for it.
    pub risk: Option<Risk>,
    /// How often an actor may use it for an owner, in each hour.
    #[schemars(with = "u32", range(min = 1))]
    pub max_calls_per_hour: NonZeroU32,
    /// Who answers for it.
    pub owner: Option<String>,
    /// How what it did is undone.
    pub rollback_plan: Option<String>,
    /// Who is called when it goes wrong.
    pub escalation_path: Option<String>,
    /// What it takes: a JSON Schema.
    pub input_schema: Value,
    /// What carries it out.
    pub executor: ExecutorSpec,
}

impl Definition {
    /// The digest of all that it says. An approval is void when it changes.
    ///
    /// # Errors
    /// When it has no canonical form, which is a defect.
    pub fn digest(&self) -> Result<Digest, NotCanonical> {
        Digest::of_json(self)
    }
}

/// A definition that is ready for use.
#[derive(Debug)]
pub struct Capability {
    /// What it says.
    pub definition: Definition,
    /// The digest of that.
    pub digest: Digest,
    validator: Arc<Validator>,
}

/// Why a definition cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Its input schema is none.
    #[error("input_schema: {0}")]
    Schema(#[from] crate::schema::InvalidSchema),
    /// It has no digest.
    #[error(transparent)]
    Digest(#[from] NotCanonical),
}

impl Capability {
    pub(super) fn new(definition: Definition) -> Result<Self, Unusable> {
        let validator = Document::new(definition.input_schema.clone())?.validator();
        Ok(Self {
            digest: definition.digest()?,
            definition,
            validator,
        })
    }

    /// What is wrong with an input, in words; nothing where it fits. Says a few things at most.
    #[must_use]
    pub fn misfits(&self, input: &Value) -> Vec<String> {
        let errors = self.validator.iter_errors(input).take(5);
        errors
            .map(|error| {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() { "/".to_owned() } else { place };
                let text: String = error.to_string().chars().take(200).collect();
                format!("{place}: {text}")
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_risk_is_read_as_it_is_shown() {
        for risk in [Risk::Low, Risk::Medium, Risk::High, Risk::Critical] {
            assert_eq!(serde_json::to_value(risk).unwrap(), risk.as_str());
        }
    }

    #[test]
    fn ids_are_plain() {
        for good in ["a", "github.issue.create", "x-1_2"] {
            assert_eq!(
                good.parse::<CapabilityId>().map(|id| id.to_string()),
                Ok(good.to_owned())
            );
        }
        for wrong in ["", "A", "1a", "a b", "a:b", "*", "a/b", &"a".repeat(65)] {
            assert_eq!(wrong.parse::<CapabilityId>(), Err(InvalidId), "{wrong}");
        }
    }
}
