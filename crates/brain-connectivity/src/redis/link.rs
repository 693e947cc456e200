//! Keeps a client connected for ever, and knows whether it is.
//!
//! The driver reconnects by itself after most failures; the few that end its task are caught here and started over.
//! What it says about its connection is not taken on trust for long: a heartbeat puts it right.

use std::sync::Arc;
use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error as DriverError, ErrorKind};
use fred::interfaces::{ClientLike, EventInterface};
use fred::types::ClientState;
use fred::types::config::Server;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::retry::Backoff;

/// How often a server that answers is asked whether it still does, and one that does not whether it does again.
const HEARTBEAT_UP: Duration = Duration::from_secs(5);
const HEARTBEAT_DOWN: Duration = Duration::from_millis(500);

/// How long the last words to the server may take when a client is closed.
const QUIT_TIMEOUT: Duration = Duration::from_millis(500);

/// Whether a client is connected.
#[derive(Debug, Clone)]
pub(super) enum Link {
    /// It has not been connected yet, and has not failed yet.
    Connecting,
    /// It is connected.
    Up,
    /// It is not connected, for this reason.
    Down(Error),
}

/// Drives a client until `stop`, or until its owner quits it, and keeps `link` up to date.
///
/// A client with a `heartbeat` must not be used for reads that block.
pub(super) async fn supervise(
    client: Client,
    label: &'static str,
    heartbeat: bool,
    stop: CancellationToken,
    link: Arc<watch::Sender<Link>>,
) {
    let mut delays = Backoff::default().delays();
    let mut watching = JoinSet::new();
    // Subscribed before the first attempt, so that its outcome is not missed.
    watching.spawn(watch_events(
        client.error_rx(),
        client.reconnect_rx(),
        label,
        Arc::clone(&link),
    ));
    if heartbeat {
        watching.spawn(beat(client.clone(), label, link));
    }
    loop {
        let mut task = client.connect();
        let result = tokio::select! {
            result = &mut task => result,
            () = stop.cancelled() => {
                let _gone = tokio::time::timeout(QUIT_TIMEOUT, client.quit()).await;
                // A server that is away gets no last words, and is not waited for.
                task.abort();
                break;
            }
        };
        // The driver leaves this state behind only when it was told to quit.
        let quit = matches!(client.state(), ClientState::Disconnected | ClientState::Disconnecting);
        match result {
            Ok(Ok(())) if quit => break,
            Ok(Err(error)) if quit && error.is_canceled() => break,
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(redis.client = label, %error, "redis client ended, starting it again");
            }
            Err(error) => {
                tracing::warn!(redis.client = label, %error, "redis client failed, starting it again");
            }
        }
        let delay = delays.next().unwrap_or_default();
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = stop.cancelled() => break,
        }
    }
}

/// Asks the server now and then. Without this a server that hangs while its connection stays open would go unnoticed
/// by callers that keep sending, and a connection wrongly thought lost would stay so.
async fn beat(client: Client, label: &'static str, link: Arc<watch::Sender<Link>>) {
    loop {
        let up = matches!(*link.borrow(), Link::Up);
        tokio::time::sleep(if up { HEARTBEAT_UP } else { HEARTBEAT_DOWN }).await;
        if !client.is_connected() {
            continue;
        }
        match client.ping::<String>(None).await {
            Ok(_) => restored(label, &link),
            Err(error) => {
                let hangs = *error.kind() == ErrorKind::Timeout;
                lost(label, &error, &link);
                if hangs {
                    let renewed = client.force_reconnection();
                    let _late = tokio::time::timeout(HEARTBEAT_UP, renewed).await;
                }
            }
        }
    }
}

/// Follows the driver's events, and says once that the connection is lost and once that it is back.
async fn watch_events(
    mut failures: broadcast::Receiver<(DriverError, Option<Server>)>,
    mut connections: broadcast::Receiver<Server>,
    label: &'static str,
    link: Arc<watch::Sender<Link>>,
) {
    loop {
        tokio::select! {
            // Where both wait, the connection is what came of the failure.
            biased;
            failure = failures.recv() => match failure {
                Ok((error, _)) if *error.kind() != ErrorKind::Cluster => lost(label, &error, &link),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            connection = connections.recv() => match connection {
                Ok(_) | Err(RecvError::Lagged(_)) => restored(label, &link),
                Err(RecvError::Closed) => return,
            },
        }
    }
}

fn lost(label: &'static str, error: &DriverError, link: &watch::Sender<Link>) {
    let before = link.send_replace(Link::Down(error.clone().into()));
    match before {
        Link::Up => tracing::warn!(redis.client = label, %error, "redis connection lost"),
        Link::Connecting => tracing::warn!(redis.client = label, %error, "redis cannot be reached"),
        Link::Down(_) => tracing::debug!(redis.client = label, %error, "redis is still away"),
    }
}

fn restored(label: &'static str, link: &watch::Sender<Link>) {
    match link.send_replace(Link::Up) {
        Link::Down(_) => tracing::info!(redis.client = label, "redis connection restored"),
        Link::Connecting => tracing::debug!(redis.client = label, "redis connected"),
        Link::Up => {}
    }
}
