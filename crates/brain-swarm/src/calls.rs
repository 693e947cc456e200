//! Calls: what agents, people and services ask of a swarm beside publishing events. Each takes effect or is refused.
//!
//! Invariants: a call that is answered is committed; a call that is refused has changed nothing (but an exhausted budget is
//! paused); whatever takes effect is an event of the swarm, decided by the same function as an event from a stream.

mod agents;
mod budgets;
mod graph;
mod heartbeat;
mod runs;
mod tasks;
mod work;

use std::time::Duration;

use brain_connectivity::postgres::{self, Postgres};
use jiff::Timestamp;
use serde_json::Value;

pub use self::{
    agents::{Message, Registration, Said},
    budgets::{NewBudget, Reserved},
    heartbeat::{Beat, Held, Hold, Lost},
    tasks::{Changed, Created, MAX_TASKS, NewTask},
    work::{Ask, Claimed, ClaimedTask, Emitted, Finished, Holder, MAX_RESULTS, Outcome},
};
use crate::{
    decide::Refusal,
    event::{Context, Event, EventType, Invalid},
    ids::{ActorId, EventId, InvalidId, RunId, SwarmId, TenantId},
    ingest,
    publish::{self, Answer, Publisher},
};

/// Why a call did not take effect.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The lease on the task is over, or somebody else has it: stop working on it.
    #[error("{}", .0.note())]
    LeaseLost(Refusal),
    /// There is no such thing.
    #[error("{}", .0.note())]
    NotFound(Refusal),
    /// The budget does not give it.
    #[error("{}", .0.note())]
    Budget(Refusal),
    /// It does not fit with how things stand.
    #[error("{}", .0.note())]
    Refused(Refusal),
    /// One of several tasks of a call cannot be created, and so none of them is.
    #[error("task {task}: {error}")]
    OfTask {
        /// Which: its id, or its place in the call as `[2]`, counted from 0, where none was given.
        task: String,
        /// What is wrong with it.
        error: Box<Error>,
    },
    /// The tasks of one call wait for each other in a circle.
    #[error("the tasks depend on each other in a circle: {0}")]
    Cycle(String),
    /// What is asked for is not valid.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It could not be stored.
    #[error(transparent)]
    Publish(#[from] publish::Error),
    /// It could not be read.
    #[error("the database is not available: {0}")]
    Database(std::sync::Arc<postgres::Error>),
}

impl Error {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Publish(error) => error.retryable(),
            Self::Database(error) => error.retryable(),
            Self::OfTask { error, .. } => error.retryable(),
            _ => false,
        }
    }
}

impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Self {
        Self::Database(std::sync::Arc::new(error))
    }
}

impl From<InvalidId> for Error {
    fn from(error: InvalidId) -> Self {
        Self::Invalid(error.into())
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::LeaseLost | Refusal::HeldByAnother => Self::LeaseLost(refusal),
            Refusal::UnknownTask
            | Refusal::UnknownAgent
            | Refusal::UnknownRun
            | Refusal::UnknownBudget
            | Refusal::UnknownReservation => Self::NotFound(refusal),
            Refusal::BudgetExhausted | Refusal::BudgetPaused | Refusal::BudgetStopped => Self::Budget(refusal),
            _ => Self::Refused(refusal),
        }
    }
}

/// Whose swarm a call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The owner.
    pub tenant_id: TenantId,
    /// The swarm.
    pub swarm_id: SwarmId,
}

/// Makes calls. Clones share everything.
#[derive(Clone)]
pub struct Calls {
    postgres: Postgres,
    publisher: Publisher,
    lease: Duration,
    max_event_bytes: usize,
}

impl Calls {
    /// `lease`: how long a claim holds when it does not say. `max_event_bytes`: the largest event, so the largest payload.
    #[must_use]
    pub fn new(postgres: Postgres, publisher: Publisher, lease: Duration, max_event_bytes: usize) -> Self {
        Self {
            postgres,
            publisher,
            lease,
            max_event_bytes,
        }
    }

    /// An event that a call stands for.
    fn event(
        &self,
        scope: &Scope,
        run: Option<RunId>,
        kind: EventType,
        actor: &ActorId,
        payload: Value,
    ) -> Result<Event, Invalid> {
        let event = Event {
            tenant_id: scope.tenant_id.clone(),
            id: EventId::generate(),
            kind,
            schema_version: 1,
            swarm_id: scope.swarm_id.clone(),
            // Of a call about a task it is the run of the task, which is known when the call is decided.
            run_id: run.unwrap_or_else(|| RunId::trusted("none")),
            actor_id: actor.clone(),
            payload,
            created_at: Timestamp::now(),
            context: Context::default(),
        };
        event.check(self.max_event_bytes)?;
        Ok(event)
    }

    /// Makes one call.
    async fn one(&self, event: Event) -> Result<(Answer, i64, bool), Error> {
        let mut answers = self.publisher.call(vec![event], true, true).await?;
        let answer = answers.pop().ok_or(Error::Publish(publish::Error::Closed))?;
        let (seq, repeated) = accepted(&answer)?;
        Ok((answer, seq, repeated))
    }
}

/// The seq of what was stored, and whether that was before; 0 where the earlier seq is not known.
fn accepted(answer: &Answer) -> Result<(i64, bool), Error> {
    match &answer.outcome {
        ingest::Outcome::Stored { seq, .. } => Ok((*seq, false)),
        ingest::Outcome::Duplicate { seq } => Ok((*seq, true)),
        ingest::Outcome::Repeated => Ok((0, true)),
        ingest::Outcome::Refused(refusal) => Err((*refusal).into()),
        ingest::Outcome::Conflict { .. } | ingest::Outcome::Skipped => Err(Error::Publish(publish::Error::Closed)),
    }
}
