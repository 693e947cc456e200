//! How tasks and attempts end, and what that does to the tasks that depend on them.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{
    Attempt, Decision, DependencyPolicy, FollowUp, Origin, Refusal, State, Task, TaskStatus, Wait, number, task_id,
    tasks::{admit, held},
    text,
};
use crate::{
    event::{Event, EventType},
    ids::TaskId,
};

/// The longest error that is kept, in characters.
const MAX_ERROR_CHARS: usize = 8192;

/// Its worker says that a task ended. `itself`: the event is the terminal event; otherwise one follows from it.
pub(super) fn ended(state: &mut State, event: &Event, status: TaskStatus, itself: bool) -> Decision {
    let retryable = event.payload.get("retryable").and_then(Value::as_bool).unwrap_or(false);
    let may = match (held(state, event), task_id(event)) {
        // What nobody holds may be reported by anybody, as publishers without leases do; but only for good.
        (Err(Refusal::NotHeld), Some(id)) if itself || !retryable => Ok(id),
        (may, _) => may,
    };
    let id = match may {
        Ok(id) => {
            if state.task(&id).is_some_and(|task| !task.status.is_held()) {
                // Its last holder did not say so: what it still says is not a repetition.
                state.update(&id, |task| task.token = task.token.next());
            }
            id
        }
        Err(Refusal::Repeated) => {
            let again: &[TaskStatus] = match status {
                TaskStatus::Completed => &[TaskStatus::Completed],
                _ => &[TaskStatus::Failed, TaskStatus::Created],
            };
            return repeated(state, event, again);
        }
        Err(refusal) => return refusal.into(),
    };
    let outputs = event.payload.get("outputs").cloned();
    let error = (status == TaskStatus::Failed).then(|| {
        text(&event.payload, "error")
            .or_else(|| text(&event.payload, "reason"))
            .unwrap_or_else(|| "no reason given".to_owned())
    });
    let mut decision = Decision::default();
    let attempt = state.task(&id).map(Attempt::of);
    let attempts_left = state.task(&id).is_some_and(|task| task.attempt < task.max_attempts);
    if status == TaskStatus::Failed && !itself && retryable && attempts_left {
        let after = number(&event.payload, "retryAfterMs").map(|ms| SignedDuration::from_millis(ms.max(0)));
        let error = error.unwrap_or_default();
        try_again(state, &id, "failed", &error, after, None, &mut decision.follow_ups);
        return decision;
    }
    if let Some(error) = &error {
        end_attempt(state, &id, "failed", error, false);
    }
    if itself {
        decision.ends = Some(id.clone());
        decision.attempt = attempt;
    } else if let Some(task) = state.task(&id) {
        let follow_up = terminal(task, status, outputs.as_ref(), error.as_deref(), None);
        decision.follow_ups.push(follow_up);
    }
    finish(state, &id, status, outputs, error, None, &mut decision.follow_ups);
    decision
}

/// The holder of the last claim speaks of a task that has left it: it says again what was stored, or it comes too late.
fn repeated(state: &State, event: &Event, again: &[TaskStatus]) -> Decision {
    let task = task_id(event).and_then(|id| state.task(&id));
    if task.is_some_and(|task| again.contains(&task.status)) {
        Decision::repeated()
    } else {
        Refusal::LeaseLost.into()
    }
}

/// Its worker gives a task back without having failed: the attempt does not count.
pub(super) fn released(state: &mut State, event: &Event) -> Decision {
    let id = match held(state, event) {
        Ok(id) => id,
        Err(Refusal::Repeated) => return repeated(state, event, &[TaskStatus::Created]),
        Err(refusal) => return refusal.into(),
    };
    let delay = SignedDuration::from_millis(number(&event.payload, "delayMs").unwrap_or(0).max(0));
    let mut decision = Decision::default();
    try_again(
        state,
        &id,
        "released",
        "its worker gave it back",
        Some(delay),
        None,
        &mut decision.follow_ups,
    );
    decision
}

/// Somebody calls a task off.
pub(super) fn cancelled(state: &mut State, event: &Event) -> Decision {
    let Some(task) = task_id(event).and_then(|id| state.task(&id)) else {
        return Refusal::UnknownTask.into();
    };
    if task.status == TaskStatus::Cancelled {
        return Decision::repeated();
    }
    if task.status.is_terminal() {
        return Refusal::TaskEnded.into();
    }
    let id = task.id.clone();
    let reason = text(&event.payload, "reason").unwrap_or_else(|| format!("{} called it off", event.actor_id));
    let mut decision = Decision {
        ends: Some(id.clone()),
        attempt: Some(Attempt::of(task)),
        ..Decision::default()
    };
    finish(
        state,
        &id,
        TaskStatus::Cancelled,
        None,
        Some(reason),
        None,
        &mut decision.follow_ups,
    );
    decision
}

/// The brain itself calls a task off.
pub(super) fn cancel(
    state: &mut State,
    id: &TaskId,
    reason: &str,
    origin: Option<&Origin>,
    follow_ups: &mut Vec<FollowUp>,
) {
    let Some(task) = state.task(id).filter(|task| !task.status.is_terminal()) else {
        return;
    };
    follow_ups.push(terminal(
        task,
        TaskStatus::Cancelled,
        None,
        Some(reason),
        origin.cloned(),
    ));
    finish(
        state,
        id,
        TaskStatus::Cancelled,
        None,
        Some(reason.to_owned()),
        origin,
        follow_ups,
    );
}

/// Notes in the history of a task how its attempt ended. `lost`: its holder does not know of the end, so its token is worth
/// nothing from now on, and what it had reserved counts as spent.
pub(super) fn end_attempt(state: &mut State, id: &TaskId, outcome: &str, error: &str, lost: bool) {
    let now = state.now;
    give_back(state, id, lost);
    let error: String = error.chars().take(MAX_ERROR_CHARS).collect();
    state.update(id, |task| {
        let entry = json!({
            "attempt": task.attempt, "agentId": task.assignee, "fencingToken": task.token, "outcome": outcome, "error": error,
            "startedAt": task.started_at, "endedAt": now,
        });
        task.ended_attempts.push(entry);
        task.lease = None;
        if lost {
            // Its holder does not know: whatever it still says must be told from what it said in time.
            task.token = task.token.next();
        }
    });
}

/// The open reservations of a task end with its attempt.
pub(super) fn give_back(state: &mut State, id: &TaskId, spent: bool) {
    let Some(task) = state.task(id).filter(|task| task.reserved_units > 0) else {
        return;
    };
    let (units, budget) = (task.reserved_units, task.budget.clone());
    if let Some(budget) = budget {
        state.edit_budget(&budget, |budget| {
            budget.reserved -= units;
            budget.spent += if spent { units } else { 0 };
        });
    }
    state.close_reservations(id, spent);
    state.update(id, |task| task.reserved_units = 0);
}

/// An attempt ended without success, and the task goes back to the queue: after `delay`, or after its backoff.
pub(super) fn try_again(
    state: &mut State,
    id: &TaskId,
    reason: &str,
    error: &str,
    delay: Option<SignedDuration>,
    origin: Option<&Origin>,
    follow_ups: &mut Vec<FollowUp>,
) {
    let lost = !matches!(reason, "failed" | "released");
    let given_up = reason == "released" && state.task(id).is_some_and(|task| task.status == TaskStatus::Running);
    let attempt = state.task(id).map(Attempt::of);
    end_attempt(state, id, reason, error, lost);
    let Some(task) = state.task(id) else { return };
    let delay = delay.unwrap_or_else(|| task.backoff.delay(id, task.attempt));
    let run_at: Option<Timestamp> = (delay > SignedDuration::ZERO).then(|| state.now + delay);
    let mut payload = json!({ "taskId": id, "attempt": task.attempt, "reason": reason, "error": error });
    if let (Some(at), Some(fields)) = (run_at, payload.as_object_mut()) {
        fields.insert("runAt".to_owned(), json!(at));
    }
    follow_ups.push(FollowUp {
        kind: EventType::TaskRetrying,
        run_id: task.run_id.clone(),
        payload,
        origin: origin.cloned(),
        ends: None,
        attempt,
    });
    state.update(id, |task| {
        task.status = TaskStatus::Created;
        task.waiting_for = Some(Wait::Time);
        task.run_at = run_at;
        task.error = Some(error.to_owned());
        task.attempt -= i32::from(given_up);
    });
    admit(state, id, origin, follow_ups);
}

/// Ends a task and lets those that depend on it go on, or ends them too.
pub(super) fn finish(
    state: &mut State,
    id: &TaskId,
    status: TaskStatus,
    outputs: Option<Value>,
    error: Option<String>,
    origin: Option<&Origin>,
    follow_ups: &mut Vec<FollowUp>,
) {
    give_back(state, id, status == TaskStatus::Cancelled);
    state.update(id, |task| {
        task.status = status;
        task.waiting_for = None;
        task.lease = None;
        task.outputs = outputs;
        task.error = error;
    });
    let mut ended = vec![(id.clone(), status)];
    while let Some((on, status)) = ended.pop() {
        for dependent in state.dependents(&on) {
            let Some(task) = state.task(&dependent.task).filter(|task| !task.status.is_terminal()) else {
                continue;
            };
            let policy = task.policy;
            if dependent.satisfied {
                continue;
            }
            if status == TaskStatus::Completed || policy == DependencyPolicy::Run {
                state.satisfy(&dependent.task, &on);
                state.update(&dependent.task, |task| task.unmet -= 1);
                admit(state, &dependent.task, origin, follow_ups);
            } else if policy == DependencyPolicy::Cancel {
                let word = if status == TaskStatus::Failed {
                    "failed"
                } else {
                    "was cancelled"
                };
                let reason = format!("the task {on}, on which it depends, {word}");
                follow_ups.push(terminal(
                    task,
                    TaskStatus::Cancelled,
                    None,
                    Some(&reason),
                    origin.cloned(),
                ));
                state.update(&dependent.task, |task| {
                    task.status = TaskStatus::Cancelled;
                    task.waiting_for = None;
                    task.error = Some(reason);
                });
                ended.push((dependent.task, TaskStatus::Cancelled));
            }
        }
    }
}

/// The event that ends a task.
pub(super) fn terminal(
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
    let kind = match status {
        TaskStatus::Failed => EventType::TaskFailed,
        TaskStatus::Cancelled => EventType::TaskCancelled,
        _ => EventType::TaskCompleted,
    };
    FollowUp {
        kind,
        run_id: task.run_id.clone(),
        payload: Value::Object(payload),
        origin,
        ends: Some(task.id.clone()),
        attempt: Some(Attempt::of(task)),
    }
}
