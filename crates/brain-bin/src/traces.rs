//! The export of traces: finished spans wait in a bounded queue and go to a collector in batches.
//!
//! Invariants: telling a span never waits; a collector that is away costs spans, never work; that it is away is said once, and
//! once that it is back; the end of the process waits for the last batch for a limited time.

mod otlp;

use std::time::Duration;

use brain_config::Telemetry;
use brain_connectivity::{
    metric::{Kind, Metric},
    retry::Backoff,
};
use brain_swarm::trace::{Span, Tracer};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::otlp::{Collector, Refusal};

/// Spans that wait, at most; one more is dropped. About a kilobyte each.
const QUEUE: usize = 8_192;
/// Spans of one request to the collector, at most.
const BATCH: usize = 512;
/// How long a span waits for others to join its batch.
const LINGER: Duration = Duration::from_secs(1);
/// How long the end of the process waits for the collector, in all.
const LAST_PATIENCE: Duration = Duration::from_secs(3);

/// Pauses between attempts to reach a collector that is away.
const PAUSES: Backoff = Backoff {
    initial: Duration::from_millis(500),
    max: Duration::from_secs(30),
    factor: 2.0,
    jitter: 0.25,
};

/// Spans that the collector took.
const EXPORTED: &str = "studio_brain_trace_spans_exported_total";
/// Spans that were lost.
const DROPPED: &str = "studio_brain_trace_spans_dropped_total";

/// Why a span was lost, as a label.
const QUEUE_FULL: &str = "queue_full";
const REFUSED: &str = "refused";
const ENDED: &str = "ended";

/// The metrics of this export.
pub(crate) const METRICS: &[Metric] = &[
    Metric::new(
        Kind::Counter,
        (EXPORTED, "spans"),
        &[],
        "Spans that the collector of traces took.",
    ),
    Metric::new(
        Kind::Counter,
        (DROPPED, "spans"),
        &["reason"],
        "Spans that were lost: `queue_full` when too many waited, `refused` by the collector, `ended` with the process.",
    ),
];

/// Begins the counters at zero, so that their first step is seen to be one.
pub(crate) fn begin() {
    metrics::counter!(EXPORTED).increment(0);
    for reason in [QUEUE_FULL, REFUSED, ENDED] {
        metrics::counter!(DROPPED, "reason" => reason).increment(0);
    }
}

/// Sends spans to the collector.
pub(crate) struct Service {
    spans: mpsc::Receiver<Span>,
    collector: Collector,
    /// Whether the last batch was not taken, which has been said.
    failing: bool,
}

/// The tracer of this process, and what exports its spans; a tracer that is off where the settings want no export.
///
/// # Errors
/// The HTTP client cannot be made.
pub(crate) fn open(settings: &Telemetry, replica_id: &str) -> anyhow::Result<(Tracer, Option<Service>)> {
    let Some(endpoint) = settings.endpoint.as_ref().filter(|_| settings.enabled) else {
        return Ok((Tracer::default(), None));
    };
    let (sender, spans) = mpsc::channel(QUEUE);
    let full = metrics::counter!(DROPPED, "reason" => QUEUE_FULL);
    let tracer = Tracer::new(settings.sample_ratio, move |span| {
        if let Err(TrySendError::Full(_)) = sender.try_send(span) {
            full.increment(1);
        }
    });
    let service = Service {
        spans,
        collector: Collector::new(endpoint, &settings.service_name, replica_id)?,
        failing: false,
    };
    Ok((tracer, Some(service)))
}

impl Service {
    /// Runs until `stop`; then sends what waits, as far as the time allows.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut pauses = PAUSES.delays();
        while !stop.is_cancelled() {
            if batch.is_empty() {
                self.gather(&mut batch, &stop).await;
            }
            if batch.is_empty() {
                continue;
            }
            // A request that takes long must not hold up the end.
            let sent = tokio::select! {
                sent = self.collector.send(&batch) => sent,
                () = stop.cancelled() => break,
            };
            if self.settled(&mut batch, sent) {
                pauses = PAUSES.delays();
            } else {
                tokio::select! {
                    () = tokio::time::sleep(pauses.next().unwrap_or(PAUSES.max)) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
        let until = Instant::now() + LAST_PATIENCE;
        if tokio::time::timeout_at(until, self.flush(&mut batch)).await.is_err() {
            tracing::warn!("the last traces were not exported in time");
        }
        lost(ENDED, batch.len() + self.spans.len());
    }

    /// Waits for a span, and a little for others.
    async fn gather(&mut self, batch: &mut Vec<Span>, stop: &CancellationToken) {
        let first = tokio::select! {
            first = self.spans.recv() => first,
            () = stop.cancelled() => return,
        };
        let Some(first) = first else {
            // Nobody is left who could tell any.
            return stop.cancelled().await;
        };
        batch.push(first);
        let full = async {
            while batch.len() < BATCH {
                let room = BATCH - batch.len();
                if self.spans.recv_many(batch, room).await == 0 {
                    break;
                }
            }
        };
        tokio::select! {
            () = full => {}
            () = tokio::time::sleep(LINGER) => {}
            () = stop.cancelled() => {}
        }
    }

    /// Sends everything that waits; gives up when the collector does not take it.
    async fn flush(&mut self, batch: &mut Vec<Span>) {
        loop {
            while batch.len() < BATCH
                && let Ok(span) = self.spans.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            let sent = self.collector.send(batch).await;
            if !self.settled(batch, sent) {
                return;
            }
        }
    }

    /// Notes what became of a batch, and empties it; false when it is to be sent again.
    fn settled(&mut self, batch: &mut Vec<Span>, sent: Result<(), Refusal>) -> bool {
        let problem = match sent {
            Ok(()) => {
                metrics::counter!(EXPORTED).increment(batch.len() as u64);
                batch.clear();
                if std::mem::take(&mut self.failing) {
                    tracing::info!("traces are exported again");
                }
                return true;
            }
            Err(problem) => problem,
        };
        if !self.failing {
            self.failing = true;
            tracing::warn!(
                error = %problem,
                collector.url = self.collector.url(),
                "traces cannot be exported, and spans are dropped when too many wait: see that the collector runs and takes OTLP \
                 over HTTP, and that STUDIO_BRAIN_OTEL_ENDPOINT leads to it"
            );
        }
        match problem {
            Refusal::Later(_) => false,
            Refusal::Some { rejected, .. } => {
                let rejected = rejected.min(batch.len());
                metrics::counter!(EXPORTED).increment((batch.len() - rejected) as u64);
                lost(REFUSED, rejected);
                batch.clear();
                true
            }
            Refusal::All(_) => {
                lost(REFUSED, batch.len());
                batch.clear();
                true
            }
        }
    }
}

fn lost(reason: &'static str, spans: usize) {
    if spans > 0 {
        metrics::counter!(DROPPED, "reason" => reason).increment(spans as u64);
    }
}
