//! Rankings: the best few of many, and two rankings made one. Equal scores are ordered by id, so that there is only
//! one right order.

use std::{cmp::Ordering, collections::BinaryHeap, collections::HashMap};

/// The constant of reciprocal rank fusion: how little the very first places stand out.
const FUSION: f64 = 60.0;

/// An id with its score, ordered from best to worst.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ranked {
    pub(super) score: f64,
    pub(super) id: String,
}

impl Eq for Ranked {}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        before(self.score, &self.id, other)
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn before(score: f64, id: &str, other: &Ranked) -> Ordering {
    // Adding zero makes the two zeros equal, as they are for everybody else.
    (other.score + 0.0)
        .total_cmp(&(score + 0.0))
        .then_with(|| id.cmp(&other.id))
}

/// The best `limit` of all that is offered; never holds more.
pub(super) struct Best {
    limit: usize,
    /// The worst of the best on top.
    heap: BinaryHeap<Ranked>,
}

impl Best {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            heap: BinaryHeap::with_capacity(limit.min(1024)),
        }
    }

    pub(super) fn offer(&mut self, score: f64, id: &str) {
        if self.heap.len() == self.limit {
            match self.heap.peek() {
                Some(worst) if before(score, id, worst) == Ordering::Less => self.heap.pop(),
                _ => return,
            };
        }
        self.heap.push(Ranked {
            score,
            id: id.to_owned(),
        });
    }

    pub(super) fn into_ranking(self) -> Vec<Ranked> {
        self.heap.into_sorted_vec()
    }
}

/// Reciprocal rank fusion: an id scores `1 / (60 + place)` for its place in each ranking, and the sum counts.
pub(super) fn fuse(first: &[Ranked], second: &[Ranked], limit: usize) -> Vec<Ranked> {
    let mut scores: HashMap<&str, f64> = HashMap::new();
    for ranking in [first, second] {
        for (place, ranked) in (1u32..).zip(ranking) {
            *scores.entry(&ranked.id).or_default() += 1.0 / (FUSION + f64::from(place));
        }
    }
    let mut best = Best::new(limit);
    for (id, score) in scores {
        best.offer(score, id);
    }
    best.into_ranking()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(ranking: &[Ranked]) -> Vec<&str> {
        ranking.iter().map(|ranked| ranked.id.as_str()).collect()
    }

    fn ranking(ids: &[&str]) -> Vec<Ranked> {
        ids.iter()
            .map(|id| Ranked {
                score: 0.0,
                id: (*id).to_owned(),
            })
            .collect()
    }

    #[test]
    fn fusion_rewards_agreement_and_breaks_ties_by_id() {
        let fused = fuse(&ranking(&["a", "b", "c"]), &ranking(&["d", "b", "e"]), 4);
        assert_eq!(ids(&fused), ["b", "a", "d", "c"]);
        assert_eq!(fused[0].score, 1.0 / 62.0 + 1.0 / 62.0);
        assert_eq!(fuse(&[], &[], 4), []);
    }

    #[test]
    fn zeros_of_either_sign_are_equal() {
        let mut best = Best::new(1);
        best.offer(0.0, "b");
        best.offer(-0.0, "a");
        assert_eq!(ids(&best.into_ranking()), ["a"]);
    }

    proptest! {
        #[test]
        fn the_best_are_the_first_of_all_sorted(
            offered in prop::collection::vec((-3i8..3, "[a-c]{1,3}"), 0..40),
            limit in 1usize..12,
        ) {
            let mut best = Best::new(limit);
            let mut all = Vec::new();
            for (score, id) in &offered {
                best.offer(f64::from(*score), id);
                all.push((-*score, id.clone()));
            }
            all.sort();
            all.truncate(limit);
            let expected: Vec<_> = all.iter().map(|(_, id)| id.as_str()).collect();
            let ranking = best.into_ranking();
            prop_assert_eq!(ids(&ranking), expected);
        }
    }
}
