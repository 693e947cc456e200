//! The consumer of one partition: what its reading half delivers is stored, acknowledged, and trimmed off the stream.
//!
//! Invariants: an entry is acknowledged only after the commit that stored it or made it a dead letter; while the database is
//! away nothing is skipped; an entry that the database refuses is tried alone and holds up nobody else.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use brain_connectivity::{
    postgres::{self, Kind, Postgres},
    redis::Redis,
};
use fred::{interfaces::StreamsInterface as _, types::Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    leases::Lease,
    letters,
    reading::{Delivery, LAST_READ, Parsed, backoff, parse, read_on},
    relayed,
    retries::{Retries, Retry},
    status::{ConsumerState, Handle},
};
use crate::{
    bus::{
        StreamNames,
        entry::{self, RawEntry},
        trim,
    },
    dead_letters::{NewDeadLetter, Reason},
    event::{Event, Invalid},
    ids::EntryId,
    ingest::{self, Batch, Entry, Input, Position, Terms},
    metric_names,
    relay::{Marks, RelayQueue},
    schema::Registry,
};

/// How often a busy stream is trimmed.
const TRIM_EVERY: Duration = Duration::from_secs(1);

/// How long the stored cursor may lag behind what is known to be stored.
const CURSOR_WITHIN: Duration = Duration::from_secs(1);

/// What a partition's consumer works with.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) postgres: Postgres,
    pub(super) redis: Redis,
    pub(super) bus: brain_config::Bus,
    pub(super) streams: StreamNames,
    pub(super) replica_id: String,
    pub(super) queue: RelayQueue,
    pub(super) schemas: Registry,
    pub(super) status: Handle,
}

/// How a consumer ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was told to.
    Asked,
    /// Somebody else has the lease.
    LeaseLost,
}

pub(super) struct Partition {
    parts: Parts,
    lease: Lease,
    marks: Marks,
    /// Everything up to here is stored.
    cursor: Option<EntryId>,
    /// The cursor as the database has it.
    durable: Option<EntryId>,
    /// When to store the cursor at the latest, if it is ahead of the stored one.
    cursor_due: Option<Instant>,
    retries: Retries,
    trim_due: Option<Instant>,
    /// A delivery that did not fit into the last batch.
    held: Option<Delivery>,
}

impl Partition {
    pub(super) fn new(parts: Parts, lease: Lease, marks: Marks) -> Self {
        let retries = Retries::new(parts.bus.max_attempts);
        Self {
            cursor: lease.cursor,
            durable: lease.cursor,
            cursor_due: None,
            parts,
            lease,
            marks,
            retries,
            trim_due: None,
            held: None,
        }
    }

    /// Runs until `stop`, finishing the batch in hand, or until the lease is lost.
    pub(super) async fn run(mut self, stop: CancellationToken) -> End {
        let (sender, deliveries) = mpsc::channel(1);
        let reading_ends = stop.child_token();
        let reading = tokio::spawn(read_on(
            self.parts.clone(),
            self.lease.clone(),
            self.marks.clone(),
            sender,
            reading_ends.clone(),
        ));
        let end = self.store_on(deliveries, &stop).await;
        reading_ends.cancel();
        let abort = reading.abort_handle();
        if tokio::time::timeout(self.parts.bus.poll_interval + LAST_READ, reading)
            .await
            .is_err()
        {
            abort.abort();
        }
        end
    }

    async fn store_on(&mut self, mut deliveries: mpsc::Receiver<Delivery>, stop: &CancellationToken) -> End {
        loop {
            self.parts
                .status
                .edit(&self.lease.stream, |consumer| consumer.apply_beat = Instant::now());
            let idle = self
                .parts
                .bus
                .poll_interval
                .min(self.retries.next_in().unwrap_or(Duration::MAX));
            let delivery = match self.held.take() {
                Some(held) => Some(held),
                None => tokio::select! {
                    biased;
                    () = stop.cancelled() => None,
                    delivery = deliveries.recv() => delivery,
                    () = tokio::time::sleep(idle) => Some(Delivery { entries: Vec::new() }),
                },
            };
            // The reader ends only when it is told to or panics; either way this consumer is done.
            let Some(mut delivery) = delivery else {
                return End::Asked;
            };
            while !delivery.entries.is_empty()
                && let Ok(more) = deliveries.try_recv()
            {
                if delivery.news() + more.news() > self.parts.bus.batch_size {
                    self.held = Some(more);
                    break;
                }
                delivery.entries.extend(more.entries);
            }
            if !delivery.entries.is_empty()
                && let Err(end) = self.store(delivery, stop).await
            {
                return end;
            }
            if let Err(end) = self.retry(stop).await {
                return end;
            }
            if let Err(end) = self.store_cursor(stop).await {
                return end;
            }
            self.trim().await;
        }
    }

    /// The relay's own entries move the cursor without a transaction each; it is stored within a second.
    async fn store_cursor(&mut self, stop: &CancellationToken) -> Result<(), End> {
        if self.cursor_due.is_none_or(|due| Instant::now() < due) {
            return Ok(());
        }
        let batch = Batch {
            position: self.position(self.cursor),
            ..Batch::default()
        };
        match self.commit(&batch, stop).await {
            Ok(()) => {
                self.durable = self.cursor;
                self.cursor_due = None;
                Ok(())
            }
            Err(Refusal::End(end)) => Err(end),
            Err(Refusal::Data(problem)) => {
                tracing::error!(stream.name = %self.lease.stream, error = problem, "the cursor was refused by the database");
                Ok(())
            }
        }
    }

    /// Stores a delivery, however long that takes.
    async fn store(&mut self, delivery: Delivery, stop: &CancellationToken) -> Result<(), End> {
        let Some(last) = delivery.entries.last().map(|(entry, _)| entry.id) else {
            return Ok(());
        };
        let cursor = Some(self.cursor.map_or(last, |cursor| cursor.max(last)));
        let ids: Vec<String> = delivery.entries.iter().map(|(entry, _)| entry.id.to_string()).collect();
        let mut batch = self.batch(delivery, stop).await?;
        if let Some(position) = &mut batch.position {
            position.cursor = cursor;
        }
        self.trim_due.get_or_insert_with(|| Instant::now() + TRIM_EVERY);
        self.parts
            .status
            .edit(&self.lease.stream, |consumer| consumer.cursor = cursor);
        if batch.inputs.is_empty() && batch.dead_letters.is_empty() {
            self.cursor = cursor;
            self.cursor_due.get_or_insert_with(|| Instant::now() + CURSOR_WITHIN);
            self.acknowledge(ids);
            return Ok(());
        }
        match self.commit(&batch, stop).await {
            Ok(()) => self.acknowledge(ids),
            Err(Refusal::End(end)) => return Err(end),
            Err(Refusal::Data(_)) => {
                // Something in it is refused: each alone, so that only the culprit waits.
                let mut stored = ids;
                for input in batch.inputs.drain(..) {
                    let single = Batch {
                        inputs: vec![input],
                        position: self.position(None),
                        ..Batch::default()
                    };
                    match self.commit(&single, stop).await {
                        Ok(()) => {}
                        Err(Refusal::End(end)) => return Err(end),
                        Err(Refusal::Data(problem)) => {
                            for input in single.inputs {
                                stored
                                    .retain(|id| input.entry.as_ref().is_none_or(|entry| entry.id.to_string() != *id));
                                self.retries.add(input, problem.clone());
                            }
                        }
                    }
                }
                // The rest of the batch: dead letters and the cursor.
                match self.commit(&batch, stop).await {
                    Ok(()) => self.acknowledge(stored),
                    Err(Refusal::End(end)) => return Err(end),
                    Err(Refusal::Data(problem)) => {
                        // Neither acknowledged nor passed by the cursor: it comes again with the next reader.
                        tracing::error!(stream.name = %self.lease.stream, error = problem, "a dead letter was refused by the database");
                        return Ok(());
                    }
                }
            }
        }
        self.cursor = cursor;
        self.durable = cursor;
        self.cursor_due = None;
        Ok(())
    }

    fn position(&self, cursor: Option<EntryId>) -> Option<Position> {
        Some(Position {
            stream: self.lease.stream.clone(),
            owner: self.parts.replica_id.clone(),
            token: self.lease.token,
            cursor,
        })
    }

    /// What is to be stored of a delivery.
    async fn batch(&self, delivery: Delivery, stop: &CancellationToken) -> Result<Batch, End> {
        let doubtful: Vec<&RawEntry> = delivery
            .entries
            .iter()
            .filter(|(_, parsed)| matches!(parsed, Parsed::Relayed { sure: false }))
            .map(|(entry, _)| entry)
            .collect();
        let relayed = if doubtful.is_empty() {
            Vec::new()
        } else {
            self.confirm(&doubtful, stop).await?
        };
        let mut batch = Batch {
            position: self.position(None),
            ..Batch::default()
        };
        for (raw, parsed) in delivery.entries {
            let parsed = match parsed {
                Parsed::Relayed { sure } if sure || relayed.contains(&raw.id) => continue,
                // It claims to come from the relay and does not: an entry like any other.
                Parsed::Relayed { .. } => parse(&raw, self.parts.bus.max_event_bytes),
                parsed => parsed,
            };
            match parsed {
                Parsed::Event(mut event) => {
                    if let Err(invalid) = self.fits(&event, stop).await? {
                        let letter = letters::letter(&self.lease.stream, &raw, Reason::SchemaViolation, invalid.into());
                        batch.dead_letters.push(NewDeadLetter {
                            swarm_id: Some(event.swarm_id.clone()),
                            event_id: Some(event.id.clone()),
                            event_type: Some(event.kind.as_str().to_owned()),
                            ..letter
                        });
                        continue;
                    }
                    let root = self.parts.queue.tracer.begin(&mut event);
                    let entry = Entry {
                        id: raw.id,
                        raw: raw.raw(),
                        deliveries: raw.deliveries,
                    };
                    batch.inputs.push(Input {
                        event,
                        terms: Terms::Record,
                        fresh: false,
                        group: batch.inputs.len(),
                        root,
                        entry: Some(entry),
                    });
                }
                Parsed::Bad(reason, problem) => {
                    batch
                        .dead_letters
                        .push(letters::letter(&self.lease.stream, &raw, reason, problem))
                }
                Parsed::Relayed { .. } => {}
            }
        }
        Ok(batch)
    }

    /// Whether an event fits the schema that is registered for it; a database that is away is waited out.
    async fn fits(&self, event: &Arc<Event>, stop: &CancellationToken) -> Result<Result<(), Invalid>, End> {
        let mut waits = backoff().delays();
        loop {
            match self.parts.schemas.check(event).await {
                Ok(checked) => return Ok(checked),
                Err(error) => self.wait(&error, waits.next(), stop).await?,
            }
        }
    }

    /// Which of these entries are what the relay wrote: the database knows.
    async fn confirm(&self, entries: &[&RawEntry], stop: &CancellationToken) -> Result<Vec<EntryId>, End> {
        let mut waits = backoff().delays();
        loop {
            match relayed::confirmed(&self.parts.postgres, entries).await {
                Ok(ids) => return Ok(ids),
                Err(error) => self.wait(&error, waits.next(), stop).await?,
            }
        }
    }

    /// Commits, waiting out a database that is away.
    async fn commit(&self, batch: &Batch, stop: &CancellationToken) -> Result<(), Refusal> {
        let (parts, queue) = (&self.parts, &self.parts.queue);
        let mut waits = backoff().delays();
        loop {
            let started = Instant::now();
            match ingest::commit(&parts.postgres, &parts.streams, &queue.tracer, batch).await {
                Ok(committed) => {
                    metric_names::batch_committed("stream", batch.inputs.len(), started.elapsed());
                    let is_stored = |outcome: &&ingest::Outcome| matches!(outcome, ingest::Outcome::Stored { .. });
                    let stored = committed.outcomes.iter().filter(is_stored).count();
                    parts.status.edit(&self.lease.stream, |consumer| {
                        consumer.state = ConsumerState::Running;
                        consumer.problem = None;
                        consumer.stored += stored as u64;
                    });
                    queue.bells.committed(&committed);
                    queue.add(committed.relay);
                    return Ok(());
                }
                Err(ingest::Error::LeaseLost(_)) => return Err(Refusal::End(End::LeaseLost)),
                Err(ingest::Error::Database(error)) if error.kind() == Kind::InvalidData => {
                    return Err(Refusal::Data(error.to_string()));
                }
                Err(ingest::Error::Database(error)) => {
                    self.wait(&error, waits.next(), stop).await.map_err(Refusal::End)?
                }
            }
        }
    }

    async fn wait(&self, error: &postgres::Error, wait: Option<Duration>, stop: &CancellationToken) -> Result<(), End> {
        tracing::warn!(stream.name = %self.lease.stream, error = %error, "storing will be tried again");
        self.parts.status.edit(&self.lease.stream, |consumer| {
            consumer.state = ConsumerState::Failing;
            consumer.problem = Some(error.to_string());
            consumer.apply_beat = Instant::now();
        });
        tokio::select! {
            () = stop.cancelled() => Err(End::Asked),
            () = tokio::time::sleep(wait.unwrap_or(Duration::from_secs(1))) => Ok(()),
        }
    }

    /// Not waited for: an acknowledgement that fails is made up for when the entry comes again and is recognised.
    fn acknowledge(&self, ids: Vec<String>) {
        if ids.is_empty() {
            return;
        }
        let redis = self.parts.redis.clone();
        let (stream, group) = (self.lease.stream.clone(), self.parts.bus.group.clone());
        tokio::spawn(async move {
            let answer: Result<Value, _> = redis.commands().xack(stream.as_str(), group.as_str(), ids).await;
            if let Err(error) = answer {
                tracing::warn!(stream.name = %stream, error = %error, "entries are stored but could not be acknowledged");
            }
        });
    }

    /// Tries what was refused, each alone; what is out of attempts becomes a dead letter.
    async fn retry(&mut self, stop: &CancellationToken) -> Result<(), End> {
        for retry in self.retries.due() {
            let Retry {
                input,
                attempts,
                problem,
            } = retry;
            let Some(entry) = input.entry.clone() else { continue };
            if attempts >= self.parts.bus.max_attempts {
                let raw = RawEntry {
                    id: entry.id,
                    fields: vec![
                        (entry::EVENT.into(), entry.raw),
                        (entry::TENANT.into(), String::from(input.event.tenant_id.clone()).into()),
                    ],
                    deliveries: entry.deliveries,
                };
                let detail = format!("the database refused it {attempts} times: {problem}");
                let mut letter = letters::letter(&self.lease.stream, &raw, Reason::ApplyFailed, detail.into());
                letter.deliveries = i32::try_from(attempts).unwrap_or(i32::MAX);
                letter.swarm_id = Some(input.event.swarm_id.clone());
                letter.event_id = Some(input.event.id.clone());
                letter.event_type = Some(input.event.kind.as_str().to_owned());
                let batch = Batch {
                    dead_letters: vec![letter],
                    position: self.position(None),
                    ..Batch::default()
                };
                match self.commit(&batch, stop).await {
                    Ok(()) => self.acknowledge(vec![entry.id.to_string()]),
                    Err(Refusal::End(end)) => return Err(end),
                    Err(Refusal::Data(problem)) => {
                        tracing::error!(stream.name = %self.lease.stream, error = problem, "a dead letter was refused by the database");
                    }
                }
                continue;
            }
            let batch = Batch {
                inputs: vec![input],
                position: self.position(None),
                ..Batch::default()
            };
            match self.commit(&batch, stop).await {
                Ok(()) => self.acknowledge(vec![entry.id.to_string()]),
                Err(Refusal::End(end)) => return Err(end),
                Err(Refusal::Data(problem)) => {
                    for input in batch.inputs {
                        self.retries.again(input, attempts + 1, problem.clone());
                    }
                }
            }
        }
        Ok(())
    }

    async fn trim(&mut self) {
        let Some(due) = self.trim_due else { return };
        let Some(cursor) = self.durable else { return };
        if Instant::now() < due {
            return;
        }
        let consumed = self.retries.oldest().map_or(cursor, |oldest| cursor.min(oldest));
        self.trim_due = None;
        match trim::trim(&self.parts.redis, &self.lease.stream, &self.parts.bus, consumed).await {
            Ok(0) => {}
            // There may be more once it has aged.
            Ok(_) => self.trim_due = Some(Instant::now() + self.parts.bus.stream_retention.max(TRIM_EVERY)),
            Err(error) => {
                tracing::warn!(stream.name = %self.lease.stream, error = %error, "the stream could not be trimmed")
            }
        }
    }
}

/// Why a batch is not stored.
enum Refusal {
    End(End),
    Data(String),
}
