//! The types of events: those that mean something to the brain, and any other dotted name.

use std::{fmt, str::FromStr};

use super::Invalid;
use crate::ids::MAX_ID_BYTES;

/// The type of an event: one that the orchestrator acts on, or a custom dotted name that is stored and relayed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EventType {
    /// A task is to be done.
    TaskCreated,
    /// A task was given to an agent.
    TaskAssigned,
    /// An agent claimed a task.
    TaskStarted,
    /// A worker says how far it is.
    TaskProgress,
    /// An attempt ended without success and the task waits again; from outside: a person gives it another try.
    TaskRetrying,
    /// A task ended well.
    TaskCompleted,
    /// A task ended badly.
    TaskFailed,
    /// A task was called off.
    TaskCancelled,
    /// An agent says something, perhaps about a task it holds.
    AgentMessage,
    /// An agent joins the swarm.
    AgentRegistered,
    /// An agent is to take nothing new.
    AgentDraining,
    /// A draining agent may take tasks again.
    AgentResumed,
    /// An agent stopped sending heartbeats.
    AgentLost,
    /// A run began; its actor joins the swarm as an agent.
    RunStarted,
    /// A run ended.
    RunFinished,
    /// What became of the tasks of a run that ended.
    RunSummarised,
    /// A run was called off with all its tasks.
    RunCancelled,
    /// A budget appears.
    BudgetCreated,
    /// A worker reserved units of a budget.
    BudgetReserved,
    /// A worker says what it spent of a reservation.
    BudgetSettled,
    /// A budget was asked for more than it has; its tree waits for a person.
    BudgetExhausted,
    /// A person gave a budget more.
    BudgetRaised,
    /// A person stopped a budget and its tree.
    BudgetStopped,
    /// Anything else with a dotted name.
    Custom(Box<str>),
}

impl EventType {
    /// The types that the orchestrator acts on.
    pub const KNOWN: [Self; 23] = [
        Self::TaskCreated,
        Self::TaskAssigned,
        Self::TaskStarted,
        Self::TaskProgress,
        Self::TaskRetrying,
        Self::TaskCompleted,
        Self::TaskFailed,
        Self::TaskCancelled,
        Self::AgentMessage,
        Self::AgentRegistered,
        Self::AgentDraining,
        Self::AgentResumed,
        Self::AgentLost,
        Self::RunStarted,
        Self::RunFinished,
        Self::RunSummarised,
        Self::RunCancelled,
        Self::BudgetCreated,
        Self::BudgetReserved,
        Self::BudgetSettled,
        Self::BudgetExhausted,
        Self::BudgetRaised,
        Self::BudgetStopped,
    ];

    /// The dotted name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::TaskCreated => "task.created",
            Self::TaskAssigned => "task.assigned",
            Self::TaskStarted => "task.started",
            Self::TaskProgress => "task.progress",
            Self::TaskRetrying => "task.retrying",
            Self::TaskCompleted => "task.completed",
            Self::TaskFailed => "task.failed",
            Self::TaskCancelled => "task.cancelled",
            Self::AgentMessage => "agent.message",
            Self::AgentRegistered => "agent.registered",
            Self::AgentDraining => "agent.draining",
            Self::AgentResumed => "agent.resumed",
            Self::AgentLost => "agent.lost",
            Self::RunStarted => "run.started",
            Self::RunFinished => "run.finished",
            Self::RunSummarised => "run.summarised",
            Self::RunCancelled => "run.cancelled",
            Self::BudgetCreated => "budget.created",
            Self::BudgetReserved => "budget.reserved",
            Self::BudgetSettled => "budget.settled",
            Self::BudgetExhausted => "budget.exhausted",
            Self::BudgetRaised => "budget.raised",
            Self::BudgetStopped => "budget.stopped",
            Self::Custom(name) => name,
        }
    }

    /// Whether only the brain itself brings events of this type about.
    #[must_use]
    pub const fn is_derived(&self) -> bool {
        matches!(self, Self::TaskStarted | Self::RunSummarised | Self::BudgetExhausted)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventType {
    type Err = Invalid;

    fn from_str(name: &str) -> Result<Self, Invalid> {
        if let Some(known) = Self::KNOWN.into_iter().find(|known| known.as_str() == name) {
            return Ok(known);
        }
        let word = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_lowercase())
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
        };
        if name.len() <= MAX_ID_BYTES && name.contains('.') && name.split('.').all(word) {
            return Ok(Self::Custom(name.into()));
        }
        Err(Invalid::Envelope(format!(
            "type {:?} is neither one of {} nor a dotted lower-case name such as \"build.finished\"",
            name.chars().take(80).collect::<String>(),
            Self::KNOWN.map(|known| known.as_str().to_owned()).join(", "),
        )))
    }
}
