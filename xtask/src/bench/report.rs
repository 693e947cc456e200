//! The figures of a run, as a table for people and as JSON.
//!
//! Invariant: a figure never stands without the conditions under which it was taken; those are read from the machine and the
//! servers, not assumed.

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;
use serde_json::{Map, Value};

use super::samples::Percentiles;

/// One figure.
#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    target: String,
    met: Option<bool>,
}

/// All figures of a run, with what they depend on.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    benchmark: &'static str,
    conditions: Map<String, Value>,
    figures: Vec<Figure>,
    /// What was left out, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

impl Report {
    pub(super) fn new(benchmark: &'static str) -> Self {
        Self {
            benchmark,
            conditions: Map::new(),
            figures: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn condition(&mut self, name: &str, value: impl Into<Value>) {
        self.conditions.insert(name.to_owned(), value.into());
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub(super) fn add(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.push(name.into(), value, unit, String::new(), None);
    }

    pub(super) fn at_most(&mut self, name: impl Into<String>, value: f64, unit: &'static str, most: f64) {
        self.push(name.into(), value, unit, format!("at most {most}"), Some(value <= most));
    }

    pub(super) fn at_least(&mut self, name: impl Into<String>, value: f64, unit: &'static str, least: f64) {
        self.push(
            name.into(),
            value,
            unit,
            format!("at least {least}"),
            Some(value >= least),
        );
    }

    /// A median and a 99th percentile, in milliseconds, each with the most that it may be.
    pub(super) fn times(&mut self, name: &str, times: &Percentiles, most: Option<(f64, f64)>) {
        for (word, value, most) in [
            ("p50", times.p50, most.map(|most| most.0)),
            ("p99", times.p99, most.map(|most| most.1)),
        ] {
            let name = format!("{name}, {word}");
            match most {
                Some(most) => self.at_most(name, value, "ms", most),
                None => self.add(name, value, "ms"),
            }
        }
    }

    fn push(&mut self, name: String, value: f64, unit: &'static str, target: String, met: Option<bool>) {
        self.figures.push(Figure {
            name,
            value,
            unit,
            target,
            met,
        });
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
                figure.name.clone(),
                format!("{:.digits$}", figure.value),
                figure.unit.to_owned(),
                figure.target.clone(),
                verdict.to_owned(),
            ]);
        }
        let conditions: Vec<String> = self
            .conditions
            .iter()
            .map(|(name, value)| match value {
                Value::String(text) => format!("{name}: {text}"),
                other => format!("{name}: {other}"),
            })
            .collect();
        let notes: String = self.notes.iter().map(|note| format!("\nnote: {note}")).collect();
        format!("bench {}\n{}\n{table}{notes}", self.benchmark, conditions.join("; "))
    }
}

/// A ratio, or 0 where there is nothing to compare with.
pub(super) fn ratio(ours: f64, theirs: f64) -> f64 {
    if theirs > 0.0 { ours / theirs } else { 0.0 }
}

#[allow(clippy::cast_precision_loss, reason = "bytes of one process")]
pub(super) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
