//! What a metric is called and means: one line for each, from which the recorder and the documentation are made.
//!
//! Invariant: a name never changes and never changes its meaning, because dashboards and alerts are written against it.

use metrics::Unit;

/// One metric as it is documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How its values behave.
    pub kind: Kind,
    /// What is counted, in the plural: `events`, `seconds`.
    pub unit: &'static str,
    /// The labels that every series of it carries.
    pub labels: &'static [&'static str],
    /// What it says, as a sentence.
    pub meaning: &'static str,
}

/// How the values of a metric behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows while the process lives.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Samples in buckets.
    Histogram,
}

impl Kind {
    /// The word that Prometheus has for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Metric {
    /// A metric of this kind: name and unit, labels, meaning.
    #[must_use]
    pub const fn new(
        kind: Kind,
        (name, unit): (&'static str, &'static str),
        labels: &'static [&'static str],
        meaning: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            unit,
            labels,
            meaning,
        }
    }

    /// Tells the recorder of this process what it means.
    pub fn describe(&self) {
        let unit = match self.unit {
            "seconds" => Unit::Seconds,
            _ => Unit::Count,
        };
        match self.kind {
            Kind::Counter => metrics::describe_counter!(self.name, unit, self.meaning),
            Kind::Gauge => metrics::describe_gauge!(self.name, unit, self.meaning),
            Kind::Histogram => metrics::describe_histogram!(self.name, unit, self.meaning),
        }
    }
}
