//! Keeps a stream bounded, and never cuts off what is still to be consumed.

use std::{collections::HashMap, time::Duration};

use brain_connectivity::redis::{self, Redis};
use fred::{interfaces::StreamsInterface as _, types::Value};

use crate::ids::{EntryId, StreamName};

/// Entries that one command removes, at most: while Redis removes, nobody else is served.
const AT_ONCE: i64 = 10_000;
/// Commands of one cut, at most. What is left then goes with the next one.
const COMMANDS: u32 = 200;

/// Where a stream may be cut: entries below the result may go.
///
/// `consumed` is the newest entry below which everything is stored; `others` is how far the slowest foreign group got;
/// `retention` keeps what plain readers may still want. A stream longer than `max_len` waits for nobody but its cursor.
pub(crate) fn cut_at(
    consumed: EntryId,
    others: Option<EntryId>,
    retention: Duration,
    length: u64,
    max_len: u64,
) -> EntryId {
    if length > max_len {
        return consumed;
    }
    let age = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX);
    let aged = EntryId {
        ms: consumed.ms.saturating_sub(age),
        seq: 0,
    };
    consumed.min(aged).min(others.unwrap_or(consumed))
}

/// Cuts a stream. Returns how many entries went.
pub(crate) async fn trim(
    redis: &Redis,
    stream: &StreamName,
    bus: &brain_config::Bus,
    consumed: EntryId,
) -> Result<u64, redis::Error> {
    let commands = redis.commands();
    let length: u64 = commands.xlen(stream.as_str()).await?;
    if length == 0 {
        return Ok(0);
    }
    let groups: Vec<HashMap<String, Value>> = commands.xinfo_groups(stream.as_str()).await?;
    let mut others = None;
    for group in &groups {
        let name = group.get("name").and_then(Value::as_string).unwrap_or_default();
        if name == bus.group {
            continue;
        }
        let mut reached: Option<EntryId> = group
            .get("last-delivered-id")
            .and_then(Value::as_str)
            .and_then(|id| id.parse().ok());
        if group.get("pending").and_then(Value::as_i64).unwrap_or(0) > 0 {
            // [count, smallest id, largest id, consumers]
            let pending: Value = commands.xpending(stream.as_str(), name.as_str(), ()).await?;
            let smallest = pending
                .into_array()
                .get(1)
                .and_then(Value::as_str)
                .and_then(|id| id.parse().ok());
            reached = smallest.or(reached);
        }
        others = match (others, reached) {
            (Some(a), Some(b)) => Some(std::cmp::min::<EntryId>(a, b)),
            (a, b) => a.or(b),
        };
    }
    let cut = cut_at(consumed, others, bus.stream_retention, length, bus.stream_max_len);
    let mut removed = 0;
    for _ in 0..COMMANDS {
        // Without a limit of its own Redis has one, and a busy stream would grow faster than it is cut.
        let cap = ("MINID", "~", cut.to_string(), Some(AT_ONCE));
        match commands.xtrim::<u64, _, _>(stream.as_str(), cap).await? {
            0 => break,
            gone => removed += gone,
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use fred::interfaces::KeysInterface as _;
    use proptest::prelude::*;

    use super::*;

    /// A server that is given no limit takes one of its own, 10,000 entries, and a busy stream outgrew its cuts.
    #[tokio::test]
    async fn one_cut_takes_all_that_may_go() {
        const ENTRIES: u64 = 35_000;
        let mut config = brain_testkit::test_config();
        config.bus.stream_retention = Duration::ZERO;
        let redis = Redis::open(&config.redis).unwrap();
        let stream = StreamName::trusted(&brain_testkit::unique("trim"));
        let pipeline = redis.commands().pipeline();
        for seq in 1..=ENTRIES {
            let id = format!("1-{seq}");
            let () = pipeline
                .xadd(stream.as_str(), false, None::<()>, id, ("event", "{}"))
                .await
                .unwrap();
        }
        let _: Value = pipeline.all().await.unwrap();
        let consumed = EntryId { ms: 2, seq: 0 };
        let gone = trim(&redis, &stream, &config.bus, consumed).await.unwrap();
        // Whole nodes of the stream go; a last one that is not full may stay.
        assert!(gone > ENTRIES - 200, "{gone}");
        let _: Value = redis.commands().del(stream.as_str()).await.unwrap();
    }

    fn id() -> impl Strategy<Value = EntryId> {
        (0..10_000u64, 0..3u64).prop_map(|(ms, seq)| EntryId { ms, seq })
    }

    proptest! {
        #[test]
        fn never_cuts_what_is_not_consumed(consumed in id(), others in proptest::option::of(id()), age in 0..20_000u64, length in 0..20u64) {
            let cut = cut_at(consumed, others, Duration::from_millis(age), length, 10);
            prop_assert!(cut <= consumed);
            if length <= 10 && let Some(others) = others {
                prop_assert!(cut <= others);
            }
        }
    }
}
