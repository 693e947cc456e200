//! The metrics of this crate, recorded through the `metrics` facade; whoever embeds it decides where they go.

use std::time::Duration;

/// Events given to a transaction, by `source`: `api` or `stream`. Counter.
pub const INGESTED: &str = "studio_brain_ingested_events_total";
/// Events of one transaction, by `source`. Histogram.
pub const BATCH_SIZE: &str = "studio_brain_ingest_batch_events";
/// How long one transaction took, in seconds, by `source`. Histogram.
pub const BATCH_SECONDS: &str = "studio_brain_ingest_batch_seconds";
/// Events put on a stream by the relay. Counter.
pub const RELAYED: &str = "studio_brain_relayed_events_total";
/// Dead letters made, by `reason`. Counter.
pub const DEAD_LETTERS: &str = "studio_brain_dead_letters_total";
/// Agents found lost. Counter.
pub const AGENTS_LOST: &str = "studio_brain_agents_lost_total";
/// Tasks created by schedules. Counter.
pub const SCHEDULE_FIRINGS: &str = "studio_brain_schedule_firings_total";
/// Old rows removed, by `kind`: `event`, `task`, `run`, `budget` or `dead_letter`. Counter.
pub const PRUNED: &str = "studio_brain_pruned_rows_total";

/// All of them with what they mean, for whoever describes them to a recorder: `(name, meaning)`.
pub const ALL: [(&str, &str); 8] = [
    (INGESTED, "Events given to a transaction, by source"),
    (BATCH_SIZE, "Events of one ingest transaction, by source"),
    (
        BATCH_SECONDS,
        "Duration of one ingest transaction in seconds, by source",
    ),
    (RELAYED, "Events put on a stream by the relay"),
    (DEAD_LETTERS, "Stream entries that became dead letters, by reason"),
    (AGENTS_LOST, "Agents that stopped sending heartbeats"),
    (SCHEDULE_FIRINGS, "Tasks created by schedules"),
    (PRUNED, "Rows removed because of their age, by kind"),
];

#[allow(clippy::cast_precision_loss, reason = "batches are small")]
pub(crate) fn batch_committed(source: &'static str, events: usize, took: Duration) {
    metrics::counter!(INGESTED, "source" => source).increment(events as u64);
    metrics::histogram!(BATCH_SIZE, "source" => source).record(events as f64);
    metrics::histogram!(BATCH_SECONDS, "source" => source).record(took.as_secs_f64());
}
