//! The gauges of the bus and the outbox, read when somebody asks for metrics.
//!
//! Invariants: nobody is asked while nobody wants to know, and not more often than every few seconds; a scrape waits for a
//! short time only; what cannot be read is `NaN`, never a number from before.

use std::{
    collections::BTreeSet,
    fmt,
    time::{Duration, Instant},
};

use brain_connectivity::{
    postgres::{self, Postgres},
    redis::{self, Redis},
};
use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::{
    bus::reader::{Backlog, Reader},
    ids::StreamName,
    metric_names::{BUS_LAG, BUS_LAG_SECONDS, OUTBOX_AGE, OUTBOX_ROWS, STREAMS_HELD, STREAMS_ORPHANED},
};

/// For so long what was read is good enough.
const FRESH: Duration = Duration::from_secs(3);
/// How long a scrape waits for either server.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads what only the servers know.
pub(super) struct Gauges {
    postgres: Postgres,
    redis: Redis,
    bus: brain_config::Bus,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    read: Option<Instant>,
    /// The streams that have a series.
    streams: BTreeSet<StreamName>,
}

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gauges").finish_non_exhaustive()
    }
}

impl Gauges {
    pub(super) fn new(postgres: Postgres, redis: Redis, bus: brain_config::Bus) -> Self {
        Self {
            postgres,
            redis,
            bus,
            last: Mutex::default(),
        }
    }

    /// Reads them, unless somebody just did. `held`: the streams consumed here.
    pub(super) async fn read(&self, held: Vec<StreamName>) {
        let mut last = self.last.lock().await;
        if last.read.is_some_and(|at| at.elapsed() < FRESH) {
            return;
        }
        set(STREAMS_HELD, held.len());
        let (database, lags) = tokio::join!(
            tokio::time::timeout(PATIENCE, self.database()),
            futures_util::future::join_all(held.iter().map(|stream| self.backlog(stream))),
        );
        let (rows, age, orphans) = match database {
            Ok(Ok((rows, age, orphans))) => (whole(rows), age.unwrap_or_default().max(0.0), whole(orphans)),
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "the outbox could not be measured");
                (f64::NAN, f64::NAN, f64::NAN)
            }
            Err(_) => (f64::NAN, f64::NAN, f64::NAN),
        };
        metrics::gauge!(OUTBOX_ROWS).set(rows);
        metrics::gauge!(OUTBOX_AGE).set(age);
        metrics::gauge!(STREAMS_ORPHANED).set(orphans);
        for (stream, backlog) in held.iter().zip(lags) {
            let (entries, seconds) = backlog.map_or((f64::NAN, f64::NAN), |backlog| of(&backlog));
            show(stream, entries, seconds);
        }
        let held: BTreeSet<StreamName> = held.into_iter().collect();
        for stream in last.streams.difference(&held) {
            show(stream, 0.0, 0.0);
        }
        last.streams.extend(held);
        last.read = Some(Instant::now());
    }

    async fn database(&self) -> Result<(i64, Option<f64>, i64), postgres::Error> {
        let client = self.postgres.client().await?;
        let select = client
            .prepare_cached(include_str!("../sql/select_bus_gauges.sql"))
            .await?;
        let row = client.query_one(&select, &[&self.bus.stream_name]).await?;
        Ok((row.get(0), row.get(1), row.get(2)))
    }

    async fn backlog(&self, stream: &StreamName) -> Option<Backlog> {
        let reading = Reader::backlog(&self.redis, stream, &self.bus.group);
        let read: Result<Result<Backlog, redis::Error>, _> = tokio::time::timeout(PATIENCE, reading).await;
        read.ok()?.ok()
    }
}

fn show(stream: &StreamName, entries: f64, seconds: f64) {
    metrics::gauge!(BUS_LAG, "stream" => stream.to_string()).set(entries);
    metrics::gauge!(BUS_LAG_SECONDS, "stream" => stream.to_string()).set(seconds);
}

/// How far a stream is behind: entries, and the age of the oldest. The id of an entry begins with the time of the server.
fn of(backlog: &Backlog) -> (f64, f64) {
    let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
    let age = backlog.oldest.map_or(0, |oldest| now.saturating_sub(oldest.ms));
    let seconds = Duration::from_millis(age).as_secs_f64();
    (whole(i64::try_from(backlog.entries).unwrap_or(i64::MAX)), seconds)
}

#[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn whole(count: i64) -> f64 {
    count as f64
}

fn set(name: &'static str, count: usize) {
    metrics::gauge!(name).set(whole(i64::try_from(count).unwrap_or(i64::MAX)));
}
