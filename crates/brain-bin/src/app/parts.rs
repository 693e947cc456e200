//! The long-running parts of the process: each is watched while it runs and stopped in its turn.
//!
//! Invariant: a part that ends without being asked to is noticed at once, and the others still stop in order.

use std::future::Future;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// One long-running part.
struct Part {
    name: &'static str,
    stop: CancellationToken,
    /// Time that it has to stop.
    patience: Duration,
    /// None once it ended.
    task: Option<JoinHandle<()>>,
}

/// All of them, in the order in which they stop.
#[derive(Default)]
pub(crate) struct Parts(Vec<Part>);

impl Parts {
    /// Starts a part. It stops after the parts that were started before it.
    pub(crate) fn start<F>(&mut self, name: &'static str, patience: Duration, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(stop.clone()));
        self.0.push(Part {
            name,
            stop,
            patience,
            task: Some(task),
        });
    }

    /// Waits until one ends without being asked to, and gives its name. Never returns while all run.
    pub(crate) async fn ended(&mut self) -> &'static str {
        let running: Vec<&mut Part> = self.0.iter_mut().filter(|part| part.task.is_some()).collect();
        if running.is_empty() {
            return std::future::pending().await;
        }
        let names: Vec<&'static str> = running.iter().map(|part| part.name).collect();
        let tasks = running.into_iter().filter_map(|part| part.task.as_mut());
        let (end, index, _) = select_all(tasks).await;
        let name = names[index];
        let panicked = end.is_err_and(|error| error.is_panic());
        tracing::error!(part.name = name, panicked, "a part of the process ended unexpectedly");
        if let Some(part) = self.0.iter_mut().find(|part| part.name == name) {
            part.task = None;
        }
        name
    }

    /// Stops one part after the other; false when one of them did not stop in its time or failed while stopping.
    pub(crate) async fn stop(self) -> bool {
        let mut clean = true;
        for part in self.0 {
            part.stop.cancel();
            let Some(mut task) = part.task else { continue };
            match tokio::time::timeout(part.patience, &mut task).await {
                Ok(Ok(())) => tracing::debug!(part.name, "part stopped"),
                Ok(Err(error)) => {
                    tracing::error!(part.name, panicked = error.is_panic(), "a part failed while it stopped");
                    clean = false;
                }
                Err(_) => {
                    task.abort();
                    let patience_ms = u64::try_from(part.patience.as_millis()).unwrap_or(u64::MAX);
                    tracing::error!(part.name, patience_ms, "a part did not stop in time and was ended");
                    clean = false;
                }
            }
        }
        clean
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::{Arc, Mutex};

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn parts_stop_one_after_the_other_in_the_order_of_their_start() {
        let stopped = Arc::new(Mutex::new(Vec::new()));
        let mut parts = Parts::default();
        for name in ["http", "publish", "orchestrator"] {
            let stopped = Arc::clone(&stopped);
            parts.start(name, SOON, |stop| async move {
                stop.cancelled().await;
                // Gives a part that is stopped too early the chance to overtake.
                tokio::task::yield_now().await;
                stopped.lock().unwrap().push(name);
            });
        }
        assert!(parts.stop().await);
        assert_eq!(*stopped.lock().unwrap(), ["http", "publish", "orchestrator"]);
    }

    #[tokio::test]
    async fn a_part_that_panics_is_named_and_the_others_still_stop() {
        let mut parts = Parts::default();
        parts.start("steady", SOON, |stop| async move { stop.cancelled().await });
        parts.start("fragile", SOON, |_| async { panic!("as the test wants") });
        assert_eq!(parts.ended().await, "fragile");
        assert!(parts.stop().await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_does_not_stop_is_ended() {
        let mut parts = Parts::default();
        parts.start("stubborn", SOON, |_| std::future::pending());
        assert!(!parts.stop().await);
    }
}
