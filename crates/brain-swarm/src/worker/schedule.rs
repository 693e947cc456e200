//! When to do what: the decisions of a worker as pure functions of times and numbers.
//!
//! Invariants: a lease is counted from before the request that began or renewed it was sent, so it ends here no later
//! than in the database; a call never waits so long that what it brings is nearly over.

use std::num::NonZeroUsize;
use std::time::Duration;

use brain_connectivity::retry::Backoff;
use tokio::time::Instant;

/// The most tasks of one claim.
pub(super) const MOST_CLAIMED: usize = 1000;

/// The longest that the brain lets a claim wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Leases are renewed when this part of them is over: two more heartbeats fit before the end.
const PART: u32 = 3;

/// Between calls that failed because the brain is away.
pub(super) const BACKOFF: Backoff = Backoff {
    initial: Duration::from_millis(100),
    max: Duration::from_secs(5),
    factor: 2.0,
    jitter: 0.5,
};

/// How many tasks to ask for.
pub(super) fn claim_size(concurrency: NonZeroUsize, busy: usize) -> usize {
    concurrency.get().saturating_sub(busy).min(MOST_CLAIMED)
}

/// How long a claim may wait. A task counts from before the claim, so a wait eats from its lease.
pub(super) fn claim_wait(wanted: Duration, lease: Duration) -> Duration {
    wanted.min(lease / PART).min(LONGEST_WAIT)
}

/// When a lease is over that a request sent at `asked` began or renewed.
pub(super) fn lease_end(asked: Instant, lease: Duration) -> Instant {
    // A length that the clock cannot hold would never end; nobody waits longer than a day without a heartbeat.
    asked
        .checked_add(lease)
        .unwrap_or_else(|| asked + Duration::from_secs(24 * 60 * 60))
}

/// When the next heartbeat is due: at a third of the lease that is closest to its end, and at the latest `quiet` after
/// the last one.
pub(super) fn heartbeat_due(
    leases: impl IntoIterator<Item = (Instant, Duration)>,
    heard: Instant,
    quiet: Duration,
) -> Instant {
    leases
        .into_iter()
        .map(|(asked, lease)| lease_end(asked, lease / PART))
        .fold(lease_end(heard, quiet), Instant::min)
}

/// How long to wait for the answer to a heartbeat, and at most after one that failed.
pub(super) fn heartbeat_patience(shortest: Option<Duration>, quiet: Duration) -> Duration {
    shortest.map_or(quiet, |lease| (lease / PART).min(quiet))
}

/// A duration as requests carry it.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_claim_asks_for_what_is_free() {
        let ten = NonZeroUsize::new(10).unwrap();
        assert_eq!(claim_size(ten, 0), 10);
        assert_eq!(claim_size(ten, 9), 1);
        assert_eq!(claim_size(ten, 12), 0);
        assert_eq!(claim_size(NonZeroUsize::new(5000).unwrap(), 0), MOST_CLAIMED);
    }

    #[test]
    fn a_wait_leaves_most_of_the_lease() {
        assert_eq!(claim_wait(10 * SECOND, 30 * SECOND), 10 * SECOND);
        assert_eq!(claim_wait(60 * SECOND, 30 * SECOND), 10 * SECOND);
        assert_eq!(claim_wait(600 * SECOND, 3600 * SECOND), 60 * SECOND);
    }

    #[test]
    fn the_lease_closest_to_its_end_sets_the_pace() {
        let now = Instant::now();
        let leases = [(now, 30 * SECOND), (now + SECOND, 6 * SECOND)];
        assert_eq!(heartbeat_due(leases, now, 10 * SECOND), now + 3 * SECOND);
        assert_eq!(
            heartbeat_due([(now, 300 * SECOND)], now, 10 * SECOND),
            now + 10 * SECOND
        );
        assert_eq!(heartbeat_due([], now, 10 * SECOND), now + 10 * SECOND);
        assert_eq!(heartbeat_patience(Some(6 * SECOND), 10 * SECOND), 2 * SECOND);
        assert_eq!(heartbeat_patience(None, 10 * SECOND), 10 * SECOND);
    }

    #[test]
    fn a_lease_of_any_length_has_an_end() {
        let now = Instant::now();
        assert!(lease_end(now, Duration::MAX) > now);
    }

    proptest! {
        #[test]
        fn a_heartbeat_is_due_before_any_lease_is_over(
            leases in prop::collection::vec((0u64..100_000, 3u64..100_000), 1..20),
            quiet in 1u64..100_000,
        ) {
            let now = Instant::now();
            let leases: Vec<_> = leases
                .into_iter()
                .map(|(asked, lease)| (now + Duration::from_millis(asked), Duration::from_millis(lease)))
                .collect();
            let due = heartbeat_due(leases.iter().copied(), now, Duration::from_millis(quiet));
            for (asked, lease) in leases {
                prop_assert!(due < lease_end(asked, lease));
            }
        }
    }
}
