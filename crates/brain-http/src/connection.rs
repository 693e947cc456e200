//! One connection: hyper speaks, a guard watches.
//!
//! Invariants: a connection that asks for nothing does not live for ever; one whose requests are being handled is left
//! alone until they are answered or the time to drain is over.

mod guard;
mod wire;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::http::Version;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, watch},
    time::{Interval, MissedTickBehavior, interval},
};

use self::{
    guard::{Guard, Verdict},
    wire::Wire,
};
use crate::exchange::{Answer, Exchange};

/// The largest head of an HTTP/1 request that is read at all. Larger than what admission allows, so that it is admission
/// that answers.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Requests of one HTTP/2 connection at the same time.
const MAX_STREAMS: u32 = 128;
/// Streams that an HTTP/2 peer may reset before they are handled (rapid reset).
const MAX_PENDING_RESETS: usize = 20;
/// Streams that this server may have to reset because of the peer's errors.
const MAX_LOCAL_RESETS: usize = 64;
/// How often an HTTP/2 peer is asked whether it is still there, and how long it has to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a draining connection is looked at.
const DRAIN_TICK: Duration = Duration::from_millis(100);

/// What a server is doing, as its connections must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Serving.
    Open,
    /// Finishing what is there.
    Draining,
    /// Out of time.
    Closing,
}

/// What a connection is doing, in numbers that anybody may read.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    active: AtomicU32,
    streams: AtomicU32,
    requests: AtomicU64,
    read: AtomicU64,
    read_at_end: AtomicU64,
    written: AtomicU64,
    multiplexed: AtomicBool,
    lingers: AtomicBool,
}

impl Peer {
    /// A request has arrived.
    pub(crate) fn begin(&self, version: Version) {
        self.active.fetch_add(1, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        if version == Version::HTTP_2 {
            self.multiplexed.store(true, Relaxed);
        }
    }

    /// Its answer is ready, or nobody waits for it any more.
    pub(crate) fn end(&self) {
        self.active.fetch_sub(1, Relaxed);
        self.read_at_end.store(self.read.load(Relaxed), Relaxed);
    }

    /// An answer goes on after its head.
    pub(crate) fn stream_begins(&self) {
        self.streams.fetch_add(1, Relaxed);
    }

    /// It is over.
    pub(crate) fn stream_ends(&self) {
        self.streams.fetch_sub(1, Relaxed);
    }

    /// The peer may be sending something that nobody reads: closing at once would make it lose the answer.
    pub(crate) fn lingers(&self) {
        self.lingers.store(true, Relaxed);
    }

    fn sight(&self) -> guard::Sight {
        guard::Sight {
            active: self.active.load(Relaxed),
            streams: self.streams.load(Relaxed),
            requests: self.requests.load(Relaxed),
            unread_head: !self.multiplexed.load(Relaxed) && self.read.load(Relaxed) != self.read_at_end.load(Relaxed),
            written: self.written.load(Relaxed),
        }
    }
}

/// How connections are served.
pub(crate) struct Protocol {
    builder: auto::Builder<TokioExecutor>,
    tick: Duration,
}

impl Protocol {
    /// `header_timeout`: how long the head of a request may take.
    pub(crate) fn new(header_timeout: Duration) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        // The guard does what hyper's time-out for heads would do, without a timer for each request.
        builder.http1().header_read_timeout(None).max_buf_size(MAX_HEAD_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD_BYTES as u32)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_local_error_reset_streams(MAX_LOCAL_RESETS)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        Self {
            builder,
            tick: guard::tick(header_timeout),
        }
    }

    /// Serves a connection to its end. `permit` is its place among the connections of the server.
    pub(crate) async fn serve(
        self: Arc<Self>,
        exchange: Arc<Exchange>,
        stream: TcpStream,
        mut phase: watch::Receiver<Phase>,
        permit: OwnedSemaphorePermit,
    ) {
        let peer = Arc::new(Peer::default());
        let wire = Wire::new(stream, Arc::clone(&peer), Arc::clone(&exchange));
        let service = service_fn({
            let (exchange, peer) = (Arc::clone(&exchange), Arc::clone(&peer));
            move |request| {
                let (exchange, peer) = (Arc::clone(&exchange), Arc::clone(&peer));
                async move { Answer::Ok(exchange.answer(&peer, request).await) }
            }
        });
        let mut connection = std::pin::pin!(self.builder.serve_connection(TokioIo::new(wire), service));
        let mut guard = Guard::new(self.tick);
        let mut ticks = ticks(self.tick);
        let crowded = || permit.semaphore().available_permits() == 0;
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(error = %error, "http connection ended");
                    }
                    return;
                }
                changed = phase.changed() => {
                    let now = if changed.is_ok() { *phase.borrow_and_update() } else { Phase::Closing };
                    match now {
                        Phase::Open => {}
                        Phase::Draining => {
                            connection.as_mut().graceful_shutdown();
                            guard.drain();
                            ticks = self::ticks(DRAIN_TICK);
                        }
                        Phase::Closing => return exchange.app().metrics.cut("drain"),
                    }
                }
                _ = ticks.tick() => match guard.look(peer.sight(), crowded()) {
                    Verdict::Keep => {}
                    Verdict::Finish => {
                        exchange.app().metrics.cut("idle");
                        connection.as_mut().graceful_shutdown();
                    }
                    Verdict::Cut(reason) => {
                        if let Some(reason) = reason {
                            exchange.app().metrics.cut(reason);
                        }
                        return;
                    }
                }
            }
        }
    }
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    ticks
}
