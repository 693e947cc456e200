//! The policy: what `capabilities.toml` says, read strictly.
//!
//! Invariants: whatever can be decided is in here before anything is; two policies that say the same have the same version,
//! however their files are written.

use std::{collections::BTreeMap, num::NonZeroU32, path::Path, time::Duration};

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    capability::{ApprovalMode, Capability, CapabilityId, Definition, ExecutorSpec, MAX_TIME_LIMIT, Risk},
    means::Means,
};
use crate::digest::Digest;

/// The largest file, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// The most capabilities.
const MAX_CAPABILITIES: usize = 500;
/// The most intake rules.
const MAX_RULES: usize = 200;
/// The most memory that the pattern of a rule may take, in bytes.
const PATTERN_BYTES: usize = 256 * 1024;

/// Everything that is decided by.
#[derive(Debug)]
pub struct Policy {
    /// The rules for all capabilities.
    pub rules: Rules,
    /// What is looked for in proposals.
    pub intake: Vec<IntakeRule>,
    capabilities: BTreeMap<CapabilityId, Defined>,
    version: Digest,
}

#[derive(Debug)]
struct Defined {
    capability: Capability,
    means: Means,
}

/// The rules for all capabilities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all(serialize = "camelCase"))]
#[schemars(rename = "PolicyRules")]
pub struct Rules {
    /// How long an approval holds, in minutes.
    pub approval_valid_minutes: NonZeroU32,
    /// How many proposals a principal may make of a capability in a minute.
    pub proposals_per_minute: NonZeroU32,
    /// How many executions a principal may ask for of a capability in a minute.
    pub executions_per_minute: NonZeroU32,
}

impl Default for Rules {
    fn default() -> Self {
        let twenty = NonZeroU32::MIN.saturating_add(19);
        Self {
            approval_valid_minutes: NonZeroU32::MIN.saturating_add(59),
            proposals_per_minute: twenty,
            executions_per_minute: twenty,
        }
    }
}

impl Rules {
    /// How long an approval holds.
    #[must_use]
    pub fn approval_valid(&self) -> Duration {
        Duration::from_secs(u64::from(self.approval_valid_minutes.get()) * 60)
    }
}

/// Something in a proposal that a person must look at, whatever else holds.
#[derive(Debug, Clone)]
pub struct IntakeRule {
    /// Its name.
    pub id: String,
    /// What is looked for in summary, rationale, effects and input.
    pub pattern: Regex,
    /// Why.
    pub reason: String,
    /// In proposals of which capabilities; of all, where there are none.
    pub capabilities: Vec<CapabilityId>,
}

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{path}: {source} (STUDIO_BRAIN_CAPABILITIES_FILE names it)")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is larger than a policy can be.
    #[error("{path}: it is larger than {MAX_FILE_BYTES} bytes (STUDIO_BRAIN_CAPABILITIES_FILE names it)")]
    TooLarge {
        /// Which file.
        path: String,
    },
    /// What it says cannot be used.
    #[error("{path} cannot be used:\n{}", .problems.join("\n"))]
    Invalid {
        /// Which file.
        path: String,
        /// Everything that is wrong with it.
        problems: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    policy: Rules,
    #[serde(default, rename = "capability")]
    capabilities: Vec<GivenCapability>,
    #[serde(default)]
    intake: Vec<GivenRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenCapability {
    id: CapabilityId,
    target: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    read_only: bool,
    #[serde(default = "yes")]
    requires_approval: bool,
    approval_mode: Option<ApprovalMode>,
    risk: Option<Risk>,
    #[serde(default = "default_calls")]
    max_calls_per_hour: NonZeroU32,
    owner: Option<String>,
    rollback_plan: Option<String>,
    escalation_path: Option<String>,
    /// A table, or JSON as text.
    input_schema: Option<toml::Value>,
    executor: ExecutorSpec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenRule {
    id: String,
    pattern: String,
    reason: String,
    #[serde(default)]
    capabilities: Vec<CapabilityId>,
}

const fn yes() -> bool {
    true
}

fn default_calls() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(29)
}

impl Policy {
    /// The policy in a file.
    ///
    /// # Errors
    /// [`Error`] names the file and everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let unreadable = |source| Error::Unreadable {
            path: name.clone(),
            source,
        };
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > MAX_FILE_BYTES {
            return Err(Error::TooLarge { path: name });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text).map_err(|problems| Error::Invalid { path: name, problems })
    }

    /// Nothing is allowed, because nothing is there.
    #[must_use]
    pub fn empty() -> Self {
        Self::parse("").unwrap_or_else(|_| unreachable!("nothing is a policy"))
    }

    /// The policy in a text.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let file: File = toml::from_str(text).map_err(|error| vec![error.to_string()])?;
        let mut problems = Vec::new();
        if file.capabilities.len() > MAX_CAPABILITIES {
            problems.push(format!("there are more than {MAX_CAPABILITIES} capabilities"));
        }
        if file.intake.len() > MAX_RULES {
            problems.push(format!("there are more than {MAX_RULES} intake rules"));
        }
        let mut capabilities = BTreeMap::new();
        for given in file.capabilities {
            let id = given.id.clone();
            match given.read() {
                Ok(defined) => {
                    if capabilities.insert(id.clone(), defined).is_some() {
                        problems.push(format!("capability {id}: it is defined twice"));
                    }
                }
                Err(wrong) => problems.extend(wrong.iter().map(|wrong| format!("capability {id}: {wrong}"))),
            }
        }
        let mut intake: Vec<IntakeRule> = Vec::new();
        for given in file.intake {
            let id = given.id.clone();
            match given.read() {
                Ok(rule) => {
                    if intake.iter().any(|other| other.id == rule.id) {
                        problems.push(format!("intake rule {id}: it is there twice"));
                    }
                    if let Some(unknown) = rule.capabilities.iter().find(|id| !capabilities.contains_key(*id)) {
                        problems.push(format!("intake rule {id}: there is no capability {unknown}"));
                    }
                    intake.push(rule);
                }
                Err(wrong) => problems.push(format!("intake rule {id}: {wrong}")),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let version = version(&file.policy, &intake).map_err(|error| vec![error.to_string()])?;
        Ok(Self {
            rules: file.policy,
            intake,
            capabilities,
            version,
        })
    }

    /// The digest of the rules and of what is looked for; the definitions have digests of their own.
    #[must_use]
    pub fn version(&self) -> Digest {
        self.version
    }

    /// A capability.
    #[must_use]
    pub fn capability(&self, id: &CapabilityId) -> Option<&Capability> {
        self.capabilities.get(id).map(|one| &one.capability)
    }

    /// All of them by id.
    pub fn capabilities(&self) -> impl Iterator<Item = &Capability> {
        self.capabilities.values().map(|one| &one.capability)
    }

    /// What carries each of them out.
    pub fn means(&self) -> impl Iterator<Item = (&CapabilityId, &Means)> {
        self.capabilities.iter().map(|(id, one)| (id, &one.means))
    }

    /// The first rule that finds something in a proposal.
    pub(super) fn intercepts(&self, capability: &CapabilityId, texts: &[&str]) -> Option<&IntakeRule> {
        self.intake.iter().find(|rule| {
            (rule.capabilities.is_empty() || rule.capabilities.contains(capability))
                && texts.iter().any(|text| rule.pattern.is_match(text))
        })
    }

    /// All that it says, as it is shown and kept.
    #[must_use]
    pub fn document(&self) -> Value {
        let definitions: Vec<_> = self.capabilities().map(|one| &one.definition).collect();
        json!({
            "version": self.version,
            "rules": self.rules,
            "intake": self.intake.iter().map(IntakeRule::document).collect::<Vec<_>>(),
            "capabilities": definitions,
        })
    }
}

fn version(rules: &Rules, intake: &[IntakeRule]) -> Result<Digest, crate::digest::NotCanonical> {
    let intake: Vec<_> = intake.iter().map(IntakeRule::document).collect();
    Digest::of_json(&json!({ "rules": rules, "intake": intake }))
}

impl IntakeRule {
    pub(super) fn document(&self) -> Value {
        json!({
            "id": self.id, "pattern": self.pattern.as_str(), "reason": self.reason, "capabilities": self.capabilities,
        })
    }
}

impl GivenRule {
    fn read(self) -> Result<IntakeRule, String> {
        if self.id.is_empty() || self.reason.trim().is_empty() {
            return Err("it needs an id and a reason".to_owned());
        }
        let pattern = RegexBuilder::new(&self.pattern)
            .case_insensitive(true)
            .size_limit(PATTERN_BYTES)
            .build()
            .map_err(|error| format!("pattern: {error}"))?;
        Ok(IntakeRule {
            id: self.id,
            pattern,
            reason: self.reason,
            capabilities: self.capabilities,
        })
    }
}

impl GivenCapability {
    fn read(self) -> Result<Defined, Vec<String>> {
        let mut problems = Vec::new();
        if self.target.trim().is_empty() {
            problems.push("target is empty".to_owned());
        }
        let limit = self.executor.time_limit();
        if limit.is_zero() || limit > MAX_TIME_LIMIT {
            problems.push(format!(
                "executor.time_limit_seconds is 1 to {}",
                MAX_TIME_LIMIT.as_secs()
            ));
        }
        let means = Means::read(&self.executor);
        let means = means.map_err(|wrong| problems.extend(wrong.iter().map(|wrong| format!("executor: {wrong}"))));
        let schema = match self.input_schema {
            None => Ok(json!({ "type": "object" })),
            Some(toml::Value::String(text)) => serde_json::from_str(&text).map_err(|error| error.to_string()),
            Some(table) => serde_json::to_value(table).map_err(|error| error.to_string()),
        };
        let input_schema = schema.unwrap_or_else(|error| {
            problems.push(format!("input_schema: {error}"));
            Value::Null
        });
        let Some(means) = means.ok().filter(|_| problems.is_empty()) else {
            return Err(problems);
        };
        let approval_mode = self.approval_mode.unwrap_or(if self.requires_approval {
            ApprovalMode::Manual
        } else {
            ApprovalMode::None
        });
        let definition = Definition {
            id: self.id,
            target: self.target,
            description: self.description,
            read_only: self.read_only,
            requires_approval: self.requires_approval,
            approval_mode,
            risk: self.risk,
            max_calls_per_hour: self.max_calls_per_hour,
            owner: self.owner,
            rollback_plan: self.rollback_plan,
            escalation_path: self.escalation_path,
            input_schema,
            executor: self.executor,
        };
        let capability = Capability::new(definition).map_err(|error| vec![error.to_string()])?;
        Ok(Defined { capability, means })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const GOOD: &str = r#"
        [policy]
        approval_valid_minutes = 5

        [[capability]]
        id = "mail.send"
        target = "mail"
        description = "Sends a mail."
        risk = "high"
        owner = "post-office"
        rollback_plan = "Send another mail."
        escalation_path = "post-office on call"
        max_calls_per_hour = 3
        input_schema = '{"type": "object", "required": ["to"], "properties": {"to": {"type": "string"}}}'
        executor = { type = "webhook", url = "https://mail.example.org/send" }

        [[intake]]
        id = "secrets"
        pattern = "password"
        reason = "It may give a secret away."
    "#;

    #[test]
    fn a_policy_is_read() {
        let policy = Policy::parse(GOOD).unwrap();
        let id = "mail.send".parse().unwrap();
        let capability = policy.capability(&id).unwrap();
        assert_eq!(capability.definition.approval_mode, ApprovalMode::Manual);
        assert!(capability.misfits(&json!({"to": "a"})).is_empty());
        assert_eq!(capability.misfits(&json!({})).len(), 1);
        assert!(policy.intercepts(&id, &["my PASSWORD is"]).is_some());
        assert!(policy.intercepts(&id, &["hello"]).is_none());
    }

    #[test]
    fn definitions_do_not_change_the_version_and_rules_do() {
        let policy = Policy::parse(GOOD).unwrap();
        let id = "mail.send".parse().unwrap();
        let other = Policy::parse(&GOOD.replace("max_calls_per_hour = 3", "max_calls_per_hour = 4")).unwrap();
        assert_eq!(other.version(), policy.version());
        assert_ne!(
            other.capability(&id).unwrap().digest,
            policy.capability(&id).unwrap().digest
        );
        let other = Policy::parse(&GOOD.replace("approval_valid_minutes = 5", "approval_valid_minutes = 6")).unwrap();
        assert_ne!(other.version(), policy.version());
        let other = Policy::parse(&GOOD.replace("pattern = \"password\"", "pattern = \"token\"")).unwrap();
        assert_ne!(other.version(), policy.version());
        let reordered = GOOD
            .replace("risk = \"high\"\n", "")
            .replace("target = \"mail\"", "target = \"mail\"\nrisk = \"high\"");
        let other = Policy::parse(&reordered).unwrap();
        assert_eq!(
            other.capability(&id).unwrap().digest,
            policy.capability(&id).unwrap().digest
        );
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let text = r#"
            [[capability]]
            id = "a"
            target = ""
            executor = { type = "webhook", url = "ftp://x", time_limit_seconds = 0 }
            [[capability]]
            id = "b"
            target = "t"
            input_schema = "{"
            executor = { type = "webhook", url = "https://me:secret@x.example", rollback_url = "https://x.example/#part" }
            [[capability]]
            id = "c"
            target = "t"
            executor = { type = "webhook", url = "https://x.example:0/" }
            [[intake]]
            id = "r"
            pattern = "("
            reason = "r"
            [[intake]]
            id = "s"
            pattern = "x"
            reason = "r"
            capabilities = ["d"]
        "#;
        insta::assert_snapshot!(Policy::parse(text).unwrap_err().join("\n"));
        for wrong in [
            "[[capability]]\nid = \"A\"",
            "[capability]",
            "[policy]\nunknown = 1",
            "[policy]\napproval_valid_minutes = 0",
            "x = 1",
        ] {
            assert!(Policy::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Policy::empty().capabilities().count(), 0);
    }
}
