//! The figures of a run, as a table for people and as JSON.

use std::time::Duration;

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

use super::{footprint::Footprint, latency::Latency, pipeline::Throughput};

/// One figure.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    target: String,
    met: Option<bool>,
}

/// All figures of a run, with what they depend on.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    batch: usize,
    partitions: u16,
    seconds: u64,
    synchronous_commit: &'static str,
    fsync: &'static str,
    figures: Vec<Figure>,
}

#[allow(clippy::cast_precision_loss, reason = "bytes of one process")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

impl Report {
    pub(super) fn new(batch: usize, partitions: u16, window: Duration) -> Self {
        Self {
            batch,
            partitions,
            seconds: window.as_secs(),
            synchronous_commit: "on",
            fsync: "on",
            figures: Vec::new(),
        }
    }

    fn add(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.figures.push(Figure {
            name,
            value,
            unit,
            target: String::new(),
            met: None,
        });
    }

    fn at_most(&mut self, name: &'static str, value: f64, unit: &'static str, most: f64) {
        self.figures.push(Figure {
            name,
            value,
            unit,
            target: format!("at most {most}"),
            met: Some(value <= most),
        });
    }

    pub(super) fn ceiling(&mut self, ceiling: f64) {
        self.add(
            "ceiling: the same statements and XADD in a bare loop, one connection",
            ceiling,
            "tasks/s",
        );
    }

    pub(super) fn pipeline(&mut self, ours: &Throughput, ceiling: f64) {
        self.add(
            "pipeline: published on the stream to stored with follow-up",
            ours.tasks_per_second,
            "tasks/s",
        );
        let (ratio, target) = (
            ours.tasks_per_second / ceiling,
            if self.partitions > 1 { 1.0 } else { 0.6 },
        );
        let name = "ratio of the pipeline to the ceiling";
        self.figures.push(Figure {
            name,
            value: ratio,
            unit: "",
            target: format!("at least {target}"),
            met: Some(ratio >= target),
        });
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        self.add(
            "tasks stored in the run, each with its follow-up",
            ours.stored as f64,
            "tasks",
        );
        self.at_most("memory of the brain under full load", mib(ours.peak_rss), "MiB", 120.0);
    }

    pub(super) fn latency(&mut self, latency: &Latency) {
        self.at_most(
            "500 events/s over HTTP, until the durable answer, p50",
            latency.http.p50,
            "ms",
            1.5,
        );
        self.at_most(
            "500 events/s over HTTP, until the durable answer, p99",
            latency.http.p99,
            "ms",
            5.0,
        );
        self.at_most(
            "500 events/s by XADD, until stored, p50",
            latency.stream_stored.p50,
            "ms",
            1.5,
        );
        self.at_most(
            "500 events/s by XADD, until stored, p99",
            latency.stream_stored.p99,
            "ms",
            5.0,
        );
        self.add(
            "500 events/s by XADD, until the follow-up is on the stream, p50",
            latency.stream_follow_up.p50,
            "ms",
        );
        self.at_most(
            "500 events/s by XADD, until the follow-up is on the stream, p99",
            latency.stream_follow_up.p99,
            "ms",
            8.0,
        );
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        self.add("follow-ups timed", latency.stream_follow_up.samples as f64, "");
    }

    pub(super) fn footprint(&mut self, footprint: &Footprint) {
        self.at_most(
            "idle: statements of the brain",
            footprint.statements_per_second,
            "a second",
            2.0,
        );
        self.at_most(
            "idle: Redis commands of the brain",
            footprint.redis_commands_per_second,
            "a second",
            5.0,
        );
        self.at_most("idle: processor", footprint.cpu_percent, "% of a core", 0.5);
        self.at_most("idle: memory", mib(footprint.idle_rss), "MiB", 30.0);
        self.at_most(
            "from start to ready, migrations applied",
            footprint.start_to_ready.as_secs_f64() * 1000.0,
            "ms",
            300.0,
        );
    }

    /// The figures for people.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table
            .load_style(UTF8_FULL_CONDENSED)
            .set_header(["figure", "value", "unit", "target", ""]);
        for figure in &self.figures {
            let digits = if figure.value >= 1000.0 {
                0
            } else if figure.value >= 10.0 {
                1
            } else {
                2
            };
            let verdict = match figure.met {
                Some(true) => "met",
                Some(false) => "missed",
                None => "",
            };
            table.add_row([
                figure.name.to_owned(),
                format!("{:.digits$}", figure.value),
                figure.unit.to_owned(),
                figure.target.clone(),
                verdict.to_owned(),
            ]);
        }
        format!(
            "batches of up to {} events, {} partition(s), {} s after a warm-up, synchronous_commit={}, fsync={}\n{table}",
            self.batch, self.partitions, self.seconds, self.synchronous_commit, self.fsync
        )
    }
}
