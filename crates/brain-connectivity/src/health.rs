//! Health: every dependency is asked at once, each for a limited time, and the answers make one report.
//!
//! A probe that hangs, fails or panics says so in its own check and leaves the others alone.

mod report;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::join_all;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

pub use self::report::{Check, Outcome, Report, Status};

/// The order of the checks in a report; a probe of another name comes after these.
pub const ORDER: [&str; 7] = [
    "postgres",
    "redis",
    "event_bus",
    "artifact_store",
    "vector_store",
    "skill_registry",
    "skill_sandbox",
];

/// Something whose health can be asked for.
#[async_trait]
pub trait Probe: Send + Sync {
    /// The name of its check, one of [`ORDER`] or another in the same style.
    fn name(&self) -> &'static str;

    /// Asks. The caller bounds the time, so a probe may simply wait.
    async fn probe(&self) -> Outcome;
}

/// The probes of a running system.
#[derive(Clone)]
pub struct Health {
    probes: Vec<Arc<dyn Probe>>,
    timeout: Duration,
}

impl Health {
    /// A health without probes yet; each will be given `timeout` to answer.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self {
            probes: Vec::new(),
            timeout,
        }
    }

    /// Adds a probe.
    #[must_use]
    pub fn with(mut self, probe: impl Probe + 'static) -> Self {
        self.add(Arc::new(probe));
        self
    }

    /// Adds a probe that others hold as well.
    pub fn add(&mut self, probe: Arc<dyn Probe>) {
        self.probes.push(probe);
        self.probes.sort_by_key(|probe| {
            ORDER
                .iter()
                .position(|name| *name == probe.name())
                .unwrap_or(ORDER.len())
        });
    }

    /// Asks all probes at once and waits for the slowest, at most the time-out.
    pub async fn report(&self) -> Report {
        let checks = join_all(self.probes.iter().map(|probe| run(Arc::clone(probe), self.timeout))).await;
        Report::new(now(), checks)
    }

    /// Asks only the probe of this name; `None` when there is none.
    pub async fn check(&self, name: &str) -> Option<Check> {
        let probe = self.probes.iter().find(|probe| probe.name() == name)?;
        Some(run(Arc::clone(probe), self.timeout).await)
    }
}

async fn run(probe: Arc<dyn Probe>, timeout: Duration) -> Check {
    let started = Instant::now();
    let asked = AssertUnwindSafe(probe.probe()).catch_unwind();
    let outcome = match tokio::time::timeout(timeout, asked).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Outcome::error("the check itself failed (panicked)"),
        Err(_) => Outcome::error(format!("no answer within {} ms", timeout.as_millis())),
    };
    Check::new(probe.name(), outcome, started.elapsed())
}

/// Now, to the millisecond.
fn now() -> Timestamp {
    let rounding = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Trunc);
    let now = Timestamp::now();
    now.round(rounding).unwrap_or(now)
}
