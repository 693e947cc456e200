//! The pure decision: what an event, a claim or the passing of time changes, given the state of its swarm.
//!
//! Invariants: no I/O, no clock but the one in the state, no randomness; a terminal task changes only when it is retried by
//! hand; a task is given only to an agent that is live and fits; whoever speaks of a task under lease without the right token
//! is refused; what is refused changes nothing, except that its actor was heard and that a budget that is asked for too much
//! is paused.

mod agent;
mod agents;
mod budgets;
mod claims;
mod endings;
mod run;
mod settle;
mod state;
mod task;
mod tasks;

use serde_json::Value;

pub(crate) use self::tasks::may_create;
pub use self::{
    agent::{Agent, ORCHESTRATOR_ROLE},
    budgets::{Budget, BudgetState, Reservation},
    claims::{Claim, claim},
    run::{Run, RunState, Totals},
    settle::settle,
    state::{Dependent, Key, State},
    task::{Attempt, Backoff, DEFAULT_MAX_ATTEMPTS, DependencyPolicy, Lease, Task, TaskStatus, Wait},
};
use crate::{
    event::{Context, Event, EventType},
    ids::{ActorId, EventId, RunId, TaskId},
};

/// The event that something goes back to: the cause of what later happens without another event.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// Its id.
    pub event_id: EventId,
    /// Its context.
    pub context: Context,
}

impl Origin {
    pub(crate) fn of(event: &Event) -> Self {
        Self {
            event_id: event.id.clone(),
            context: event.context.clone(),
        }
    }
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
    /// What it goes back to, when that is not the event that is decided.
    pub origin: Option<Origin>,
    /// The task that it ends, if it ends one.
    pub ends: Option<TaskId>,
    /// Who has the task that it is about, or had it until now.
    pub attempt: Option<Attempt>,
}

/// What came of an event. The state has been changed already.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// The events that follow, in order.
    pub follow_ups: Vec<FollowUp>,
    /// The task that the event itself ends.
    pub ends: Option<TaskId>,
    /// Who has the task that the event is about, or had it until now.
    pub attempt: Option<Attempt>,
    /// Why the event changed nothing, when it was meant to.
    pub refusal: Option<Refusal>,
    /// What is worth knowing although it took effect.
    pub remark: Option<Refusal>,
    /// The event says again what was stored before.
    pub repeated: bool,
}

impl Decision {
    fn refused(refusal: Refusal) -> Self {
        Self {
            refusal: Some(refusal),
            ..Self::default()
        }
    }

    fn repeated() -> Self {
        Self {
            repeated: true,
            ..Self::refused(Refusal::Repeated)
        }
    }
}

impl From<Refusal> for Decision {
    fn from(refusal: Refusal) -> Self {
        Self::refused(refusal)
    }
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $note:literal,)+) => {
        /// Why an event or a claim changes nothing.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum Refusal {
            $($(#[$doc])* #[error($note)] $name,)+
        }

        impl Refusal {
            /// The same as text.
            #[must_use]
            pub const fn note(self) -> &'static str {
                match self {
                    $(Self::$name => $note,)+
                }
            }
        }
    };
}

refusals! {
    /// No task is named.
    NoTask = "the payload names no task",
    /// No agent is named.
    NoAgent = "the payload names no agent",
    /// Nothing is known of the task.
    UnknownTask = "the task is unknown",
    /// Its id is taken.
    TaskExists = "the task exists already",
    /// It has ended, and stays so.
    TaskEnded = "the task has ended",
    /// It has not ended, so it cannot be retried.
    TaskNotEnded = "the task has not ended badly, so there is nothing to retry",
    /// Another agent has it.
    HeldByAnother = "the task is held by another agent",
    /// Nobody has it, so nobody can speak for it.
    NotHeld = "nobody holds the task",
    /// Its time has not come.
    NotYet = "the task is not to be started yet",
    /// The lease ran out, or the token is an old one, or none is given for a task under lease.
    LeaseLost = "the lease on the task is lost: it ran out, or the fencing token is not the one of the current claim",
    /// It was begun already.
    RunningAlready = "the task is running already",
    /// It may not be started again.
    OutOfAttempts = "the task is out of attempts",
    /// The same was said, and done, before.
    Repeated = "the same was stored before",
    /// The actor is no agent, or lost.
    ActorNotLive = "the actor is not a live agent of the swarm",
    /// The agent that is named is no agent, or lost.
    AgentNotLive = "the agent is not a live agent of the swarm",
    /// The agent that is named is no agent, or lost; the task is there all the same.
    NamedAgentNotLive = "the named agent is not a live agent of the swarm; the task waits",
    /// It has the task.
    HeldByIt = "the agent holds the task already",
    /// Nobody of that name joined.
    UnknownAgent = "the agent is unknown",
    /// It is lost.
    AgentLostAlready = "the agent is lost already",
    /// It was heard after the moment that is given.
    AgentHeardSince = "the agent was heard since",
    /// A moment that is none.
    NotATime = "lastSeenAt is not a time",
    /// As many tasks of its concurrency key as may be are held.
    KeyInUse = "as many tasks of its concurrency key as may be are held already",
    /// A dependency is not there.
    UnknownDependency = "a task that it depends on is unknown",
    /// A parent is not there.
    UnknownParent = "its parent task is unknown",
    /// Nothing is known of the run.
    UnknownRun = "the run is unknown",
    /// The run has ended.
    RunEnded = "the run has ended already",
    /// The run was called off.
    RunCancelled = "the run was cancelled, so no task is created or begun in it",
    /// A budget is not there.
    UnknownBudget = "the budget is unknown",
    /// Its id is taken.
    BudgetExists = "the budget exists already",
    /// The task has none.
    NoBudget = "the task has no budget",
    /// A budget gives nothing while nobody raised it.
    BudgetPaused = "the budget is exhausted and gives nothing until somebody raises it",
    /// A budget cannot give that much.
    BudgetExhausted = "the budget has not that much left; it is paused until somebody raises it",
    /// A budget is over.
    BudgetStopped = "the budget was stopped",
    /// A budget cannot be made smaller than what is taken.
    BudgetTooSmall = "more than that is spent or reserved already",
    /// A reservation is not there, or another task's.
    UnknownReservation = "the task has no such reservation",
    /// More than was reserved.
    MoreThanReserved = "that is more than was reserved; reserve the rest first",
}

/// Decides what `event` changes, and changes it in `state`.
#[must_use]
pub fn decide(state: &mut State, event: &Event) -> Decision {
    if event.kind != EventType::RunStarted && event.kind != EventType::AgentRegistered {
        state.seen(&event.actor_id);
    }
    match &event.kind {
        EventType::TaskCreated => tasks::created(state, event),
        EventType::TaskAssigned => tasks::assigned(state, event),
        EventType::TaskProgress => tasks::progress(state, event),
        EventType::TaskRetrying => tasks::retry(state, event),
        EventType::TaskCompleted => endings::ended(state, event, TaskStatus::Completed, true),
        EventType::TaskFailed => endings::ended(state, event, TaskStatus::Failed, true),
        EventType::TaskCancelled => endings::cancelled(state, event),
        EventType::AgentMessage => agents::message(state, event),
        EventType::AgentRegistered => agents::registered(state, event),
        EventType::AgentDraining => agents::draining(state, event, true),
        EventType::AgentResumed => agents::draining(state, event, false),
        EventType::AgentLost => agents::lost(state, event),
        EventType::RunStarted => run::started(state, event),
        EventType::RunFinished => run::finished(state, event),
        EventType::RunCancelled => run::cancelled(state, event),
        EventType::BudgetCreated => budgets::created(state, event),
        EventType::BudgetReserved => budgets::reserved(state, event),
        EventType::BudgetSettled => budgets::settled(state, event),
        EventType::BudgetRaised => budgets::raised(state, event),
        EventType::BudgetStopped => budgets::stopped(state, event),
        // What only the brain itself brings about, and what nobody acts on.
        EventType::TaskStarted | EventType::RunSummarised | EventType::BudgetExhausted => Decision::default(),
        EventType::Custom(_) => tasks::said(state, event),
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

fn number(payload: &Value, field: &str) -> Option<i64> {
    payload.get(field).and_then(Value::as_i64)
}

fn agent_id(payload: &Value, field: &str) -> Option<ActorId> {
    text(payload, field).and_then(|id| ActorId::new(id).ok())
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
