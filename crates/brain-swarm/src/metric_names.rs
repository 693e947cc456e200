//! The metrics of this crate, recorded through the `metrics` facade; whoever embeds it decides where they go.

use std::time::Duration;

use brain_connectivity::metric::{Kind, Metric};

use crate::dead_letters::Reason;

/// Events given to a transaction, by `source`: `api` or `stream`.
pub const INGESTED: &str = "studio_brain_ingested_events_total";
/// Events of one transaction, by `source`.
pub const BATCH_SIZE: &str = "studio_brain_ingest_batch_events";
/// How long one transaction took, by `source`.
pub const BATCH_SECONDS: &str = "studio_brain_ingest_batch_seconds";
/// Events stored, by `type`.
pub const STORED: &str = "studio_brain_stored_events_total";
/// Events put on a stream by the relay.
pub const RELAYED: &str = "studio_brain_relayed_events_total";
/// Rows of the outbox.
pub const OUTBOX_ROWS: &str = "studio_brain_outbox_rows";
/// Age of the oldest row of the outbox.
pub const OUTBOX_AGE: &str = "studio_brain_outbox_oldest_seconds";
/// Entries of a stream that are not stored yet, by `stream`.
pub const BUS_LAG: &str = "studio_brain_bus_lag_entries";
/// Age of the oldest of them, by `stream`.
pub const BUS_LAG_SECONDS: &str = "studio_brain_bus_lag_seconds";
/// Streams consumed here.
pub const STREAMS_HELD: &str = "studio_brain_streams_held";
/// Streams that no replica consumes.
pub const STREAMS_ORPHANED: &str = "studio_brain_streams_orphaned";
/// Leases on streams taken, `after` what.
pub const STREAM_LEASES_TAKEN: &str = "studio_brain_stream_leases_taken_total";
/// Leases on streams lost.
pub const STREAM_LEASES_LOST: &str = "studio_brain_stream_leases_lost_total";
/// Leases on streams given back.
pub const STREAM_LEASES_RELEASED: &str = "studio_brain_stream_leases_released_total";
/// Tasks taken back from who held them, by `reason`.
pub const TASKS_RECLAIMED: &str = "studio_brain_tasks_reclaimed_total";
/// Claims answered, by `outcome`.
pub const CLAIMS: &str = "studio_brain_claims_total";
/// Tasks handed out to claims.
pub const CLAIMED_TASKS: &str = "studio_brain_claimed_tasks_total";
/// Claims that wait for a task.
pub const CLAIMS_WAITING: &str = "studio_brain_claims_waiting";
/// Dead letters made, by `reason`.
pub const DEAD_LETTERS: &str = "studio_brain_dead_letters_total";
/// Agents found lost.
pub const AGENTS_LOST: &str = "studio_brain_agents_lost_total";
/// Tasks created by schedules.
pub const SCHEDULE_FIRINGS: &str = "studio_brain_schedule_firings_total";
/// Attempts to deliver notices, by `outcome`.
pub const NOTICES: &str = "studio_brain_notices_total";
/// Old rows removed, by `kind`.
pub const PRUNED: &str = "studio_brain_pruned_rows_total";

/// What a claim got, as a label.
pub(crate) const CLAIM_OUTCOMES: [&str; 4] = ["tasks", "nothing", "refused", "draining"];
/// Why a task was taken back, as a label.
pub(crate) const RECLAIM_REASONS: [&str; 2] = ["lease_expired", "agent_lost"];
/// How an attempt to deliver a notice ended, as a label.
const NOTICE_OUTCOMES: [&str; 3] = ["delivered", "failed", "given_up"];
/// What was before a lease was taken, as a label.
const TAKEN_AFTER: [&str; 2] = ["release", "expiry"];

/// All of them.
pub const ALL: &[Metric] = &[
    counter(
        (INGESTED, "events"),
        &["source"],
        "Events given to a transaction, from the `api` or a `stream`.",
    ),
    histogram(
        (BATCH_SIZE, "events"),
        &["source"],
        "Events of one ingest transaction; a batch of claims alone has none.",
    ),
    histogram(
        (BATCH_SECONDS, "seconds"),
        &["source"],
        "Duration of one ingest transaction, from asking for a connection to the commit.",
    ),
    counter(
        (STORED, "events"),
        &["type"],
        "Events stored, follow-ups among them, by type; all that agents made up are `custom`.",
    ),
    counter((RELAYED, "events"), &[], "Events put on a stream by the relay."),
    gauge(
        (OUTBOX_ROWS, "rows"),
        &[],
        "Rows of the outbox of the whole installation, at most 100,000; every replica says the same.",
    ),
    gauge(
        (OUTBOX_AGE, "seconds"),
        &[],
        "Age of the oldest row of the outbox; 0 when it is empty. Every replica says the same.",
    ),
    gauge(
        (BUS_LAG, "entries"),
        &["stream"],
        "Entries of a stream consumed here that are not acknowledged yet; 0 once another replica has it.",
    ),
    gauge(
        (BUS_LAG_SECONDS, "seconds"),
        &["stream"],
        "Age of the oldest entry of a stream consumed here that is not acknowledged yet; 0 when there is none.",
    ),
    gauge((STREAMS_HELD, "streams"), &[], "Streams that this replica consumes."),
    gauge(
        (STREAMS_ORPHANED, "streams"),
        &[],
        "Streams that no replica consumes; every replica says the same.",
    ),
    counter(
        (STREAM_LEASES_TAKEN, "leases"),
        &["after"],
        "Leases on streams taken: after a `release` or its first start, or after the `expiry` of another holder.",
    ),
    counter(
        (STREAM_LEASES_LOST, "leases"),
        &[],
        "Leases on streams that this replica lost while it held them.",
    ),
    counter(
        (STREAM_LEASES_RELEASED, "leases"),
        &[],
        "Leases on streams that this replica gave back.",
    ),
    counter(
        (TASKS_RECLAIMED, "tasks"),
        &["reason"],
        "Tasks taken back because the lease ran out (`lease_expired`) or the agent fell silent (`agent_lost`).",
    ),
    counter(
        (CLAIMS, "claims"),
        &["outcome"],
        "Claims answered: with `tasks`, with `nothing`, `refused`, or told that the agent is `draining`.",
    ),
    counter((CLAIMED_TASKS, "tasks"), &[], "Tasks handed out to claims."),
    gauge(
        (CLAIMS_WAITING, "claims"),
        &[],
        "Claims that found nothing and wait for a task.",
    ),
    counter(
        (DEAD_LETTERS, "dead letters"),
        &["reason"],
        "Stream entries that became dead letters.",
    ),
    counter((AGENTS_LOST, "agents"), &[], "Agents that stopped sending heartbeats."),
    counter((SCHEDULE_FIRINGS, "tasks"), &[], "Tasks created by schedules."),
    counter(
        (NOTICES, "attempts"),
        &["outcome"],
        "Attempts to deliver a notice to a webhook: `delivered`, `failed` and to be tried again, or `given_up` for good.",
    ),
    counter(
        (PRUNED, "rows"),
        &["kind"],
        "Rows removed because of their age: `event`, `task`, `run`, `budget` or `dead_letter`.",
    ),
];

const fn counter(
    name_and_unit: (&'static str, &'static str),
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    Metric::new(Kind::Counter, name_and_unit, labels, meaning)
}

const fn gauge(
    name_and_unit: (&'static str, &'static str),
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    Metric::new(Kind::Gauge, name_and_unit, labels, meaning)
}

const fn histogram(
    name_and_unit: (&'static str, &'static str),
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    Metric::new(Kind::Histogram, name_and_unit, labels, meaning)
}

/// Makes the counters whose first step is worth an alert begin at 0: a series that appears with a 1 has not risen.
pub fn begin() {
    for reason in Reason::ALL {
        metrics::counter!(DEAD_LETTERS, "reason" => reason.as_str()).increment(0);
    }
    for reason in RECLAIM_REASONS {
        metrics::counter!(TASKS_RECLAIMED, "reason" => reason).increment(0);
    }
    for after in TAKEN_AFTER {
        metrics::counter!(STREAM_LEASES_TAKEN, "after" => after).increment(0);
    }
    for outcome in CLAIM_OUTCOMES {
        metrics::counter!(CLAIMS, "outcome" => outcome).increment(0);
    }
    for outcome in NOTICE_OUTCOMES {
        metrics::counter!(NOTICES, "outcome" => outcome).increment(0);
    }
    for name in [
        STREAM_LEASES_LOST,
        STREAM_LEASES_RELEASED,
        CLAIMED_TASKS,
        RELAYED,
        AGENTS_LOST,
        SCHEDULE_FIRINGS,
    ] {
        metrics::counter!(name).increment(0);
    }
}

#[allow(clippy::cast_precision_loss, reason = "batches are small")]
pub(crate) fn batch_committed(source: &'static str, events: usize, took: Duration) {
    metrics::counter!(INGESTED, "source" => source).increment(events as u64);
    metrics::histogram!(BATCH_SIZE, "source" => source).record(events as f64);
    metrics::histogram!(BATCH_SECONDS, "source" => source).record(took.as_secs_f64());
}

/// A lease on a stream was taken.
pub(crate) fn stream_taken(ran_out: bool) {
    metrics::counter!(STREAM_LEASES_TAKEN, "after" => TAKEN_AFTER[usize::from(ran_out)]).increment(1);
}

/// A claim that waits, counted for as long as this lives.
#[derive(Debug)]
pub(crate) struct Waiting(());

impl Waiting {
    pub(crate) fn begin() -> Self {
        metrics::gauge!(CLAIMS_WAITING).increment(1.0);
        Self(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        metrics::gauge!(CLAIMS_WAITING).decrement(1.0);
    }
}
