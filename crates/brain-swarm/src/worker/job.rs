//! One task in the hands of a handler.
//!
//! Invariants: nothing is sent for a task whose lease is over; a refusal because of the lease cancels the token.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::link::Link;
use super::schedule;
use super::transport::Error;
use super::wire::{ClaimedTask, Emission, Emit, EmittedEvent, Holding, Progress, Reservation, Reserve, Settle};
use crate::ids::{FencingToken, RunId, TaskId};

/// A task that this worker holds.
#[derive(Clone)]
#[non_exhaustive]
pub struct Job {
    /// Its id.
    pub task_id: TaskId,
    /// The run that it belongs to.
    pub run_id: RunId,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How many there may be.
    pub max_attempts: u32,
    /// Grows with every claim. Give it to other systems that should refuse a worker that was overtaken.
    pub fencing_token: FencingToken,
    /// What is to be worked on.
    pub inputs: Value,
    /// Higher goes first.
    pub priority: i64,
    /// The role that it asks for.
    pub role: Option<String>,
    /// The capability that it asks for.
    pub capability: Option<String>,
    /// What it may spend from.
    pub budget_id: Option<String>,
    /// What an earlier attempt noted last.
    pub progress: Option<Value>,
    /// Cancelled when the lease is over, the task was cancelled or the worker stops. Nothing that is done after that
    /// counts, and somebody else may be at it already: stop.
    pub lease: CancellationToken,
    link: Arc<Link>,
}

impl Job {
    pub(super) fn new(task: ClaimedTask, lease: CancellationToken, link: Arc<Link>) -> Self {
        Self {
            task_id: task.task_id,
            run_id: task.run_id,
            attempt: task.attempt,
            max_attempts: task.max_attempts,
            fencing_token: task.fencing_token,
            inputs: task.inputs,
            priority: task.priority,
            role: task.role,
            capability: task.capability,
            budget_id: task.budget_id,
            progress: task.progress,
            lease,
            link,
        }
    }

    /// Notes how far it is; the next attempt is given the note. `progress` is an object. Waits out a brain that is away.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when the lease is over, or whatever else the brain says.
    pub async fn progress(&self, progress: Value) -> Result<(), Error> {
        let progress = Progress {
            agent_id: self.link.options.agent_id.clone(),
            fencing_token: self.fencing_token,
            progress,
        };
        let ask = || self.link.transport.progress(&self.task_id, &progress);
        self.call(Repeat::Always, ask).await
    }

    /// Publishes an event of a custom type in the name of the task, and gives its id and number.
    ///
    /// # Errors
    /// As [`progress`](Self::progress). [`Error::Unavailable`] means that the event may be stored or not: a call is only
    /// repeated when it certainly had no effect.
    pub async fn emit(&self, kind: impl Into<String>, payload: Value) -> Result<EmittedEvent, Error> {
        let emit = Emit {
            agent_id: self.link.options.agent_id.clone(),
            fencing_token: self.fencing_token,
            events: vec![Emission {
                kind: kind.into(),
                payload,
            }],
        };
        let ask = || self.link.transport.emit(&self.task_id, &emit);
        let emitted = self.call(Repeat::IfUntouched, ask).await?;
        emitted.into_iter().next().ok_or_else(|| Error::Protocol {
            reason: "an event was published, and none is in the answer".to_owned(),
        })
    }

    /// Sets units of the task's budget aside, before they are spent.
    ///
    /// # Errors
    /// [`is_budget_exhausted`](Error::is_budget_exhausted) when they do not fit; else as [`emit`](Self::emit).
    pub async fn reserve(&self, units: u64) -> Result<Reservation, Error> {
        let reserve = Reserve {
            agent_id: self.link.options.agent_id.clone(),
            fencing_token: self.fencing_token,
            units,
        };
        let ask = || self.link.transport.reserve(&self.task_id, &reserve);
        self.call(Repeat::IfUntouched, ask).await
    }

    /// Says what was spent of a reservation; the rest is free again. Waits out a brain that is away.
    ///
    /// # Errors
    /// As [`progress`](Self::progress).
    pub async fn settle(&self, reservation: &Reservation, units: u64) -> Result<Reservation, Error> {
        let settle = Settle {
            agent_id: self.link.options.agent_id.clone(),
            fencing_token: self.fencing_token,
            reservation_id: reservation.reservation_id.clone(),
            units,
        };
        let ask = || self.link.transport.settle(&self.task_id, &settle);
        self.call(Repeat::Always, ask).await
    }

    async fn call<T, Answer>(&self, repeat: Repeat, ask: impl Fn() -> Answer) -> Result<T, Error>
    where
        Answer: Future<Output = Result<T, Error>>,
    {
        let holding = self.holding();
        let mut delays = schedule::BACKOFF.delays();
        loop {
            if !self.link.leases.is_held(&holding, Instant::now()) {
                return Err(Error::LeaseLost {
                    detail: format!("task {} is not held by this worker any more", self.task_id),
                });
            }
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if matches!(error, Error::LeaseLost { .. }) {
                self.link.leases.lose(&holding);
            }
            if !repeat.allows(&error) {
                return Err(error);
            }
            tokio::select! {
                () = self.lease.cancelled() => {}
                () = tokio::time::sleep(delays.next().unwrap_or_default()) => {}
            }
        }
    }

    fn holding(&self) -> Holding {
        Holding {
            task_id: self.task_id.clone(),
            fencing_token: self.fencing_token,
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("task_id", &self.task_id)
            .field("run_id", &self.run_id)
            .field("attempt", &self.attempt)
            .field("fencing_token", &self.fencing_token)
            .finish_non_exhaustive()
    }
}

/// When a call that failed is repeated.
#[derive(Debug, Clone, Copy)]
enum Repeat {
    /// Twice is the same as once.
    Always,
    /// Only when it had no effect.
    IfUntouched,
}

impl Repeat {
    fn allows(self, error: &Error) -> bool {
        match (self, error) {
            (Self::Always, Error::Unavailable { .. }) => true,
            (Self::IfUntouched, Error::Unavailable { untouched, .. }) => *untouched,
            _ => false,
        }
    }
}
