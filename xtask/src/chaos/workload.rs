//! What publishers ask for: tasks of all fates, with priorities, delays, dependencies and concurrency keys.

use serde_json::{Value, json};

use super::ledger::{Fate, Promise};

/// The run that all tasks belong to.
pub(super) const RUN: &str = "chaos";
/// A task that is not meant to fail gets as many attempts as faults can possibly cost it.
const MANY_ATTEMPTS: u32 = 50;
/// A poisoned task gets few: each costs a worker.
pub(super) const POISON_ATTEMPTS: u32 = 2;
/// Tasks of one key that may run at a time. It is the same for all, as the newest given would win.
pub(super) const KEY_LIMIT: i64 = 3;
/// Above what other tasks have.
const CANARY_PRIORITY: i32 = 1_000;
/// How many of the newest tasks may become dependencies.
const REMEMBERED: usize = 20;

/// A task to publish.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) promise: Promise,
    /// As the contract has it, with its id.
    pub(super) body: Value,
}

/// Draws tasks for one swarm.
pub(super) struct Workload {
    random: fastrand::Rng,
    swarm: String,
    prefix: String,
    count: u64,
    newest: Vec<String>,
}

impl Workload {
    pub(super) fn new(seed: u64, swarm: &str, prefix: &str) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            swarm: swarm.to_owned(),
            prefix: prefix.to_owned(),
            count: 0,
            newest: Vec::new(),
        }
    }

    /// The next task; it may depend on tasks that were promised before.
    pub(super) fn single(&mut self) -> Draft {
        let depends_on = match self.random.u8(..100) {
            0..15 => {
                let count = self.random.usize(1..=3).min(self.newest.len());
                self.random.choose_multiple(self.newest.iter().cloned(), count)
            }
            _ => Vec::new(),
        };
        self.draft(depends_on)
    }

    /// Tasks for one request: chains, fans and loose ones, not always in the order of their dependencies.
    pub(super) fn batch(&mut self) -> Vec<Draft> {
        let mut drafts: Vec<Draft> = Vec::new();
        for _ in 0..self.random.usize(3..=12) {
            let mut depends_on = Vec::new();
            if !drafts.is_empty() && self.random.u8(..100) < 60 {
                let count = self.random.usize(1..=2).min(drafts.len());
                let ids = drafts.iter().map(|draft| draft.promise.task.clone());
                depends_on = self.random.choose_multiple(ids, count);
            }
            drafts.push(self.draft(depends_on));
        }
        if self.random.bool() {
            drafts.reverse();
        }
        drafts
    }

    /// Remembers what may become a dependency.
    pub(super) fn promised(&mut self, task: &str) {
        if self.newest.len() == REMEMBERED {
            self.newest.remove(0);
        }
        self.newest.push(task.to_owned());
    }

    fn draft(&mut self, depends_on: Vec<String>) -> Draft {
        self.count += 1;
        let task = format!("{}-{}", self.prefix, self.count);
        let random = &mut self.random;
        let fate = match random.u16(..1_000) {
            0..5 => Fate::Poison,
            5..25 => Fate::Doomed,
            25..80 => Fate::Flaky,
            _ => Fate::Plain,
        };
        let work = match random.u8(..100) {
            // Longer than a heartbeat, and some longer than a lease.
            0..2 => random.u64(800..=4_000),
            2..10 => random.u64(100..=400),
            _ => random.u64(0..=40),
        };
        let attempts = match fate {
            Fate::Poison => POISON_ATTEMPTS,
            _ => MANY_ATTEMPTS,
        };
        let mut body = json!({
            "taskId": task,
            "runId": RUN,
            "inputs": { "fate": fate, "workMs": work, "failures": random.u32(1..=2) },
            "priority": random.i32(-3..=3),
            "maxAttempts": attempts,
            "backoff": { "initialMs": 50, "maxMs": 500, "factor": 2 },
        });
        if !depends_on.is_empty() {
            body["dependsOn"] = depends_on.clone().into();
        }
        if random.u8(..100) < 30 {
            body["concurrencyKey"] = format!("key-{}", random.u8(..2)).into();
            body["concurrencyLimit"] = KEY_LIMIT.into();
        }
        if random.u8(..100) < 8 {
            body["delayMs"] = random.u64(50..=1_500).into();
        }
        if random.u8(..100) < 10 {
            body["capability"] = "chaos".into();
        }
        if random.u8(..100) < 10 {
            body["role"] = "worker".into();
        }
        Draft {
            promise: Promise {
                task,
                swarm: self.swarm.clone(),
                fate,
                depends_on,
            },
            body,
        }
    }
}

/// A task that shows that work flows.
pub(super) fn canary(swarm: &str, task: &str) -> Draft {
    Draft {
        promise: Promise {
            task: task.to_owned(),
            swarm: swarm.to_owned(),
            fate: Fate::Canary,
            depends_on: Vec::new(),
        },
        body: json!({
            "taskId": task,
            "runId": RUN,
            "inputs": { "fate": Fate::Canary, "workMs": 0 },
            "priority": CANARY_PRIORITY,
            "maxAttempts": MANY_ATTEMPTS,
            "backoff": { "initialMs": 50, "maxMs": 500, "factor": 2 },
        }),
    }
}

/// The event by which a foreign client creates a task.
pub(super) fn event(draft: &Draft) -> Value {
    let mut payload = draft.body.clone();
    let task = &draft.promise.task;
    if let Some(fields) = payload.as_object_mut() {
        fields.remove("runId");
    }
    json!({
        "id": format!("created-{task}"),
        "type": "task.created",
        "swarmId": draft.promise.swarm,
        "runId": RUN,
        "actorId": "foreign",
        "createdAt": jiff::Timestamp::now(),
        "payload": payload,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_dependencies_are_known() {
        let mut workload = Workload::new(1, "s", "p");
        let mut known = BTreeSet::new();
        let mut fates = Vec::new();
        for _ in 0..2_000 {
            let single = workload.single().promise;
            assert!(single.depends_on.iter().all(|task| known.contains(task)));
            let batch: Vec<Promise> = workload.batch().into_iter().map(|draft| draft.promise).collect();
            let own: BTreeSet<&String> = batch.iter().map(|promise| &promise.task).collect();
            assert!(
                batch
                    .iter()
                    .flat_map(|promise| &promise.depends_on)
                    .all(|task| own.contains(task))
            );
            for promise in std::iter::once(single).chain(batch) {
                workload.promised(&promise.task);
                fates.push(promise.fate);
                assert!(known.insert(promise.task));
            }
        }
        for fate in [Fate::Plain, Fate::Flaky, Fate::Doomed, Fate::Poison] {
            assert!(fates.contains(&fate), "{fate:?}");
        }
    }
}
