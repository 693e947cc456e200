//! The rule: how much of the beginning of a swarm's history may go.
//!
//! Invariant: what goes is a beginning of the candidates, and none of it is young, or at or past anything that still needs it.

use jiff::Timestamp;

use crate::ids::EntryId;

/// What holds the events of a swarm, each by the first `seq` that must stay; `None` holds nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    /// The first event that the relay may still have to read.
    pub(super) outbox: Option<i64>,
    /// The first event of the oldest open run.
    pub(super) open_run: Option<i64>,
    /// The event that created the oldest open task.
    pub(super) open_task: Option<i64>,
    /// How far the swarm's stream is consumed. What is at or above it may be delivered again, and is then recognised only
    /// because its event is there.
    pub(super) cursor: Option<EntryId>,
}

/// An event that comes next, in order of `seq`.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) seq: i64,
    pub(super) stored_at: Timestamp,
    /// The stream entry that brought it; `None`: the relay put it on the stream.
    pub(super) entry: Option<EntryId>,
    /// Whether a task that it speaks of must stay.
    pub(super) held: bool,
}

/// Why an event stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hold {
    Age,
    Outbox,
    OpenRun,
    OpenTask,
    Cursor,
}

impl Hold {
    /// The name under which a pass counts it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Outbox => "outbox",
            Self::OpenRun => "openRun",
            Self::OpenTask => "openTask",
            Self::Cursor => "cursor",
        }
    }
}

impl Limits {
    /// The first `seq` that must stay whatever its age, and why.
    pub(super) fn first_kept(&self) -> Option<(i64, Hold)> {
        [
            (self.outbox, Hold::Outbox),
            (self.open_run, Hold::OpenRun),
            (self.open_task, Hold::OpenTask),
        ]
        .into_iter()
        .filter_map(|(seq, hold)| Some((seq?, hold)))
        .min()
    }

    fn holds(&self, cutoff: Timestamp, candidate: &Candidate) -> Option<Hold> {
        if candidate.stored_at >= cutoff {
            return Some(Hold::Age);
        }
        if let Some((kept, hold)) = self.first_kept()
            && candidate.seq >= kept
        {
            return Some(hold);
        }
        if candidate.held {
            return Some(Hold::OpenTask);
        }
        let unread = match (self.cursor, candidate.entry) {
            (Some(cursor), Some(entry)) => entry >= cursor,
            // The relay wrote its entry after the event was stored, so a cursor from before that has not passed it.
            (Some(cursor), None) => {
                u64::try_from(candidate.stored_at.as_millisecond()).is_ok_and(|stored| stored > cursor.ms)
            }
            (None, _) => false,
        };
        unread.then_some(Hold::Cursor)
    }
}

/// How many of the candidates may go, from the first on, and what holds the next one.
pub(super) fn prunable(limits: &Limits, cutoff: Timestamp, candidates: &[Candidate]) -> (usize, Option<Hold>) {
    for (index, candidate) in candidates.iter().enumerate() {
        if let Some(hold) = limits.holds(cutoff, candidate) {
            return (index, Some(hold));
        }
    }
    (candidates.len(), None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn relayed(seq: i64, ms: i64) -> Candidate {
        Candidate {
            seq,
            stored_at: at(ms),
            entry: None,
            held: false,
        }
    }

    fn check(limits: Limits, expect: (usize, Option<Hold>)) {
        let candidates: Vec<Candidate> = (1..=4).map(|seq| relayed(seq, seq * 10)).collect();
        assert_eq!(prunable(&limits, at(1_000), &candidates), expect, "{limits:?}");
    }

    #[test]
    fn each_thing_that_needs_the_events_holds_them() {
        let none = Limits::default();
        check(none, (4, None));
        check(
            Limits {
                outbox: Some(3),
                ..none
            },
            (2, Some(Hold::Outbox)),
        );
        let run = Limits {
            open_run: Some(2),
            open_task: Some(3),
            ..none
        };
        check(run, (1, Some(Hold::OpenRun)));
        check(
            Limits {
                open_task: Some(0),
                ..none
            },
            (0, Some(Hold::OpenTask)),
        );
        // Stored at 10, 20, 30, 40: the relay's entry of the third cannot be before 30.
        let cursor = Some(EntryId { ms: 29, seq: 7 });
        check(Limits { cursor, ..none }, (2, Some(Hold::Cursor)));
    }

    #[test]
    fn entries_compare_as_numbers() {
        let limits = Limits {
            cursor: Some(EntryId { ms: 1_000, seq: 0 }),
            ..Limits::default()
        };
        let brought = |entry| Candidate {
            entry: Some(entry),
            ..relayed(1, 1)
        };
        let count = |entry| prunable(&limits, at(2_000), &[brought(entry)]).0;
        // As text "999-5" comes after "1000-0".
        assert_eq!(count(EntryId { ms: 999, seq: 5 }), 1);
        assert_eq!(
            count(EntryId { ms: 1_000, seq: 0 }),
            0,
            "the cursor itself may come again"
        );
    }

    fn limit() -> impl Strategy<Value = Option<i64>> {
        proptest::option::weighted(0.3, 0..60i64)
    }

    fn entry() -> impl Strategy<Value = EntryId> {
        (0..300u64, 0..3u64).prop_map(|(ms, seq)| EntryId { ms, seq })
    }

    prop_compose! {
        fn candidates()(
            first in 1..20i64,
            rows in proptest::collection::vec((0..200i64, proptest::option::of(entry()), proptest::bool::weighted(0.05)), 0..40),
        ) -> Vec<Candidate> {
            rows.into_iter()
                .zip(first..)
                .map(|((ms, entry, held), seq)| Candidate { seq, stored_at: at(ms), entry, held })
                .collect()
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_needed_goes_and_nothing_else_stays_first(
            outbox in limit(), open_run in limit(), open_task in limit(), cursor in proptest::option::of(entry()),
            cutoff in 0..200i64, candidates in candidates(),
        ) {
            let limits = Limits { outbox, open_run, open_task, cursor };
            let needed = |candidate: &Candidate| {
                candidate.stored_at >= at(cutoff)
                    || candidate.held
                    || [outbox, open_run, open_task].into_iter().flatten().any(|kept| candidate.seq >= kept)
                    || match (cursor, candidate.entry) {
                        (Some(cursor), Some(entry)) => entry >= cursor,
                        (Some(cursor), None) => candidate.stored_at.as_millisecond() > i64::try_from(cursor.ms).unwrap(),
                        (None, _) => false,
                    }
            };
            let (count, hold) = prunable(&limits, at(cutoff), &candidates);
            prop_assert!(!candidates[..count].iter().any(needed));
            prop_assert_eq!(hold.is_some(), count < candidates.len());
            prop_assert!(candidates.get(count).is_none_or(needed));
        }
    }
}
