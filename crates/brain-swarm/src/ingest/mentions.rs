//! What a batch speaks of: the keys of every row that its decisions may need.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Batch, load::SwarmKey};
use crate::{
    decide,
    event::{Event, EventType},
};

/// Keys by kind. Across swarms more may be read than is needed; everything is looked up by its whole key.
#[derive(Debug, Default)]
pub(super) struct Mentions<'a> {
    /// Swarms that are written to.
    pub(super) swarms: BTreeSet<SwarmKey>,
    /// Swarms of which idle tasks are settled.
    pub(super) settle: BTreeSet<SwarmKey>,
    pub(super) tasks: BTreeSet<&'a str>,
    /// Tasks that the batch may end well, so that those who wait for them go on.
    pub(super) ending: BTreeSet<&'a str>,
    /// Tasks that the batch may end badly, so that those who wait for them may end too.
    pub(super) failing: BTreeSet<&'a str>,
    /// Tasks that are retried by hand: what they waited for may have ended meanwhile.
    pub(super) retrying: BTreeSet<&'a str>,
    pub(super) agents: BTreeSet<&'a str>,
    pub(super) lost: BTreeSet<&'a str>,
    pub(super) runs: BTreeSet<&'a str>,
    pub(super) cancelled_runs: BTreeSet<&'a str>,
    pub(super) budgets: BTreeSet<&'a str>,
    pub(super) stopped_budgets: BTreeSet<&'a str>,
    pub(super) reservations: BTreeSet<&'a str>,
    pub(super) keys: BTreeSet<&'a str>,
}

impl<'a> Mentions<'a> {
    pub(super) fn of(batch: &'a Batch) -> Self {
        let mut mentions = Self::default();
        for key in &batch.settle {
            mentions.swarms.insert(key.clone());
            mentions.settle.insert(key.clone());
        }
        for input in &batch.inputs {
            mentions.add(&input.event);
        }
        for input in &batch.claims {
            mentions.swarm(&input.swarm, false);
            mentions.agents.insert(input.claim.agent.as_str());
        }
        mentions
    }

    fn swarm(&mut self, key: &SwarmKey, settle: bool) {
        if !self.swarms.contains(key) {
            self.swarms.insert(key.clone());
        }
        if settle && !self.settle.contains(key) {
            self.settle.insert(key.clone());
        }
    }

    fn add(&mut self, event: &'a Event) {
        let payload = &event.payload;
        let said = |field: &str| payload.get(field).and_then(Value::as_str);
        let settles = matches!(
            event.kind,
            EventType::AgentLost
                | EventType::RunStarted
                | EventType::RunCancelled
                | EventType::BudgetRaised
                | EventType::BudgetStopped
        ) || (event.kind == EventType::AgentRegistered && said("assignment") == Some("push"));
        self.swarm(&(event.tenant_id.clone(), event.swarm_id.clone()), settles);
        self.agents.insert(event.actor_id.as_str());
        for field in ["agentId", "assignedAgentId"] {
            self.agents.extend(said(field));
        }
        match event.kind {
            EventType::Custom(_) if payload.get("fencingToken").is_none() => return,
            EventType::AgentLost => self.lost.extend(said("agentId")),
            EventType::RunStarted | EventType::RunFinished | EventType::TaskCreated => {
                self.runs.insert(event.run_id.as_str());
            }
            EventType::RunCancelled => {
                self.runs.insert(event.run_id.as_str());
                self.cancelled_runs.insert(event.run_id.as_str());
            }
            EventType::BudgetStopped => self.stopped_budgets.extend(said("budgetId")),
            _ => {}
        }
        self.budgets.extend(said("budgetId"));
        self.reservations.extend(said("reservationId"));
        let Some(task) = said("taskId") else { return };
        self.tasks.insert(task);
        match event.kind {
            EventType::TaskCreated => {
                self.tasks.extend(said("parentTaskId"));
                self.keys.extend(said("concurrencyKey"));
                let on = payload.get("dependsOn").and_then(Value::as_array);
                self.tasks.extend(on.into_iter().flatten().filter_map(Value::as_str));
            }
            EventType::TaskRetrying => _ = self.retrying.insert(task),
            EventType::TaskCompleted => _ = self.ending.insert(task),
            EventType::TaskFailed | EventType::TaskCancelled => _ = self.failing.insert(task),
            EventType::AgentMessage => match said("state") {
                Some("done" | "completed") => _ = self.ending.insert(task),
                Some("error" | "failed") => _ = self.failing.insert(task),
                _ => {}
            },
            _ => {}
        }
        debug_assert!(decide::task_id(event).is_none_or(|id| id.as_str() == task));
    }
}
