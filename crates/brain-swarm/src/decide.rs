//! The pure decision: what an event changes, given the state of its swarm.
//!
//! Invariants: no I/O, no clock, no randomness; a terminal task never changes again; a task is given only to an agent
//! that is live and fits; the `load` of an agent is the number of tasks it holds.

mod state;

use serde_json::{Map, Value, json};

pub use self::state::{Agent, Origin, State, Task, TaskStatus};
use crate::{
    event::{Event, EventType},
    ids::{ActorId, RunId, TaskId},
};

/// The role that is never given tasks.
pub const ORCHESTRATOR_ROLE: &str = "orchestrator";

/// How often a task may be started when its creator did not say.
pub const DEFAULT_MAX_ATTEMPTS: i32 = 3;

/// One change of the swarm's state.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A task appears, waiting.
    CreateTask(Box<Task>),
    /// A task is given to an agent.
    Assign {
        /// Which task.
        task: TaskId,
        /// To whom.
        agent: ActorId,
    },
    /// Its holder began to work on it: an attempt.
    Start(TaskId),
    /// It ended.
    Finish {
        /// Which task.
        task: TaskId,
        /// How: completed or failed.
        status: TaskStatus,
        /// What came out of it.
        outputs: Option<Value>,
        /// Why it failed.
        error: Option<String>,
    },
    /// Its holder is gone; it waits again.
    Release(TaskId),
    /// An agent joins, or joins again.
    Join(Box<Agent>),
    /// An agent was heard.
    Seen(ActorId),
    /// An agent stopped sending heartbeats.
    Lose(ActorId),
}

/// An event that follows from another. The caller gives it id, time, actor and context.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowUp {
    /// Its type.
    pub kind: EventType,
    /// The run it belongs to.
    pub run_id: RunId,
    /// What it says.
    pub payload: Value,
    /// The task whose creation caused it, when no event of the batch did.
    pub origin: Option<Origin>,
    /// The task that it ends, if it ends one.
    pub ends: Option<TaskId>,
}

/// What an event leads to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// The changes, in order.
    pub effects: Vec<Effect>,
    /// The events that follow, in order.
    pub follow_ups: Vec<FollowUp>,
    /// The task that the event itself ends.
    pub ends: Option<TaskId>,
    /// Why the event changed nothing, when it was meant to.
    pub note: Option<&'static str>,
}

impl Decision {
    fn ignored(note: &'static str) -> Self {
        Self {
            note: Some(note),
            ..Self::default()
        }
    }
}

/// Decides what `event` changes.
#[must_use]
pub fn decide(state: &State, event: &Event) -> Decision {
    let mut decision = match &event.kind {
        EventType::TaskCreated => task_created(state, event),
        EventType::TaskAssigned => task_assigned(state, event),
        EventType::TaskCompleted => task_ended(state, event, TaskStatus::Completed, true),
        EventType::TaskFailed => task_ended(state, event, TaskStatus::Failed, true),
        EventType::AgentMessage => agent_message(state, event),
        EventType::AgentLost => agent_lost(state, event),
        EventType::RunStarted => run_started(event),
        EventType::RunFinished | EventType::Custom(_) => Decision::default(),
    };
    if state.agent(&event.actor_id).is_some() && event.kind != EventType::RunStarted {
        decision.effects.insert(0, Effect::Seen(event.actor_id.clone()));
    }
    decision
}

fn task_created(state: &State, event: &Event) -> Decision {
    let Some(id) = task_id(event) else {
        return Decision::ignored("the payload names no task");
    };
    if state.task(&id).is_some() {
        return Decision::ignored("the task exists already");
    }
    let payload = &event.payload;
    let task = Task {
        id: id.clone(),
        run_id: event.run_id.clone(),
        status: TaskStatus::Created,
        assignee: None,
        role: text(payload, "role"),
        capability: text(payload, "capability"),
        priority: payload
            .get("priority")
            .and_then(Value::as_i64)
            .and_then(|p| i16::try_from(p).ok())
            .unwrap_or(0),
        attempt: 0,
        max_attempts: payload
            .get("maxAttempts")
            .and_then(Value::as_i64)
            .and_then(|n| i32::try_from(n).ok())
            .unwrap_or(DEFAULT_MAX_ATTEMPTS),
        inputs: payload.get("inputs").cloned(),
        outputs: None,
        error: None,
        origin: Origin::of(event),
    };
    let named = text(payload, "assignedAgentId").and_then(|id| ActorId::new(id).ok());
    let chosen = match &named {
        Some(agent) => state.is_live(agent).then(|| agent.clone()),
        None => state.least_loaded(&task),
    };
    let note = (named.is_some() && chosen.is_none())
        .then_some("the named agent is not a live agent of the swarm; the task waits");
    let mut decision = Decision {
        note,
        ..Decision::default()
    };
    if let Some(agent) = chosen {
        decision.follow_ups.push(assigned(&task, &agent, None));
        decision.effects.push(Effect::CreateTask(Box::new(task)));
        decision.effects.push(Effect::Assign { task: id, agent });
    } else {
        decision.effects.push(Effect::CreateTask(Box::new(task)));
    }
    decision
}

fn task_assigned(state: &State, event: &Event) -> Decision {
    let Some(task) = task_id(event).and_then(|id| state.task(&id)) else {
        return Decision::ignored("the task is unknown");
    };
    let Some(agent) = text(&event.payload, "agentId").and_then(|id| ActorId::new(id).ok()) else {
        return Decision::ignored("the payload names no agent");
    };
    if task.status.is_terminal() {
        return Decision::ignored("the task has ended");
    }
    if !state.is_live(&agent) {
        return Decision::ignored("the agent is not a live agent of the swarm");
    }
    if task.assignee.as_ref() == Some(&agent) {
        return Decision::ignored("the agent holds the task already");
    }
    Decision {
        effects: vec![Effect::Assign {
            task: task.id.clone(),
            agent,
        }],
        ..Decision::default()
    }
}

fn agent_message(state: &State, event: &Event) -> Decision {
    let word = event.payload.get("state").and_then(Value::as_str);
    match word {
        None => Decision::default(),
        Some("running") => task_started(state, event),
        Some("done" | "completed") => task_ended(state, event, TaskStatus::Completed, false),
        Some(_) => task_ended(state, event, TaskStatus::Failed, false),
    }
}

/// The task that the actor of `event` may move, or why it may not.
fn held_task<'a>(state: &'a State, event: &Event) -> Result<&'a Task, Decision> {
    let task = task_id(event)
        .and_then(|id| state.task(&id))
        .ok_or_else(|| Decision::ignored("the task is unknown"))?;
    if task.status.is_terminal() {
        return Err(Decision::ignored("the task has ended"));
    }
    match &task.assignee {
        Some(holder) if *holder != event.actor_id => Err(Decision::ignored("the task is held by another agent")),
        _ => Ok(task),
    }
}

fn task_started(state: &State, event: &Event) -> Decision {
    let task = match held_task(state, event) {
        Ok(task) => task,
        Err(refusal) => return refusal,
    };
    if task.status == TaskStatus::Running {
        return Decision::ignored("the task is running already");
    }
    if task.attempt >= task.max_attempts {
        return Decision::ignored("the task is out of attempts");
    }
    let mut decision = Decision::default();
    if task.assignee.is_none() {
        if !state.is_live(&event.actor_id) {
            return Decision::ignored("the actor is not a live agent of the swarm");
        }
        decision.effects.push(Effect::Assign {
            task: task.id.clone(),
            agent: event.actor_id.clone(),
        });
    }
    decision.effects.push(Effect::Start(task.id.clone()));
    decision
}

/// `itself`: the event is the terminal event; otherwise one follows from it.
fn task_ended(state: &State, event: &Event, status: TaskStatus, itself: bool) -> Decision {
    let task = match held_task(state, event) {
        Ok(task) => task,
        Err(refusal) => return refusal,
    };
    let outputs = event.payload.get("outputs").cloned();
    let error = (status == TaskStatus::Failed).then(|| {
        text(&event.payload, "error")
            .or_else(|| text(&event.payload, "reason"))
            .unwrap_or_else(|| "no reason given".to_owned())
    });
    let mut decision = Decision::default();
    if itself {
        decision.ends = Some(task.id.clone());
    } else {
        decision
            .follow_ups
            .push(ended(task, status, outputs.as_ref(), error.as_deref(), None));
    }
    decision.effects.push(Effect::Finish {
        task: task.id.clone(),
        status,
        outputs,
        error,
    });
    decision
}

fn agent_lost(state: &State, event: &Event) -> Decision {
    let named = text(&event.payload, "agentId").and_then(|id| ActorId::new(id).ok());
    let Some(agent) = named.as_ref().and_then(|id| state.agent(id)) else {
        return Decision::ignored("the agent is unknown");
    };
    if !agent.live {
        return Decision::ignored("the agent is lost already");
    }
    let heard_until = text(&event.payload, "lastSeenAt").and_then(|at| at.parse::<jiff::Timestamp>().ok());
    match heard_until {
        Some(until) if agent.last_seen_at <= until => Decision {
            effects: vec![Effect::Lose(agent.id.clone())],
            ..Decision::default()
        },
        Some(_) => Decision::ignored("the agent was heard since"),
        None => Decision::ignored("lastSeenAt is not a time"),
    }
}

fn run_started(event: &Event) -> Decision {
    let capabilities = event.payload.get("capabilities").and_then(Value::as_array);
    let agent = Agent {
        id: event.actor_id.clone(),
        run_id: event.run_id.clone(),
        role: text(&event.payload, "role").unwrap_or_else(|| "worker".to_owned()),
        capabilities: capabilities
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        capacity: event
            .payload
            .get("capacity")
            .and_then(Value::as_i64)
            .and_then(|n| i32::try_from(n).ok()),
        live: true,
        load: 0,
        last_seen_at: jiff::Timestamp::UNIX_EPOCH,
    };
    Decision {
        effects: vec![Effect::Join(Box::new(agent))],
        ..Decision::default()
    }
}

/// Decides what becomes of tasks that nobody works on: those that a lost agent holds are taken back or, out of
/// attempts, failed; those that wait are given to agents that fit. Applies what it decides, step by step.
pub fn settle(state: &mut State) -> Vec<FollowUp> {
    let mut follow_ups = Vec::new();
    for id in state.held_by_lost_agents() {
        let Some(task) = state.task(&id) else { continue };
        if task.status == TaskStatus::Running && task.attempt >= task.max_attempts {
            let error = "its agent was lost and no attempt is left";
            follow_ups.push(ended(
                task,
                TaskStatus::Failed,
                None,
                Some(error),
                Some(task.origin.clone()),
            ));
            state.apply(Effect::Finish {
                task: id,
                status: TaskStatus::Failed,
                outputs: None,
                error: Some(error.to_owned()),
            });
        } else {
            state.apply(Effect::Release(id));
        }
    }
    for id in state.waiting() {
        let Some(task) = state.task(&id) else { continue };
        if let Some(agent) = state.least_loaded(task) {
            follow_ups.push(assigned(task, &agent, Some(task.origin.clone())));
            state.apply(Effect::Assign { task: id, agent });
        }
    }
    follow_ups
}

fn assigned(task: &Task, agent: &ActorId, origin: Option<Origin>) -> FollowUp {
    FollowUp {
        kind: EventType::TaskAssigned,
        run_id: task.run_id.clone(),
        payload: json!({ "taskId": task.id, "agentId": agent, "attempt": task.attempt }),
        origin,
        ends: None,
    }
}

fn ended(
    task: &Task,
    status: TaskStatus,
    outputs: Option<&Value>,
    error: Option<&str>,
    origin: Option<Origin>,
) -> FollowUp {
    let mut payload = Map::new();
    payload.insert("taskId".to_owned(), json!(task.id));
    if let Some(agent) = &task.assignee {
        payload.insert("agentId".to_owned(), json!(agent));
    }
    if let Some(outputs) = outputs {
        payload.insert("outputs".to_owned(), outputs.clone());
    }
    if let Some(error) = error {
        payload.insert("error".to_owned(), json!(error));
    }
    let kind = if status == TaskStatus::Failed {
        EventType::TaskFailed
    } else {
        EventType::TaskCompleted
    };
    FollowUp {
        kind,
        run_id: task.run_id.clone(),
        payload: Value::Object(payload),
        origin,
        ends: Some(task.id.clone()),
    }
}

/// The task that a payload names.
pub(crate) fn task_id(event: &Event) -> Option<TaskId> {
    event
        .payload
        .get("taskId")
        .and_then(Value::as_str)
        .and_then(|id| TaskId::new(id).ok())
}

fn text(payload: &Value, field: &str) -> Option<String> {
    payload.get(field).and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests;
