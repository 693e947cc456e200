//! Waiting for something to become true, instead of sleeping for a guess.

use std::time::{Duration, Instant};

/// Longest wait of [`eventually`]. Long, for a loaded machine; a test that passes waits much less.
const LIMIT: Duration = Duration::from_secs(30);
/// How often the condition is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Waits until `condition` yields a value, and returns it.
///
/// # Panics
/// When it has not within 30 seconds; `what` is the condition in words.
pub async fn eventually<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(LIMIT, what, condition).await
}

/// The same with a limit of one's own.
///
/// # Panics
/// When the condition has not yielded a value within `limit`.
pub async fn eventually_within<T>(limit: Duration, what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        // The condition itself may hang, so it is bounded as well.
        let left = deadline.saturating_duration_since(Instant::now()) + LOOK_AGAIN;
        if let Ok(Some(value)) = tokio::time::timeout(left, condition()).await {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "still not so after {} s: {what}",
            limit.as_secs_f64()
        );
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
