//! What an event asks of whoever publishes it.
//!
//! An event of a type that the brain acts on does what a call does, so it needs what the call needs: otherwise `events:write`
//! would be every permission there is.

use brain_swarm::event::{Event, EventType};

use super::Principal;
use crate::problem::Problem;

/// Refuses an event that does more than its publisher may.
///
/// # Errors
/// A problem that names what is missing.
pub(crate) fn check(by: &Principal, event: &Event) -> Result<(), Problem> {
    by.speaks_as(&event.actor_id)?;
    match duty(event) {
        Some((resource, action)) => by.must(resource, action),
        None => Ok(()),
    }
}

/// Beyond `events:write`, which every event needs.
fn duty(event: &Event) -> Option<(&'static str, &'static str)> {
    Some(match &event.kind {
        // What the brain says of skills is not for everybody to say.
        EventType::Custom(name) if name.starts_with("skill.") => ("skills", "manage"),
        EventType::Custom(_) => return None,
        EventType::TaskCreated => ("tasks", "write"),
        EventType::TaskProgress
        | EventType::TaskCompleted
        | EventType::TaskFailed
        | EventType::BudgetReserved
        | EventType::BudgetSettled => ("tasks", "work"),
        // One that says how a task goes reports on it; any other is a message.
        EventType::AgentMessage if event.payload.get("state").is_some() => ("tasks", "work"),
        EventType::AgentMessage => ("messages", "write"),
        EventType::AgentRegistered | EventType::RunStarted => ("agents", "write"),
        EventType::TaskAssigned | EventType::TaskStarted | EventType::TaskRetrying | EventType::TaskCancelled => {
            ("tasks", "manage")
        }
        EventType::AgentDraining | EventType::AgentResumed | EventType::AgentLost => ("agents", "manage"),
        EventType::RunFinished | EventType::RunSummarised | EventType::RunCancelled => ("runs", "manage"),
        EventType::BudgetCreated | EventType::BudgetExhausted | EventType::BudgetRaised | EventType::BudgetStopped => {
            ("budgets", "manage")
        }
    })
}
