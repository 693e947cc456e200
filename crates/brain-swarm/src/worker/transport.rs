//! How a worker reaches the brain: the calls that it needs, and why one can fail.
//!
//! Invariant: whatever the way, a call means what docs/TASKS.md says of it and ends within a time limit of its own, whatever
//! happens on the other side; an error tells the worker what to do: stop ([`LeaseLost`](Error::LeaseLost)), join again ([`NotFound`](Error::NotFound)), wait
//! ([`Unavailable`](Error::Unavailable)) or not ask again.

use async_trait::async_trait;

use super::wire::{
    Claim, ClaimedTask, Emit, EmittedEvent, Finish, Holding, Progress, Pulse, Registration, Release, Reservation,
    Reserve, Settle, Settled,
};
use crate::ids::{ActorId, TaskId};

/// The calls of a worker. All but `claim`, `emit` and `reserve` may be repeated freely.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Joins the swarm, or joins it again.
    async fn register(&self, registration: &Registration) -> Result<(), Error>;
    /// Takes tasks, waiting for the first one as long as the claim says.
    async fn claim(&self, claim: &Claim) -> Result<Vec<ClaimedTask>, Error>;
    /// Says that the agent lives and renews the leases that it holds.
    async fn heartbeat(&self, agent: &ActorId, tasks: &[Holding]) -> Result<Pulse, Error>;
    /// Reports how tasks ended. The answers are in the order of the results.
    async fn finish(&self, finish: &Finish) -> Result<Vec<Settled>, Error>;
    /// Notes how far a task is.
    async fn progress(&self, task: &TaskId, progress: &Progress) -> Result<(), Error>;
    /// Publishes events in the name of a task.
    async fn emit(&self, task: &TaskId, emit: &Emit) -> Result<Vec<EmittedEvent>, Error>;
    /// Gives a task back; the attempt does not count.
    async fn release(&self, task: &TaskId, release: &Release) -> Result<(), Error>;
    /// Sets a part of the task's budget aside.
    async fn reserve(&self, task: &TaskId, reserve: &Reserve) -> Result<Reservation, Error>;
    /// Says what was spent of a reservation.
    async fn settle(&self, task: &TaskId, settle: &Settle) -> Result<Reservation, Error>;
}

/// Why a call was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The task is somebody else's, ended, or its lease ran out: stop working on it.
    #[error("the lease is lost: {detail}")]
    LeaseLost {
        /// What the brain says.
        detail: String,
    },
    /// There is no such agent, task or reservation.
    #[error("not found: {detail}")]
    NotFound {
        /// What the brain says.
        detail: String,
    },
    /// The brain understood and says no; the same call will be refused again.
    #[error("refused ({problem}): {detail}")]
    Refused {
        /// The kind of problem, such as `budget-exhausted`.
        problem: String,
        /// What the brain says.
        detail: String,
    },
    /// The brain is away or busy; the same call may succeed later.
    #[error("the brain is not available: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
        /// Whether it is certain that the call had no effect.
        untouched: bool,
    },
    /// The answer makes no sense.
    #[error("the answer is not one of a brain: {reason}")]
    Protocol {
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether the budget has less left than was asked for; a person raises or stops it.
    #[must_use]
    pub fn is_budget_exhausted(&self) -> bool {
        matches!(self, Self::Refused { problem, .. } if problem == "budget-exhausted")
    }
}
