//! Publishing with group commit: whatever waits goes into one transaction.
//!
//! Invariants: a call is stored whole or not at all; it is answered after the commit; what was handed over is committed even
//! when the caller goes away; the queue is bounded.

use std::{sync::Arc, time::Duration};

use brain_connectivity::postgres::{self, Kind, Postgres};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    bus::StreamNames,
    event::Event,
    ids::{EventId, SwarmId},
    ingest::{self, Batch, Committed, Input, Outcome},
    relay::RelayQueue,
};

/// How many calls may wait for a commit. One more is told to come back later.
const QUEUE: usize = 4096;

/// How often a batch is tried when the database says to try again, before its callers are told so.
const ATTEMPTS: u32 = 3;

/// An event that is stored.
#[derive(Debug, Clone, Serialize)]
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

struct Call {
    events: Vec<Arc<Event>>,
    answer: oneshot::Sender<Result<Vec<Published>, Error>>,
}

/// Hands events to the service.
#[derive(Clone)]
pub struct Publisher {
    calls: mpsc::Sender<Call>,
    closing: CancellationToken,
}

impl Publisher {
    /// Stores events, durably and together. Repeating a call is safe.
    ///
    /// # Errors
    /// Nothing of the call was stored, but for [`Error::Unavailable`], which leaves it open: repeat the call.
    pub async fn publish(&self, events: Vec<Event>) -> Result<Vec<Published>, Error> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        if self.closing.is_cancelled() {
            return Err(Error::Closed);
        }
        let (answer, answered) = oneshot::channel();
        let call = Call {
            events: events.into_iter().map(Arc::new).collect(),
            answer,
        };
        self.calls.try_send(call).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Error::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Error::Closed,
        })?;
        answered.await.unwrap_or(Err(Error::Closed))
    }
}

/// Commits what publishers hand over.
pub struct Service {
    postgres: Postgres,
    streams: StreamNames,
    batch_size: usize,
    calls: mpsc::Receiver<Call>,
    closing: CancellationToken,
    relay: RelayQueue,
}

impl Service {
    /// The service and the handle to it. `batch_size`: how many events one transaction takes, at most.
    #[must_use]
    pub fn new(postgres: Postgres, streams: StreamNames, batch_size: usize, relay: RelayQueue) -> (Self, Publisher) {
        let (sender, calls) = mpsc::channel(QUEUE);
        let closing = CancellationToken::new();
        let publisher = Publisher {
            calls: sender,
            closing: closing.clone(),
        };
        (
            Self {
                postgres,
                streams,
                batch_size: batch_size.max(1),
                calls,
                closing,
                relay,
            },
            publisher,
        )
    }

    /// Runs until `shutdown`; then refuses new calls, commits those accepted, and returns.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let closing = self.closing.clone();
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                biased;
                call = self.calls.recv() => match call {
                    Some(call) => waiting.push(call),
                    None => break,
                },
                () = shutdown.cancelled(), if !closing.is_cancelled() => {
                    closing.cancel();
                    self.calls.close();
                    continue;
                }
            }
            let mut events = waiting.iter().map(|call| call.events.len()).sum::<usize>();
            while events < self.batch_size {
                let Ok(call) = self.calls.try_recv() else { break };
                events += call.events.len();
                waiting.push(call);
            }
            self.commit(std::mem::take(&mut waiting)).await;
        }
        closing.cancel();
    }

    async fn commit(&self, calls: Vec<Call>) {
        match self.try_commit(&calls).await {
            Ok(committed) => {
                self.answer(calls, &committed.outcomes);
                self.relay.add(committed.relay);
            }
            // One call holds data that the database refuses: find it, so that the others are not refused with it.
            Err(error) if error.kind() == Kind::InvalidData && calls.len() > 1 => {
                for call in calls {
                    Box::pin(self.commit(vec![call])).await;
                }
            }
            Err(error) => {
                let error = refusal(error);
                for call in calls {
                    let _ = call.answer.send(Err(error.clone()));
                }
            }
        }
    }

    async fn try_commit(&self, calls: &[Call]) -> Result<Committed, postgres::Error> {
        let grouped = calls
            .iter()
            .enumerate()
            .flat_map(|(group, call)| call.events.iter().map(move |event| (group, event)));
        let inputs = grouped
            .map(|(group, event)| Input {
                event: Arc::clone(event),
                group,
                entry: None,
            })
            .collect();
        let batch = Batch {
            inputs,
            ..Batch::default()
        };
        let mut attempt = 1;
        loop {
            let started = std::time::Instant::now();
            let error = match ingest::commit(&self.postgres, &self.streams, &batch).await {
                Ok(committed) => {
                    crate::metric_names::batch_committed("api", batch.inputs.len(), started.elapsed());
                    return Ok(committed);
                }
                Err(ingest::Error::Database(error)) => error,
                // Publishing holds no lease that could be lost.
                Err(ingest::Error::LeaseLost(stream)) => {
                    return Err(postgres::Error::Unexpected {
                        reason: format!("a lease on {stream} was asked for"),
                    });
                }
            };
            if !error.retryable() || attempt >= ATTEMPTS {
                return Err(error);
            }
            tracing::warn!(attempt, error = %error, "publishing is tried again");
            tokio::time::sleep(Duration::from_millis(20 * u64::from(attempt))).await;
            attempt += 1;
        }
    }

    fn answer(&self, calls: Vec<Call>, outcomes: &[Outcome]) {
        let mut outcomes = outcomes.iter();
        for call in calls {
            let own: Vec<&Outcome> = outcomes.by_ref().take(call.events.len()).collect();
            let result = call
                .events
                .iter()
                .zip(&own)
                .map(|(event, outcome)| published(event, outcome))
                .collect();
            let conflict = call.events.iter().zip(&own).find_map(|(event, outcome)| match outcome {
                Outcome::Conflict { seq } => Some(Error::Conflict {
                    id: event.id.clone(),
                    swarm_id: event.swarm_id.clone(),
                    seq: *seq,
                }),
                _ => None,
            });
            // A caller that went away does not change what is stored.
            let _ = call.answer.send(conflict.map_or(Ok(result), Err));
        }
    }
}

fn published(event: &Event, outcome: &Outcome) -> Published {
    let (seq, duplicate, note) = match outcome {
        Outcome::Stored { seq, note } => (*seq, false, *note),
        Outcome::Duplicate { seq } => (*seq, true, None),
        Outcome::Conflict { .. } | Outcome::Skipped => (0, false, None),
    };
    Published {
        id: event.id.clone(),
        swarm_id: event.swarm_id.clone(),
        seq,
        duplicate,
        note: note.map(str::to_owned),
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
