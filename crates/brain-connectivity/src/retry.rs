//! Backoff and retries: how long to wait before the next attempt, and when to stop.
//!
//! A delay is never above `max`, and its upper bound (the envelope) never shrinks from one attempt to the next.

use std::future::Future;
use std::time::Duration;

/// Exponential backoff with jitter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The envelope of the first delay.
    pub initial: Duration,
    /// The highest delay ever given.
    pub max: Duration,
    /// What the envelope is multiplied with after each attempt; below 1 counts as 1.
    pub factor: f64,
    /// The part of the envelope that is left to chance, 0 to 1: with 1 (full jitter) a delay lies anywhere between
    /// zero and the envelope, so that many clients that failed together do not come back together.
    pub jitter: f64,
}

impl Default for Backoff {
    /// 100 ms doubling to 5 s, full jitter.
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(5),
            factor: 2.0,
            jitter: 1.0,
        }
    }
}

impl Backoff {
    /// The upper bound of the delay before retry number `attempt`, counted from 0.
    #[must_use]
    pub fn envelope(&self, attempt: u32) -> Duration {
        let factor = if self.factor > 1.0 { self.factor } else { 1.0 };
        let exponent = i32::try_from(attempt).unwrap_or(i32::MAX);
        let seconds = self.initial.as_secs_f64() * factor.powi(exponent);
        // Also false for an infinite or undefined product, which `Duration` could not hold.
        if seconds < self.max.as_secs_f64() {
            Duration::from_secs_f64(seconds)
        } else {
            self.max
        }
    }

    /// The delays, one for each retry, without end; `take(n)` bounds them.
    #[must_use]
    pub fn delays(self) -> Delays {
        Delays {
            backoff: self,
            attempt: 0,
        }
    }
}

impl IntoIterator for Backoff {
    type Item = Duration;
    type IntoIter = Delays;

    fn into_iter(self) -> Delays {
        self.delays()
    }
}

/// The endless delays of a [`Backoff`].
#[derive(Debug, Clone)]
pub struct Delays {
    backoff: Backoff,
    attempt: u32,
}

impl Delays {
    /// Starts again with the first delay, as after a success.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let envelope = self.backoff.envelope(self.attempt);
        self.attempt = self.attempt.saturating_add(1);
        let jitter = self.backoff.jitter.clamp(0.0, 1.0);
        Some(envelope.mul_f64(1.0 - jitter * fastrand::f64()))
    }
}

/// Runs `operation` until it succeeds, fails with an error that `retryable` refuses, or `delays` has no more.
///
/// Pass `Backoff::default().delays().take(4)` for at most five attempts.
///
/// # Errors
/// The last error of the operation.
pub async fn retry<T, E, Fut>(
    delays: impl IntoIterator<Item = Duration>,
    retryable: impl Fn(&E) -> bool,
    mut operation: impl FnMut() -> Fut,
) -> Result<T, E>
where
    Fut: Future<Output = Result<T, E>>,
{
    let mut delays = delays.into_iter();
    loop {
        let error = match operation().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if !retryable(&error) {
            return Err(error);
        }
        let Some(delay) = delays.next() else {
            return Err(error);
        };
        tokio::time::sleep(delay).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn backoffs() -> impl Strategy<Value = Backoff> {
        (0u64..100_000, 0u64..1_000_000, -1.0..10.0f64, -1.0..2.0f64).prop_map(|(initial, max, factor, jitter)| {
            Backoff {
                initial: Duration::from_micros(initial),
                max: Duration::from_micros(max),
                factor,
                jitter,
            }
        })
    }

    proptest! {
        #[test]
        fn the_envelope_is_bounded_and_never_shrinks(backoff in backoffs(), attempt in 0u32..5_000) {
            let here = backoff.envelope(attempt);
            prop_assert!(here <= backoff.max);
            prop_assert!(here <= backoff.envelope(attempt + 1));
        }

        #[test]
        fn the_envelope_reaches_the_maximum(initial in 1u64..1_000, factor in 1.5..10.0f64) {
            let backoff = Backoff {
                initial: Duration::from_millis(initial),
                max: Duration::from_secs(60),
                factor,
                jitter: 1.0,
            };
            prop_assert_eq!(backoff.envelope(u32::MAX), backoff.max);
            prop_assert_eq!(backoff.envelope(40), backoff.max);
        }

        #[test]
        fn delays_stay_between_the_jitter_floor_and_the_envelope(backoff in backoffs()) {
            let floor = 1.0 - backoff.jitter.clamp(0.0, 1.0);
            for (attempt, delay) in backoff.delays().take(30).enumerate() {
                let envelope = backoff.envelope(u32::try_from(attempt).unwrap_or(0));
                prop_assert!(delay <= envelope);
                prop_assert!(delay + Duration::from_nanos(2) >= envelope.mul_f64(floor));
            }
        }
    }

    #[test]
    fn full_jitter_spreads_delays_over_the_envelope() {
        let backoff = Backoff {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(1),
            factor: 1.0,
            jitter: 1.0,
        };
        let delays: Vec<_> = backoff.delays().take(1_000).collect();
        let low = delays.iter().filter(|d| d.as_millis() < 250).count();
        let high = delays.iter().filter(|d| d.as_millis() >= 750).count();
        assert!(low > 100 && high > 100, "low {low}, high {high}");
    }

    #[tokio::test]
    async fn retries_what_is_retryable_until_the_delays_end() {
        let mut calls = 0;
        let result: Result<(), &str> = retry(
            [Duration::ZERO; 3],
            |_| true,
            || {
                calls += 1;
                async { Err("away") }
            },
        )
        .await;
        assert_eq!((result, calls), (Err("away"), 4));
    }

    #[tokio::test]
    async fn stops_at_once_on_what_is_not_retryable() {
        let mut calls = 0;
        let result: Result<(), &str> = retry(
            Backoff::default(),
            |error| *error == "away",
            || {
                calls += 1;
                async { Err("refused") }
            },
        )
        .await;
        assert_eq!((result, calls), (Err("refused"), 1));
    }
}
