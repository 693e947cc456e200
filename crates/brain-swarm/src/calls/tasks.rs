//! Calls about tasks: create, claim, report, and what people do to them.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{Calls, Error, Scope, accepted, graph};
use crate::{
    decide::{Backoff, Claim, DependencyPolicy, TaskStatus, Wait},
    event::{Event, EventType, Invalid},
    ids::{ActorId, BudgetId, EventId, FencingToken, RunId, TaskId},
    ingest::Outcome as Stored,
    publish::{self, Answer},
};

/// The most tasks that are created in one call.
const MAX_TASKS: usize = 4096;
/// The most tasks that one claim takes.
const MAX_CLAIM: usize = 1000;
/// The most results of one call.
const MAX_RESULTS: usize = 1000;
/// The shortest and the longest lease, in milliseconds.
const LEASE_MS: std::ops::RangeInclusive<i32> = 1_000..=3_600_000;
/// The longest that a claim waits.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// A task that is to be created. `docs/TASKS.md` explains every field.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a task as a JSON object")]
pub struct NewTask {
    /// Its id; made when none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// The run it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// Who creates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<ActorId>,
    /// What its worker needs to know: a JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Value>,
    /// The only role that fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The capability an agent must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// Give it to this agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_agent_id: Option<ActorId>,
    /// Higher goes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i16>,
    /// How often it may be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<i32>,
    /// Not before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at: Option<Timestamp>,
    /// Not before so many milliseconds have passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// The same key creates one task, however often it is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Not before these completed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub depends_on: Vec<TaskId>,
    /// What the failure of one of them does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_dependency_failure: Option<DependencyPolicy>,
    /// Tasks of one key share a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_key: Option<String>,
    /// How many of the key may be held at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_limit: Option<i32>,
    /// How its attempts are spaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// The task whose tree it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_task_id: Option<TaskId>,
    /// What it may spend from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<BudgetId>,
    /// The runbook that governs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook_id: Option<String>,
    /// The trace that it belongs to.
    #[serde(skip)]
    pub traceparent: Option<String>,
}

/// A task that is stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    /// Its id.
    pub task_id: TaskId,
    /// Where it stands.
    pub status: TaskStatus,
    /// The number of the event that created it.
    pub seq: i64,
    /// It was stored before, by the same call.
    pub duplicate: bool,
    /// Who was given it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_agent_id: Option<ActorId>,
    /// What it waits for besides an agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<Wait>,
    /// What is worth knowing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How a task stands after a call.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// Which task.
    pub task_id: TaskId,
    /// Where it stands.
    pub status: TaskStatus,
    /// The number of the event; absent when the same was stored before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// The same was stored before.
    pub duplicate: bool,
    /// When it will be tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at: Option<Timestamp>,
}

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
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Claimed {
    /// The tasks; none when nothing came in time.
    pub tasks: Vec<ClaimedTask>,
    /// The agent is draining, so it gets nothing new.
    pub draining: bool,
}

/// A task and the claim that holds it.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Emitted {
    /// Its id.
    pub id: EventId,
    /// Its number.
    pub seq: i64,
}

impl Calls {
    /// Creates tasks, together or not at all. They may depend on each other, in any order. The answers are in the order of the
    /// tasks.
    ///
    /// # Errors
    /// [`Error::Cycle`] names the tasks of a circle; a task that cannot be created keeps the others from it.
    pub async fn create_tasks(
        &self,
        scope: &Scope,
        defaults: (&RunId, &ActorId),
        tasks: Vec<NewTask>,
    ) -> Result<Vec<Created>, Error> {
        if tasks.is_empty() || tasks.len() > MAX_TASKS {
            let problem = format!("a call creates 1 to {MAX_TASKS} tasks, not {}", tasks.len());
            return Err(Invalid::Envelope(problem).into());
        }
        let mut fresh = true;
        let mut events = Vec::with_capacity(tasks.len());
        for task in tasks {
            fresh &= task.idempotency_key.is_none();
            events.push(self.created_event(scope, defaults, task)?);
        }
        let order = {
            let dependencies: Vec<(&str, Vec<&str>)> = events.iter().map(edges).collect();
            graph::order(&dependencies).map_err(Error::Cycle)?
        };
        let mut places: Vec<Option<Event>> = events.into_iter().map(Some).collect();
        let sorted: Vec<Event> = order.iter().filter_map(|place| places[*place].take()).collect();
        let answers = self.publisher.call(sorted.clone(), fresh, true).await?;
        let mut created: Vec<Option<Created>> = vec![None; answers.len()];
        for ((place, event), answer) in order.iter().zip(&sorted).zip(&answers) {
            if let Stored::Conflict { seq } = answer.outcome {
                return Err(Error::Publish(publish::Error::Conflict {
                    id: event.id.clone(),
                    swarm_id: event.swarm_id.clone(),
                    seq,
                }));
            }
            if let Stored::Refused(refusal) = answer.outcome {
                return Err(refusal.into());
            }
            created[*place] = created_task(answer);
        }
        created
            .into_iter()
            .collect::<Option<Vec<Created>>>()
            .ok_or(Error::Publish(publish::Error::Closed))
    }

    fn created_event(
        &self,
        scope: &Scope,
        (run, actor): (&RunId, &ActorId),
        mut task: NewTask,
    ) -> Result<Event, Error> {
        let key = task.idempotency_key.as_ref().map(|key| {
            let text = format!("{}\u{1f}{key}", scope.tenant_id);
            let digest = Sha256::digest(text.as_bytes());
            digest[..16]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        });
        let run = task.run_id.take().unwrap_or_else(|| run.clone());
        let actor = task.actor_id.take().unwrap_or_else(|| actor.clone());
        let runbook = task.runbook_id.take();
        let traceparent = task.traceparent.take();
        if task.task_id.is_none() {
            let id = key
                .as_ref()
                .map_or_else(|| uuid::Uuid::now_v7().to_string(), |key| format!("task-{key}"));
            task.task_id = Some(TaskId::new(id)?);
        }
        let payload = serde_json::to_value(&task).map_err(|error| Invalid::Malformed(error.to_string()))?;
        let mut event = self.event(scope, Some(run), EventType::TaskCreated, &actor, payload)?;
        event.context.runbook_id = runbook;
        event.context.traceparent = traceparent;
        if let Some(key) = key {
            // The id of the event is the key: whoever uses it again finds the event, and so the task.
            event.id = EventId::new(format!("key-{key}"))?;
        }
        Ok(event)
    }

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

    /// Calls a task off.
    ///
    /// # Errors
    /// A task that ended otherwise stays as it is.
    pub async fn cancel_task(
        &self,
        scope: &Scope,
        task: &TaskId,
        actor: &ActorId,
        reason: Option<&str>,
    ) -> Result<Changed, Error> {
        let mut payload = json!({ "taskId": task });
        if let Some(reason) = reason {
            payload["reason"] = json!(reason);
        }
        self.about(scope, EventType::TaskCancelled, actor, payload).await
    }

    /// Gives a task to an agent, and takes it from whoever has it.
    ///
    /// # Errors
    /// The agent must be live, and the task not ended.
    pub async fn reassign_task(
        &self,
        scope: &Scope,
        task: &TaskId,
        agent: &ActorId,
        actor: &ActorId,
    ) -> Result<Changed, Error> {
        let payload = json!({ "taskId": task, "agentId": agent });
        self.about(scope, EventType::TaskAssigned, actor, payload).await
    }

    /// Gives a task that failed or was cancelled another try.
    ///
    /// # Errors
    /// Any other task is refused.
    pub async fn retry_task(&self, scope: &Scope, task: &TaskId, actor: &ActorId) -> Result<Changed, Error> {
        let payload = json!({ "taskId": task, "reason": "retried" });
        self.about(scope, EventType::TaskRetrying, actor, payload).await
    }

    async fn about(&self, scope: &Scope, kind: EventType, actor: &ActorId, payload: Value) -> Result<Changed, Error> {
        let event = self.event(scope, None, kind, actor, payload)?;
        let answers = self.publisher.call(vec![event], true, true).await?;
        changed(answers.first())
    }
}

fn edges(event: &Event) -> (&str, Vec<&str>) {
    let id = event.payload.get("taskId").and_then(Value::as_str).unwrap_or_default();
    let on = event.payload.get("dependsOn").and_then(Value::as_array);
    (id, on.into_iter().flatten().filter_map(Value::as_str).collect())
}

fn created_task(answer: &Answer) -> Option<Created> {
    let task = answer.view.as_ref()?.task.as_ref()?;
    let (seq, duplicate, note) = match &answer.outcome {
        Stored::Stored { seq, note } => (*seq, false, *note),
        Stored::Duplicate { seq } => (*seq, true, None),
        _ => return None,
    };
    Some(Created {
        task_id: task.id.clone(),
        status: task.status,
        seq,
        duplicate,
        assigned_agent_id: task.assignee.clone(),
        waiting_for: task.waiting_for,
        note: note.map(str::to_owned),
    })
}

fn changed(answer: Option<&Answer>) -> Result<Changed, Error> {
    let answer = answer.ok_or(Error::Publish(publish::Error::Closed))?;
    let (seq, duplicate) = accepted(answer)?;
    let task = answer.view.as_ref().and_then(|view| view.task.as_ref());
    let task = task.ok_or(Error::NotFound(crate::decide::Refusal::UnknownTask))?;
    Ok(Changed {
        task_id: task.id.clone(),
        status: task.status,
        seq: (seq > 0).then_some(seq),
        duplicate,
        run_at: task.run_at,
    })
}
