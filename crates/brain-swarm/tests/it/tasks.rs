//! The life of a task through calls: claims, leases, retries, dependencies, concurrency keys.

use std::time::Duration;

use brain_swarm::{
    calls::{Ask, Calls, Error, Finished, Hold, Holder, NewTask, Outcome, Registration, Scope},
    decide::TaskStatus,
    ids::{ActorId, RunId, SwarmId, TaskId, TenantId},
    tasks::{self, StoredTask},
};
use serde_json::json;

use crate::world::World;

pub(crate) fn scope() -> Scope {
    Scope {
        tenant_id: TenantId::single(),
        swarm_id: SwarmId::new("s").unwrap(),
    }
}

pub(crate) fn calls(world: &World) -> Calls {
    Calls::new(
        world.postgres.clone(),
        world.publisher.clone(),
        Duration::from_secs(30),
        1 << 20,
    )
}

pub(crate) fn run() -> RunId {
    RunId::new("r").unwrap()
}

pub(crate) fn actor(id: &str) -> ActorId {
    ActorId::new(id).unwrap()
}

pub(crate) fn new_task(id: &str) -> NewTask {
    NewTask {
        task_id: Some(TaskId::new(id).unwrap()),
        inputs: Some(json!({ "id": id })),
        ..NewTask::default()
    }
}

pub(crate) async fn join(calls: &Calls, id: &str) {
    let registration: Registration = serde_json::from_value(json!({ "agentId": id })).unwrap();
    calls.register_agent(&scope(), &run(), registration).await.unwrap();
}

pub(crate) async fn create(calls: &Calls, tasks: Vec<NewTask>) {
    calls
        .create_tasks(&scope(), (&run(), &actor("me")), tasks)
        .await
        .unwrap();
}

pub(crate) fn ask(agent: &str, max: usize) -> Ask {
    Ask {
        agent_id: actor(agent),
        max,
        lease: None,
        wait: Duration::ZERO,
    }
}

pub(crate) fn done(task: &str, token: i64) -> Finished {
    Finished {
        task_id: TaskId::new(task).unwrap(),
        fencing_token: brain_swarm::ids::FencingToken(token),
        outcome: Outcome::Completed {
            outputs: json!({ "ok": true }),
        },
    }
}

pub(crate) fn failed(task: &str, token: i64, retryable: bool) -> Finished {
    Finished {
        outcome: Outcome::Failed {
            error: "boom".to_owned(),
            retryable,
            retry_after: Some(Duration::ZERO),
        },
        ..done(task, token)
    }
}

pub(crate) async fn stored(world: &World, id: &str) -> StoredTask {
    let id = TaskId::new(id).unwrap();
    tasks::get(&world.postgres, &TenantId::single(), &SwarmId::new("s").unwrap(), &id)
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn a_task_is_created_claimed_and_completed_with_an_event_for_each() {
    let world = World::new().await;
    let calls = calls(&world);
    join(&calls, "w").await;
    create(&calls, vec![new_task("t")]).await;
    let claimed = calls.claim(&scope(), &ask("w", 5)).await.unwrap().tasks;
    assert_eq!(claimed.len(), 1);
    let task = &claimed[0];
    assert_eq!((task.attempt, task.fencing_token.0), (1, 1));
    assert_eq!(task.inputs, json!({ "id": "t" }));
    assert!(calls.claim(&scope(), &ask("w", 5)).await.unwrap().tasks.is_empty());
    let changed = calls.finish(&scope(), &actor("w"), done("t", 1)).await.unwrap();
    assert_eq!(changed.status, TaskStatus::Completed);
    let again = calls.finish(&scope(), &actor("w"), done("t", 1)).await.unwrap();
    assert!(again.duplicate && again.status == TaskStatus::Completed);
    assert!(matches!(
        calls.finish(&scope(), &actor("w"), failed("t", 1, true)).await,
        Err(Error::LeaseLost(_))
    ));
    let kinds: Vec<String> = world.events("s").await.into_iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        ["agent.registered", "task.created", "task.started", "task.completed"]
    );
    let task = stored(&world, "t").await;
    assert_eq!(task.outputs, Some(json!({ "ok": true })));
    world.sound().await;
}

#[tokio::test]
async fn only_the_newest_token_under_a_live_lease_moves_a_task() {
    let world = World::new().await;
    let calls = calls(&world);
    for agent in ["w1", "w2"] {
        join(&calls, agent).await;
    }
    create(&calls, vec![new_task("t")]).await;
    let first = calls.claim(&scope(), &ask("w1", 1)).await.unwrap().tasks.remove(0);
    let hold = Hold {
        task_id: first.task_id.clone(),
        fencing_token: first.fencing_token,
    };
    let beat = calls
        .heartbeat(&scope(), &actor("w1"), std::slice::from_ref(&hold))
        .await
        .unwrap();
    assert!(beat.held[0].lease_expires_at >= first.lease_expires_at && beat.lost.is_empty());

    // As when the worker was paused for longer than its lease.
    world
        .sql("UPDATE swarm_tasks SET lease_expires_at = clock_timestamp() - interval '1 millisecond'")
        .await;
    let holder = Holder {
        agent_id: actor("w1"),
        fencing_token: first.fencing_token,
    };
    let stale = [
        calls.finish(&scope(), &actor("w1"), done("t", 1)).await.map(drop),
        calls
            .finish(&scope(), &actor("w1"), failed("t", 1, true))
            .await
            .map(drop),
        calls
            .progress(&scope(), &first.task_id, &holder, json!({ "half": true }))
            .await
            .map(drop),
        calls
            .emit(
                &scope(),
                &first.task_id,
                &holder,
                vec![("build.log".parse().unwrap(), json!({}))],
            )
            .await
            .map(drop),
    ];
    for answer in stale {
        assert!(matches!(answer, Err(Error::LeaseLost(_))), "{answer:?}");
    }
    let beat = calls
        .heartbeat(&scope(), &actor("w1"), std::slice::from_ref(&hold))
        .await
        .unwrap();
    assert_eq!((beat.held.len(), beat.lost[0].reason), (0, "lease-lost"));

    let second = calls.claim(&scope(), &ask("w2", 1)).await.unwrap().tasks.remove(0);
    assert_eq!((second.attempt, second.fencing_token.0 > 1), (2, true));
    assert!(matches!(
        calls.finish(&scope(), &actor("w1"), done("t", 1)).await,
        Err(Error::LeaseLost(_))
    ));
    calls
        .finish(&scope(), &actor("w2"), done("t", second.fencing_token.0))
        .await
        .unwrap();
    let history = stored(&world, "t").await.history.unwrap();
    assert_eq!(history[0]["outcome"], "lease_expired");
    world.sound().await;
}

#[tokio::test]
async fn a_task_that_always_fails_is_parked_after_its_attempts_with_its_history() {
    let world = World::new().await;
    let calls = calls(&world);
    join(&calls, "w").await;
    create(&calls, vec![new_task("poison"), new_task("good")]).await;
    for attempt in 1..=3 {
        let claimed = calls.claim(&scope(), &ask("w", 5)).await.unwrap().tasks;
        let task = claimed.iter().find(|task| task.task_id.as_str() == "poison").unwrap();
        assert_eq!(task.attempt, attempt);
        if let Some(good) = claimed.iter().find(|task| task.task_id.as_str() == "good") {
            calls
                .finish(&scope(), &actor("w"), done("good", good.fencing_token.0))
                .await
                .unwrap();
        }
        if attempt == 2 {
            // This time the worker dies of it.
            world
                .sql("UPDATE swarm_tasks SET lease_expires_at = clock_timestamp() WHERE lease_expires_at IS NOT NULL")
                .await;
        } else {
            calls
                .finish(&scope(), &actor("w"), failed("poison", task.fencing_token.0, true))
                .await
                .unwrap();
        }
    }
    let poison = stored(&world, "poison").await;
    assert_eq!((poison.status, poison.attempt), (TaskStatus::Failed, 3));
    let history = poison.history.unwrap();
    let outcomes: Vec<&str> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["failed", "lease_expired", "failed"]);
    assert_eq!(stored(&world, "good").await.status, TaskStatus::Completed);
    world.sound().await;

    let retried = calls
        .retry_task(&scope(), &TaskId::new("poison").unwrap(), &actor("boss"))
        .await
        .unwrap();
    assert_eq!(retried.status, TaskStatus::Created);
    let task = calls.claim(&scope(), &ask("w", 1)).await.unwrap().tasks.remove(0);
    assert_eq!((task.attempt, task.max_attempts), (4, 4));
    calls
        .finish(&scope(), &actor("w"), done("poison", task.fencing_token.0))
        .await
        .unwrap();
    world.sound().await;
}

#[tokio::test]
async fn a_waiting_claim_gets_a_task_with_the_commit_that_creates_it() {
    let world = World::new().await;
    let calls = calls(&world);
    join(&calls, "w").await;
    let waiting = {
        let calls = calls.clone();
        tokio::spawn(async move {
            let patient = Ask {
                wait: Duration::from_secs(20),
                ..ask("w", 1)
            };
            calls.claim(&scope(), &patient).await.unwrap().tasks
        })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    create(&calls, vec![new_task("t")]).await;
    assert_eq!(waiting.await.unwrap().len(), 1);
    // The same when the task comes from elsewhere: another replica tells by a notification, long before a claim looks by itself.
    let waiting = {
        let calls = calls.clone();
        tokio::spawn(async move {
            let patient = Ask {
                wait: Duration::from_secs(5),
                ..ask("w", 1)
            };
            calls.claim(&scope(), &patient).await.unwrap().tasks
        })
    };
    let other = World::beside(&world).await;
    create(&self::calls(&other), vec![new_task("t2")]).await;
    assert_eq!(waiting.await.unwrap().len(), 1);
    // And when its time comes.
    let delayed = NewTask {
        delay_ms: Some(300),
        ..new_task("t3")
    };
    create(&calls, vec![delayed]).await;
    let patient = Ask {
        wait: Duration::from_secs(20),
        ..ask("w", 1)
    };
    assert_eq!(calls.claim(&scope(), &patient).await.unwrap().tasks.len(), 1);
    world.sound().await;
}

/// A claim that waits joins the batch in which a task becomes ready: whatever made it ready, its inputs are handed out.
#[tokio::test]
async fn what_becomes_ready_in_the_batch_of_a_claim_is_handed_out_with_its_inputs() {
    let world = World::new().await;
    let calls = calls(&world);
    join(&calls, "w").await;
    let dependent = NewTask {
        depends_on: vec![TaskId::new("first").unwrap()],
        ..new_task("second")
    };
    create(&calls, vec![new_task("first"), dependent]).await;
    let first = calls.claim(&scope(), &ask("w", 1)).await.unwrap().tasks.remove(0);
    // In one batch: the failure that makes the task ready again, and the claim that takes it.
    let (me, scope, ask) = (actor("w"), scope(), ask("w", 1));
    let (ended, claimed) = tokio::join!(
        calls.finish_all(&scope, &me, vec![failed("first", first.fencing_token.0, true)]),
        calls.claim(&scope, &ask)
    );
    assert!(ended.unwrap()[0].is_ok());
    let first = claimed.unwrap().tasks.remove(0);
    assert_eq!((first.attempt, first.inputs), (2, json!({ "id": "first" })));
    let (ended, claimed) = tokio::join!(
        calls.finish_all(&scope, &me, vec![done("first", first.fencing_token.0)]),
        calls.claim(&scope, &ask)
    );
    assert!(ended.unwrap()[0].is_ok());
    assert_eq!(claimed.unwrap().tasks.remove(0).inputs, json!({ "id": "second" }));
    world.sound().await;
}

#[tokio::test]
async fn what_a_claim_gets_whose_caller_is_gone_goes_back_without_an_attempt() {
    let world = World::new().await;
    let calls = calls(&world);
    join(&calls, "gone").await;
    join(&calls, "w").await;
    create(&calls, (0..50).map(|n| new_task(&format!("t{n}"))).collect()).await;
    for _ in 0..20 {
        let calls = calls.clone();
        let claim = tokio::spawn(async move { calls.claim(&scope(), &ask("gone", 2)).await });
        // Handed over, and then nobody waits for the answer.
        tokio::task::yield_now().await;
        claim.abort();
    }
    brain_testkit::eventually("all tasks are free again", async || {
        let free = "SELECT count(*) FROM swarm_tasks WHERE status = 'created' AND attempt = 0";
        (world.count(free).await == 50).then_some(())
    })
    .await;
    world.sound().await;
}

/// The default run changes with every process; the answer to a repeated call must not.
#[tokio::test]
async fn an_idempotency_key_finds_its_task_again_from_any_replica_and_refuses_other_content() {
    let world = World::new().await;
    let calls = calls(&world);
    let keyed = |inputs: serde_json::Value| NewTask {
        idempotency_key: Some("order-1".to_owned()),
        inputs: Some(inputs),
        ..NewTask::default()
    };
    let me = actor("me");
    let mut answers = Vec::new();
    for replica in ["run-1", "run-2"] {
        let run = RunId::new(replica).unwrap();
        let made = calls
            .create_tasks(&scope(), (&run, &me), vec![keyed(json!({ "n": 1 }))])
            .await
            .unwrap();
        answers.extend(made);
    }
    assert_eq!(answers[0].task_id, answers[1].task_id);
    assert_eq!((answers[0].duplicate, answers[1].duplicate), (false, true));
    let other = calls
        .create_tasks(&scope(), (&run(), &me), vec![keyed(json!({ "n": 2 }))])
        .await;
    assert!(matches!(
        other,
        Err(Error::Publish(brain_swarm::publish::Error::Conflict { .. }))
    ));
    assert_eq!(world.count("SELECT count(*) FROM swarm_tasks").await, 1);
    world.sound().await;
}
