//! Many callers, one question at a time.
//!
//! Invariants: at most one round runs; a caller gets an answer that was asked for after it came. However many ask for a
//! health report, the dependencies are asked twice at most.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// Rounds of a question whose answer can be shared.
pub(crate) struct Rounds<T> {
    begun: AtomicU64,
    last: Mutex<Option<(u64, T)>>,
}

impl<T: Clone> Rounds<T> {
    pub(crate) fn new() -> Self {
        Self {
            begun: AtomicU64::new(0),
            last: Mutex::new(None),
        }
    }

    /// The answer of a round that began after this call.
    pub(crate) async fn run<F: Future<Output = T>>(&self, ask: impl FnOnce() -> F) -> T {
        let seen = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if let Some((round, answer)) = &*last
            && *round > seen
        {
            return answer.clone();
        }
        let round = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let answer = ask().await;
        *last = Some((round, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn many_callers_share_two_rounds() {
        let (rounds, asked) = (Rounds::new(), AtomicUsize::new(0));
        let one = || {
            rounds.run(|| async {
                tokio::task::yield_now().await;
                asked.fetch_add(1, Ordering::SeqCst)
            })
        };
        join_all((0..50).map(|_| one())).await;
        assert!(asked.load(Ordering::SeqCst) <= 2, "{asked:?}");
        let before = asked.load(Ordering::SeqCst);
        assert_eq!(one().await, before, "an answer from before the call is too old");
    }
}
