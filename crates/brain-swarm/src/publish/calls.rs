//! What callers hand to the service, and how they are answered.

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};

use super::Error;
use crate::{
    event::Event,
    ids::{SwarmId, TenantId},
    ingest::{ClaimInput, ClaimOutcome, Outcome, Terms, View},
};

/// What became of one event of a call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// How what it speaks of stands now; only for calls.
    pub(crate) view: Option<Box<View>>,
}

pub(super) struct EventCall {
    pub(super) events: Vec<Arc<Event>>,
    pub(super) terms: Terms,
    pub(super) fresh: bool,
    /// All of them are stored, or none.
    pub(super) together: bool,
    pub(super) answer: oneshot::Sender<Result<Vec<Answer>, Error>>,
}

pub(super) struct ClaimCall {
    pub(super) input: ClaimInput,
    pub(super) wait_until: Instant,
    pub(super) answer: oneshot::Sender<Result<ClaimOutcome, Error>>,
}

pub(super) enum Call {
    Events(EventCall),
    Claim(ClaimCall),
    Settle {
        swarm: (TenantId, SwarmId),
        answer: oneshot::Sender<Result<usize, Error>>,
    },
}

impl Call {
    /// What it adds to a batch.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Events(call) => call.events.len(),
            Self::Claim(call) => call.input.claim.max,
            Self::Settle { .. } => 1,
        }
    }

    pub(super) fn refuse(self, error: &Error) {
        // A caller that went away need not be told.
        match self {
            Self::Events(call) => drop(call.answer.send(Err(error.clone()))),
            Self::Claim(call) => drop(call.answer.send(Err(error.clone()))),
            Self::Settle { answer, .. } => drop(answer.send(Err(error.clone()))),
        }
    }
}
