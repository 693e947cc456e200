//! A worker in the same process as the swarm: it learns what it lost, stops, and loses nothing of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use brain_swarm::{
    decide::TaskStatus,
    worker::{Failure, Job, Options, Worker, direct::Direct},
};
use brain_testkit::eventually;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    tasks::{actor, calls, create, new_task, run, scope, stored},
    world::World,
};

fn options(id: &str) -> Options {
    let mut options = Options::new(actor(id));
    options.lease = Duration::from_secs(1);
    options.wait = Duration::from_millis(500);
    options
}

#[tokio::test]
async fn a_worker_does_what_there_is_and_what_comes() {
    let world = World::new().await;
    let calls = calls(&world);
    create(&calls, (0..20).map(|n| new_task(&format!("t{n}"))).collect()).await;
    let stop = CancellationToken::new();
    let transport = Direct::new(calls.clone(), scope(), run());
    let worker = Worker::new(transport, options("w"), async |job: Job| {
        match job.inputs["id"].as_str() {
            Some("t3") if job.attempt == 1 => Err(Failure::retry_after("once", Duration::from_millis(50))),
            Some("t4") => Err(Failure::fatal("never")),
            Some("t5") if job.attempt == 1 => panic!("as the test wants"),
            _ => {
                job.progress(json!({ "half": true }))
                    .await
                    .map_err(|error| Failure::retry(error.to_string()))?;
                Ok(json!({ "ok": true }))
            }
        }
    });
    let running = tokio::spawn(worker.run(stop.clone()));
    create(&calls, vec![new_task("late")]).await;
    eventually("all tasks but one completed", async || {
        let done = world
            .count("SELECT count(*) FROM swarm_tasks WHERE status = 'completed'")
            .await;
        (done == 20).then_some(())
    })
    .await;
    assert_eq!(stored(&world, "t4").await.status, TaskStatus::Failed);
    assert_eq!(stored(&world, "t5").await.attempt, 2);
    stop.cancel();
    running.await.unwrap().unwrap();
    world.sound().await;
}

#[tokio::test]
async fn a_handler_is_told_that_its_task_was_cancelled_or_taken_away_and_its_result_does_not_count() {
    let world = World::new().await;
    let calls = calls(&world);
    create(&calls, vec![new_task("cancelled"), new_task("taken")]).await;
    let told = Arc::new(AtomicUsize::new(0));
    let transport = Direct::new(calls.clone(), scope(), run());
    let counter = Arc::clone(&told);
    let mut options = options("w");
    options.concurrency = 2.try_into().unwrap();
    let worker = Worker::new(transport, options, move |job: Job| {
        let told = Arc::clone(&counter);
        async move {
            if job.attempt == 1 {
                job.lease.cancelled().await;
                told.fetch_add(1, Ordering::Relaxed);
            }
            Ok(json!({ "attempt": job.attempt }))
        }
    });
    let stop = CancellationToken::new();
    let running = tokio::spawn(worker.run(stop.clone()));
    eventually("both run", async || {
        (world
            .count("SELECT count(*) FROM swarm_tasks WHERE status = 'running'")
            .await
            == 2)
            .then_some(())
    })
    .await;
    let task = stored(&world, "cancelled").await.task_id;
    calls.cancel_task(&scope(), &task, &actor("boss"), None).await.unwrap();
    world
        .sql("UPDATE swarm_tasks SET lease_expires_at = clock_timestamp() WHERE task_id = 'taken'")
        .await;
    eventually("both were told and the second attempt is done", async || {
        let done = stored(&world, "taken").await.status == TaskStatus::Completed;
        (done && told.load(Ordering::Relaxed) == 2).then_some(())
    })
    .await;
    assert_eq!(stored(&world, "cancelled").await.status, TaskStatus::Cancelled);
    assert_eq!(stored(&world, "taken").await.outputs, Some(json!({ "attempt": 2 })));
    stop.cancel();
    running.await.unwrap().unwrap();
    world.sound().await;
}

#[tokio::test]
async fn a_worker_that_stops_gives_back_what_it_did_not_finish_without_an_attempt() {
    let world = World::new().await;
    let calls = calls(&world);
    create(&calls, vec![new_task("long")]).await;
    let mut options = options("w");
    options.grace = Duration::from_millis(100);
    let transport = Direct::new(calls.clone(), scope(), run());
    let worker = Worker::new(transport, options, async |job: Job| {
        job.lease.cancelled().await;
        Err(Failure::release(Duration::ZERO))
    });
    let stop = CancellationToken::new();
    let running = tokio::spawn(worker.run(stop.clone()));
    eventually("it runs", async || {
        (stored(&world, "long").await.status == TaskStatus::Running).then_some(())
    })
    .await;
    stop.cancel();
    running.await.unwrap().unwrap();
    let task = stored(&world, "long").await;
    assert_eq!((task.status, task.attempt), (TaskStatus::Created, 0));
    world.sound().await;
}
