//! How long a skill that fails again and again is left alone.
//!
//! Invariants: the first failures cost nothing; each further one doubles the wait up to its longest; one success forgets all; the
//! number of skills that are remembered is bounded.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

/// Most keys that are remembered.
const MAX_REMEMBERED: usize = 4096;

/// How long to leave a failing skill alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Failures in a row before it is left alone at all.
    pub after: u32,
    /// The first wait.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            after: 3,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(120),
        }
    }
}

impl Backoff {
    fn wait(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(self.after.max(1)) else {
            return Duration::ZERO;
        };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }
}

/// The failures of each key.
#[derive(Debug)]
pub(super) struct Failures<K> {
    backoff: Backoff,
    of: HashMap<K, (u32, Instant)>,
}

impl<K: Eq + Hash + Clone> Failures<K> {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            of: HashMap::new(),
        }
    }

    /// How often it failed and how long it is still left alone, where it is.
    pub(super) fn waits(&self, key: &K, now: Instant) -> Option<(u32, Duration)> {
        let (failures, until) = self.of.get(key)?;
        let remaining = until
            .checked_duration_since(now)
            .filter(|remaining| !remaining.is_zero())?;
        Some((*failures, remaining))
    }

    pub(super) fn succeeded(&mut self, key: &K) {
        self.of.remove(key);
    }

    pub(super) fn failed(&mut self, key: &K, now: Instant) {
        if self.of.len() >= MAX_REMEMBERED && !self.of.contains_key(key) {
            // Those whose wait is over for longest are forgotten first.
            let oldest = self.of.iter().min_by_key(|(_, (_, until))| *until);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.of.remove(&oldest);
            }
        }
        let (failures, until) = self.of.entry(key.clone()).or_insert((0, now));
        *failures = failures.saturating_add(1);
        *until = now + self.backoff.wait(*failures);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_and_success_forgets() {
        let backoff = Backoff {
            after: 2,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(5),
        };
        let mut failures = Failures::new(backoff);
        let now = Instant::now();
        let mut waited = Vec::new();
        for _ in 0..6 {
            failures.failed(&"a", now);
            waited.push(failures.waits(&"a", now).map(|(_, wait)| wait.as_secs()));
        }
        assert_eq!(waited, [None, Some(1), Some(2), Some(4), Some(5), Some(5)]);
        assert_eq!(failures.waits(&"b", now), None);
        assert_eq!(
            failures.waits(&"a", now + Duration::from_secs(5)),
            None,
            "then it is tried again"
        );
        failures.succeeded(&"a");
        assert_eq!(failures.waits(&"a", now), None);
    }

    #[test]
    fn no_more_are_remembered_than_a_bound() {
        let mut failures = Failures::new(Backoff::default());
        let now = Instant::now();
        (0..2 * MAX_REMEMBERED).for_each(|key| failures.failed(&key, now));
        assert_eq!(failures.of.len(), MAX_REMEMBERED);
    }

    proptest! {
        #[test]
        fn waits_never_shrink_or_overflow(after in any::<u32>(), first in any::<u32>(), longest in any::<u32>(), failures in 0..u32::MAX) {
            let backoff = Backoff { after, first: Duration::from_millis(first.into()), longest: Duration::from_millis(longest.into()) };
            let (wait, next) = (backoff.wait(failures), backoff.wait(failures + 1));
            prop_assert!(wait <= next && next <= backoff.longest);
        }
    }
}
