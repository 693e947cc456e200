//! What a committed batch adds to the metrics.
//!
//! Invariant: only what is committed is counted; a batch costs a few additions, however many events it has.

use super::{Batch, fold::Changes};
use crate::{
    event::EventType,
    metric_names::{DEAD_LETTERS, RECLAIM_REASONS, STORED, TASKS_RECLAIMED},
};

/// The label of what agents and people made up: their names are without number.
const CUSTOM: &str = "custom";

/// Counts what a batch has changed.
pub(super) fn count(batch: &Batch, changes: &Changes) {
    let kinds = EventType::KNOWN;
    let mut known = [0_u64; EventType::KNOWN.len()];
    let mut custom = 0_u64;
    for stored in &changes.events {
        match kinds.iter().position(|kind| *kind == stored.event.kind) {
            Some(place) => known[place] += 1,
            None => custom += 1,
        }
    }
    for (kind, count) in kinds.iter().zip(known).filter(|(_, count)| *count > 0) {
        metrics::counter!(STORED, "type" => kind.as_str().to_owned()).increment(count);
    }
    if custom > 0 {
        metrics::counter!(STORED, "type" => CUSTOM).increment(custom);
    }
    for letter in batch.dead_letters.iter().chain(&changes.duplicates) {
        metrics::counter!(DEAD_LETTERS, "reason" => letter.reason.as_str()).increment(1);
    }
    for reason in RECLAIM_REASONS {
        let states = changes.swarms.values().map(|(_, state)| &state.touched.reclaimed);
        let count = states.flatten().filter(|why| **why == reason).count();
        if count > 0 {
            metrics::counter!(TASKS_RECLAIMED, "reason" => reason).increment(count as u64);
        }
    }
}
