//! The worker of the library against a running brain, over HTTP: work, crashes, cancelling, stopping.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brain_swarm::ids::{ActorId, FencingToken};
use brain_swarm::worker::{Error, Failure, Handler, Job, Options, Worker, http::Http};
use brain_testkit::eventually;
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::task_calls::Plane;

const LEASE: Duration = Duration::from_secs(3);

/// A worker that runs beside the test.
struct Running {
    stop: CancellationToken,
    worker: JoinHandle<Result<(), Error>>,
}

impl Running {
    fn start(plane: &Plane, concurrency: usize, handler: impl Handler) -> Self {
        let options = Options {
            concurrency: NonZeroUsize::new(concurrency).unwrap(),
            lease: LEASE,
            grace: Duration::from_millis(200),
            cleanup: Duration::from_millis(200),
            ..Options::new(ActorId::new("rust/1").unwrap())
        };
        let transport = Http::new(&plane.url()).unwrap().patience(LEASE);
        let stop = CancellationToken::new();
        let worker = Worker::new(transport, options, handler).run(stop.clone());
        Self {
            stop,
            worker: tokio::spawn(worker),
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.worker.await.unwrap().unwrap();
    }
}

fn ids(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("t-{number}"))
}

#[tokio::test]
async fn a_worker_completes_what_there_is() {
    let plane = Plane::start().await;
    plane.create(ids(100), &json!({})).await;
    let running = Running::start(&plane, 8, async |job: Job| {
        job.progress(json!({ "at": 1 })).await?;
        job.emit("words.counted", json!({ "by": "test" })).await?;
        let text = job.inputs["text"].as_str().ok_or_else(|| Failure::fatal("no text"))?;
        Ok(json!({ "words": text.split(' ').count() }))
    });
    plane.completed(100).await;
    plane.all_ended_once(100).await;
    let task = plane.until("t-7", "completed").await;
    assert_eq!(task["outputs"], json!({ "words": 3 }));
    let emitted = "SELECT count(*) FROM swarm_events WHERE event_type = 'words.counted' AND note IS NULL";
    assert_eq!(plane.count(emitted).await, 100);
    running.stop().await;
}

#[tokio::test]
async fn a_reservation_is_settled_and_one_that_does_not_fit_is_refused() {
    let plane = Plane::start().await;
    let budget = json!({ "budgetId": "b", "maxUnits": 10 });
    let (status, answer) = plane.post("budgets", &budget).await;
    assert_eq!(status, 201, "{answer}");
    plane.create(ids(1), &json!({ "budgetId": "b" })).await;
    let running = Running::start(&plane, 1, async |job: Job| {
        let reserved = job.reserve(8).await?;
        let settled = job.settle(&reserved, 5).await?;
        let refused = job.reserve(100).await;
        Ok(json!({ "available": settled.available,
            "refused": refused.is_err_and(|error| error.is_budget_exhausted()) }))
    });
    let task = plane.until("t-0", "completed").await;
    assert_eq!(task["outputs"], json!({ "available": 5, "refused": true }));
    running.stop().await;
}

#[tokio::test]
async fn a_handler_that_panics_is_tried_again() {
    let plane = Plane::start().await;
    plane.create(ids(1), &json!({})).await;
    let running = Running::start(&plane, 1, async |job: Job| {
        assert!(job.attempt > 1, "the first attempt always fails");
        Ok(json!({ "attempt": job.attempt }))
    });
    let task = plane.until("t-0", "completed").await;
    assert_eq!(task["outputs"], json!({ "attempt": 2 }));
    assert!(task["history"].to_string().contains("the handler panicked"), "{task}");
    plane.all_ended_once(1).await;
    running.stop().await;
}

#[tokio::test]
async fn a_cancelled_task_reaches_its_handler() {
    let plane = Plane::start().await;
    plane.create(ids(1), &json!({})).await;
    let (sender, mut events) = mpsc::unbounded_channel();
    let running = Running::start(&plane, 1, move |job: Job| {
        let sender = sender.clone();
        async move {
            sender.send("started").unwrap();
            job.lease.cancelled().await;
            sender.send("told").unwrap();
            Ok(json!({}))
        }
    });
    assert_eq!(events.recv().await, Some("started"));
    let (status, answer) = plane.post("tasks/t-0/cancel", &json!({ "reason": "test" })).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(events.recv().await, Some("told"));
    running.stop().await;
    plane.until("t-0", "cancelled").await;
    plane.all_ended_once(1).await;
}

#[tokio::test]
async fn a_worker_that_stops_gives_back_what_it_could_not_finish() {
    let plane = Plane::start().await;
    plane.create(ids(3), &json!({ "maxAttempts": 1 })).await;
    let started = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&started);
    let running = Running::start(&plane, 3, move |_: Job| {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::pending()
    });
    eventually("three handlers", async || {
        (started.load(Ordering::Relaxed) == 3).then_some(())
    })
    .await;
    running.stop().await;
    for id in ids(3) {
        plane.until(&id, "created").await;
    }
    // With one attempt at most, they can only be claimed again because none was used up.
    let running = Running::start(&plane, 3, async |job: Job| Ok(json!({ "attempt": job.attempt })));
    plane.completed(3).await;
    assert_eq!(plane.until("t-0", "completed").await["outputs"]["attempt"], 1);
    plane.all_ended_once(3).await;
    running.stop().await;
}

#[tokio::test]
async fn exclusive_a_crash_of_the_brain_in_the_middle_loses_and_doubles_nothing() {
    let mut plane = Plane::start().await;
    plane.create(ids(300), &json!({})).await;
    let running = Running::start(&plane, 4, async |_: Job| {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(json!({}))
    });
    for completed in [50, 150] {
        plane.completed(completed).await;
        plane.crash().await;
    }
    plane.completed(300).await;
    plane.all_ended_once(300).await;
    running.stop().await;
}

#[tokio::test]
async fn exclusive_a_handler_is_told_to_stop_while_the_brain_is_frozen() {
    let plane = Plane::start().await;
    plane.create(ids(1), &json!({})).await;
    let (sender, mut events) = mpsc::unbounded_channel::<(&str, FencingToken)>();
    let running = Running::start(&plane, 1, move |job: Job| {
        let sender = sender.clone();
        async move {
            sender.send(("started", job.fencing_token)).unwrap();
            if job.attempt == 1 {
                job.lease.cancelled().await;
                let refused = job.progress(json!({})).await;
                assert!(matches!(refused, Err(Error::LeaseLost { .. })), "{refused:?}");
                sender.send(("told", job.fencing_token)).unwrap();
            }
            Ok(json!({ "attempt": job.attempt }))
        }
    });
    let Some(("started", token)) = events.recv().await else {
        panic!("the first attempt was not started");
    };
    plane.brain.signal(Signal::SIGSTOP);
    // The brain is still frozen: it is the worker's own clock that says so.
    assert_eq!(events.recv().await, Some(("told", token)));
    let over = "SELECT count(*) FROM swarm_tasks WHERE status = 'running' AND lease_expires_at > clock_timestamp()";
    eventually("the lease is over in the database", async || {
        (plane.count(over).await == 0).then_some(())
    })
    .await;
    plane.brain.signal(Signal::SIGCONT);
    let late = json!({ "agentId": "rust/1", "fencingToken": token, "outputs": {} });
    let (status, answer) = plane.post("tasks/t-0/complete", &late).await;
    assert_eq!(status, 409, "{answer}");
    assert_eq!(answer["type"], "urn:studio-brain:problem:lease-lost");
    let task = plane.until("t-0", "completed").await;
    assert_eq!(task["outputs"], json!({ "attempt": 2 }));
    plane.all_ended_once(1).await;
    running.stop().await;
}
