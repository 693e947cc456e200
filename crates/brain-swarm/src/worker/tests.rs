//! The timing of a worker, on a paused clock against a transport that follows a script.
//!
//! What the brain really does is tested where there is one (`worker.rs` of brain-bin's tests).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use serde_json::json;
use tokio::time::Instant;

use super::wire::{
    Claim, ClaimedTask, Emit, EmittedEvent, Finish, Holding, Lost, Outcome, Progress, Pulse, Registration, Release,
    Renewed, Reservation, Reserve, Settle, Settled,
};
use super::*;
use crate::ids::{FencingToken, TaskId};

const SECOND: Duration = Duration::from_secs(1);

/// How the scripted brain answers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Mood {
    #[default]
    Well,
    /// It refuses connections.
    Away,
    /// It takes connections and does not answer.
    Frozen,
}

#[derive(Debug, Default)]
struct State {
    mood: Mood,
    tasks: VecDeque<ClaimedTask>,
    lost: Vec<Holding>,
    /// What was carried out, and when in seconds from the start.
    log: Vec<(u64, String)>,
}

#[derive(Debug, Clone)]
struct Script {
    state: Arc<Mutex<State>>,
    start: Instant,
}

impl Script {
    fn new(tasks: usize) -> Self {
        let task = |number: usize| ClaimedTask {
            task_id: TaskId::new(format!("t-{number}")).unwrap(),
            run_id: RunId::new("r").unwrap(),
            attempt: 1,
            max_attempts: 3,
            fencing_token: FencingToken(1),
            lease_ms: 30_000,
            lease_expires_at: jiff::Timestamp::UNIX_EPOCH,
            inputs: json!({ "number": number }),
            priority: 0,
            role: None,
            capability: None,
            budget_id: None,
            progress: None,
        };
        let state = State {
            tasks: (0..tasks).map(task).collect(),
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            start: Instant::now(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    fn log(&self, what: impl Into<String>) {
        let now = self.start.elapsed().as_secs();
        self.state().log.push((now, what.into()));
    }

    fn logged(&self, what: &str) -> Vec<u64> {
        let state = self.state();
        let matching = state.log.iter().filter(|(_, text)| text.contains(what));
        matching.map(|(second, _)| *second).collect()
    }

    async fn reach(&self) -> Result<(), Error> {
        let mood = self.state().mood;
        match mood {
            Mood::Well => Ok(()),
            Mood::Away => Err(Error::Unavailable {
                reason: "connection refused".to_owned(),
                untouched: true,
            }),
            Mood::Frozen => {
                tokio::time::sleep(10 * SECOND).await;
                Err(Error::Unavailable {
                    reason: "no answer".to_owned(),
                    untouched: false,
                })
            }
        }
    }

    /// Runs a worker against the script; the handle ends with it.
    fn run(&self, options: Options, handler: impl Handler) -> (CancellationToken, tokio::task::JoinHandle<()>) {
        let shutdown = CancellationToken::new();
        let worker = Worker::new(self.clone(), options, handler);
        let stop = shutdown.clone();
        (shutdown, tokio::spawn(async move { worker.run(stop).await.unwrap() }))
    }
}

fn options(concurrency: usize) -> Options {
    Options {
        concurrency: NonZeroUsize::new(concurrency).unwrap(),
        ..Options::new(ActorId::new("a").unwrap())
    }
}

#[async_trait]
impl Transport for Script {
    async fn register(&self, _: &Registration) -> Result<(), Error> {
        self.reach().await
    }

    /// What there is comes after 5 seconds of waiting, to tell the start of a claim from its end.
    async fn claim(&self, claim: &Claim) -> Result<Vec<ClaimedTask>, Error> {
        self.reach().await?;
        tokio::time::sleep(5 * SECOND).await;
        let given: Vec<_> = {
            let mut state = self.state();
            let most = claim.max.min(state.tasks.len());
            state.tasks.drain(..most).collect()
        };
        self.log(format!("claim of {}", claim.max));
        Ok(given)
    }

    async fn heartbeat(&self, _: &ActorId, tasks: &[Holding]) -> Result<Pulse, Error> {
        self.reach().await?;
        self.log(format!("heartbeat for {}", tasks.len()));
        let lost = self.state().lost.clone();
        let (lost, held): (Vec<_>, Vec<_>) = tasks.iter().cloned().partition(|task| lost.contains(task));
        let lease_expires_at = jiff::Timestamp::UNIX_EPOCH;
        Ok(Pulse {
            held: held
                .into_iter()
                .map(|holding| Renewed {
                    holding,
                    lease_expires_at,
                })
                .collect(),
            lost: lost
                .into_iter()
                .map(|holding| Lost {
                    holding,
                    reason: "cancelled".to_owned(),
                })
                .collect(),
        })
    }

    async fn finish(&self, finish: &Finish) -> Result<Vec<Settled>, Error> {
        self.reach().await?;
        self.log(format!("finish of {}", finish.results.len()));
        let stored = |result: &wire::TaskResult| {
            let status = match &result.outcome {
                Outcome::Completed { .. } => "completed".to_owned(),
                Outcome::Failed { error, .. } => format!("failed: {error}"),
            };
            self.log(format!("{} {status}", result.holding.task_id));
            Settled::Stored {
                task_id: result.holding.task_id.clone(),
                status,
                seq: Some(1),
                duplicate: false,
            }
        };
        Ok(finish.results.iter().map(stored).collect())
    }

    async fn progress(&self, _: &TaskId, _: &Progress) -> Result<(), Error> {
        self.reach().await
    }

    async fn emit(&self, _: &TaskId, _: &Emit) -> Result<Vec<EmittedEvent>, Error> {
        self.reach().await?;
        Ok(Vec::new())
    }

    async fn release(&self, task: &TaskId, _: &Release) -> Result<(), Error> {
        self.reach().await?;
        self.log(format!("{task} released"));
        Ok(())
    }

    async fn reserve(&self, _: &TaskId, reserve: &Reserve) -> Result<Reservation, Error> {
        self.reach().await?;
        self.log("reserved");
        Ok(Reservation {
            reservation_id: "x".to_owned(),
            units: reserve.units,
            available: 0,
        })
    }

    async fn settle(&self, _: &TaskId, settle: &Settle) -> Result<Reservation, Error> {
        self.reach().await?;
        Ok(Reservation {
            reservation_id: settle.reservation_id.clone(),
            units: settle.units,
            available: 0,
        })
    }
}

#[tokio::test(start_paused = true)]
async fn all_leases_are_renewed_together_at_a_third_of_their_length() {
    let script = Script::new(2);
    let (stop, worker) = script.run(options(2), |_| async {
        tokio::time::sleep(100 * SECOND).await;
        Ok(json!({}))
    });
    // Claimed from second 0 on, given out at 5, so the first renewal is due at 10.
    tokio::time::sleep(104 * SECOND).await;
    let expected: Vec<u64> = (1..=10).map(|beat| beat * 10).collect();
    assert_eq!(script.logged("heartbeat for 2"), expected);
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(script.logged("finish of 2"), [105]);
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_over_by_the_local_clock_counted_from_before_the_claim() {
    let script = Script::new(1);
    let told = script.clone();
    let (stop, worker) = script.run(options(1), move |job: Job| {
        let told = told.clone();
        async move {
            told.mood(Mood::Frozen);
            job.lease.cancelled().await;
            told.log("told to stop");
            assert!(matches!(job.progress(json!({})).await, Err(Error::LeaseLost { .. })));
            Ok(json!({}))
        }
    });
    tokio::time::sleep(40 * SECOND).await;
    assert_eq!(script.logged("told to stop"), [30]);
    script.mood(Mood::Well);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(script.logged("completed"), [0; 0], "nothing is said about a lost lease");
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_task_reaches_its_handler_with_the_next_heartbeat() {
    let script = Script::new(1);
    let told = script.clone();
    let (stop, worker) = script.run(options(1), move |job: Job| {
        let told = told.clone();
        async move {
            told.state().lost.push(Holding {
                task_id: job.task_id.clone(),
                fencing_token: job.fencing_token,
            });
            job.lease.cancelled().await;
            told.log("told to stop");
            Ok(json!({}))
        }
    });
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(script.logged("told to stop"), [10]);
    assert_eq!(script.logged("finish"), [0; 0]);
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn results_wait_for_a_brain_that_is_away_and_go_together() {
    let script = Script::new(8);
    let away = script.clone();
    let (stop, worker) = script.run(options(8), move |job: Job| {
        let away = away.clone();
        async move {
            away.mood(Mood::Away);
            tokio::time::sleep(SECOND * u32::try_from(job.inputs["number"].as_u64().unwrap()).unwrap()).await;
            match job.inputs["number"].as_u64() {
                Some(3) => panic!("number three"),
                _ => Ok(json!({})),
            }
        }
    });
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(script.logged("finish"), [0; 0]);
    script.mood(Mood::Well);
    tokio::time::sleep(6 * SECOND).await;
    assert_eq!(script.logged("finish of 8").len(), 1);
    assert_eq!(script.logged("completed").len(), 7);
    assert_eq!(script.logged("t-3 failed: the handler panicked: number three").len(), 1);
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_told_to_stop_finishes_or_gives_back_everything() {
    let script = Script::new(4);
    let (stop, worker) = script.run(options(3), |job: Job| async move {
        match job.inputs["number"].as_u64() {
            // Done within the grace.
            Some(0) => tokio::time::sleep(20 * SECOND).await,
            // Heeds its token.
            Some(1) => {
                job.lease.cancelled().await;
                return Err(Failure::retry("told to stop"));
            }
            // Does not.
            _ => std::future::pending().await,
        }
        Ok(json!({}))
    });
    // Given out at second 5, stopped at 6; the grace is over at 36 and the time to clean up at 41.
    tokio::time::sleep(6 * SECOND).await;
    stop.cancel();
    worker.await.unwrap();
    assert_eq!(script.logged("t-0 completed"), [25]);
    assert_eq!(script.logged("t-1 released"), [36]);
    assert_eq!(script.logged("t-2 released"), [41]);
    assert_eq!(script.logged("claim"), [5], "no new claim after the stop");
}

#[tokio::test(start_paused = true)]
async fn what_a_claim_brings_after_the_stop_goes_back_unstarted() {
    let script = Script::new(1);
    let (stop, worker) = script.run(options(1), |_| async { panic!("it must not be started") });
    tokio::time::sleep(SECOND).await;
    stop.cancel();
    worker.await.unwrap();
    assert_eq!(script.logged("t-0 released"), [5]);
}

#[tokio::test(start_paused = true)]
async fn a_reservation_is_asked_for_again_only_when_nothing_was_reserved() {
    let script = Script::new(1);
    let away = script.clone();
    let (stop, worker) = script.run(options(1), move |job: Job| {
        let away = away.clone();
        async move {
            away.mood(Mood::Away);
            let (reserved, ()) = futures_util::future::join(job.reserve(5), async {
                tokio::time::sleep(3 * SECOND).await;
                away.mood(Mood::Well);
            })
            .await;
            job.settle(&reserved?, 4).await?;
            Ok(json!({}))
        }
    });
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(script.logged("reserved").len(), 1);
    assert_eq!(script.logged("t-0 completed").len(), 1);
    stop.cancel();
    worker.await.unwrap();
}
