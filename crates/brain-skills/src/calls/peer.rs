//! A running program and one conversation with it at a time.
//!
//! Invariants: writing and reading go on side by side, so that neither waits for the other; what waits to be written is bounded;
//! each answer is for the one request that is open, or it is a violation; dropping a peer kills the whole tree of processes, and
//! its place among the running ones is free only when all of them have ended.

use std::{collections::VecDeque, future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    error::{Error, Failure, Violation},
    frames::{Frames, Next},
    message::{self, Incoming, RpcError},
    stderr::Stderr,
    terms::{Held, WRITE_LIMIT},
};
use crate::launch::{Ended, Enforced, Running, Tree};

/// How many of the longest frames a program may write within one call.
const MAX_FRAMES_OF_BYTES: usize = 16;

/// How long a program may take to end when it has closed its output.
const LAST_BREATH: Duration = Duration::from_secs(1);

/// How long the end of a killed tree is waited for before the answer goes out without it.
const KILLED: Duration = Duration::from_secs(5);

/// Until when, and for whom, an answer is waited for.
pub(super) struct Until<'a> {
    pub(super) deadline: Instant,
    pub(super) cancel: &'a CancellationToken,
    /// The tree must die at once.
    pub(super) kill: &'a CancellationToken,
    /// How long an answer is still waited for after a cancellation, so that the program can go on serving.
    pub(super) grace: Duration,
    /// How this protocol says that a request is cancelled.
    pub(super) notice: fn(u64) -> Value,
}

/// Why a conversation cannot go on.
#[derive(Debug)]
pub(super) enum Stop {
    Deadline,
    Cancelled,
    Killed,
    /// The output ended.
    Closed,
    Broken(Error),
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Self::Broken(violation.into())
    }
}

/// What came of a request.
pub(super) enum Outcome {
    Answered(Result<Value, RpcError>),
    /// It was cancelled, and the program has answered all the same: it can go on serving.
    Cancelled,
}

/// What is done with a notice of the program.
pub(super) type OnNotice<'a> = &'a mut (dyn FnMut(&str, &Value) + Send);

pub(super) struct Peer {
    stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    frames: Frames,
    stderr: Stderr,
    tree: Guard,
    enforced: Arc<[Enforced]>,
    unwritten: VecDeque<u8>,
    last_id: u64,
    frame_bytes: usize,
    /// Let go when the next request is written, and until when that must be.
    held: Option<(Held, Instant)>,
}

impl Peer {
    pub(super) fn new(running: Running, frame_bytes: usize, permit: OwnedSemaphorePermit) -> Self {
        Self {
            stdin: Some(running.stdin),
            frames: Frames::new(running.stdout, frame_bytes),
            stderr: Stderr::read(running.stderr),
            tree: Guard {
                tree: running.tree,
                permit: Some(permit),
            },
            enforced: running.enforced,
            unwritten: VecDeque::new(),
            last_id: 0,
            frame_bytes,
            held: None,
        }
    }

    pub(super) fn tree(&self) -> Arc<dyn Tree> {
        Arc::clone(&self.tree.tree)
    }

    pub(super) fn enforced(&self) -> Arc<[Enforced]> {
        Arc::clone(&self.enforced)
    }

    /// The id that the next request will have.
    pub(super) fn next_id(&self) -> u64 {
        self.last_id + 1
    }

    /// Lays a notice by, to be written before the next request.
    pub(super) fn notify(&mut self, method: &str, params: &Value) {
        self.lay_by(&message::notice(method, params));
    }

    /// Holds this until the next request is written.
    pub(super) fn hold(&mut self, held: Held) {
        self.held = Some((held, Instant::now() + WRITE_LIMIT));
    }

    /// Takes in what has come while nobody asked. Whether the program can be asked: it has neither ended nor said anything but
    /// notices.
    pub(super) async fn is_quiet(&mut self, on_notice: OnNotice<'_>) -> bool {
        // Whatever has come by now is to be known of.
        tokio::task::yield_now().await;
        for _ in 0..64 {
            let mut next = pin!(self.frames.next());
            // One look: a timer of no time at all would take a millisecond from each call.
            match poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await {
                Poll::Pending => return true,
                Poll::Ready(Ok(Next::Frame { value, .. })) => match Incoming::read(value) {
                    Ok(Incoming::Notice { method, params }) => on_notice(&method, &params),
                    _ => return false,
                },
                Poll::Ready(_) => return false,
            }
        }
        false
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn request(
        &mut self,
        method: &str,
        params: &Value,
        until: &Until<'_>,
        on_notice: OnNotice<'_>,
    ) -> Result<Outcome, Stop> {
        self.last_id += 1;
        let id = self.last_id;
        self.lay_by(&message::request(id, method, params));
        // The answer cannot come before all of this is written.
        let mut unsent = self.unwritten.len();
        let mut stop_at = until.deadline;
        let mut cancelled = false;
        let mut over = false;
        let mut bytes_read = 0_usize;
        let tree = self.tree();
        let ended = tree.ended();
        tokio::pin!(ended);
        loop {
            if unsent == 0 {
                self.held = None;
            }
            let write_by = self.held.as_ref().map(|(_, by)| *by);
            let piece = self.unwritten.as_slices().0;
            tokio::select! {
                biased;
                () = until.kill.cancelled() => return Err(Stop::Killed),
                // Whoever closes the gate waits no longer; half a frame is none.
                () = sleep_until(write_by.unwrap_or(stop_at)), if write_by.is_some() => return Err(Stop::Deadline),
                () = sleep_until(stop_at) => return Err(match (over, cancelled) {
                    (true, _) => Stop::Closed,
                    (false, true) => Stop::Cancelled,
                    (false, false) => Stop::Deadline,
                }),
                () = until.cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    stop_at = stop_at.min(Instant::now() + until.grace);
                    self.lay_by(&(until.notice)(id));
                }
                _ = &mut ended, if !over => {
                    // What it wrote before is still to be read.
                    over = true;
                    stop_at = stop_at.min(Instant::now() + LAST_BREATH);
                }
                written = write(&mut self.stdin, piece), if self.stdin.is_some() && !self.unwritten.is_empty() => {
                    // Who closes the input may still answer what was sent before.
                    let Ok(count @ 1..) = written else {
                        self.stdin = None;
                        continue;
                    };
                    self.unwritten.drain(..count);
                    unsent = unsent.saturating_sub(count);
                }
                next = self.frames.next() => {
                    let Next::Frame { value, bytes } = next? else {
                        return Err(Stop::Closed);
                    };
                    bytes_read = bytes_read.saturating_add(bytes);
                    if bytes_read > self.frame_bytes.saturating_mul(MAX_FRAMES_OF_BYTES) {
                        return Err(Violation::Flood.into());
                    }
                    match Incoming::read(value)? {
                        Incoming::Answer { id: other, .. } if other == 0 || other > id => {
                            return Err(Violation::UnknownId(other.to_string()).into());
                        }
                        Incoming::Answer { id: other, .. } if other < id => return Err(Violation::LateId(other).into()),
                        Incoming::Answer { .. } if unsent > 0 => return Err(Violation::Early.into()),
                        Incoming::Answer { .. } if cancelled => return Ok(Outcome::Cancelled),
                        Incoming::Answer { outcome, .. } => return Ok(Outcome::Answered(outcome)),
                        Incoming::Notice { method, params } => on_notice(&method, &params),
                        Incoming::Request { id, method } => self.answer(&id, &method)?,
                    }
                }
            }
        }
    }

    /// Kills what still runs, and says why there is no answer. That the program hit a limit counts for more than how that showed.
    pub(super) async fn fail(self, stop: Stop) -> Failure {
        let Self {
            stdin,
            stderr,
            tree,
            held,
            ..
        } = self;
        let patience = match stop {
            Stop::Closed => LAST_BREATH,
            Stop::Broken(Error::Protocol(Violation::Truncated)) => LAST_BREATH,
            _ => Duration::ZERO,
        };
        let (natural, last) = tree.end(patience).await;
        drop(stdin);
        // Not before the program is dead: it cannot read the rest any more.
        drop(held);
        let error = match (last, stop) {
            (Some(Ended::Limit(limit)), _) => Error::Limit(limit),
            (Some(Ended::Forbidden), _) => Error::Forbidden,
            (_, Stop::Deadline) => Error::Deadline,
            (_, Stop::Cancelled | Stop::Killed) => Error::Cancelled,
            (_, Stop::Closed) => match natural {
                Some(ended) => Error::Ended(ended),
                None => Violation::Closed.into(),
            },
            (_, Stop::Broken(error)) => error,
        };
        Failure::new(error, stderr.into_text().await)
    }

    /// Nobody offers anything to programs but the sign of life that one of the protocols has.
    fn answer(&mut self, id: &Value, method: &str) -> Result<(), Violation> {
        let answer = match method {
            "ping" => serde_json::json!({"jsonrpc": "2.0", "id": id, "result": {}}),
            _ => message::not_offered(id),
        };
        if self.unwritten.len() > self.frame_bytes.saturating_mul(2) {
            return Err(Violation::Deaf);
        }
        self.lay_by(&answer);
        Ok(())
    }

    fn lay_by(&mut self, message: &Value) {
        self.unwritten.extend(message.to_string().as_bytes());
        self.unwritten.push_back(b'\n');
    }
}

async fn write(stdin: &mut Option<Box<dyn AsyncWrite + Send + Unpin>>, piece: &[u8]) -> std::io::Result<usize> {
    let Some(stdin) = stdin else {
        return std::future::pending().await;
    };
    stdin.write(piece).await
}

/// Kills a tree when it is dropped, and keeps its place until all of it has ended.
struct Guard {
    tree: Arc<dyn Tree>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Guard {
    /// How it ended by itself, where it did in time, and how it ended at last.
    async fn end(mut self, patience: Duration) -> (Option<Ended>, Option<Ended>) {
        if let Ok(ended) = timeout(patience, self.tree.ended()).await {
            self.permit = None;
            return (Some(ended), Some(ended));
        }
        self.tree.kill();
        let last = timeout(KILLED, self.tree.ended()).await.ok();
        if last.is_some() {
            self.permit = None;
        }
        (None, last)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.tree.kill();
        let Some(permit) = self.permit.take() else { return };
        // Without a runtime the brain itself is at its end, and nothing is started any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let tree = Arc::clone(&self.tree);
            runtime.spawn(async move {
                tree.ended().await;
                drop(permit);
            });
        }
    }
}
