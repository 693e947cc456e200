//! Times that were measured, and what of them is reported.

use std::{sync::Mutex, sync::PoisonError, time::Duration};

use anyhow::Result;
use hdrhistogram::Histogram;

/// The longest time that is told apart, in microseconds.
const LONGEST: u64 = 60_000_000;

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) samples: u64,
}

/// Times, to three digits.
#[derive(Debug)]
pub(super) struct Samples(Mutex<Histogram<u64>>);

impl Samples {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(Mutex::new(Histogram::new_with_bounds(1, LONGEST, 3)?)))
    }

    pub(super) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .saturating_record(micros);
    }

    #[allow(clippy::cast_precision_loss, reason = "microseconds of a minute at most")]
    pub(super) fn percentiles(&self) -> Percentiles {
        let times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ms = |quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
        Percentiles {
            p50: ms(0.5),
            p99: ms(0.99),
            samples: times.len(),
        }
    }
}
