//! Publishing, and every other call that changes a swarm, with group commit: whatever waits goes into one transaction.
//!
//! Invariants: a call is stored whole or not at all; it is answered after the commit; what was handed over is committed even
//! when the caller goes away; the queue is bounded.

mod calls;
mod lane;
mod parked;
mod service;

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use brain_connectivity::postgres::{self, Kind, Postgres};
use serde::Serialize;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::calls::Answer;
use self::calls::{Call, ClaimCall, EventCall};
pub use self::service::Service;
use crate::{
    bus::StreamNames,
    decide::Claim,
    event::{Event, Invalid},
    ids::{EventId, SwarmId, TenantId},
    ingest::{ClaimInput, ClaimOutcome, Outcome, Terms},
    relay::RelayQueue,
    schema::Registry,
    trace::Tracer,
};

/// How many calls may wait for a commit. One more is told to come back later.
const QUEUE: usize = 4096;

/// An event that is stored.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
#[schemars(rename = "PublishedEvent")]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// Its id.
    pub id: EventId,
    /// Its swarm.
    pub swarm_id: SwarmId,
    /// Its place in the swarm.
    pub seq: i64,
    /// It was stored before, with the same content.
    pub duplicate: bool,
    /// Why it changed nothing, when it was meant to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Why nothing of a call was stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// An event with this id is stored with other content.
    #[error("an event with id {id} is stored already in swarm {swarm_id}, with other content")]
    Conflict {
        /// Which event.
        id: EventId,
        /// Which swarm.
        swarm_id: SwarmId,
        /// Where the other one is; 0 when both came in this call.
        seq: i64,
    },
    /// Events do not fit the schemas that are registered for their types.
    #[error("{}", refused(.faults, *.of))]
    Invalid {
        /// Which of them, from 0, and why.
        faults: Vec<(usize, Invalid)>,
        /// How many events the call has.
        of: usize,
    },
    /// The database refuses this data.
    #[error("the database refuses the event: {detail}")]
    Rejected {
        /// What it says.
        detail: String,
    },
    /// Too many calls wait already.
    #[error("{QUEUE} calls wait for the database already; try again later")]
    Overloaded,
    /// The service is shutting down.
    #[error("the service is shutting down")]
    Closed,
    /// The database cannot be reached or is too slow.
    #[error("the database is not available: {0}")]
    Unavailable(Arc<postgres::Error>),
}

impl Error {
    /// Whether the same call may succeed later. It is safe to repeat: events are recognised by their ids.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Overloaded | Self::Closed | Self::Unavailable(_))
    }
}

/// Hands events and calls to the service.
#[derive(Clone)]
pub struct Publisher {
    /// Each takes some of the swarms.
    lanes: Arc<[mpsc::Sender<Call>]>,
    schemas: Registry,
    tracer: Tracer,
    closing: CancellationToken,
}

impl Publisher {
    fn new(lanes: Vec<mpsc::Sender<Call>>, schemas: Registry, tracer: Tracer, closing: CancellationToken) -> Self {
        Self {
            lanes: lanes.into(),
            schemas,
            tracer,
            closing,
        }
    }

    /// The registered schemas, which every event is held against.
    #[must_use]
    pub fn schemas(&self) -> &Registry {
        &self.schemas
    }

    /// Stores events, durably and together. Repeating a call is safe.
    ///
    /// # Errors
    /// Nothing of the call was stored, but for [`Error::Unavailable`], which leaves it open: repeat the call.
    pub async fn publish(&self, events: Vec<Event>) -> Result<Vec<Published>, Error> {
        let mut events: Vec<Arc<Event>> = events.into_iter().map(Arc::new).collect();
        // While nobody shares them.
        let roots = events.iter_mut().map(|event| self.tracer.begin(event)).collect();
        let answers = self.send(events.clone(), roots, Terms::Record, false, true).await?;
        let outcomes: Vec<&Outcome> = answers.iter().map(|answer| &answer.outcome).collect();
        if let Some(error) = conflict(&events, &outcomes) {
            return Err(error);
        }
        let pairs = events.iter().zip(outcomes);
        Ok(pairs.map(|(event, outcome)| published(event, outcome)).collect())
    }

    /// Hands in calls, each of which takes effect or is refused. `together`: all of them, or none. A call begins no trace: it
    /// belongs to what it speaks of.
    pub(crate) async fn call(&self, events: Vec<Event>, fresh: bool, together: bool) -> Result<Vec<Answer>, Error> {
        let events = events.into_iter().map(Arc::new).collect();
        self.send(events, Vec::new(), Terms::Require, fresh, together).await
    }

    async fn send(
        &self,
        events: Vec<Arc<Event>>,
        roots: Vec<bool>,
        terms: Terms,
        fresh: bool,
        together: bool,
    ) -> Result<Vec<Answer>, Error> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        self.fit(&events).await?;
        let (answer, answered) = oneshot::channel();
        let call = EventCall {
            events,
            roots,
            terms,
            fresh,
            together,
            answer,
        };
        self.enqueue(Call::Events(call), answered).await
    }

    /// Refuses events that do not fit their registered schemas.
    async fn fit(&self, events: &[Arc<Event>]) -> Result<(), Error> {
        let mut faults = Vec::new();
        for (index, event) in events.iter().enumerate() {
            match self.schemas.check(event).await {
                Ok(Ok(())) => {}
                Ok(Err(invalid)) => faults.push((index, invalid)),
                Err(error) => return Err(refusal(error)),
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        let of = events.len();
        Err(Error::Invalid { faults, of })
    }

    /// Claims tasks; waits for them until `wait_until` when there are none.
    pub(crate) async fn claim(
        &self,
        swarm: (TenantId, SwarmId),
        claim: Claim,
        wait_until: Instant,
    ) -> Result<ClaimOutcome, Error> {
        let (answer, answered) = oneshot::channel();
        let call = ClaimCall {
            input: ClaimInput { swarm, claim },
            wait_until,
            waiting: None,
            answer,
        };
        self.enqueue(Call::Claim(call), answered).await
    }

    /// Settles what no event brings about in a swarm. Returns how many tasks were looked at: none when nothing is left.
    pub(crate) async fn settle(&self, tenant: TenantId, swarm: SwarmId) -> Result<usize, Error> {
        let (answer, answered) = oneshot::channel();
        let call = Call::Settle {
            swarm: (tenant, swarm),
            answer,
        };
        self.enqueue(call, answered).await
    }

    async fn enqueue<T>(&self, call: Call, answered: oneshot::Receiver<Result<T, Error>>) -> Result<T, Error> {
        if self.closing.is_cancelled() {
            return Err(Error::Closed);
        }
        self.lane(&call).try_send(call).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Error::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Error::Closed,
        })?;
        answered.await.unwrap_or(Err(Error::Closed))
    }

    /// The lane of the call's first swarm; what it holds for others is locked in the database like everything.
    fn lane(&self, call: &Call) -> &mpsc::Sender<Call> {
        let mut hasher = DefaultHasher::new();
        match call {
            Call::Events(call) => {
                let first = call.events.first().map(|event| (&event.tenant_id, &event.swarm_id));
                first.hash(&mut hasher);
            }
            Call::Claim(call) => Some((&call.input.swarm.0, &call.input.swarm.1)).hash(&mut hasher),
            Call::Settle { swarm, .. } => Some((&swarm.0, &swarm.1)).hash(&mut hasher),
        }
        let lanes = self.lanes.len() as u64;
        &self.lanes[usize::try_from(hasher.finish() % lanes).unwrap_or(0)]
    }
}

/// The conflict of a call that is stored together, if there is one.
fn conflict(events: &[Arc<Event>], outcomes: &[&Outcome]) -> Option<Error> {
    events.iter().zip(outcomes).find_map(|(event, outcome)| match outcome {
        Outcome::Conflict { seq } => Some(Error::Conflict {
            id: event.id.clone(),
            swarm_id: event.swarm_id.clone(),
            seq: *seq,
        }),
        _ => None,
    })
}

fn published(event: &Event, outcome: &Outcome) -> Published {
    let (seq, duplicate, note) = match outcome {
        Outcome::Stored { seq, note } => (*seq, false, *note),
        Outcome::Duplicate { seq } => (*seq, true, None),
        Outcome::Conflict { .. } | Outcome::Skipped | Outcome::Refused(_) | Outcome::Repeated => (0, false, None),
    };
    Published {
        id: event.id.clone(),
        swarm_id: event.swarm_id.clone(),
        seq,
        duplicate,
        note: note.map(str::to_owned),
    }
}

/// What is wrong with the events of a call.
fn refused(faults: &[(usize, Invalid)], of: usize) -> String {
    match faults {
        [(_, invalid)] if of == 1 => invalid.to_string(),
        [(index, invalid), ..] => format!(
            "{} of {of} events cannot be stored; event {index}: {invalid}",
            faults.len()
        ),
        [] => String::new(),
    }
}

fn refusal(error: postgres::Error) -> Error {
    match error.kind() {
        Kind::InvalidData => Error::Rejected {
            detail: error.to_string(),
        },
        _ => Error::Unavailable(Arc::new(error)),
    }
}
