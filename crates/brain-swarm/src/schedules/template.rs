//! What the tasks of a schedule are made of, and the event that creates one of them.
//!
//! Invariant: the same schedule and planned time always give the same event id and task id, and different ones never do.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{Invalid, Key};
use crate::{
    event::{self, Defaults, Event},
    ids::{ActorId, MAX_ID_BYTES, TaskId},
};

/// The fields of a task that a schedule may set. A misspelt one would be missed only when it matters.
const FIELDS: [&str; 16] = [
    "runId",
    "inputs",
    "role",
    "capability",
    "assignedAgentId",
    "priority",
    "maxAttempts",
    "delayMs",
    "dependsOn",
    "onDependencyFailure",
    "concurrencyKey",
    "concurrencyLimit",
    "backoff",
    "parentTaskId",
    "budgetId",
    "runbookId",
];

/// Fields of a task that make no sense for many of them, and why.
const REFUSED: [(&str, &str); 4] = [
    ("taskId", "each firing makes one of its own"),
    ("idempotencyKey", "each planned time makes one task already"),
    ("runAt", "the schedule says when; delayMs moves each task"),
    ("actorId", "give it beside the task"),
];

/// The payload of `task.created` without its `taskId`, and who creates it.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pub(super) task: Map<String, Value>,
    pub(super) actor_id: ActorId,
}

impl Template {
    /// Takes only fields that a schedule may set. Their values are checked with the event that they make.
    pub(super) fn new(task: Map<String, Value>, actor_id: ActorId) -> Result<Self, Invalid> {
        for (field, value) in &task {
            if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| refused == field) {
                return Err(Invalid::Task(format!("{field} cannot be in a schedule: {why}")));
            }
            if !FIELDS.contains(&field.as_str()) {
                let shown: String = field.chars().take(40).collect();
                let known = FIELDS.join(", ");
                return Err(Invalid::Task(format!(
                    "field {shown:?} is unknown; it may have {known}"
                )));
            }
            if value.is_null() {
                return Err(Invalid::Task(format!("{field} is null; leave it out")));
            }
        }
        Ok(Self { task, actor_id })
    }

    /// The event that creates the task of one planned time. The task is a run of its own, unless the schedule names one.
    pub(super) fn event(&self, key: &Key, at: Timestamp, max_bytes: usize) -> Result<Event, event::Invalid> {
        let id = firing_id(key, at);
        let mut payload = self.task.clone();
        let run_id = payload.remove("runId").unwrap_or_else(|| id.as_str().into());
        payload.insert("taskId".to_owned(), id.as_str().into());
        let mut envelope = json!({
            "id": id,
            "type": "task.created",
            "swarmId": key.swarm_id,
            "runId": run_id,
            "actorId": self.actor_id,
            "payload": payload,
            "createdAt": Timestamp::now(),
        });
        if let Some(runbook) = self.task.get("runbookId") {
            envelope["runbookId"] = runbook.clone();
        }
        let defaults = Defaults {
            tenant_id: key.tenant_id.clone(),
            ..Defaults::default()
        };
        Event::parse(envelope.to_string().as_bytes(), max_bytes, &defaults)
    }
}

/// The id of an event and a task. An id of a schedule that leaves no room for the time is replaced by its digest.
pub(super) fn firing_id(key: &Key, at: Timestamp) -> TaskId {
    let schedule = key.schedule_id.as_str();
    let id = format!("schedule:{schedule}:{at}");
    if id.len() <= MAX_ID_BYTES {
        return TaskId::trusted(&id);
    }
    let digest = Sha256::digest(schedule.as_bytes());
    let hex = digest.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    TaskId::trusted(&format!("schedule-sha256:{hex}:{at}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::collections::HashSet;

    use super::*;
    use crate::ids::{ScheduleId, SwarmId, TenantId};

    fn key(schedule: &str) -> Key {
        Key {
            tenant_id: TenantId::single(),
            swarm_id: SwarmId::new("s").unwrap(),
            schedule_id: ScheduleId::new(schedule).unwrap(),
        }
    }

    fn template(task: Value) -> Result<Template, Invalid> {
        let Value::Object(task) = task else {
            panic!("not an object")
        };
        Template::new(task, ActorId::new("planner").unwrap())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn ids_are_of_the_schedule_and_the_time_and_fit() {
        let long = "x".repeat(MAX_ID_BYTES);
        let other = format!("{}y", "x".repeat(MAX_ID_BYTES - 1));
        let mut ids = HashSet::new();
        for schedule in ["a", "a:2026-03-29T01:00:00Z", long.as_str(), other.as_str()] {
            for time in [
                "2026-03-29T01:00:00Z",
                "2026-03-29T01:00:01Z",
                "2026-03-29T01:00:00.000001Z",
            ] {
                let id = firing_id(&key(schedule), at(time));
                assert!(TaskId::new(id.as_str()).is_ok(), "{id}");
                assert_eq!(id, firing_id(&key(schedule), at(time)));
                assert!(ids.insert(id));
            }
        }
        let id = firing_id(&key("nightly"), at("2026-03-29T01:00:00Z"));
        assert_eq!(id.as_str(), "schedule:nightly:2026-03-29T01:00:00Z");
    }

    #[test]
    fn a_firing_is_a_task_in_a_run_of_its_own_or_the_one_that_is_named() {
        let made = |task| {
            let template = template(task).unwrap();
            template
                .event(&key("nightly"), at("2026-03-29T01:00:00Z"), 4096)
                .unwrap()
        };
        let event = made(json!({"inputs": {"n": 1}, "priority": 5, "runbookId": "rb"}));
        assert_eq!(event.run_id.as_str(), event.id.as_str());
        assert_eq!(event.payload["taskId"], event.id.as_str());
        assert_eq!(event.actor_id.as_str(), "planner");
        assert_eq!(event.context.runbook_id.as_deref(), Some("rb"));
        let event = made(json!({"runId": "all"}));
        assert_eq!((event.run_id.as_str(), event.payload.get("runId")), ("all", None));
    }

    #[test]
    fn what_no_task_can_have_is_refused_by_name() {
        let refusal = |task| template(task).unwrap_err().to_string();
        insta::assert_snapshot!(refusal(json!({"taskId": "t"})), @"task: taskId cannot be in a schedule: each firing makes one of its own");
        insta::assert_snapshot!(refusal(json!({"priorty": 5})), @r#"task: field "priorty" is unknown; it may have runId, inputs, role, capability, assignedAgentId, priority, maxAttempts, delayMs, dependsOn, onDependencyFailure, concurrencyKey, concurrencyLimit, backoff, parentTaskId, budgetId, runbookId"#);
        let wrong = template(json!({"priority": "high"})).unwrap();
        let error = wrong.event(&key("a"), at("2026-03-29T01:00:00Z"), 4096).unwrap_err();
        insta::assert_snapshot!(error, @r#"payload of task.created version 1: /priority: "high" is not of type "integer""#);
    }
}
