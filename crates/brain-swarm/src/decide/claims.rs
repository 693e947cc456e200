//! Claims: an agent takes ready tasks, each with a lease and a new fencing token.

use jiff::SignedDuration;
use serde_json::json;

use super::{Attempt, BudgetState, FollowUp, Lease, ORCHESTRATOR_ROLE, Refusal, State, Task, TaskStatus, Wait, tasks};
use crate::{
    event::EventType,
    ids::{ActorId, TaskId},
};

/// An agent asks for tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who asks.
    pub agent: ActorId,
    /// How many it takes, at most.
    pub max: usize,
    /// How long it holds each without a heartbeat, in milliseconds.
    pub lease_ms: i32,
}

/// What a claim got.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Claimed {
    /// The tasks, in the order in which they were handed out.
    pub tasks: Vec<TaskId>,
    /// One event for each.
    pub follow_ups: Vec<FollowUp>,
    /// Tasks were met that wait for their budget or are another's: others may stand behind them.
    pub look_again: bool,
}

/// Gives an agent what it may take: first what was assigned to it, then the queue by priority and age.
///
/// # Errors
/// An agent that nobody registered is refused.
pub fn claim(state: &mut State, claim: &Claim) -> Result<Claimed, Refusal> {
    let agent = state.agent(&claim.agent).ok_or(Refusal::UnknownAgent)?;
    let mut claimed = Claimed::default();
    let (draining, orchestrates) = (agent.draining, agent.role == ORCHESTRATOR_ROLE);
    state.seen(&claim.agent);
    let mut mine: Vec<(i64, TaskId)> = state
        .tasks()
        .filter(|task| task.status == TaskStatus::Assigned && task.assignee.as_ref() == Some(&claim.agent))
        .map(|task| (task.position, task.id.clone()))
        .collect();
    mine.sort();
    for (_, id) in mine {
        if claimed.tasks.len() < claim.max {
            start(state, claim, &id, &mut claimed);
        }
    }
    if draining || orchestrates {
        return Ok(claimed);
    }
    for id in state.queue() {
        if claimed.tasks.len() >= claim.max || state.agent(&claim.agent).is_none_or(|agent| agent.room() == 0) {
            break;
        }
        let Some(task) = state.task(&id) else { continue };
        if tasks::called_off(state, task).is_some() || !state.key_is_free(task) {
            continue;
        }
        let budget = task.budget.as_ref().and_then(|id| state.budget(id));
        if budget.is_some_and(|budget| budget.state == BudgetState::Paused) {
            // Taken out of the queue here, once, instead of being stepped over by every claim.
            state.update(&id, |task| task.waiting_for = Some(Wait::Budget));
            claimed.look_again = true;
            continue;
        }
        if named_another(state, claim, task) {
            // Given to the one it names here, once, instead of being stepped over by every claim of the others.
            let origin = task.origin.clone();
            tasks::give(state, &id, Some(&origin), &mut claimed.follow_ups);
            claimed.look_again = true;
            continue;
        }
        if task.attempt >= task.max_attempts || !state.agent(&claim.agent).is_some_and(|agent| agent.fits(task)) {
            continue;
        }
        start(state, claim, &id, &mut claimed);
    }
    Ok(claimed)
}

/// Whether the task is meant for another agent, who could take it.
fn named_another(state: &State, claim: &Claim, task: &Task) -> bool {
    let named = task.wanted_agent.as_ref().filter(|named| **named != claim.agent);
    named
        .and_then(|named| state.agent(named))
        .is_some_and(|named| named.live && !named.draining)
}

fn start(state: &mut State, claim: &Claim, id: &TaskId, claimed: &mut Claimed) {
    let now = state.now;
    let expires_at = now + SignedDuration::from_millis(i64::from(claim.lease_ms));
    state.update(id, |task| {
        task.status = TaskStatus::Running;
        task.assignee = Some(claim.agent.clone());
        task.attempt += 1;
        task.token = task.token.next();
        task.lease = Some(Lease {
            expires_at,
            ms: claim.lease_ms,
        });
        task.started_at = Some(now);
    });
    let Some(task) = state.task(id) else { return };
    claimed.follow_ups.push(FollowUp {
        kind: EventType::TaskStarted,
        run_id: task.run_id.clone(),
        payload: json!({ "taskId": id, "agentId": claim.agent, "attempt": task.attempt, "fencingToken": task.token,
            "leaseMs": claim.lease_ms }),
        origin: Some(task.origin.clone()),
        ends: None,
        attempt: Some(Attempt::of(task)),
    });
    claimed.tasks.push(id.clone());
}
