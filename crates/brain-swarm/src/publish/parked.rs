//! Claims that found nothing and wait: who is tried again, and when.
//!
//! Invariants: a claim is here at most until its time is over; whoever has waited longest is tried first; after a wake-up every
//! waiting claim of the swarm is tried once, a bounded number at a time.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::calls::{ClaimCall, answer_claim};
use crate::{
    ids::{SwarmId, TenantId},
    ingest::ClaimOutcome,
    metric_names,
};

type SwarmKey = (TenantId, SwarmId);

/// How many waiting claims one batch tries again.
const AT_ONCE: usize = 64;
/// How long a lost notification can go unnoticed.
const LOOK_EVERY: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Parked {
    swarms: HashMap<SwarmKey, Waiting>,
}

struct Waiting {
    claims: VecDeque<ClaimCall>,
    /// How many of the first ones are to be tried.
    to_try: usize,
    /// When to try again although nobody rang.
    look_at: Instant,
}

impl Parked {
    pub(super) fn is_empty(&self) -> bool {
        self.swarms.is_empty()
    }

    /// How many claims wait.
    pub(super) fn len(&self) -> usize {
        self.swarms.values().map(|waiting| waiting.claims.len()).sum()
    }

    /// Lets a claim wait. `due`: after this time something will be ready although nobody rings.
    pub(super) fn park(&mut self, mut call: ClaimCall, due: Option<Duration>) {
        call.waiting.get_or_insert_with(metric_names::Waiting::begin);
        let now = Instant::now();
        let look_at = now + due.unwrap_or(LOOK_EVERY).min(LOOK_EVERY);
        let waiting = self.swarms.entry(call.input.swarm.clone()).or_insert_with(|| Waiting {
            claims: VecDeque::new(),
            to_try: 0,
            look_at,
        });
        waiting.look_at = if waiting.look_at <= now {
            look_at
        } else {
            waiting.look_at.min(look_at)
        };
        waiting.claims.push_back(call);
    }

    /// Something is ready in this swarm.
    pub(super) fn wake(&mut self, swarm: &SwarmKey) {
        if let Some(waiting) = self.swarms.get_mut(swarm) {
            waiting.to_try = waiting.claims.len();
        }
    }

    /// Notifications may have been lost.
    pub(super) fn wake_all(&mut self) {
        for waiting in self.swarms.values_mut() {
            waiting.to_try = waiting.claims.len();
        }
    }

    /// When there is something to do although nobody calls.
    pub(super) fn next(&self) -> Option<Instant> {
        let of = |waiting: &Waiting| {
            let deadline = waiting.claims.iter().map(|call| call.wait_until).min();
            let due = if waiting.to_try > 0 {
                Instant::now()
            } else {
                waiting.look_at
            };
            deadline.map_or(due, |deadline| deadline.min(due))
        };
        self.swarms.values().map(of).min()
    }

    /// The claims that are to be tried now. Answers those whose time is over, forgets those whose callers went away.
    pub(super) fn take(&mut self, now: Instant) -> Vec<ClaimCall> {
        let mut taken = Vec::new();
        for waiting in self.swarms.values_mut() {
            waiting.forget(now);
            if waiting.look_at <= now {
                waiting.look_at = now + LOOK_EVERY;
                waiting.to_try = waiting.claims.len();
            }
            let count = waiting.to_try.min(AT_ONCE).min(waiting.claims.len());
            waiting.to_try = if waiting.claims.len() > count {
                waiting.to_try - count
            } else {
                0
            };
            taken.extend(waiting.claims.drain(..count));
        }
        self.swarms.retain(|_, waiting| !waiting.claims.is_empty());
        taken
    }

    /// Claims of a swarm in which tasks are about to appear: they may have them in the same batch.
    pub(super) fn take_for(&mut self, swarm: &SwarmKey, count: usize) -> Vec<ClaimCall> {
        let Some(waiting) = self.swarms.get_mut(swarm) else {
            return Vec::new();
        };
        waiting.forget(Instant::now());
        let count = count.min(AT_ONCE).min(waiting.claims.len());
        let taken = waiting.claims.drain(..count).collect();
        waiting.to_try = waiting.to_try.min(waiting.claims.len());
        if waiting.claims.is_empty() {
            self.swarms.remove(swarm);
        }
        taken
    }

    /// Answers everybody with nothing: the service ends.
    pub(super) fn dismiss(&mut self) {
        for (_, waiting) in self.swarms.drain() {
            for call in waiting.claims {
                answer_claim(call.answer, ClaimOutcome::default());
            }
        }
    }
}

impl Waiting {
    fn forget(&mut self, now: Instant) {
        let mut kept = VecDeque::with_capacity(self.claims.len());
        for call in self.claims.drain(..) {
            if call.wait_until <= now {
                answer_claim(call.answer, ClaimOutcome::default());
            } else if !call.answer.is_closed() {
                kept.push_back(call);
            }
        }
        self.claims = kept;
        self.to_try = self.to_try.min(self.claims.len());
    }
}
