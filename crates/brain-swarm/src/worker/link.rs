//! What all parts of a worker share: who it is, the way to the brain, and the leases.

use std::sync::Arc;

use super::leases::Leases;
use super::transport::{Error, Transport};
use super::wire::{Assignment, Registration};
use super::{Options, schedule};

/// One worker's side of its conversation with the brain.
pub(super) struct Link {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) options: Options,
    pub(super) leases: Arc<Leases>,
}

impl Link {
    pub(super) fn new(transport: Arc<dyn Transport>, options: Options) -> Self {
        Self {
            transport,
            options,
            leases: Arc::new(Leases::new()),
        }
    }

    /// Joins the swarm, once.
    pub(super) async fn register(&self) -> Result<(), Error> {
        let options = &self.options;
        let registration = Registration {
            agent_id: options.agent_id.clone(),
            run_id: options.run_id.clone(),
            role: options.role.clone(),
            capabilities: options.capabilities.clone(),
            capacity: Some(options.concurrency.get()),
            assignment: Assignment::Pull,
        };
        self.transport.register(&registration).await
    }

    /// Joins the swarm, as often as it takes while the brain is away.
    ///
    /// # Errors
    /// When the brain refuses.
    pub(super) async fn join(&self) -> Result<(), Error> {
        let mut delays = schedule::BACKOFF.delays();
        loop {
            match self.register().await {
                Err(error) if error.retryable() => {
                    tracing::warn!(agent.id = %self.options.agent_id, error = %error, "registration is tried again");
                    tokio::time::sleep(delays.next().unwrap_or_default()).await;
                }
                done => return done,
            }
        }
    }
}
