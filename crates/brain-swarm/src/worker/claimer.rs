//! Takes tasks while there are free slots, and starts them.
//!
//! Invariants: no more tasks are held than there are slots; a claim on its way is always waited for, since the brain may
//! have given out tasks already; what comes after the worker was told to stop is given back unstarted.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::link::Link;
use super::report::{Ending, Report};
use super::transport::Error;
use super::wire::{Claim, ClaimedTask, Holding};
use super::{Handler, attempt, schedule};

/// Claims and starts tasks.
pub(super) struct Claimer<H> {
    pub(super) link: Arc<Link>,
    pub(super) handler: Arc<H>,
    pub(super) reports: mpsc::Sender<Report>,
    /// No new tasks.
    pub(super) stop: CancellationToken,
    /// No more work: every task's token comes from it.
    pub(super) stopping: CancellationToken,
}

impl<H: Handler> Claimer<H> {
    /// Works until `stop`, then as long as the grace allows. Dropping it drops the handlers that run.
    pub(super) async fn run(self) {
        let mut running = JoinSet::new();
        let mut delays = schedule::BACKOFF.delays();
        while let Some(free) = self.free_slots().await {
            while running.try_join_next().is_some() {}
            let asked = Instant::now();
            let failed = match self.claim(free).await {
                Ok(tasks) => {
                    delays.reset();
                    for task in tasks {
                        self.start(task, asked, &mut running).await;
                    }
                    continue;
                }
                Err(error) => error,
            };
            tracing::warn!(agent.id = %self.link.options.agent_id, error = %failed, "claim failed");
            if matches!(failed, Error::NotFound { .. })
                && let Err(error) = self.link.register().await
            {
                tracing::warn!(agent.id = %self.link.options.agent_id, error = %error, "registration failed");
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(delays.next().unwrap_or_default()) => {}
            }
        }
        let drained = async { while running.join_next().await.is_some() {} };
        let mut drained = std::pin::pin!(drained);
        if tokio::time::timeout(self.link.options.grace, &mut drained)
            .await
            .is_err()
        {
            tracing::warn!(agent.id = %self.link.options.agent_id, "the grace is over, handlers are told to stop");
            self.stopping.cancel();
            drained.await;
        }
    }

    /// Waits for a free slot; `None` when the worker is to stop.
    async fn free_slots(&self) -> Option<usize> {
        let mut changes = self.link.leases.changes();
        loop {
            changes.mark_unchanged();
            if self.stop.is_cancelled() {
                return None;
            }
            let free = schedule::claim_size(self.link.options.concurrency, self.link.leases.busy());
            if free > 0 {
                return Some(free);
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                _ = changes.changed() => {}
            }
        }
    }

    async fn claim(&self, max: usize) -> Result<Vec<ClaimedTask>, Error> {
        let options = &self.link.options;
        let claim = Claim {
            agent_id: options.agent_id.clone(),
            max,
            lease_ms: schedule::millis(options.lease),
            wait_ms: schedule::millis(schedule::claim_wait(options.wait, options.lease)),
        };
        self.link.transport.claim(&claim).await
    }

    async fn start(&self, task: ClaimedTask, asked: Instant, running: &mut JoinSet<()>) {
        let holding = Holding {
            task_id: task.task_id.clone(),
            fencing_token: task.fencing_token,
        };
        let token = self.stopping.child_token();
        let lease = self.link.leases.begin(holding, asked, task.lease(), token);
        if self.stop.is_cancelled() {
            let ending = Ending::Release(Duration::ZERO);
            // It fails when nobody reads reports, and then the lease ends by itself.
            let _ = self.reports.send(Report { lease, ending }).await;
            return;
        }
        let (link, handler) = (Arc::clone(&self.link), Arc::clone(&self.handler));
        let (stopping, reports) = (self.stopping.clone(), self.reports.clone());
        running.spawn(async move {
            if let Some(report) = attempt::run(&link, &*handler, task, lease, &stopping).await {
                let _ = reports.send(report).await;
            }
        });
    }
}
