//! What the orchestrator knows of itself, for the health check and the status page.
//!
//! Invariant: a consumer's `beat` moves only when its loop does, so a loop that died or hangs is seen.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;

use super::gauges::Gauges;
use crate::ids::{EntryId, FencingToken, StreamName};

/// How a partition's consumer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ConsumerState {
    /// It is preparing.
    Starting,
    /// It reads and stores.
    Running,
    /// It tries again what failed.
    Failing,
    /// It ended and is started again.
    Dead,
}

#[derive(Debug, Clone)]
pub(crate) struct Consumer {
    pub(crate) state: ConsumerState,
    pub(crate) token: FencingToken,
    pub(crate) read_beat: Instant,
    /// When Redis last answered its reader.
    pub(crate) heard: Instant,
    pub(crate) apply_beat: Instant,
    pub(crate) problem: Option<String>,
    pub(crate) cursor: Option<EntryId>,
    pub(crate) stored: u64,
}

/// A partition that this replica consumes, for people.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Partition")]
#[serde(rename_all = "camelCase")]
pub struct PartitionSnapshot {
    /// The stream.
    pub stream: String,
    /// How its consumer is doing.
    pub state: ConsumerState,
    /// What is wrong, if something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Milliseconds since its loops last moved.
    pub idle_ms: u64,
    /// The newest entry below which everything is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Events stored from it by this process.
    pub stored: u64,
    /// The fencing token of the lease.
    pub fencing_token: i64,
}

/// What the orchestrator does at the moment.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Orchestrator")]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Which replica this is.
    pub replica_id: String,
    /// Whether the leases could be looked after at the last try.
    pub leases_ok: bool,
    /// The partitions that it consumes.
    pub partitions: Vec<PartitionSnapshot>,
}

/// A view of a running orchestrator. Clones look at the same one.
#[derive(Debug, Clone)]
pub struct Handle {
    replica_id: Arc<str>,
    inner: Arc<Mutex<Inner>>,
    gauges: Option<Arc<Gauges>>,
}

#[derive(Debug)]
struct Inner {
    consumers: BTreeMap<StreamName, Consumer>,
    leases_problem: Option<String>,
    leases_beat: Instant,
    /// When a consumer was last closed, and for how long Redis had been silent then.
    silence: Option<(Instant, Duration)>,
    ended: bool,
}

/// A stream that is taken again so soon after one was lost has the same silence.
const SAME_SILENCE: Duration = Duration::from_secs(5);

impl Handle {
    pub(crate) fn new(replica_id: &str) -> Self {
        let inner = Inner {
            consumers: BTreeMap::new(),
            leases_problem: None,
            leases_beat: Instant::now(),
            silence: None,
            ended: false,
        };
        Self {
            replica_id: replica_id.into(),
            inner: Arc::new(Mutex::new(inner)),
            gauges: None,
        }
    }

    /// The same view, which can also read what the servers know.
    pub(super) fn with_gauges(mut self, gauges: Gauges) -> Self {
        self.gauges = Some(Arc::new(gauges));
        self
    }

    /// Sets the gauges of the bus and the outbox, for whoever reads the metrics next.
    pub async fn measure(&self) {
        if let Some(gauges) = &self.gauges {
            gauges.read(self.streams()).await;
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn opened(&self, stream: &StreamName, token: FencingToken) {
        let now = Instant::now();
        let silence = self.with(|inner| inner.silence.filter(|(at, _)| at.elapsed() < SAME_SILENCE));
        let heard = silence.and_then(|(_, silence)| now.checked_sub(silence)).unwrap_or(now);
        let consumer = Consumer {
            state: ConsumerState::Starting,
            token,
            read_beat: now,
            heard,
            apply_beat: now,
            problem: None,
            cursor: None,
            stored: 0,
        };
        self.with(|inner| inner.consumers.insert(stream.clone(), consumer));
    }

    pub(crate) fn closed(&self, stream: &StreamName) {
        self.with(|inner| {
            if let Some(consumer) = inner.consumers.remove(stream) {
                inner.silence = Some((Instant::now(), consumer.heard.elapsed()));
            }
        });
    }

    /// Redis answers.
    pub(crate) fn heard_again(&self) {
        self.with(|inner| inner.silence = None);
    }

    pub(crate) fn edit(&self, stream: &StreamName, change: impl FnOnce(&mut Consumer)) {
        self.with(|inner| {
            if let Some(consumer) = inner.consumers.get_mut(stream) {
                change(consumer);
            }
        });
    }

    pub(crate) fn leases(&self, problem: Option<String>) {
        self.with(|inner| {
            if problem.is_none() {
                inner.leases_beat = Instant::now();
            }
            inner.leases_problem = problem;
        });
    }

    pub(crate) fn ended(&self, ended: bool) {
        self.with(|inner| inner.ended = ended);
    }

    /// The streams consumed here.
    #[must_use]
    pub(crate) fn streams(&self) -> Vec<StreamName> {
        self.with(|inner| inner.consumers.keys().cloned().collect())
    }

    /// For how long Redis has answered no consumer; `None` where nothing is consumed.
    pub(crate) fn deaf_for(&self) -> Option<Duration> {
        self.with(|inner| inner.consumers.values().map(|consumer| consumer.heard.elapsed()).min())
    }

    /// What is wrong, in words; empty when all is well.
    pub(crate) fn problems(&self, stuck_after: Duration) -> Vec<String> {
        self.with(|inner| {
            let mut problems = Vec::new();
            if inner.ended {
                problems.push("the orchestrator has ended".to_owned());
            }
            if let Some(problem) = &inner.leases_problem {
                problems.push(format!("leases: {problem}"));
            }
            if inner.leases_beat.elapsed() > stuck_after {
                problems.push(format!(
                    "leases were last renewed {} s ago",
                    inner.leases_beat.elapsed().as_secs()
                ));
            }
            for (stream, consumer) in &inner.consumers {
                if consumer.state == ConsumerState::Dead {
                    problems.push(format!("the consumer of {stream} died and is being started again"));
                } else if let Some(problem) = &consumer.problem {
                    problems.push(format!("the consumer of {stream} is failing: {problem}"));
                }
                for (part, beat) in [("reader", consumer.read_beat), ("writer", consumer.apply_beat)] {
                    if beat.elapsed() > stuck_after {
                        problems.push(format!(
                            "the {part} of {stream} has been stuck for {} s",
                            beat.elapsed().as_secs()
                        ));
                    }
                }
            }
            problems
        })
    }

    /// What the orchestrator does at the moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.with(|inner| Snapshot {
            replica_id: self.replica_id.to_string(),
            leases_ok: inner.leases_problem.is_none(),
            partitions: inner
                .consumers
                .iter()
                .map(|(stream, consumer)| PartitionSnapshot {
                    stream: stream.to_string(),
                    state: consumer.state,
                    problem: consumer.problem.clone(),
                    idle_ms: u64::try_from(consumer.apply_beat.max(consumer.read_beat).elapsed().as_millis())
                        .unwrap_or(u64::MAX),
                    cursor: consumer.cursor.map(|cursor| cursor.to_string()),
                    stored: consumer.stored,
                    fencing_token: consumer.token.0,
                })
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// A replica cut from Redis lost its leases, took them again, and its patience began anew.
    #[test]
    fn a_silence_goes_on_when_streams_are_taken_again() {
        let handle = Handle::new("one");
        let stream = StreamName::trusted("s");
        assert_eq!(handle.deaf_for(), None);
        handle.opened(&stream, FencingToken(1));
        handle.edit(&stream, |consumer| {
            consumer.heard = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        });
        handle.closed(&stream);
        assert_eq!(handle.deaf_for(), None);
        handle.opened(&stream, FencingToken(2));
        assert!(handle.deaf_for().unwrap() >= Duration::from_secs(2));
        handle.closed(&stream);
        handle.heard_again();
        handle.opened(&stream, FencingToken(3));
        assert!(handle.deaf_for().unwrap() < Duration::from_secs(1));
    }
}
