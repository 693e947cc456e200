//! One attempt: runs a handler to its end and decides what to report.
//!
//! Invariants: no report is made for a lease that is over; a handler that does not heed its token is dropped, so that
//! nobody else has the task while it still runs; a worker that stops costs no attempt.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::failure::{Failure, Verdict};
use super::job::Job;
use super::leases::Lease;
use super::link::Link;
use super::report::{Ending, Report};
use super::wire::{ClaimedTask, Outcome};
use super::{Handler, schedule};

/// How a handler ended.
#[derive(Debug)]
enum Ended {
    Returned(Result<Value, Failure>),
    Panicked(String),
    /// It did not end in time after its token was cancelled.
    Dropped,
}

/// Runs the handler for one task. `None` when there is nothing to say about it any more.
pub(super) async fn run<H: Handler>(
    link: &Arc<Link>,
    handler: &H,
    task: ClaimedTask,
    lease: Lease,
    stopping: &CancellationToken,
) -> Option<Report> {
    let span = tracing::info_span!("task", task.id = %task.task_id, run.id = %task.run_id, attempt = task.attempt);
    // A handler that cancels its token itself must not look like a lease that is over.
    let job = Job::new(task, lease.token().child_token(), Arc::clone(link));
    let ended = work(handler, job, lease.token(), link.options.cleanup)
        .instrument(span.clone())
        .await;
    let _entered = span.enter();
    match conclude(ended, lease.is_held(), stopping.is_cancelled()) {
        Some(ending) => {
            lease.reporting();
            Some(Report { lease, ending })
        }
        None => {
            tracing::warn!("the lease is over, the result of this attempt is dropped");
            None
        }
    }
}

async fn work<H: Handler>(handler: &H, job: Job, lease: &CancellationToken, cleanup: Duration) -> Ended {
    // The call is inside, so that what panics before the first await is caught as well.
    let work = AssertUnwindSafe(async { handler.handle(job).await }).catch_unwind();
    let mut work = std::pin::pin!(work);
    let ended = tokio::select! {
        biased;
        ended = &mut work => Some(ended),
        () = lease.cancelled() => tokio::time::timeout(cleanup, &mut work).await.ok(),
    };
    match ended {
        Some(Ok(returned)) => Ended::Returned(returned),
        Some(Err(panic)) => Ended::Panicked(message(&*panic)),
        None => Ended::Dropped,
    }
}

/// What to report.
fn conclude(ended: Ended, held: bool, stopping: bool) -> Option<Ending> {
    if !held {
        return None;
    }
    let verdict = match ended {
        Ended::Returned(Ok(outputs)) => return Some(Ending::Outcome(Outcome::Completed { outputs })),
        Ended::Returned(Err(Failure(verdict))) => verdict,
        Ended::Panicked(message) => Failure::retry(format!("the handler panicked: {message}")).0,
        Ended::Dropped => Failure::retry("the handler did not stop when it was told to").0,
    };
    Some(match verdict {
        // The worker's end is not the task's fault.
        Verdict::Fail { retryable: true, .. } if stopping => Ending::Release(Duration::ZERO),
        Verdict::Fail {
            error,
            retryable,
            retry_after,
        } => Ending::Outcome(Outcome::Failed {
            error,
            retryable,
            retry_after_ms: retry_after.map(schedule::millis),
        }),
        Verdict::Release { delay } => Ending::Release(delay),
    })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn failed(error: &str, retryable: bool, retry_after_ms: Option<u64>) -> Ending {
        Ending::Outcome(Outcome::Failed {
            error: error.to_owned(),
            retryable,
            retry_after_ms,
        })
    }

    #[test]
    fn a_lease_that_is_over_has_no_report() {
        assert_eq!(conclude(Ended::Returned(Ok(json!({}))), false, false), None);
        assert_eq!(conclude(Ended::Dropped, false, true), None);
    }

    #[test]
    fn failures_are_reported_as_the_handler_says() {
        let of = |failure| conclude(Ended::Returned(Err(failure)), true, false);
        assert_eq!(of(Failure::retry("a")), Some(failed("a", true, None)));
        assert_eq!(of(Failure::fatal("a")), Some(failed("a", false, None)));
        assert_eq!(
            of(Failure::retry_after("a", Duration::from_secs(1))),
            Some(failed("a", true, Some(1000)))
        );
        let second = Duration::from_secs(1);
        assert_eq!(of(Failure::release(second)), Some(Ending::Release(second)));
    }

    #[test]
    fn a_panic_is_a_failure_that_is_tried_again() {
        let ended = Ended::Panicked("oh".to_owned());
        assert_eq!(
            conclude(ended, true, false),
            Some(failed("the handler panicked: oh", true, None))
        );
    }

    #[test]
    fn a_worker_that_stops_keeps_what_is_certain_and_gives_back_the_rest() {
        let of = |ended| conclude(ended, true, true);
        let back = Some(Ending::Release(Duration::ZERO));
        assert_eq!(of(Ended::Dropped), back);
        assert_eq!(of(Ended::Panicked("oh".to_owned())), back);
        assert_eq!(of(Ended::Returned(Err(Failure::retry("told to stop")))), back);
        assert_eq!(
            of(Ended::Returned(Err(Failure::fatal("no")))),
            Some(failed("no", false, None))
        );
        let outputs = json!({"n": 1});
        let completed = Outcome::Completed {
            outputs: outputs.clone(),
        };
        assert_eq!(of(Ended::Returned(Ok(outputs))), Some(Ending::Outcome(completed)));
    }
}
