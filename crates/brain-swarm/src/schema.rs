//! The JSON Schema of each event type and version, checked before anything is stored: the catalogue of the types that the brain
//! knows itself, and what tenants register for types of their own.
//!
//! Invariant: a known type has at least version 1, and every schema in the catalogue compiles (a test says so).

mod comparison;
mod document;
mod registry;
mod store;

use std::{collections::BTreeMap, sync::LazyLock};

use jsonschema::Validator;
use serde::Serialize;
use serde_json::Value;

pub use self::{
    comparison::{Break, Compatibility, Direction, UnknownCompatibility, compare},
    document::{Document, InvalidSchema, MAX_BYTES, MAX_SUBSCHEMAS},
    registry::Registry,
    store::{
        Error, Fate, MAX_TYPES, MAX_VERSIONS, Proposal, Query, REGISTERED, Registered, Subject, check as propose, list,
        register, versions,
    },
};

use crate::{
    event::{EventType, Invalid},
    ids::{self, InvalidId, MAX_ID_BYTES},
};

/// The catalogue: type, version, schema text.
const SCHEMAS: [(&str, i16, &str); 23] = [
    ("task.created", 1, include_str!("../schemas/task.created.v1.json")),
    ("task.assigned", 1, include_str!("../schemas/task.assigned.v1.json")),
    ("task.started", 1, include_str!("../schemas/task.started.v1.json")),
    ("task.progress", 1, include_str!("../schemas/task.progress.v1.json")),
    ("task.retrying", 1, include_str!("../schemas/task.retrying.v1.json")),
    ("task.completed", 1, include_str!("../schemas/task.completed.v1.json")),
    ("task.failed", 1, include_str!("../schemas/task.failed.v1.json")),
    ("task.cancelled", 1, include_str!("../schemas/task.cancelled.v1.json")),
    ("agent.message", 1, include_str!("../schemas/agent.message.v1.json")),
    (
        "agent.registered",
        1,
        include_str!("../schemas/agent.registered.v1.json"),
    ),
    ("agent.draining", 1, include_str!("../schemas/agent.draining.v1.json")),
    ("agent.resumed", 1, include_str!("../schemas/agent.resumed.v1.json")),
    ("agent.lost", 1, include_str!("../schemas/agent.lost.v1.json")),
    ("run.started", 1, include_str!("../schemas/run.started.v1.json")),
    ("run.finished", 1, include_str!("../schemas/run.finished.v1.json")),
    ("run.summarised", 1, include_str!("../schemas/run.summarised.v1.json")),
    ("run.cancelled", 1, include_str!("../schemas/run.cancelled.v1.json")),
    ("budget.created", 1, include_str!("../schemas/budget.created.v1.json")),
    ("budget.reserved", 1, include_str!("../schemas/budget.reserved.v1.json")),
    ("budget.settled", 1, include_str!("../schemas/budget.settled.v1.json")),
    (
        "budget.exhausted",
        1,
        include_str!("../schemas/budget.exhausted.v1.json"),
    ),
    ("budget.raised", 1, include_str!("../schemas/budget.raised.v1.json")),
    ("budget.stopped", 1, include_str!("../schemas/budget.stopped.v1.json")),
];

/// The fields of payloads that hold an identifier.
const IDS: [&str; 14] = [
    "taskId",
    "agentId",
    "assignedAgentId",
    "role",
    "capability",
    "concurrencyKey",
    "parentTaskId",
    "budgetId",
    "reservationId",
    "idempotencyKey",
    "toAgentId",
    "toRunId",
    "runId",
    "unit",
];

/// How many problems of one payload are named in a text; the rest is counted.
const MAX_PROBLEMS: usize = 5;
/// How many problems of one payload are looked for.
const MAX_FOUND: usize = 100;

static VALIDATORS: LazyLock<BTreeMap<(&'static str, i16), Validator>> = LazyLock::new(|| {
    let compile = |text: &str| {
        serde_json::from_str(text)
            .ok()
            .and_then(|schema: Value| jsonschema::validator_for(&schema).ok())
    };
    SCHEMAS
        .iter()
        .filter_map(|(kind, version, text)| Some(((*kind, *version), compile(text)?)))
        .collect()
});

/// The schemas of the known types as `(type, version, JSON text)`.
#[must_use]
pub fn catalogue() -> &'static [(&'static str, i16, &'static str)] {
    &SCHEMAS
}

/// Something in a payload that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Misfit {
    /// Where, as a JSON pointer.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

impl Misfit {
    /// About the payload as a whole.
    fn whole(problem: String) -> Self {
        let place = String::new();
        Self { place, problem }
    }
}

/// Checks a payload against the catalogue. Custom types are not in it and pass: see [`Registry`].
pub(crate) fn check(kind: &EventType, version: i16, payload: &Value) -> Result<(), Invalid> {
    let found = builtin_misfits(kind, version, payload);
    if found.is_empty() {
        return Ok(());
    }
    Err(Invalid::Schema {
        kind: kind.as_str().to_owned(),
        version,
        problem: told(&found),
    })
}

fn builtin_misfits(kind: &EventType, version: i16, payload: &Value) -> Vec<Misfit> {
    let name = kind.as_str();
    if version < 1 {
        return vec![Misfit::whole("schemaVersion must be at least 1".to_owned())];
    }
    if matches!(kind, EventType::Custom(_)) {
        return Vec::new();
    }
    let Some(validator) = VALIDATORS.get(&(name, version)) else {
        let known: Vec<String> = SCHEMAS
            .iter()
            .filter(|(kind, ..)| *kind == name)
            .map(|(_, version, _)| version.to_string())
            .collect();
        return vec![Misfit::whole(format!(
            "no such schema version; known: {}",
            known.join(", ")
        ))];
    };
    let found = misfits(validator, payload);
    if !found.is_empty() {
        return found;
    }
    if let Some(at) = payload.get("runAt").and_then(Value::as_str)
        && let Err(error) = at.parse::<jiff::Timestamp>()
    {
        return vec![Misfit {
            place: "/runAt".to_owned(),
            problem: format!("{at:?} is not a time such as 2026-01-02T03:04:05Z: {error}"),
        }];
    }
    ids_in(payload).map_or_else(|error| vec![Misfit::whole(error.to_string())], |()| Vec::new())
}

/// What does not fit, up to a bound.
fn misfits(validator: &Validator, payload: &Value) -> Vec<Misfit> {
    if validator.is_valid(payload) {
        return Vec::new();
    }
    let errors = validator.iter_errors(payload).take(MAX_FOUND);
    let found = errors.map(|error| Misfit {
        place: error.instance_path().to_string(),
        problem: error.to_string().chars().take(200).collect(),
    });
    found.collect()
}

/// All of it as one text.
fn told(found: &[Misfit]) -> String {
    let lines: Vec<String> = found
        .iter()
        .take(MAX_PROBLEMS)
        .map(|Misfit { place, problem }| match place.as_str() {
            "" => problem.clone(),
            place => format!("{place}: {problem}"),
        })
        .collect();
    let mut shown = lines.join("; ");
    if found.len() > MAX_PROBLEMS {
        shown.push_str(&format!("; and {} more", found.len() - MAX_PROBLEMS));
    }
    shown
}

/// JSON Schema counts characters; identifiers are bounded in bytes and hold no control characters.
fn ids_in(payload: &Value) -> Result<(), InvalidId> {
    for field in IDS {
        if let Some(Value::String(id)) = payload.get(field) {
            ids::check(field, id, MAX_ID_BYTES)?;
        }
    }
    for field in ["capabilities", "dependsOn"] {
        let items = payload.get(field).and_then(Value::as_array);
        for id in items.into_iter().flatten().filter_map(Value::as_str) {
            ids::check(field, id, MAX_ID_BYTES)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    #[test]
    fn every_schema_compiles_and_every_known_type_has_one() {
        assert_eq!(VALIDATORS.len(), SCHEMAS.len());
        for kind in EventType::KNOWN {
            assert!(VALIDATORS.contains_key(&(kind.as_str(), 1)), "{kind}");
        }
    }

    #[test]
    fn names_the_place_and_the_problem() {
        let problem = check(&EventType::TaskCreated, 1, &json!({"taskId": "", "priority": "high"}))
            .unwrap_err()
            .to_string();
        assert!(
            problem.contains("/taskId") && problem.contains("/priority"),
            "{problem}"
        );
        let problem = check(&EventType::TaskCreated, 9, &json!({"taskId": "t"}))
            .unwrap_err()
            .to_string();
        assert!(problem.contains("known: 1"), "{problem}");
        assert!(check(&EventType::AgentMessage, 1, &json!({"state": "done"})).is_err());
        check(&EventType::Custom("build.finished".into()), 1, &json!({"anything": 1})).unwrap();
    }
}
