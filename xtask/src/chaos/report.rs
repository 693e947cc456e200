//! What a run comes to: faults, recovery times, work, violations; as a table and as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::plan::Kind;
use super::verify::Violation;

/// Violations that the table shows; JSON has all.
const SHOWN: usize = 40;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) seconds: f64,
    pub(super) lease_ms: u64,
    pub(super) faults: usize,
    pub(super) kinds: Vec<KindRow>,
    pub(super) recovery_limit_ms: u64,
    pub(super) recovery_max_ms: u64,
    pub(super) work: Work,
    pub(super) streams: Vec<(String, u64)>,
    pub(super) violations: Vec<Violation>,
    pub(super) replay: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evidence: Option<String>,
}

/// The faults of one kind.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KindRow {
    pub(super) kind: &'static str,
    pub(super) count: usize,
    pub(super) recovery_p50_ms: u64,
    pub(super) recovery_max_ms: u64,
}

/// What was done meanwhile.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Work {
    /// Creations that were acknowledged.
    pub(super) promised: usize,
    pub(super) stored: usize,
    pub(super) completed: usize,
    pub(super) failed: usize,
    pub(super) cancelled: usize,
    /// Attempts that ended without success.
    pub(super) retries: u64,
    /// Completions that a worker was told of.
    pub(super) acknowledged: usize,
    /// Words of workers that were refused because their lease was lost.
    pub(super) refused: usize,
    pub(super) completions_per_second: f64,
}

/// Collects recovery times by kind.
#[derive(Debug, Default)]
pub(super) struct Recoveries {
    by_kind: BTreeMap<Kind, Vec<Option<Duration>>>,
}

impl Recoveries {
    /// Notes a fault; none when it was not recovered from.
    pub(super) fn add(&mut self, kind: Kind, recovery: Option<Duration>) {
        self.by_kind.entry(kind).or_default().push(recovery);
    }

    pub(super) fn faults(&self) -> usize {
        self.by_kind.values().map(Vec::len).sum()
    }

    pub(super) fn rows(&self) -> Vec<KindRow> {
        let row = |(kind, times): (&Kind, &Vec<Option<Duration>>)| {
            let mut known: Vec<u64> = times.iter().flatten().map(|time| milliseconds(*time)).collect();
            known.sort_unstable();
            KindRow {
                kind: kind.name(),
                count: times.len(),
                recovery_p50_ms: known.get(known.len() / 2).copied().unwrap_or_default(),
                recovery_max_ms: known.last().copied().unwrap_or_default(),
            }
        };
        self.by_kind.iter().map(row).collect()
    }
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Report {
    pub(super) fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["FAULT", "COUNT", "RECOVERY P50", "RECOVERY MAX"]);
        for row in &self.kinds {
            table.add_row([
                row.kind.to_owned(),
                row.count.to_string(),
                format!("{} ms", row.recovery_p50_ms),
                format!("{} ms", row.recovery_max_ms),
            ]);
        }
        for column in 1..4 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let work = &self.work;
        let mut lines = vec![
            table.trim_fmt(),
            String::new(),
            format!("seed {}, {:.0} s, lease {} ms", self.seed, self.seconds, self.lease_ms),
            format!(
                "faults: {} of {} kinds; longest recovery {} ms, limit {} ms",
                self.faults,
                self.kinds.len(),
                self.recovery_max_ms,
                self.recovery_limit_ms
            ),
            format!(
                "tasks: {} acknowledged, {} stored; {} completed ({:.1} a second), {} failed, {} cancelled, {} retries",
                work.promised,
                work.stored,
                work.completed,
                work.completions_per_second,
                work.failed,
                work.cancelled,
                work.retries
            ),
            format!(
                "workers: {} completions acknowledged, {} words refused after a lost lease",
                work.acknowledged, work.refused
            ),
            format!(
                "streams: {}",
                self.streams
                    .iter()
                    .map(|(name, length)| format!("{name} {length}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            format!("violations: {}", self.violations.len()),
        ];
        let shown = self.violations.iter().take(SHOWN);
        lines.extend(shown.map(|violation| format!("  {}: {}", violation.kind, violation.detail)));
        if !self.violations.is_empty() {
            lines.push(format!("replay: {}", self.replay));
        }
        if let Some(evidence) = &self.evidence {
            lines.push(format!("ledgers, logs and tables: {evidence}"));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_times_are_kept_by_kind() {
        let mut recoveries = Recoveries::default();
        for time in [30, 10, 20] {
            recoveries.add(Kind::FlushRedis, Some(Duration::from_millis(time)));
        }
        recoveries.add(Kind::KillWorker, None);
        assert_eq!(recoveries.faults(), 4);
        let rows = recoveries.rows();
        let flush = rows.iter().find(|row| row.kind == Kind::FlushRedis.name());
        let numbers = flush.map(|row| (row.count, row.recovery_p50_ms, row.recovery_max_ms));
        assert_eq!(numbers, Some((3, 20, 30)));
    }

    #[test]
    fn a_violation_is_shown_with_the_way_to_replay_it() {
        let report = Report {
            seed: 7,
            violations: vec![Violation::new("done twice", "task t")],
            replay: "cargo xtask chaos --seed 7".to_owned(),
            ..Report::default()
        };
        let text = report.text();
        assert!(
            text.contains("violations: 1") && text.contains("done twice: task t"),
            "{text}"
        );
        assert!(text.contains("replay: cargo xtask chaos --seed 7"), "{text}");
    }
}
