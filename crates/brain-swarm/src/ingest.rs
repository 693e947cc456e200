//! The one way in: a batch of events becomes rows, effects, follow-ups, outbox and cursor in one transaction.
//!
//! Invariants: whoever writes to a swarm holds the row lock of its sequence, so per swarm there is one writer at a time and
//! `seq` follows the order of commits; an event is stored at most once; a batch is stored whole or not at all.

mod columns;
mod compose;
mod fold;
mod load;
mod mentions;
mod rows;
mod spans;
mod tally;
mod transaction;
mod view;
mod write;

use std::{sync::Arc, time::SystemTime};

use brain_connectivity::postgres::{self, Postgres};
use bytes::Bytes;

pub(crate) use self::{fold::BRAIN_ACTOR, view::View};
use self::{fold::Fold, transaction::Transaction};
use crate::{
    bus::StreamNames,
    dead_letters::{NewDeadLetter, Reason},
    decide::{Attempt, Claim, Refusal, Task},
    event::Event,
    ids::{EntryId, EventId, FencingToken, StreamName, SwarmId, TenantId},
    trace::Tracer,
};

/// How many waiting and how many abandoned tasks of a swarm are settled in one batch.
pub(crate) const SETTLE_LIMIT: i64 = 1000;

/// On which terms an event is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terms {
    /// It is stored whatever it changes, with a note when it changes nothing.
    Record,
    /// It is a call: it takes effect, or it is refused and not stored.
    Require,
}

/// An event on its way in.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) event: Arc<Event>,
    pub(crate) terms: Terms,
    /// Its id was made just now, so nobody can have stored it before.
    pub(crate) fresh: bool,
    /// Inputs of one group are stored together or not at all.
    pub(crate) group: usize,
    /// Its trace begins with it.
    pub(crate) root: bool,
    /// The stream entry that brought it, for events from a stream.
    pub(crate) entry: Option<Entry>,
}

/// An agent asks for tasks of a swarm.
#[derive(Debug, Clone)]
pub(crate) struct ClaimInput {
    pub(crate) swarm: (TenantId, SwarmId),
    pub(crate) claim: Claim,
}

/// What a claim got.
#[derive(Debug, Default)]
pub(crate) struct ClaimOutcome {
    pub(crate) tasks: Vec<Task>,
    pub(crate) refusal: Option<Refusal>,
    /// Others may stand behind what was met and could not be taken.
    pub(crate) look_again: bool,
    pub(crate) draining: bool,
    /// When something will be ready although nothing happens.
    pub(crate) next_due: Option<jiff::Timestamp>,
}

/// Where an event from a stream comes from.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: EntryId,
    pub(crate) raw: Bytes,
    pub(crate) deliveries: i32,
}

/// The right to consume a stream, and how far this batch consumes it.
#[derive(Debug, Clone)]
pub(crate) struct Position {
    pub(crate) stream: StreamName,
    pub(crate) owner: String,
    pub(crate) token: FencingToken,
    /// The new cursor; `None` leaves it where it is.
    pub(crate) cursor: Option<EntryId>,
}

/// What is to be committed together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) inputs: Vec<Input>,
    /// Swarms whose waiting and abandoned tasks are to be settled.
    pub(crate) settle: Vec<(TenantId, SwarmId)>,
    /// Claims, decided after everything else.
    pub(crate) claims: Vec<ClaimInput>,
    pub(crate) dead_letters: Vec<NewDeadLetter>,
    pub(crate) position: Option<Position>,
}

/// What became of one input.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// It is stored.
    Stored { seq: i64, note: Option<&'static str> },
    /// It was not stored, because it may not take effect.
    Refused(Refusal),
    /// It was not stored, because it says again what took effect before.
    Repeated,
    /// It was stored before with the same content.
    Duplicate { seq: i64 },
    /// Its id was stored before with other content.
    Conflict { seq: i64 },
    /// Another input of its group stands in conflict.
    Skipped,
}

/// Events that the stream is still to be told of, in memory to save the relay a query.
#[derive(Debug)]
pub(crate) struct RelayBatch {
    pub(crate) outbox_id: i64,
    pub(crate) stream: StreamName,
    pub(crate) entries: Vec<(i64, Arc<Event>)>,
}

/// A committed batch.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) outcomes: Vec<Outcome>,
    /// How what each call speaks of stands after it; `None` for what is only recorded.
    pub(crate) views: Vec<Option<Box<View>>>,
    pub(crate) claims: Vec<ClaimOutcome>,
    /// How many tasks were settled.
    pub(crate) settled: usize,
    /// Swarms of which tasks are ready that were not before.
    pub(crate) ready: Vec<(TenantId, SwarmId)>,
    /// Swarms that have new events.
    pub(crate) stored: Vec<(TenantId, SwarmId)>,
    pub(crate) relay: Vec<RelayBatch>,
}

/// Why a batch was not committed. Nothing of it was stored, unless the connection broke during the commit: a repetition
/// finds out, because events are recognised by their ids.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The lease on the stream is no longer ours.
    #[error("the lease on stream {0} was lost")]
    LeaseLost(StreamName),
    /// The database said no, or nothing.
    #[error(transparent)]
    Database(#[from] postgres::Error),
}

/// Commits a batch, and tells the tracer what came of it.
pub(crate) async fn commit(
    postgres: &Postgres,
    streams: &StreamNames,
    tracer: &Tracer,
    batch: &Batch,
) -> Result<Committed, Error> {
    let started = tracer.is_on().then(SystemTime::now);
    let mut transaction = Transaction::begin(postgres).await?;
    match commit_in(&transaction, streams, (tracer, started), batch).await {
        Ok(committed) => {
            transaction.finished();
            Ok(committed)
        }
        Err(error) => {
            transaction.roll_back().await;
            Err(error)
        }
    }
}

async fn commit_in(
    transaction: &Transaction,
    streams: &StreamNames,
    (tracer, started): (&Tracer, Option<SystemTime>),
    batch: &Batch,
) -> Result<Committed, Error> {
    let loaded = load::load(transaction, batch).await?;
    let mut fold = Fold::new(batch, loaded);
    let comparisons = fold.comparisons();
    if !comparisons.is_empty() {
        let same = load::compare(transaction, batch, &comparisons).await?;
        fold.compared(&same);
    }
    let changes = fold.run(streams);
    let outbox_ids = write::write(transaction, batch, &changes).await?;
    if let Some(started) = started {
        spans::committed(tracer, streams, started, &changes);
    }
    tally::count(batch, &changes);
    let relay = changes
        .outbox
        .iter()
        .zip(outbox_ids)
        .map(|(range, outbox_id)| RelayBatch {
            outbox_id,
            stream: range.stream.clone(),
            entries: changes
                .events
                .iter()
                .filter(|stored| {
                    stored.entry.is_none()
                        && stored.event.swarm_id == range.swarm_id
                        && stored.event.tenant_id == range.tenant_id
                        && (range.first_seq..=range.last_seq).contains(&stored.seq)
                })
                .map(|stored| (stored.seq, Arc::clone(&stored.event)))
                .collect(),
        })
        .collect();
    let mut stored: Vec<(TenantId, SwarmId)> = Vec::new();
    for StoredEvent { event, .. } in &changes.events {
        let known = |(tenant, swarm): &(TenantId, SwarmId)| *swarm == event.swarm_id && *tenant == event.tenant_id;
        // Most batches are of few swarms, and their events lie together.
        if !stored.iter().rev().any(known) {
            stored.push((event.tenant_id.clone(), event.swarm_id.clone()));
        }
    }
    Ok(Committed {
        outcomes: changes.outcomes,
        views: changes.views,
        claims: changes.claims,
        settled: changes.settled,
        ready: changes.ready,
        stored,
        relay,
    })
}

/// A row of `swarm_events` in the making.
#[derive(Debug)]
struct StoredEvent {
    seq: i64,
    event: Arc<Event>,
    entry: Option<EntryId>,
    note: Option<&'static str>,
    /// The trace of the event begins with it.
    root: bool,
    /// Who has the task that it is about, or had it until then.
    attempt: Option<Attempt>,
}

/// A row of `swarm_outbox` in the making.
#[derive(Debug)]
struct OutboxRange {
    stream: StreamName,
    tenant_id: TenantId,
    swarm_id: SwarmId,
    first_seq: i64,
    last_seq: i64,
}

/// The dead letter for an event that another entry brought before.
fn duplicate_letter(position: &Position, input: &Input, entry: &Entry, seq: i64, same: bool) -> NewDeadLetter {
    let content = if same { "the same content" } else { "other content" };
    NewDeadLetter {
        tenant_id: input.event.tenant_id.clone(),
        stream: position.stream.clone(),
        entry: entry.id,
        reason: Reason::Duplicate,
        detail: format!(
            "an event with id {} is stored already as seq {seq}, with {content}",
            input.event.id
        ),
        raw: entry.raw.clone(),
        deliveries: entry.deliveries,
        swarm_id: Some(input.event.swarm_id.clone()),
        event_id: Some(input.event.id.clone()),
        event_type: Some(input.event.kind.as_str().to_owned()),
    }
}

/// The key of an event across swarms.
type EventKey = (TenantId, SwarmId, EventId);

fn key_of(event: &Event) -> EventKey {
    (event.tenant_id.clone(), event.swarm_id.clone(), event.id.clone())
}
