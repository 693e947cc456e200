//! Tasks appear, become ready, are given to agents, are spoken of, and are retried by hand.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    Attempt, Backoff, BudgetState, DEFAULT_MAX_ATTEMPTS, Decision, DependencyPolicy, FollowUp, Origin, Refusal,
    RunState, State, Task, TaskStatus, Wait, agent_id, endings, number, task_id, text,
};
use crate::{
    event::{Event, EventType},
    ids::{ActorId, BudgetId, FencingToken, TaskId},
};

/// The longest delay that a task may ask for.
const MAX_DELAY_MS: i64 = 10 * 365 * 86_400_000;

/// A task is to be done.
pub(super) fn created(state: &mut State, event: &Event) -> Decision {
    let mut task = match read(state, event) {
        Ok(task) => task,
        Err(refusal) => return refusal.into(),
    };
    let payload = &event.payload;
    let dependencies = dependencies(payload);
    let mut broken = None;
    let mut edges = Vec::with_capacity(dependencies.len());
    for on in &dependencies {
        let Some(other) = state.task(on) else {
            return Refusal::UnknownDependency.into();
        };
        let satisfied = match other.status {
            TaskStatus::Completed => true,
            TaskStatus::Failed | TaskStatus::Cancelled => match task.policy {
                DependencyPolicy::Run => true,
                DependencyPolicy::Wait => false,
                DependencyPolicy::Cancel => {
                    broken = Some((on.clone(), other.status));
                    false
                }
            },
            _ => false,
        };
        edges.push((on, satisfied));
        task.unmet += i32::from(!satisfied);
    }
    let id = task.id.clone();
    if let Some(key) = task.concurrency_key.clone() {
        let limit = number(payload, "concurrencyLimit").and_then(|limit| i32::try_from(limit).ok());
        state.limit_key(&key, limit.unwrap_or(1));
    }
    // Everything waits first; what need not wait is made ready below, in the one place that decides it.
    task.waiting_for = Some(Wait::Dependencies);
    let named_is_gone = task.wanted_agent.as_ref().is_some_and(|agent| !state.is_live(agent));
    state.create(task);
    for (on, satisfied) in edges {
        state.add_edge(&id, on, satisfied);
    }
    let mut decision = Decision::default();
    if let Some((on, status)) = broken {
        let reason =
            format!("the task {on}, on which it depends, has {status}").replace("has cancelled", "was cancelled");
        endings::cancel(state, &id, &reason, None, &mut decision.follow_ups);
    } else {
        admit(state, &id, None, &mut decision.follow_ups);
        if named_is_gone && state.task(&id).is_some_and(Task::is_ready) {
            decision.remark = Some(Refusal::NamedAgentNotLive);
        }
    }
    decision
}

/// Whether the task of a `task.created` could be created after those of `earlier`, which stand before it in one call.
pub(crate) fn may_create(state: &State, event: &Event, earlier: &HashSet<TaskId>) -> Result<(), Refusal> {
    let known = |id: &TaskId| earlier.contains(id) || state.task(id).is_some();
    let id = task_id(event).ok_or(Refusal::NoTask)?;
    if known(&id) {
        return Err(Refusal::TaskExists);
    }
    if !dependencies(&event.payload).iter().all(known) {
        return Err(Refusal::UnknownDependency);
    }
    let parent = text(&event.payload, "parentTaskId").and_then(|id| TaskId::new(id).ok());
    match parent {
        Some(parent) if earlier.contains(&parent) => Ok(()),
        _ => read(state, event).map(drop),
    }
}

/// Reads what the payload says of a new task.
fn read(state: &State, event: &Event) -> Result<Task, Refusal> {
    let payload = &event.payload;
    let id = task_id(event).ok_or(Refusal::NoTask)?;
    if state.task(&id).is_some() {
        return Err(Refusal::TaskExists);
    }
    if state
        .run(&event.run_id)
        .is_some_and(|run| run.state == RunState::Cancelled)
    {
        return Err(Refusal::RunCancelled);
    }
    let parent = text(payload, "parentTaskId").and_then(|id| TaskId::new(id).ok());
    let inherited = match &parent {
        Some(parent) => state.task(parent).ok_or(Refusal::UnknownParent)?.budget.clone(),
        None => None,
    };
    let budget = text(payload, "budgetId")
        .and_then(|id| BudgetId::new(id).ok())
        .or(inherited);
    if let Some(budget) = &budget {
        let known = state.budget(budget).ok_or(Refusal::UnknownBudget)?;
        if known.state == BudgetState::Stopped {
            return Err(Refusal::BudgetStopped);
        }
    }
    let delayed =
        number(payload, "delayMs").map(|ms| state.now + SignedDuration::from_millis(ms.clamp(0, MAX_DELAY_MS)));
    let at = text(payload, "runAt").and_then(|at| at.parse::<Timestamp>().ok());
    Ok(Task {
        id,
        run_id: event.run_id.clone(),
        status: TaskStatus::Created,
        waiting_for: None,
        run_at: at.or(delayed),
        assignee: None,
        wanted_agent: agent_id(payload, "assignedAgentId"),
        role: text(payload, "role"),
        capability: text(payload, "capability"),
        priority: number(payload, "priority")
            .and_then(|p| i16::try_from(p).ok())
            .unwrap_or(0),
        position: state.seq,
        attempt: 0,
        max_attempts: number(payload, "maxAttempts")
            .and_then(|n| i32::try_from(n).ok())
            .unwrap_or(DEFAULT_MAX_ATTEMPTS),
        token: FencingToken::default(),
        lease: None,
        concurrency_key: text(payload, "concurrencyKey"),
        parent,
        budget,
        reserved_units: 0,
        unmet: 0,
        policy: text(payload, "onDependencyFailure")
            .and_then(|word| word.parse().ok())
            .unwrap_or(DependencyPolicy::Cancel),
        backoff: backoff(payload),
        inputs: payload.get("inputs").cloned(),
        outputs: None,
        error: None,
        progress: None,
        ended_attempts: Vec::new(),
        started_at: None,
        origin: Origin::of(event),
    })
}

fn backoff(payload: &Value) -> Backoff {
    payload
        .get("backoff")
        .and_then(|given| serde_json::from_value(given.clone()).ok())
        .unwrap_or_default()
}

/// The tasks that a payload says it depends on, each once.
fn dependencies(payload: &Value) -> Vec<TaskId> {
    let given = payload.get("dependsOn").and_then(Value::as_array);
    let mut ids: Vec<TaskId> = given
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter_map(|id| TaskId::new(id).ok())
        .collect();
    ids.sort();
    ids.dedup();
    ids
}

/// What a created task still waits for, the reason that lasts longest first.
fn wait_of(state: &State, task: &Task) -> Option<Wait> {
    let budget = task.budget.as_ref().and_then(|id| state.budget(id));
    if task.unmet > 0 {
        Some(Wait::Dependencies)
    } else if task.run_at.is_some_and(|at| at > state.now) {
        Some(Wait::Time)
    } else if budget.is_some_and(|budget| budget.state == BudgetState::Paused) {
        Some(Wait::Budget)
    } else {
        None
    }
}

/// Why nobody may have a task any more: its run was cancelled, or its budget stopped.
pub(super) fn called_off(state: &State, task: &Task) -> Option<Refusal> {
    let run = state.run(&task.run_id);
    let budget = task.budget.as_ref().and_then(|id| state.budget(id));
    if run.is_some_and(|run| run.state == RunState::Cancelled) {
        Some(Refusal::RunCancelled)
    } else if budget.is_some_and(|budget| budget.state == BudgetState::Stopped) {
        Some(Refusal::BudgetStopped)
    } else {
        None
    }
}

/// Why a task that nobody holds may not be given to anybody now, not even by hand.
fn held_back(state: &State, task: &Task) -> Option<Refusal> {
    let budget = task.budget.as_ref().and_then(|id| state.budget(id));
    if let Some(refusal) = called_off(state, task) {
        Some(refusal)
    } else if budget.is_some_and(|budget| budget.state == BudgetState::Paused) {
        Some(Refusal::BudgetPaused)
    } else if !state.key_is_free(task) {
        Some(Refusal::KeyInUse)
    } else if task.unmet > 0 {
        Some(Refusal::UnknownDependency)
    } else {
        None
    }
}

/// Lets a created task be handed out if nothing holds it back, and gives it to an agent that listens, if one fits.
/// `origin`: what the assignment goes back to when no event is being decided.
pub(super) fn admit(state: &mut State, id: &TaskId, origin: Option<&Origin>, follow_ups: &mut Vec<FollowUp>) {
    let Some(task) = state.task(id).filter(|task| task.status == TaskStatus::Created) else {
        return;
    };
    let wait = wait_of(state, task);
    if wait != task.waiting_for {
        state.update(id, |task| task.waiting_for = wait);
    }
    if wait.is_none() {
        give(state, id, origin, follow_ups);
    }
}

/// Gives a ready task to the agent that listens, fits and holds the fewest, if there is one.
pub(super) fn give(state: &mut State, id: &TaskId, origin: Option<&Origin>, follow_ups: &mut Vec<FollowUp>) {
    let Some(task) = state.task(id).filter(|task| task.is_ready()) else {
        return;
    };
    if called_off(state, task).is_some() {
        return;
    }
    if let Some(agent) = state.least_loaded(task) {
        let payload = json!({ "taskId": task.id, "agentId": agent, "attempt": task.attempt });
        follow_ups.push(FollowUp {
            kind: EventType::TaskAssigned,
            run_id: task.run_id.clone(),
            payload,
            origin: origin.cloned(),
            ends: None,
            attempt: Some(Attempt {
                agent: Some(agent.clone()),
                number: task.attempt,
                begun: None,
            }),
        });
        hand_over(state, id, agent);
    }
}

fn hand_over(state: &mut State, id: &TaskId, agent: ActorId) {
    state.update(id, |task| {
        task.status = TaskStatus::Assigned;
        task.waiting_for = None;
        task.assignee = Some(agent);
        task.token = task.token.next();
        task.lease = None;
    });
}

/// Somebody gives a task to an agent by name, and takes it from whoever has it.
pub(super) fn assigned(state: &mut State, event: &Event) -> Decision {
    let Some(task) = task_id(event).and_then(|id| state.task(&id)) else {
        return Refusal::UnknownTask.into();
    };
    let Some(agent) = agent_id(&event.payload, "agentId") else {
        return Refusal::NoAgent.into();
    };
    if task.status.is_terminal() {
        return Refusal::TaskEnded.into();
    }
    if !state.is_live(&agent) {
        return Refusal::AgentNotLive.into();
    }
    if task.status.is_held() && task.assignee.as_ref() == Some(&agent) {
        return Refusal::HeldByIt.into();
    }
    if !task.status.is_held()
        && let Some(refusal) = held_back(state, task)
    {
        return refusal.into();
    }
    let (id, was_running) = (task.id.clone(), task.status == TaskStatus::Running);
    endings::give_back(state, &id, true);
    if was_running {
        endings::end_attempt(state, &id, "reassigned", "it was given to another agent", true);
        // Whoever is given it by hand may try, also when this was the last attempt.
        state.update(&id, |task| task.max_attempts = task.max_attempts.max(task.attempt + 1));
    }
    hand_over(state, &id, agent);
    Decision {
        attempt: state.task(&id).map(Attempt::of),
        ..Decision::default()
    }
}

/// The task that the actor of `event` may speak of, or why it may not.
pub(super) fn held(state: &State, event: &Event) -> Result<TaskId, Refusal> {
    let id = task_id(event).ok_or(Refusal::UnknownTask)?;
    let task = state.task(&id).ok_or(Refusal::UnknownTask)?;
    let token = number(&event.payload, "fencingToken").map(FencingToken);
    let is_holder = task.assignee.as_ref() == Some(&event.actor_id);
    if let Some(token) = token {
        // An old token is worth nothing, whatever became of the task; the right one is while the lease lasts.
        if token != task.token || !is_holder {
            return Err(Refusal::LeaseLost);
        }
        return match task.status {
            TaskStatus::Cancelled => Err(Refusal::TaskEnded),
            TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Created => Err(Refusal::Repeated),
            TaskStatus::Assigned => Ok(id),
            TaskStatus::Running if task.lease_is_over(state.now) => Err(Refusal::LeaseLost),
            TaskStatus::Running => Ok(id),
        };
    }
    if task.status.is_terminal() {
        return Err(Refusal::TaskEnded);
    }
    if task.lease.is_some() {
        return Err(Refusal::LeaseLost);
    }
    if !task.status.is_held() {
        Err(Refusal::NotHeld)
    } else if is_holder {
        Ok(id)
    } else {
        Err(Refusal::HeldByAnother)
    }
}

/// A push agent began to work.
pub(super) fn started(state: &mut State, event: &Event) -> Decision {
    let id = match (held(state, event), task_id(event)) {
        (Ok(id), _) => id,
        // What nobody holds may be begun by any live agent, as by publishers without leases.
        (Err(Refusal::NotHeld), Some(id)) => id,
        (Err(Refusal::Repeated), _) => return Refusal::LeaseLost.into(),
        (Err(refusal), _) => return refusal.into(),
    };
    let Some(task) = state.task(&id) else {
        return Refusal::UnknownTask.into();
    };
    if task.status == TaskStatus::Running {
        return Refusal::RunningAlready.into();
    }
    if task.attempt >= task.max_attempts {
        return Refusal::OutOfAttempts.into();
    }
    if !task.status.is_held() {
        if !state.is_live(&event.actor_id) {
            return Refusal::ActorNotLive.into();
        }
        if let Some(refusal) = held_back(state, task) {
            return refusal.into();
        }
        if task.waiting_for == Some(Wait::Time) && task.run_at.is_some_and(|at| at > state.now) {
            return Refusal::NotYet.into();
        }
        hand_over(state, &id, event.actor_id.clone());
    }
    let now = state.now;
    state.update(&id, |task| {
        task.status = TaskStatus::Running;
        task.attempt += 1;
        task.started_at = Some(now);
    });
    Decision::default()
}

/// A worker says how far it is.
pub(super) fn progress(state: &mut State, event: &Event) -> Decision {
    match held(state, event) {
        Ok(id) => {
            let progress = event.payload.get("progress").cloned();
            state.update(&id, |task| task.progress = progress);
            Decision::default()
        }
        Err(Refusal::Repeated) => Refusal::LeaseLost.into(),
        Err(refusal) => refusal.into(),
    }
}

/// Somebody says something that may be about a task: with a fencing token it must be the right one.
pub(super) fn said(state: &State, event: &Event) -> Decision {
    if event.payload.get("fencingToken").is_none() || event.payload.get("taskId").is_none() {
        return Decision::default();
    }
    match held(state, event) {
        Ok(_) => Decision::default(),
        Err(Refusal::Repeated) => Refusal::LeaseLost.into(),
        Err(refusal) => refusal.into(),
    }
}

/// A person gives a task that ended badly another try.
pub(super) fn retry(state: &mut State, event: &Event) -> Decision {
    let Some(task) = task_id(event).and_then(|id| state.task(&id)) else {
        return Refusal::UnknownTask.into();
    };
    if !matches!(task.status, TaskStatus::Failed | TaskStatus::Cancelled) {
        return Refusal::TaskNotEnded.into();
    }
    if let Some(refusal) = called_off(state, task) {
        return refusal.into();
    }
    let (id, policy) = (task.id.clone(), task.policy);
    // What it waited for may have ended while it had ended itself.
    for on in state.unsatisfied(&id) {
        let done = state.task(&on).is_some_and(|other| match policy {
            DependencyPolicy::Run => other.status.is_terminal(),
            _ => other.status == TaskStatus::Completed,
        });
        if done {
            state.satisfy(&id, &on);
            state.update(&id, |task| task.unmet -= 1);
        }
    }
    state.update(&id, |task| {
        task.status = TaskStatus::Created;
        task.waiting_for = Some(Wait::Dependencies);
        task.run_at = None;
        task.assignee = None;
        task.error = None;
        task.max_attempts = task.max_attempts.max(task.attempt + 1);
    });
    let mut decision = Decision {
        attempt: state.task(&id).map(Attempt::of),
        ..Decision::default()
    };
    admit(state, &id, None, &mut decision.follow_ups);
    decision
}
