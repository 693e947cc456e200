//! The reading half of a partition's consumer: reads entries, parses them, hands them to the writing half.
//!
//! Invariants: entries are handed over in order; a read that was begun is waited for, so that what it is given is not left
//! with a reader that is gone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use brain_connectivity::{postgres, redis, retry::Backoff};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{leases::Lease, letters::Problem, partition::Parts, status::ConsumerState};
use crate::{
    bus::{entry::RawEntry, reader::Reader},
    dead_letters::Reason,
    event::{Defaults, Event, Invalid},
    ids::EntryId,
    relay::Marks,
};

/// How long a last read may take beyond its block time.
pub(super) const LAST_READ: Duration = Duration::from_millis(500);

/// Entries as the reader hands them to the writer: parsed, in order.
pub(super) struct Delivery {
    pub(super) entries: Vec<(RawEntry, Parsed)>,
}

impl Delivery {
    /// How many of the entries are not the relay's own.
    pub(super) fn news(&self) -> usize {
        self.entries
            .iter()
            .filter(|(_, parsed)| !matches!(parsed, Parsed::Relayed { .. }))
            .count()
    }
}

pub(super) enum Parsed {
    /// The relay's own entry; `sure`: this process wrote it.
    Relayed {
        sure: bool,
    },
    Event(Arc<Event>),
    Bad(Reason, Problem),
}

pub(super) fn backoff() -> Backoff {
    Backoff {
        initial: Duration::from_millis(50),
        max: Duration::from_secs(2),
        ..Backoff::default()
    }
}

/// Reads, parses and hands over, until told to stop.
pub(super) async fn read_on(
    parts: Parts,
    lease: Lease,
    marks: Marks,
    deliveries: mpsc::Sender<Delivery>,
    stop: CancellationToken,
) {
    let mut waits = backoff().delays();
    let start = parts.bus.start_id.to_string();
    let mut reader = loop {
        match Reader::open(
            &parts.redis,
            &lease.stream,
            &parts.bus,
            &parts.replica_id,
            start.clone(),
        ) {
            Ok(reader) => break reader,
            Err(error) => read_failed(&parts, &lease, &error, waits.next(), &stop).await,
        }
        if stop.is_cancelled() {
            return;
        }
    };
    let mut has_group = false;
    while !stop.is_cancelled() {
        let needs_group = !has_group;
        let entries = {
            let reading = async {
                if needs_group {
                    reader.ensure_group(stored_cursor(&parts, &lease).await).await?;
                }
                reader.read().await
            };
            tokio::pin!(reading);
            tokio::select! {
                entries = &mut reading => entries,
                () = stop.cancelled() => {
                    // What the server delivers now stays pending for the next holder of the lease, who must not come
                    // before it.
                    let _ = tokio::time::timeout(parts.bus.poll_interval + LAST_READ, &mut reading).await;
                    break;
                }
            }
        };
        match entries {
            Ok(entries) => {
                has_group = true;
                waits = backoff().delays();
                parts.status.edit(&lease.stream, |consumer| {
                    consumer.read_beat = Instant::now();
                    consumer.heard = consumer.read_beat;
                    if consumer.state == ConsumerState::Starting
                        || consumer
                            .problem
                            .as_deref()
                            .is_some_and(|problem| problem.starts_with("redis"))
                    {
                        consumer.state = ConsumerState::Running;
                        consumer.problem = None;
                    }
                });
                if entries.is_empty() {
                    continue;
                }
                let parsed = entries
                    .into_iter()
                    .map(|entry| (classify(&entry, &marks, parts.bus.max_event_bytes), entry));
                let delivery = Delivery {
                    entries: parsed.map(|(parsed, entry)| (entry, parsed)).collect(),
                };
                // A full channel is the writer at work, not a stuck reader.
                tokio::select! {
                    () = stop.cancelled() => break,
                    sent = deliveries.send(delivery) => if sent.is_err() { break },
                    () = keep_beating(&parts, &lease) => {}
                }
            }
            Err(error) => {
                // After whatever broke the connection the group may be gone, and what was delivered may not have arrived.
                has_group = false;
                read_failed(&parts, &lease, &error, waits.next(), &stop).await;
            }
        }
    }
    reader.close().await;
}

/// Never ends: moves the reader's beat while it waits for the writer.
async fn keep_beating(parts: &Parts, lease: &Lease) {
    loop {
        parts.status.edit(&lease.stream, |consumer| {
            consumer.read_beat = Instant::now();
            // Nothing is asked of Redis meanwhile.
            consumer.heard = consumer.read_beat;
        });
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The cursor as it is stored now; that of the lease where it cannot be read.
async fn stored_cursor(parts: &Parts, lease: &Lease) -> Option<EntryId> {
    let read = async {
        let client = parts.postgres.client().await?;
        let row = client
            .query_opt(
                "SELECT cursor FROM swarm_streams WHERE stream_name = $1",
                &[&lease.stream.as_str()],
            )
            .await?;
        Ok::<_, postgres::Error>(row.and_then(|row| row.get::<_, Option<String>>(0)))
    };
    match read.await {
        Ok(cursor) => cursor.and_then(|cursor| cursor.parse().ok()),
        Err(_) => lease.cursor,
    }
}

async fn read_failed(
    parts: &Parts,
    lease: &Lease,
    error: &redis::Error,
    wait: Option<Duration>,
    stop: &CancellationToken,
) {
    tracing::warn!(stream.name = %lease.stream, error = %error, "reading will be tried again");
    parts.status.edit(&lease.stream, |consumer| {
        consumer.state = ConsumerState::Failing;
        consumer.problem = Some(error.to_string());
        consumer.read_beat = Instant::now();
    });
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(wait.unwrap_or(Duration::from_secs(1))) => {}
    }
}

fn classify(entry: &RawEntry, marks: &Marks, max_bytes: usize) -> Parsed {
    match entry.relay_mark() {
        Some(mark) => Parsed::Relayed {
            sure: marks.recognise(&mark),
        },
        None => parse(entry, max_bytes),
    }
}

pub(super) fn parse(entry: &RawEntry, max_bytes: usize) -> Parsed {
    let tenant_id = match entry.tenant() {
        Ok(tenant) => tenant,
        Err(problem) => return Parsed::Bad(Reason::Malformed, problem.to_string().into()),
    };
    let Some(json) = entry.event() else {
        let fields: Vec<String> = entry
            .fields
            .iter()
            .take(8)
            .map(|(key, _)| String::from_utf8_lossy(key).into_owned())
            .collect();
        return Parsed::Bad(
            Reason::Malformed,
            format!("the entry has no field `event`, only: {}", fields.join(", ")).into(),
        );
    };
    let defaults = Defaults {
        tenant_id,
        ..Defaults::default()
    };
    match Event::parse(json, max_bytes, &defaults) {
        Ok(event) => Parsed::Event(Arc::new(event)),
        Err(problem) => {
            let reason = match problem {
                Invalid::Malformed(_) => Reason::Malformed,
                Invalid::TooLarge { .. } => Reason::TooLarge,
                Invalid::Envelope(_) | Invalid::Schema { .. } => Reason::SchemaViolation,
            };
            Parsed::Bad(reason, problem.into())
        }
    }
}
