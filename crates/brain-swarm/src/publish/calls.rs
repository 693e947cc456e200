//! What callers hand to the service, and how they are answered.

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};

use super::Error;
use crate::{
    event::Event,
    ids::{SwarmId, TenantId},
    ingest::{ClaimInput, ClaimOutcome, Outcome, Terms, View},
    metric_names::{self, Waiting},
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
    /// Which of them begin a trace; those that are not in it do not.
    pub(super) roots: Vec<bool>,
    pub(super) terms: Terms,
    pub(super) fresh: bool,
    /// All of them are stored, or none.
    pub(super) together: bool,
    pub(super) answer: oneshot::Sender<Result<Vec<Answer>, Error>>,
}

pub(super) struct ClaimCall {
    pub(super) input: ClaimInput,
    pub(super) wait_until: Instant,
    /// Counted as one that waits, from when it first found nothing.
    pub(super) waiting: Option<Waiting>,
    pub(super) answer: oneshot::Sender<Result<ClaimOutcome, Error>>,
}

/// Answers a claim and counts it; gives back what nobody is there for any more.
pub(super) fn answer_claim(
    answer: oneshot::Sender<Result<ClaimOutcome, Error>>,
    outcome: ClaimOutcome,
) -> Option<ClaimOutcome> {
    let handed_out = outcome.tasks.len() as u64;
    let [tasks, nothing, refused, draining] = metric_names::CLAIM_OUTCOMES;
    let word = match &outcome {
        _ if handed_out > 0 => tasks,
        ClaimOutcome { refusal: Some(_), .. } => refused,
        ClaimOutcome { draining: true, .. } => draining,
        _ => nothing,
    };
    match answer.send(Ok(outcome)) {
        Ok(()) => {
            metrics::counter!(metric_names::CLAIMS, "outcome" => word).increment(1);
            if handed_out > 0 {
                metrics::counter!(metric_names::CLAIMED_TASKS).increment(handed_out);
            }
            None
        }
        Err(outcome) => outcome.ok(),
    }
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
