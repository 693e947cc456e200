//! Calls of workers: claim, report how an attempt ended, note progress, emit.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    Calls, Error, Scope, accepted,
    tasks::{Changed, changed},
};
use crate::{
    decide::Claim,
    event::{Event, EventType, Invalid},
    ids::{ActorId, BudgetId, EventId, FencingToken, RunId, TaskId},
};

/// The most tasks that one claim takes.
const MAX_CLAIM: usize = 1000;
/// The most results of one call.
pub const MAX_RESULTS: usize = 1000;
/// The shortest and the longest lease, in milliseconds.
const LEASE_MS: std::ops::RangeInclusive<i32> = 1_000..=3_600_000;
/// The longest that a claim waits.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Who speaks of a task, and by which claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// The agent that claimed it.
    pub agent_id: ActorId,
    /// The token of that claim.
    pub fencing_token: FencingToken,
}

/// A worker asks for tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The agent that will work on them.
    pub agent_id: ActorId,
    /// How many it takes, at most 1000.
    pub max: usize,
    /// How long it holds each without a heartbeat; the configured time when it does not say.
    pub lease: Option<Duration>,
    /// How long to wait for tasks when there are none, at most a minute.
    pub wait: Duration,
}

/// What a claim got.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claimed {
    /// The tasks; none when nothing came in time.
    pub tasks: Vec<ClaimedTask>,
    /// The agent is draining, so it gets nothing new.
    pub draining: bool,
}

/// A task and the claim that holds it.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedTask {
    /// Which task.
    pub task_id: TaskId,
    /// Its run.
    pub run_id: RunId,
    /// The number of this attempt, from 1.
    pub attempt: i32,
    /// How many there may be.
    pub max_attempts: i32,
    /// What every word about the task must carry.
    pub fencing_token: FencingToken,
    /// What a heartbeat renews the lease by, in milliseconds.
    pub lease_ms: i32,
    /// When the lease runs out, by the clock of the database.
    pub lease_expires_at: Timestamp,
    /// What its worker needs to know.
    pub inputs: Value,
    /// Its priority.
    pub priority: i16,
    /// The role it wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The capability it wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// What it may spend from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<BudgetId>,
    /// What its last worker said of its progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Value>,
    /// The trace that its work belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// How an attempt ended, by its worker.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Well.
    Completed {
        /// What came out of it: a JSON object.
        outputs: Value,
    },
    /// Badly.
    Failed {
        /// Why.
        error: String,
        /// Whether another attempt may succeed.
        retryable: bool,
        /// When, instead of after the backoff.
        retry_after: Option<Duration>,
    },
    /// Not at all: it is given back, and the attempt does not count.
    Released {
        /// How long it waits before others get it.
        delay: Duration,
    },
}

/// The end of one of several tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Which task.
    pub task_id: TaskId,
    /// By which claim.
    pub fencing_token: FencingToken,
    /// How it ended.
    pub outcome: Outcome,
}

/// An event that was emitted for a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "EmittedEvent")]
pub struct Emitted {
    /// Its id.
    pub id: EventId,
    /// Its number.
    pub seq: i64,
}

impl Calls {
    /// Claims tasks that fit the agent, by priority and age. Waits for them when there are none.
    ///
    /// # Errors
    /// An agent that did not register is refused.
    pub async fn claim(&self, scope: &Scope, ask: &Ask) -> Result<Claimed, Error> {
        let lease = ask.lease.unwrap_or(self.lease).as_millis();
        let lease_ms = i32::try_from(lease)
            .ok()
            .filter(|ms| LEASE_MS.contains(ms))
            .ok_or_else(|| {
                let (least, most) = (LEASE_MS.start(), LEASE_MS.end());
                Invalid::Envelope(format!("leaseMs must be from {least} to {most}, not {lease}"))
            })?;
        if ask.max == 0 || ask.max > MAX_CLAIM {
            return Err(Invalid::Envelope(format!("max must be from 1 to {MAX_CLAIM}, not {}", ask.max)).into());
        }
        if ask.wait > MAX_WAIT {
            return Err(Invalid::Envelope(format!("waitMs must be at most {}", MAX_WAIT.as_millis())).into());
        }
        let claim = Claim {
            agent: ask.agent_id.clone(),
            max: ask.max,
            lease_ms,
        };
        let swarm = (scope.tenant_id.clone(), scope.swarm_id.clone());
        let outcome = self.publisher.claim(swarm, claim, Instant::now() + ask.wait).await?;
        if let Some(refusal) = outcome.refusal {
            return Err(refusal.into());
        }
        let tasks = outcome.tasks.into_iter().filter_map(|task| {
            let lease = task.lease?;
            Some(ClaimedTask {
                task_id: task.id,
                run_id: task.run_id,
                attempt: task.attempt,
                max_attempts: task.max_attempts,
                fencing_token: task.token,
                lease_ms: lease.ms,
                lease_expires_at: lease.expires_at,
                inputs: task.inputs.unwrap_or_else(|| json!({})),
                priority: task.priority,
                role: task.role,
                capability: task.capability,
                budget_id: task.budget,
                progress: task.progress,
                traceparent: task.origin.context.traceparent,
            })
        });
        Ok(Claimed {
            tasks: tasks.collect(),
            draining: outcome.draining,
        })
    }

    /// Reports the end of one attempt.
    ///
    /// # Errors
    /// [`Error::LeaseLost`]: the result does not count; stop.
    pub async fn finish(&self, scope: &Scope, agent: &ActorId, finished: Finished) -> Result<Changed, Error> {
        let event = self.finished_event(scope, agent, finished)?;
        let answers = self.publisher.call(vec![event], true, true).await?;
        changed(answers.first())
    }

    /// Reports the ends of several attempts; each stands for itself. The answers are in the order of the results.
    ///
    /// # Errors
    /// Those of the whole call; what is wrong with one result is its own.
    pub async fn finish_all(
        &self,
        scope: &Scope,
        agent: &ActorId,
        results: Vec<Finished>,
    ) -> Result<Vec<Result<Changed, Error>>, Error> {
        if results.is_empty() || results.len() > MAX_RESULTS {
            let problem = format!("a call reports 1 to {MAX_RESULTS} results, not {}", results.len());
            return Err(Invalid::Envelope(problem).into());
        }
        let mut answers: Vec<Option<Result<Changed, Error>>> = Vec::with_capacity(results.len());
        let mut events = Vec::with_capacity(results.len());
        for finished in results {
            match self.finished_event(scope, agent, finished) {
                Ok(event) => {
                    events.push(event);
                    answers.push(None);
                }
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        let stored = self.publisher.call(events, true, false).await?;
        let mut stored = stored.iter();
        Ok(answers
            .into_iter()
            .map(|known| known.unwrap_or_else(|| changed(stored.next())))
            .collect())
    }

    fn finished_event(&self, scope: &Scope, agent: &ActorId, finished: Finished) -> Result<Event, Error> {
        let mut payload = Map::new();
        payload.insert("taskId".to_owned(), json!(finished.task_id));
        payload.insert("agentId".to_owned(), json!(agent));
        payload.insert("fencingToken".to_owned(), json!(finished.fencing_token));
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let kind = match finished.outcome {
            Outcome::Completed { outputs } => {
                payload.insert("outputs".to_owned(), outputs);
                EventType::TaskCompleted
            }
            Outcome::Failed {
                error,
                retryable,
                retry_after,
            } => {
                payload.insert("state".to_owned(), json!("failed"));
                payload.insert("error".to_owned(), json!(error));
                payload.insert("retryable".to_owned(), json!(retryable));
                if let Some(after) = retry_after {
                    payload.insert("retryAfterMs".to_owned(), json!(ms(after)));
                }
                EventType::AgentMessage
            }
            Outcome::Released { delay } => {
                payload.insert("state".to_owned(), json!("released"));
                payload.insert("delayMs".to_owned(), json!(ms(delay)));
                EventType::AgentMessage
            }
        };
        Ok(self.event(scope, None, kind, agent, Value::Object(payload))?)
    }

    /// Notes how far a worker is: kept on the task, and given to the next attempt.
    ///
    /// # Errors
    /// [`Error::LeaseLost`]: stop.
    pub async fn progress(
        &self,
        scope: &Scope,
        task: &TaskId,
        holder: &Holder,
        progress: Value,
    ) -> Result<Changed, Error> {
        let payload = json!({ "taskId": task, "agentId": holder.agent_id, "fencingToken": holder.fencing_token,
            "progress": progress });
        let event = self.event(scope, None, EventType::TaskProgress, &holder.agent_id, payload)?;
        let answers = self.publisher.call(vec![event], true, true).await?;
        changed(answers.first())
    }

    /// Publishes custom events for a task, which join its story.
    ///
    /// # Errors
    /// [`Error::LeaseLost`]: nothing was published; stop.
    pub async fn emit(
        &self,
        scope: &Scope,
        task: &TaskId,
        holder: &Holder,
        events: Vec<(EventType, Value)>,
    ) -> Result<Vec<Emitted>, Error> {
        let mut made = Vec::with_capacity(events.len());
        for (kind, payload) in events {
            if !matches!(kind, EventType::Custom(_)) {
                return Err(
                    Invalid::Envelope(format!("type {kind} has a meaning of its own; emit a custom type")).into(),
                );
            }
            let Value::Object(mut payload) = payload else {
                return Err(Invalid::Envelope("payload must be a JSON object".to_owned()).into());
            };
            payload.insert("taskId".to_owned(), json!(task));
            payload.insert("fencingToken".to_owned(), json!(holder.fencing_token));
            made.push(self.event(scope, None, kind, &holder.agent_id, Value::Object(payload))?);
        }
        let answers = self.publisher.call(made.clone(), true, true).await?;
        let pairs = made.into_iter().zip(&answers);
        pairs
            .map(|(event, answer)| accepted(answer).map(|(seq, _)| Emitted { id: event.id, seq }))
            .collect()
    }
}
