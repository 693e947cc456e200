//! Reads one stream through its consumer group, on a connection of its own.
//!
//! Invariants: what was delivered and not acknowledged, to this consumer or to one that is gone, is read first; a group that
//! is gone (flush, failover) is made again, at the stored cursor where the stream still reaches that far, else at its start.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use brain_connectivity::redis::{self, Redis};
use bytes::Bytes;
use fred::{
    clients::Client,
    interfaces::{ClientLike as _, StreamsInterface as _},
    types::Value,
};

use super::entry::RawEntry;
use crate::ids::{EntryId, StreamName};

/// A consumer of one stream.
pub(crate) struct Reader {
    redis: Redis,
    client: Client,
    stream: StreamName,
    group: String,
    consumer: String,
    block: Duration,
    count: u64,
    /// Where a new group starts when nothing is stored: an entry id or `$`.
    start: String,
    /// Where the entries of this and of former consumers were read up to; `None` when all of them were.
    pending: Option<EntryId>,
    /// Whether entries of former consumers are still to be claimed.
    claim_from: Option<String>,
    looked_for_strays: Instant,
    strays_every: Duration,
}

impl Reader {
    pub(crate) fn open(
        redis: &Redis,
        stream: &StreamName,
        bus: &brain_config::Bus,
        consumer: &str,
        start: String,
    ) -> Result<Self, redis::Error> {
        Ok(Self {
            redis: redis.clone(),
            client: redis.dedicated()?,
            stream: stream.clone(),
            group: bus.group.clone(),
            consumer: consumer.to_owned(),
            block: bus.poll_interval,
            count: bus.batch_size as u64,
            start,
            pending: Some(EntryId::default()),
            claim_from: Some("0-0".to_owned()),
            looked_for_strays: Instant::now(),
            strays_every: bus.lease / 2,
        })
    }

    /// Makes the group if it is not there. `cursor`: what is stored as consumed.
    pub(crate) async fn ensure_group(&mut self, cursor: Option<EntryId>) -> Result<(), redis::Error> {
        let start = match cursor {
            None => self.start.clone(),
            // A stream that is younger than the cursor was flushed: all that is on it is new. Reading something twice is harmless.
            Some(cursor) => match self.last_id().await? {
                Some(last) if last >= cursor => cursor.to_string(),
                _ => EntryId::default().to_string(),
            },
        };
        let made: Result<Value, _> = self
            .client
            .xgroup_create(self.stream.as_str(), self.group.as_str(), start.as_str(), true)
            .await;
        match made {
            Ok(_) => {
                tracing::info!(stream.name = %self.stream, group = %self.group, start, "consumer group created");
            }
            Err(error) => {
                let error = redis::Error::from(error);
                if error.code() != Some("BUSYGROUP") {
                    return Err(error);
                }
            }
        }
        self.pending = Some(EntryId::default());
        self.claim_from = Some("0-0".to_owned());
        Ok(())
    }

    async fn last_id(&self) -> Result<Option<EntryId>, redis::Error> {
        let info: Result<HashMap<String, Value>, _> = self.client.xinfo_stream(self.stream.as_str(), false, None).await;
        match info {
            Ok(info) => Ok(info
                .get("last-generated-id")
                .and_then(Value::as_str)
                .and_then(|id| id.parse().ok())),
            Err(error) => {
                let error = redis::Error::from(error);
                // There is no such stream.
                if error.code() == Some("ERR") {
                    Ok(None)
                } else {
                    Err(error)
                }
            }
        }
    }

    /// The next entries; empty when none came within the block time. Not to be given up half-way: what the server then
    /// delivers to nobody stays pending until somebody looks for strays.
    pub(crate) async fn read(&mut self) -> Result<Vec<RawEntry>, redis::Error> {
        if self.looked_for_strays.elapsed() > self.strays_every {
            self.looked_for_strays = Instant::now();
            if self.others_hold_entries().await? {
                self.pending = Some(EntryId::default());
                self.claim_from = Some("0-0".to_owned());
            }
        }
        if let Some(from) = self.claim_from.clone() {
            // The lease says that former consumers are gone, so how long an entry has been idle does not matter.
            let answer: Value = self
                .client
                .xautoclaim(
                    self.stream.as_str(),
                    self.group.as_str(),
                    self.consumer.as_str(),
                    0,
                    from.as_str(),
                    Some(self.count),
                    true,
                )
                .await?;
            let next = answer
                .into_array()
                .first()
                .and_then(Value::as_string)
                .unwrap_or_else(|| "0-0".to_owned());
            self.claim_from = (next != "0-0").then_some(next);
            return if self.claim_from.is_some() {
                Box::pin(self.read()).await
            } else {
                self.read_owned().await
            };
        }
        self.read_owned().await
    }

    /// A former holder of the lease that woke up late may have been given entries that it cannot store any more.
    async fn others_hold_entries(&self) -> Result<bool, redis::Error> {
        // [count, smallest id, largest id, [[consumer, count], ...]]
        let pending: Value = self
            .client
            .xpending(self.stream.as_str(), self.group.as_str(), ())
            .await?;
        let consumers = pending
            .into_array()
            .into_iter()
            .nth(3)
            .map(Value::into_array)
            .unwrap_or_default();
        let mut names = consumers
            .into_iter()
            .filter_map(|row| row.into_array().first().and_then(Value::as_string));
        Ok(names.any(|name| name != self.consumer))
    }

    async fn read_owned(&mut self) -> Result<Vec<RawEntry>, redis::Error> {
        if let Some(after) = self.pending {
            let mut entries = self.read_group(&after.to_string(), None).await?;
            self.pending = entries.last().map(|last| last.id);
            if let (Some(first), Some(last)) = (entries.first().map(|entry| entry.id), self.pending) {
                self.count_deliveries(&mut entries, first, last).await?;
                return Ok(entries);
            }
            self.drop_idle_consumers().await;
        }
        self.read_group(">", Some(self.block)).await
    }

    async fn read_group(&self, from: &str, block: Option<Duration>) -> Result<Vec<RawEntry>, redis::Error> {
        let block = block.map(|block| u64::try_from(block.as_millis()).unwrap_or(u64::MAX));
        let answer: Value = self
            .client
            .xreadgroup(
                self.group.as_str(),
                self.consumer.as_str(),
                Some(self.count),
                block,
                false,
                self.stream.as_str(),
                from,
            )
            .await?;
        Ok(entries_of(answer))
    }

    /// Entries that were delivered before carry how often.
    async fn count_deliveries(
        &self,
        entries: &mut [RawEntry],
        first: EntryId,
        last: EntryId,
    ) -> Result<(), redis::Error> {
        let range = (
            first.to_string(),
            last.to_string(),
            entries.len() as u64,
            self.consumer.clone(),
        );
        let pending: Value = self
            .client
            .xpending(self.stream.as_str(), self.group.as_str(), range)
            .await?;
        let counts: HashMap<EntryId, i32> = pending
            .into_array()
            .into_iter()
            .filter_map(|row| {
                let row = row.into_array();
                let id = row.first()?.as_str()?.parse().ok()?;
                Some((id, i32::try_from(row.get(3)?.as_i64()?).unwrap_or(i32::MAX)))
            })
            .collect();
        for entry in entries {
            entry.deliveries = counts.get(&entry.id).copied().unwrap_or(entry.deliveries);
        }
        Ok(())
    }

    /// Consumers of former holders of the lease own nothing any more.
    async fn drop_idle_consumers(&self) {
        let consumers: Result<Vec<HashMap<String, Value>>, _> = self
            .client
            .xinfo_consumers(self.stream.as_str(), self.group.as_str())
            .await;
        for consumer in consumers.unwrap_or_default() {
            let Some(name) = consumer.get("name").and_then(Value::as_string) else {
                continue;
            };
            let owes_nothing = consumer.get("pending").and_then(Value::as_i64) == Some(0);
            if name != self.consumer && owes_nothing {
                let _: Result<Value, _> = self
                    .client
                    .xgroup_delconsumer(self.stream.as_str(), self.group.as_str(), name)
                    .await;
            }
        }
    }

    /// How many entries the group has not acknowledged or not even read.
    pub(crate) async fn lag(redis: &Redis, stream: &StreamName, group: &str) -> Result<u64, redis::Error> {
        Ok(standing(redis, stream, group).await?.entries())
    }

    /// The same with the oldest of them.
    pub(crate) async fn backlog(redis: &Redis, stream: &StreamName, group: &str) -> Result<Backlog, redis::Error> {
        let standing = standing(redis, stream, group).await?;
        let (entries, commands) = (standing.entries(), redis.commands());
        let oldest = if standing.pending > 0 {
            // [count, smallest id, largest id, consumers]
            let pending: Value = commands.xpending(stream.as_str(), group, ()).await?;
            pending
                .into_array()
                .get(1)
                .and_then(Value::as_str)
                .and_then(|id| id.parse().ok())
        } else if entries > 0 {
            let after = format!("({}", standing.delivered.unwrap_or_default());
            let next: Value = commands.xrange(stream.as_str(), after, "+", Some(1)).await?;
            next.into_array()
                .into_iter()
                .next()
                .and_then(entry_of)
                .map(|entry| entry.id)
        } else {
            None
        };
        Ok(Backlog { entries, oldest })
    }

    /// Ends the connection.
    pub(crate) async fn close(self) {
        let _ = self.client.quit().await;
        drop(self.redis);
    }
}

/// What a group is still to acknowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backlog {
    pub(crate) entries: u64,
    pub(crate) oldest: Option<EntryId>,
}

/// How a group stands.
#[derive(Debug, Default)]
struct Standing {
    unread: u64,
    pending: u64,
    /// The newest entry that it was given.
    delivered: Option<EntryId>,
}

impl Standing {
    fn entries(&self) -> u64 {
        self.unread + self.pending
    }
}

async fn standing(redis: &Redis, stream: &StreamName, group: &str) -> Result<Standing, redis::Error> {
    let groups: Result<Vec<HashMap<String, Value>>, _> = redis.commands().xinfo_groups(stream.as_str()).await;
    let groups = match groups.map_err(redis::Error::from) {
        // There is no such stream: just started, or flushed a moment ago.
        Err(error) if error.code() == Some("ERR") => return Ok(Standing::default()),
        groups => groups?,
    };
    let number = |info: &HashMap<String, Value>, key: &str| {
        info.get(key)
            .and_then(Value::as_i64)
            .and_then(|n| u64::try_from(n).ok())
    };
    let own = groups
        .iter()
        .find(|info| info.get("name").and_then(Value::as_string).as_deref() == Some(group));
    let unread = match own.and_then(|own| number(own, "lag")) {
        Some(lag) => lag,
        // There is no group, or the server cannot tell after certain deletions: no more than all there is.
        None => redis.commands().xlen(stream.as_str()).await?,
    };
    let delivered = own.and_then(|own| own.get("last-delivered-id")).and_then(Value::as_str);
    Ok(Standing {
        unread,
        pending: own.and_then(|own| number(own, "pending")).unwrap_or(0),
        delivered: delivered.and_then(|id| id.parse().ok()),
    })
}

/// `[[stream, [[id, [field, value, ...]], ...]]]`, as RESP2 gives it, or the map of RESP3.
fn entries_of(answer: Value) -> Vec<RawEntry> {
    let entries = match answer {
        Value::Map(map) => map.inner().into_values().next(),
        Value::Array(streams) => streams
            .into_iter()
            .next()
            .and_then(|stream| stream.into_array().into_iter().nth(1)),
        _ => None,
    };
    let entries = entries.map(Value::into_array).unwrap_or_default();
    entries.into_iter().filter_map(entry_of).collect()
}

pub(crate) fn entry_of(entry: Value) -> Option<RawEntry> {
    let mut parts = entry.into_array().into_iter();
    let id = parts.next()?.as_str()?.parse().ok()?;
    // A pending entry that was deleted from the stream has no fields: it is acknowledged as an empty one.
    let mut values = parts.next().map(Value::into_array).unwrap_or_default().into_iter();
    let mut fields = Vec::with_capacity(values.len() / 2);
    while let (Some(key), Some(value)) = (values.next(), values.next()) {
        fields.push((
            key.into_bytes().unwrap_or_default(),
            value.into_bytes().unwrap_or_else(Bytes::new),
        ));
    }
    Some(RawEntry {
        id,
        fields,
        deliveries: 1,
    })
}
