//! Calls about tasks: create them, and what people do to them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Calls, Error, Scope, accepted, graph};
use crate::{
    decide::{Backoff, DependencyPolicy, TaskStatus, Wait},
    event::{Event, EventType, Invalid},
    ids::{ActorId, BudgetId, EventId, RunId, TaskId},
    ingest::Outcome as Stored,
    publish::{self, Answer},
};

/// The most tasks that are created in one call.
pub const MAX_TASKS: usize = 4096;

/// A task that is to be created. `docs/TASKS.md` explains every field.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
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
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub inputs: Option<Value>,
    /// The only role that fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::ids::Text>")]
    pub role: Option<String>,
    /// The capability an agent must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::ids::Text>")]
    pub capability: Option<String>,
    /// Give it to this agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_agent_id: Option<ActorId>,
    /// Higher goes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: Option<i16>,
    /// How often it may be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts: Option<i32>,
    /// Not before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at: Option<Timestamp>,
    /// Not before so many milliseconds have passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 315_360_000_000_u64))]
    pub delay_ms: Option<u64>,
    /// The same key creates one task, however often it is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::ids::Text>")]
    pub idempotency_key: Option<String>,
    /// Not before these completed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    #[schemars(length(max = 1000))]
    pub depends_on: Vec<TaskId>,
    /// What the failure of one of them does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_dependency_failure: Option<DependencyPolicy>,
    /// Tasks of one key share a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::ids::Text>")]
    pub concurrency_key: Option<String>,
    /// How many of the key may be held at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
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
    #[schemars(with = "Option<crate::ids::Text>")]
    pub runbook_id: Option<String>,
    /// The trace that it belongs to.
    #[serde(skip)]
    pub traceparent: Option<String>,
}

/// A task that is stored.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "CreatedTask")]
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
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ChangedTask")]
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
        let several = tasks.len() > 1;
        let of_task = |task: &str, error: Error| match several {
            true => Error::OfTask {
                task: task.to_owned(),
                error: Box::new(error),
            },
            false => error,
        };
        let name = |(place, task): (usize, &NewTask)| match &task.task_id {
            Some(id) => id.to_string(),
            None => format!("[{place}]"),
        };
        let names: Vec<String> = tasks.iter().enumerate().map(name).collect();
        for (task, name) in tasks.into_iter().zip(&names) {
            fresh &= task.idempotency_key.is_none();
            let event = self.created_event(scope, defaults, task);
            events.push(event.map_err(|error| of_task(name, error))?);
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
                return Err(of_task(&names[*place], refusal.into()));
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
        // The run is part of what is compared, and the default one changes with every process: a key must not depend on it.
        let run = match (task.run_id.take(), &key) {
            (Some(given), _) => given,
            (None, Some(_)) => RunId::trusted("default"),
            (None, None) => run.clone(),
        };
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

/// How the task of a call stands now.
pub(super) fn changed(answer: Option<&Answer>) -> Result<Changed, Error> {
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
