//! Keeps leases alive as long as they can be, and ends those that cannot.
//!
//! Invariant: a heartbeat that hangs or fails never delays the end of a lease: the two are separate loops.

use std::time::Duration;

use tokio::time::Instant;

use super::link::Link;
use super::schedule;
use super::transport::Error;
use super::wire::Pulse;

/// Ends every lease that runs out by the local clock. Returns never.
pub(super) async fn end_leases(link: &Link) {
    let mut changes = link.leases.changes();
    loop {
        changes.mark_unchanged();
        for holding in link.leases.expire(Instant::now()) {
            tracing::warn!(task.id = %holding.task_id, "lease ran out");
        }
        let end = link.leases.next_end();
        tokio::select! {
            _ = changes.changed() => {}
            () = until(end) => {}
        }
    }
}

/// Sends heartbeats. Returns never.
pub(super) async fn beat(link: &Link) {
    let quiet = link.options.heartbeat;
    let mut changes = link.leases.changes();
    let mut heard = Instant::now();
    let mut delays = schedule::BACKOFF.delays();
    loop {
        changes.mark_unchanged();
        let due = link.leases.heartbeat_due(heard, quiet);
        tokio::select! {
            _ = changes.changed() => continue,
            () = tokio::time::sleep_until(due) => {}
        }
        let asked = Instant::now();
        let patience = schedule::heartbeat_patience(link.leases.shortest(), quiet);
        match once(link, patience).await {
            Ok(pulse) => {
                heard = asked;
                delays.reset();
                apply(link, &pulse, asked);
            }
            Err(error) => {
                tracing::warn!(agent.id = %link.options.agent_id, error = %error, "heartbeat failed");
                if matches!(error, Error::NotFound { .. })
                    && let Err(error) = link.register().await
                {
                    tracing::warn!(agent.id = %link.options.agent_id, error = %error, "registration failed");
                }
                tokio::time::sleep(delays.next().unwrap_or_default().min(patience)).await;
            }
        }
    }
}

async fn once(link: &Link, patience: Duration) -> Result<Pulse, Error> {
    let holdings = link.leases.holdings();
    let call = link.transport.heartbeat(&link.options.agent_id, &holdings);
    let late = |_| Error::Unavailable {
        reason: "a heartbeat was not answered in time".to_owned(),
        untouched: false,
    };
    tokio::time::timeout(patience, call).await.map_err(late)?
}

fn apply(link: &Link, pulse: &Pulse, asked: Instant) {
    for renewed in &pulse.held {
        link.leases.renew(&renewed.holding, asked);
    }
    for lost in &pulse.lost {
        if link.leases.lose_if_working(&lost.holding) {
            tracing::warn!(task.id = %lost.holding.task_id, reason = %lost.reason, "lease is lost");
        }
    }
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}
