//! Which firings of a schedule are due, and what is done about those that were missed.
//!
//! Invariants: pure; what is due is never in the future; the next planned time lies after everything that is due, and grows.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::calendar::Calendar;

/// How late a firing may be without being missed: more than it takes to look again, to wait for the database for a moment
/// and to restart.
pub const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// The firings of one schedule that are published together; more of them follow at once.
pub const AT_ONCE: usize = 100;

/// What becomes of firings that are more than [`GRACE`] late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissedRuns {
    /// They are left out.
    #[default]
    Skip,
    /// One firing, of the latest time that has passed, stands for all of them.
    Once,
    /// Each is made up for, oldest first.
    All,
}

impl MissedRuns {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Skip, Self::Once, Self::All];

    /// The word in the database and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Once => "once",
            Self::All => "all",
        }
    }
}

impl std::str::FromStr for MissedRuns {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.as_str() == word)
            .ok_or_else(|| {
                format!(
                    "missedRuns {word:?} is none of {}",
                    Self::ALL.map(Self::as_str).join(", ")
                )
            })
    }
}

/// What is to be done about a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The planned times whose tasks are to be created now, in order.
    pub firings: Vec<Timestamp>,
    /// What is planned next. It has passed already when there are more firings than fit.
    pub next_at: Option<Timestamp>,
}

/// Decides about a schedule whose next firing is planned at `planned`.
#[must_use]
pub fn due(calendar: &Calendar, planned: Timestamp, now: Timestamp, policy: MissedRuns) -> Due {
    let oldest = now.checked_sub(GRACE).unwrap_or(Timestamp::MIN);
    let mut next_at = match policy {
        _ if planned >= oldest => Some(planned),
        MissedRuns::All => Some(planned),
        MissedRuns::Once => Some(calendar.latest(planned, now).unwrap_or(planned)),
        MissedRuns::Skip => {
            let before = oldest.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(oldest);
            calendar.after(before)
        }
    };
    let mut firings = Vec::new();
    while let Some(at) = next_at.filter(|at| *at <= now && firings.len() < AT_ONCE) {
        firings.push(at);
        next_at = calendar.after(at);
    }
    Due { firings, next_at }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-06-01T{text}Z").parse().unwrap()
    }

    fn decide(cron: &str, planned: &str, now: &str, policy: MissedRuns) -> (Vec<Timestamp>, Option<Timestamp>) {
        let due = due(&Calendar::new(cron, "UTC").unwrap(), at(planned), at(now), policy);
        (due.firings, due.next_at)
    }

    #[test]
    fn what_is_in_time_fires_whatever_the_policy() {
        for policy in MissedRuns::ALL {
            let hourly = |now| decide("0 * * * *", "10:00:00", now, policy);
            assert_eq!(hourly("09:59:59"), (vec![], Some(at("10:00:00"))));
            assert_eq!(hourly("10:00:00"), (vec![at("10:00:00")], Some(at("11:00:00"))));
            assert_eq!(hourly("10:01:00"), (vec![at("10:00:00")], Some(at("11:00:00"))));
            let often = decide("*/20 * * * * *", "10:00:00", "10:00:45", policy);
            assert_eq!(
                often,
                (
                    ["10:00:00", "10:00:20", "10:00:40"].map(at).to_vec(),
                    Some(at("10:01:00"))
                )
            );
        }
    }

    #[test]
    fn what_is_missed_is_left_out_made_up_for_once_or_each() {
        let after = |policy| decide("*/10 * * * *", "10:00:00", "10:35:00", policy);
        assert_eq!(after(MissedRuns::Skip), (vec![], Some(at("10:40:00"))));
        assert_eq!(after(MissedRuns::Once), (vec![at("10:30:00")], Some(at("10:40:00"))));
        let all = ["10:00:00", "10:10:00", "10:20:00", "10:30:00"].map(at).to_vec();
        assert_eq!(after(MissedRuns::All), (all, Some(at("10:40:00"))));
        // Something is late, and the newest is not: `skip` fires that one, `once` only that one.
        let mixed = |policy| decide("* * * * *", "10:00:00", "10:30:30", policy);
        for policy in [MissedRuns::Skip, MissedRuns::Once] {
            assert_eq!(mixed(policy), (vec![at("10:30:00")], Some(at("10:31:00"))));
        }
    }

    #[test]
    fn the_grace_ends_after_a_minute() {
        let late = |now| decide("0 * * * *", "10:00:00", now, MissedRuns::Skip).0.len();
        assert_eq!((late("10:01:00"), late("10:01:00.000001")), (1, 0));
    }

    #[test]
    fn many_missed_firings_come_in_portions() {
        let calendar = Calendar::new("* * * * *", "UTC").unwrap();
        let (mut planned, now) = (at("00:00:00"), at("04:00:30"));
        let mut portions = Vec::new();
        while planned <= now {
            let due = due(&calendar, planned, now, MissedRuns::All);
            portions.push(due.firings.len());
            planned = due.next_at.unwrap();
        }
        assert_eq!(portions, [100, 100, 41]);
    }

    proptest! {
        #[test]
        fn nothing_fires_twice_or_early_and_the_plan_grows(
            cron in prop::sample::select(vec!["* * * * *", "*/7 * * * * *", "30 2 * * *", "0 */3 * * 1", "15 1,2 * * *"]),
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
            policy in prop::sample::select(MissedRuns::ALL.to_vec()),
            start in 1_700_000_000_i64..1_800_000_000,
            pauses in prop::collection::vec(0_i64..100_000, 1..12),
        ) {
            let calendar = Calendar::new(cron, zone).unwrap();
            let mut now = Timestamp::from_second(start).unwrap();
            let mut planned = calendar.after(now).unwrap();
            let mut last = now;
            for pause in pauses {
                now += SignedDuration::from_secs(pause);
                let due = due(&calendar, planned, now, policy);
                prop_assert!(due.firings.len() <= AT_ONCE);
                for firing in due.firings {
                    prop_assert!(firing > last && firing <= now, "{firing} after {last} at {now}");
                    last = firing;
                }
                let next_at = due.next_at.unwrap();
                prop_assert!(next_at >= planned && next_at > last);
                prop_assert!(policy == MissedRuns::All || next_at > now);
                planned = next_at;
            }
        }
    }
}
