//! The terms of a call: how long, who may cancel it, who listens, and what has the last look before it leaves.
//!
//! Invariant: with a gate, not a byte of a call is written before the gate opened, and what the gate holds is let go as soon as the last
//! one is; where that takes too long, the program is killed.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::events::Sink;

/// How long the bytes of a call that passed a gate may take to be written.
pub(super) const WRITE_LIMIT: Duration = Duration::from_secs(1);

/// What is held while a call leaves; dropping it lets others close the gate.
pub type Held = Box<dyn Send>;

/// The last look before a call leaves.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Lets the call pass, or says why not. Asked when a program is ready for it.
    async fn pass(&self) -> Result<Held, String>;
}

/// The terms of a call.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// When it must be done.
    pub deadline: Instant,
    /// Whoever no longer wants an answer cancels this.
    pub cancel: &'a CancellationToken,
    /// Gets what the program tells meanwhile.
    pub events: &'a Sink,
    pub(crate) gate: Option<&'a dyn Gate>,
}

impl<'a> Terms<'a> {
    /// Terms without a gate.
    #[must_use]
    pub fn new(deadline: Instant, cancel: &'a CancellationToken, events: &'a Sink) -> Self {
        Self {
            deadline,
            cancel,
            events,
            gate: None,
        }
    }

    /// The same, where the call must pass this.
    #[must_use]
    pub fn through(self, gate: &'a dyn Gate) -> Self {
        Self {
            gate: Some(gate),
            ..self
        }
    }
}
