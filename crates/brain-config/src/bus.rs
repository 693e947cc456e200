//! Settings of the event bus over Redis Streams.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::Config;
use crate::access::Access;
use crate::definition::{Definition, Section};
use crate::valid::Valid;

/// How events travel over the streams.
#[derive(Debug, Clone)]
pub struct Bus {
    /// Name of the stream; with several partitions each appends `:` and its number.
    pub stream_name: String,
    /// Number of streams that the swarms are spread over.
    pub partitions: u16,
    /// Longest time that a read waits for new entries.
    pub poll_interval: Duration,
    /// Most entries that are applied in one transaction.
    pub batch_size: usize,
    /// Where to begin when no cursor is stored.
    pub start_id: StartId,
    /// Name of the consumer group.
    pub group: String,
    /// Time after which the partitions of a silent replica pass to another.
    pub lease: Duration,
    /// Attempts to apply an entry before it becomes a dead letter.
    pub max_attempts: u32,
    /// Largest event, in bytes of its JSON.
    pub max_event_bytes: usize,
    /// Entries behind the end of the stream from which health is not ok.
    pub max_lag: u64,
    /// Time without a finished round after which a consumer counts as stuck.
    pub stuck_after: Duration,
    /// Time that consumed entries stay in the stream for plain readers.
    pub stream_retention: Duration,
    /// Entries in a stream above which consumed ones are removed at once, read by others or not.
    pub stream_max_len: u64,
}

/// Where a consumer begins when it has no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StartId {
    /// At the end: only entries that are added from now on.
    Latest,
    /// After this entry; `0-0` is the beginning.
    Id {
        /// Milliseconds since the epoch.
        ms: u64,
        /// Number within the millisecond.
        seq: u64,
    },
}

/// A text that is neither `$` nor the id of a stream entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a stream id: expected $, a number, or two numbers joined by a hyphen")]
pub struct InvalidStartId;

impl FromStr for StartId {
    type Err = InvalidStartId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "$" {
            return Ok(Self::Latest);
        }
        let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse().map_err(|_| InvalidStartId),
            false => Err(InvalidStartId),
        };
        let (ms, seq) = text.split_once('-').unwrap_or((text, "0"));
        Ok(Self::Id {
            ms: number(ms)?,
            seq: number(seq)?,
        })
    }
}

impl fmt::Display for StartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("$"),
            Self::Id { ms, seq } => write!(f, "{ms}-{seq}"),
        }
    }
}

impl Bus {
    pub(crate) fn blank() -> Self {
        Self {
            stream_name: String::new(),
            partitions: 0,
            poll_interval: Duration::ZERO,
            batch_size: 0,
            start_id: StartId::Latest,
            group: String::new(),
            lease: Duration::ZERO,
            max_attempts: 0,
            max_event_bytes: 0,
            max_lag: 0,
            stuck_after: Duration::ZERO,
            stream_retention: Duration::ZERO,
            stream_max_len: 0,
        }
    }
}

pub(crate) const DEFINITIONS: &[Definition] = &[
    Definition::new(
        Section::Bus,
        "STUDIO_BRAIN_REDIS_STREAM_NAME",
        "studiobrain.events",
        Valid::Text { max: 200 },
        Access::Text(|config| &mut config.bus.stream_name),
        "Name of the stream; with several partitions, the first part of each name.",
    ),
    Definition::new(
        Section::Bus,
        "STUDIO_BRAIN_EVENT_BUS_PARTITIONS",
        "1",
        Valid::Number {
            min: 1,
            max: 256,
            unit: "streams",
        },
        Access::U16(|config| &mut config.bus.partitions),
        "Streams that the swarms are spread over; the same for every replica.",
    ),
    Definition::new(
        Section::Bus,
        "STUDIO_BRAIN_EVENT_BUS_POLL_INTERVAL_MS",
        "750",
        Valid::Number {
            min: 100,
            max: 10_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.bus.poll_interval),
        "Longest time that a read waits for new entries; arriving ones end the wait.",
    ),
    Definition::new(
        Section::Bus,
        "STUDIO_BRAIN_EVENT_BUS_BATCH_SIZE",
        "512",
        Valid::Number {
            min: 1,
            max: 4_096,
            unit: "entries",
        },
        Access::Usize(|config| &mut config.bus.batch_size),
        "Most entries that are applied in one transaction.",
    ),
    Definition::new(
        Section::Bus,
        "STUDIO_BRAIN_EVENT_BUS_START_ID",
        "$",
        Valid::StreamId,
        Access::Parsed {
            set: |config, text| text.parse().map(|id| config.bus.start_id = id).is_ok(),
            get: |config: &Config| config.bus.start_id.to_string(),
        },
        "Where to begin when no cursor is stored; a stored cursor always wins.",
    ),
    Definition::new(
        Section::Bus,
        "STUDIO_BRAIN_EVENT_BUS_GROUP",
        "studio-brain",
        Valid::Text { max: 200 },
        Access::Text(|config| &mut config.bus.group),
        "Name of the consumer group; the same for every replica.",
    ),
    Definition::new(
        Section::Bus,
        "STUDIO_BRAIN_EVENT_BUS_LEASE_MS",
        "10000",
        Valid::Number {
            min: 1_000,
            max: 120_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.bus.lease),
        "Time after which the partitions of a silent replica pass to another.",
    ),
    Definition::new(
        Section::Bus,
        "STUDIO_BRAIN_EVENT_BUS_MAX_ATTEMPTS",
        "5",
        Valid::Number {
            min: 1,
            max: 100,
            unit: "attempts",
        },
        Access::U32(|config| &mut config.bus.max_attempts),
        "Attempts to apply an entry before it becomes a dead letter.",
    ),
    Definition::new(
        Section::Bus,
        "STUDIO_BRAIN_EVENT_MAX_BYTES",
        "262144",
        Valid::Number {
            min: 1_024,
            max: 16_777_216,
            unit: "bytes",
        },
        Access::Usize(|config| &mut config.bus.max_event_bytes),
        "Largest event, whether it comes over HTTP or from the stream.",
    ),
    Definition::new(
        Section::Bus,
        "STUDIO_BRAIN_EVENT_BUS_MAX_LAG",
        "100000",
        Valid::Number {
            min: 1,
            max: 1_000_000_000,
            unit: "entries",
        },
        Access::U64(|config| &mut config.bus.max_lag),
        "Entries behind the end of the stream from which the event_bus check is not ok.",
    ),
    Definition::new(
        Section::Bus,
        "STUDIO_BRAIN_EVENT_BUS_STUCK_AFTER_MS",
        "30000",
        Valid::Number {
            min: 1_000,
            max: 3_600_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.bus.stuck_after),
        "Time without a finished round after which a consumer counts as stuck.",
    ),
    Definition::new(
        Section::Bus,
        "STUDIO_BRAIN_REDIS_STREAM_RETENTION_MS",
        "10000",
        Valid::Number {
            min: 0,
            max: 604_800_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.bus.stream_retention),
        "Time that consumed entries stay in the stream for plain readers.",
    ),
    Definition::new(
        Section::Bus,
        "STUDIO_BRAIN_REDIS_STREAM_MAX_LEN",
        "1000000",
        Valid::Number {
            min: 1,
            max: 1_000_000_000,
            unit: "entries",
        },
        Access::U64(|config| &mut config.bus.stream_max_len),
        "Entries in a stream above which consumed ones are removed at once, whoever else still reads them.",
    ),
];
