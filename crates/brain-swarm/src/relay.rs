//! The relay: what the outbox holds goes on the stream, in the order in which it was committed.
//!
//! Invariants: only the holder of a stream's lease relays to it; an outbox row is deleted after its entries are on the
//! stream, so a crash relays twice, never not at all; the events of a swarm are relayed in the order of `seq`.

mod spans;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use brain_connectivity::{
    postgres::{self, Postgres},
    redis::{self, Redis},
    retry::Backoff,
};
use fred::{interfaces::StreamsInterface as _, types::Value};
use tokio::sync::Notify;
use tokio_postgres::Row;
use tokio_util::sync::CancellationToken;

use crate::{
    bells::Bells,
    bus::entry::{self, RelayMark},
    event::{Context, Event},
    ids::{ActorId, EventId, RunId, StreamName, SwarmId, TenantId},
    ingest::RelayBatch,
    trace::Tracer,
};

/// Outbox rows that one round takes.
const ROWS: i64 = 64;
/// Entries that one pipeline carries.
const PIPELINE: usize = 512;
/// Events kept in memory for the relay; what comes above is read from the database instead.
const KEPT_EVENTS: usize = 8_192;
/// Marks of relayed entries that have not come back on the stream yet; above it the database is asked instead.
const KEPT_MARKS: usize = 262_144;

/// Committed events on their way to the relay, the bells of this process, and where its spans are told. Clones share it.
#[derive(Clone, Default)]
pub struct RelayQueue {
    inner: Arc<Mutex<Queue>>,
    pub(crate) bells: Bells,
    pub(crate) tracer: Tracer,
}

#[derive(Default)]
struct Queue {
    batches: BTreeMap<i64, RelayBatch>,
    events: usize,
    bells: HashMap<StreamName, Arc<Notify>>,
}

impl RelayQueue {
    /// A queue for a process that tells what it does to this tracer.
    #[must_use]
    pub fn traced(tracer: Tracer) -> Self {
        Self {
            tracer,
            ..Self::default()
        }
    }

    /// Keeps committed events for the relays that run here, and rings for all, wherever they run.
    pub(crate) fn add(&self, batches: Vec<RelayBatch>) {
        let mut elsewhere = Vec::new();
        let mut queue = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for batch in batches {
            match queue.bells.get(&batch.stream) {
                Some(bell) => bell.notify_one(),
                None => {
                    elsewhere.push(batch.stream);
                    continue;
                }
            }
            if queue.events + batch.entries.len() <= KEPT_EVENTS {
                queue.events += batch.entries.len();
                queue.batches.insert(batch.outbox_id, batch);
            }
        }
        drop(queue);
        self.bells.outbox_elsewhere(&elsewhere);
    }

    /// Rings for the relay of one stream, or of all.
    pub(crate) fn ring(&self, stream: Option<&str>) {
        let queue = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, bell) in &queue.bells {
            if stream.is_none_or(|wanted| wanted == name.as_str()) {
                bell.notify_one();
            }
        }
    }

    fn bell(&self, stream: &StreamName) -> Arc<Notify> {
        let mut queue = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(queue.bells.entry(stream.clone()).or_default())
    }

    fn forget(&self, stream: &StreamName) {
        let mut queue = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        queue.bells.remove(stream);
        if queue.bells.is_empty() {
            queue.batches.clear();
            queue.events = 0;
        }
    }

    fn take(&self, outbox_id: i64) -> Option<RelayBatch> {
        let mut queue = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = queue.batches.remove(&outbox_id)?;
        queue.events -= batch.entries.len();
        // Rows are taken in order: what is older was relayed elsewhere and will not be asked for.
        while let Some(entry) = queue
            .batches
            .first_entry()
            .filter(|entry| *entry.key() + 10_000 < outbox_id)
        {
            let old = entry.remove();
            queue.events -= old.entries.len();
        }
        Some(batch)
    }
}

/// What the relay of a stream has put on it and its consumer has not seen yet: a keyed hash of each mark, whose key nobody
/// outside knows, so that none can be made up.
#[derive(Clone, Default)]
pub(crate) struct Marks {
    hasher: RandomState,
    inner: Arc<Mutex<HashSet<u64>>>,
}

impl Marks {
    fn add(&self, mark: &RelayMark) {
        let hash = self.hasher.hash_one(mark);
        let mut marks = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if marks.len() < KEPT_MARKS {
            marks.insert(hash);
        }
    }

    /// Whether the relay of this process wrote that entry. Each mark is recognised once.
    pub(crate) fn recognise(&self, mark: &RelayMark) -> bool {
        let hash = self.hasher.hash_one(mark);
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash)
    }
}

/// Why a round of the relay failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
    #[error(transparent)]
    Redis(#[from] redis::Error),
}

/// The relay of one stream.
pub(crate) struct Relay {
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
    pub(crate) stream: StreamName,
    pub(crate) queue: RelayQueue,
    pub(crate) marks: Marks,
}

impl Relay {
    /// Runs until the lease on the stream ends.
    pub(crate) async fn run(self, lease: CancellationToken) {
        let bell = self.queue.bell(&self.stream);
        // What was committed before this replica had the lease.
        bell.notify_one();
        let backoff = Backoff {
            initial: Duration::from_millis(50),
            max: Duration::from_secs(2),
            ..Backoff::default()
        };
        let mut waits = backoff.delays();
        loop {
            tokio::select! {
                () = lease.cancelled() => break,
                () = bell.notified() => {}
            }
            loop {
                let round = tokio::select! {
                    () = lease.cancelled() => break,
                    round = self.round() => round,
                };
                match round {
                    Ok(0) => break,
                    Ok(_) => waits = backoff.delays(),
                    Err(error) => {
                        let wait = waits.next().unwrap_or(backoff.max);
                        tracing::warn!(stream.name = %self.stream, error = %error, "the relay will try again");
                        tokio::select! {
                            () = lease.cancelled() => break,
                            () = tokio::time::sleep(wait) => {}
                        }
                    }
                }
            }
        }
        self.queue.forget(&self.stream);
    }

    /// Relays what the first rows of the outbox say. Returns how many rows there were.
    async fn round(&self) -> Result<usize, Error> {
        let rows = self.rows().await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let mut done: Vec<i64> = Vec::with_capacity(rows.len());
        for row in &rows {
            let outbox_id: i64 = row.get(0);
            let batch = match self.queue.take(outbox_id) {
                Some(batch) => batch,
                None => RelayBatch {
                    outbox_id,
                    stream: self.stream.clone(),
                    entries: self.read(row).await?,
                },
            };
            self.send(&batch).await?;
            done.push(outbox_id);
        }
        self.delete(&done).await?;
        Ok(rows.len())
    }

    // No connection is held while Redis is waited for.
    async fn rows(&self) -> Result<Vec<Row>, postgres::Error> {
        let client = self.postgres.client().await?;
        let select = client.prepare_cached(include_str!("sql/select_outbox.sql")).await?;
        Ok(client.query(&select, &[&self.stream.as_str(), &ROWS]).await?)
    }

    async fn delete(&self, outbox_ids: &[i64]) -> Result<(), postgres::Error> {
        let client = self.postgres.client().await?;
        let delete = client.prepare_cached(include_str!("sql/delete_outbox.sql")).await?;
        client.execute(&delete, &[&outbox_ids]).await?;
        Ok(())
    }

    async fn send(&self, batch: &RelayBatch) -> Result<(), Error> {
        let started = self.queue.tracer.is_on().then(SystemTime::now);
        for chunk in batch.entries.chunks(PIPELINE) {
            let pipeline = self.redis.commands().pipeline();
            for (seq, event) in chunk {
                let mut fields: Vec<(&str, String)> = Vec::with_capacity(5);
                if event.tenant_id.as_str() != TenantId::SINGLE {
                    fields.push((entry::TENANT, event.tenant_id.to_string()));
                }
                fields.extend([
                    (entry::SEQ, seq.to_string()),
                    (entry::SWARM, event.swarm_id.to_string()),
                    (entry::ID, event.id.to_string()),
                    (entry::EVENT, event.to_json()),
                ]);
                // Marked before it is sent: the consumer may read it before this task hears that it was written.
                self.marks.add(&RelayMark {
                    tenant: event.tenant_id.clone(),
                    swarm: event.swarm_id.to_string(),
                    id: event.id.to_string(),
                    seq: *seq,
                });
                let () = pipeline
                    .xadd(self.stream.as_str(), false, None::<()>, "*", fields)
                    .await
                    .map_err(redis::Error::from)?;
            }
            let answers: Vec<Result<Value, fred::error::Error>> = pipeline.try_all().await;
            for answer in answers {
                answer.map_err(redis::Error::from)?;
            }
        }
        if let Some(started) = started {
            spans::relayed(&self.queue.tracer, &self.stream, started, &batch.entries);
        }
        metrics::counter!(crate::metric_names::RELAYED).increment(batch.entries.len() as u64);
        Ok(())
    }

    /// The events of a row that is not in memory: committed by another replica, or before a restart.
    async fn read(&self, row: &Row) -> Result<Vec<(i64, Arc<Event>)>, postgres::Error> {
        let (tenant, swarm): (&str, &str) = (row.get(1), row.get(2));
        let (first, last): (i64, i64) = (row.get(3), row.get(4));
        let client = self.postgres.client().await?;
        let select = client
            .prepare_cached(include_str!("sql/select_outbox_events.sql"))
            .await?;
        let rows = client.query(&select, &[&tenant, &swarm, &first, &last]).await?;
        let (tenant, swarm) = (TenantId::trusted(tenant), SwarmId::trusted(swarm));
        Ok(rows
            .iter()
            .map(|row| (row.get(0), Arc::new(event_of(&tenant, &swarm, row))))
            .collect())
    }
}

fn event_of(tenant: &TenantId, swarm: &SwarmId, row: &Row) -> Event {
    Event {
        tenant_id: tenant.clone(),
        swarm_id: swarm.clone(),
        id: EventId::trusted(row.get(1)),
        kind: row
            .get::<_, &str>(2)
            .parse()
            .unwrap_or_else(|_| crate::event::EventType::Custom(row.get::<_, &str>(2).into())),
        schema_version: row.get(3),
        run_id: RunId::trusted(row.get(4)),
        actor_id: ActorId::trusted(row.get(5)),
        payload: row.get(6),
        context: Context {
            correlation_id: row.get(7),
            causation_id: row.get::<_, Option<&str>>(8).map(EventId::trusted),
            runbook_id: row.get(9),
            traceparent: row.get(10),
            tracestate: row.get(11),
        },
        created_at: row.get(12),
    }
}
