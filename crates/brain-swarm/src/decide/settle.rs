//! What no event brings about: leases run out, agents are gone, times come, runs and budgets are over.

use jiff::SignedDuration;

use super::{FollowUp, Refusal, State, Task, TaskStatus, Wait, endings, tasks};
use crate::ids::TaskId;

/// Decides what becomes of the tasks that were loaded as idle: those of a cancelled run or a stopped budget are cancelled;
/// those that a lost agent or a lease that ran out holds go back or, out of attempts, fail; those whose time has come or whose
/// budget was raised go on; and what is ready is given to agents that listen. Applies what it decides, step by step.
pub fn settle(state: &mut State) -> Vec<FollowUp> {
    let mut follow_ups = Vec::new();
    for id in state.idle() {
        settle_one(state, &id, &mut follow_ups);
    }
    if state.has_pushed_agents() {
        for id in state.queue() {
            let origin = state.task(&id).map(|task| task.origin.clone());
            tasks::admit(state, &id, origin.as_ref(), &mut follow_ups);
        }
    }
    follow_ups
}

fn settle_one(state: &mut State, id: &TaskId, follow_ups: &mut Vec<FollowUp>) {
    let Some(task) = state.task(id).filter(|task| !task.status.is_terminal()) else {
        return;
    };
    let origin = task.origin.clone();
    if let Some(reason) = called_off(state, task) {
        endings::cancel(state, id, reason, Some(&origin), follow_ups);
    } else if task.status.is_held() && holder_is_lost(state, task) {
        reclaim(state, id, "agent_lost", "its agent was lost", follow_ups);
    } else if task.lease_is_over(state.now) {
        reclaim(
            state,
            id,
            "lease_expired",
            "its lease ran out without a heartbeat",
            follow_ups,
        );
    } else if matches!(task.waiting_for, Some(Wait::Time | Wait::Budget)) {
        tasks::admit(state, id, Some(&origin), follow_ups);
    }
}

impl State {
    /// Whether settling the task now would end it.
    pub(crate) fn may_end_badly(&self, task: &Task) -> bool {
        let out_of_attempts = task.status == TaskStatus::Running && task.attempt >= task.max_attempts;
        out_of_attempts || called_off(self, task).is_some()
    }
}

fn called_off(state: &State, task: &Task) -> Option<&'static str> {
    tasks::called_off(state, task).map(|refusal| match refusal {
        Refusal::BudgetStopped => "its budget was stopped",
        _ => "its run was cancelled",
    })
}

fn holder_is_lost(state: &State, task: &Task) -> bool {
    let holder = task.assignee.as_ref().and_then(|id| state.agent(id));
    holder.is_none_or(|agent| !agent.live)
}

/// Takes a task back from a holder that does not know of it.
fn reclaim(state: &mut State, id: &TaskId, reason: &'static str, error: &str, follow_ups: &mut Vec<FollowUp>) {
    let Some(task) = state.task(id) else { return };
    let origin = task.origin.clone();
    state.touched.reclaimed.push(reason);
    let Some(task) = state.task(id) else { return };
    if task.status == TaskStatus::Assigned {
        // It was not begun: no attempt counts.
        endings::give_back(state, id, true);
        state.update(id, |task| {
            task.status = TaskStatus::Created;
            task.waiting_for = Some(Wait::Time);
            task.assignee = None;
            task.token = task.token.next();
        });
        tasks::admit(state, id, Some(&origin), follow_ups);
    } else if task.attempt >= task.max_attempts {
        let error = format!("{error} and no attempt is left");
        endings::end_attempt(state, id, reason, &error, true);
        if let Some(task) = state.task(id) {
            let end = endings::terminal(task, TaskStatus::Failed, None, Some(&error), Some(origin.clone()));
            follow_ups.push(end);
        }
        endings::finish(
            state,
            id,
            TaskStatus::Failed,
            None,
            Some(error),
            Some(&origin),
            follow_ups,
        );
    } else {
        endings::try_again(
            state,
            id,
            reason,
            error,
            Some(SignedDuration::ZERO),
            Some(&origin),
            follow_ups,
        );
    }
}
