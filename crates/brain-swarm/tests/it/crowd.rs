//! Many workers at once, some of which die: dependencies, concurrency keys and budgets hold all the same.
//!
//! A worker that dies is one that never speaks of its task again; its lease is then made to run out, as time would.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use brain_swarm::{
    calls::{Calls, Error, Holder, NewBudget, NewTask},
    decide::TaskStatus,
    ids::{BudgetId, SwarmId, TaskId, TenantId},
    runs,
};
use serde_json::json;

use crate::{
    tasks::{actor, ask, calls, create, done, failed, join, new_task, run, scope},
    world::World,
};

/// Rows that a batch is writing are left for the next time: two who lock rows in their own order wait for each other.
const EXPIRE: &str = "UPDATE swarm_tasks SET lease_expires_at = clock_timestamp() WHERE task_id IN (
    SELECT task_id FROM swarm_tasks WHERE lease_expires_at IS NOT NULL AND assigned_agent_id LIKE 'dead-%'
    FOR UPDATE SKIP LOCKED)";

/// Fan-out, fan-in and diamonds: layers of `width` tasks, each of which depends on some of the layer before.
fn layers(depth: usize, width: usize) -> Vec<NewTask> {
    let name = |layer: usize, n: usize| TaskId::new(format!("l{layer:03}-{n:03}")).unwrap();
    let mut tasks = Vec::new();
    for layer in 0..depth {
        for n in 0..width {
            let depends_on = match layer {
                0 => Vec::new(),
                // Every tenth layer is one task that waits for all, from which the next fans out.
                layer if layer % 10 == 9 => (0..width).map(|m| name(layer - 1, m)).collect(),
                layer if layer % 10 == 0 => vec![name(layer - 1, 0)],
                layer => vec![name(layer - 1, n), name(layer - 1, (n * 7 + 1) % width)],
            };
            if layer % 10 == 9 && n > 0 {
                continue;
            }
            tasks.push(NewTask {
                depends_on,
                max_attempts: Some(50),
                ..new_task(name(layer, n).as_str())
            });
        }
    }
    // What depends may stand before what it depends on.
    tasks.reverse();
    tasks
}

#[tokio::test]
async fn exclusive_ten_thousand_tasks_finish_in_the_order_of_their_dependencies_although_workers_die() {
    let world = World::new().await;
    let calls = calls(&world);
    // 91 tasks a layer, one in every tenth: a little over ten thousand.
    let tasks = layers(122, 91);
    let total = tasks.len();
    assert!(total >= 10_000, "{total}");
    // In calls of whole layers, the first layers first, each in the wrong order within.
    let mut ordered = tasks;
    ordered.reverse();
    for chunk in ordered.chunks(91 * 20) {
        let mut chunk = chunk.to_vec();
        chunk.reverse();
        create(&calls, chunk).await;
    }
    let finished = Arc::new(AtomicUsize::new(0));
    let mut workers = Vec::new();
    for n in 0..8 {
        let (calls, finished) = (calls.clone(), Arc::clone(&finished));
        workers.push(tokio::spawn(async move {
            let mut life = 0;
            let mut random = fastrand::Rng::with_seed(n);
            'lives: while finished.load(Ordering::Relaxed) < total {
                life += 1;
                // The name says from the start who will die, so that its leases can be ended.
                let dies = random.u8(..100) < 60;
                let me = format!("{}-{n}-{life}", if dies { "dead" } else { "alive" });
                join(&calls, &me).await;
                for _ in 0..20 {
                    let claimed = calls.claim(&scope(), &ask(&me, 40)).await.unwrap().tasks;
                    if claimed.is_empty() {
                        if finished.load(Ordering::Relaxed) >= total {
                            break 'lives;
                        }
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        continue;
                    }
                    let mut results: Vec<_> = claimed
                        .iter()
                        .map(|task| done(task.task_id.as_str(), task.fencing_token.0))
                        .collect();
                    if dies {
                        results.truncate(results.len() / 2);
                    }
                    if !results.is_empty() {
                        for answer in calls.finish_all(&scope(), &actor(&me), results).await.unwrap() {
                            match answer {
                                Ok(changed) => {
                                    assert!(!changed.duplicate);
                                    finished.fetch_add(1, Ordering::Relaxed);
                                }
                                Err(Error::LeaseLost(_)) => {}
                                Err(error) => panic!("{error}"),
                            }
                        }
                    }
                    if dies {
                        continue 'lives;
                    }
                }
            }
        }));
    }
    while finished.load(Ordering::Relaxed) < total {
        world.sql(EXPIRE).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for worker in workers {
        worker.await.unwrap();
    }
    let sql = "SELECT count(*) FROM swarm_tasks WHERE status = 'completed'";
    assert_eq!(usize::try_from(world.count(sql).await).unwrap(), total);
    assert!(
        world.count("SELECT count(*) FROM swarm_tasks WHERE attempt > 1").await > 0,
        "nobody died"
    );
    // The log says in which order it was: no task was started before the last of its dependencies was completed.
    let early = "SELECT count(*) FROM swarm_task_dependencies d
        JOIN swarm_events started ON started.swarm_id = d.swarm_id AND started.event_type = 'task.started'
            AND started.payload ->> 'taskId' = d.task_id
        JOIN swarm_tasks other ON other.swarm_id = d.swarm_id AND other.task_id = d.depends_on_id
        JOIN swarm_events ended ON ended.swarm_id = d.swarm_id AND ended.event_id = other.terminal_event_id
        WHERE started.seq < ended.seq";
    assert_eq!(world.count(early).await, 0);
    world.sound().await;
}

#[tokio::test]
async fn a_circle_is_refused_and_named_and_nothing_of_the_call_is_stored() {
    let world = World::new().await;
    let calls = calls(&world);
    let depends = |id: &str, on: &str| NewTask {
        depends_on: vec![TaskId::new(on).unwrap()],
        ..new_task(id)
    };
    let tasks = vec![
        new_task("free"),
        depends("a", "b"),
        depends("b", "c"),
        depends("c", "a"),
    ];
    let error = calls
        .create_tasks(&scope(), (&run(), &actor("me")), tasks)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the tasks depend on each other in a circle: a -> b -> c -> a"
    );
    let unknown = vec![new_task("free"), depends("d", "ghost")];
    let error = calls
        .create_tasks(&scope(), (&run(), &actor("me")), unknown)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "task d: a task that it depends on is unknown");
    assert_eq!(world.count("SELECT count(*) FROM swarm_tasks").await, 0);
}

#[tokio::test]
async fn the_failure_of_a_dependency_cancels_waits_or_counts_as_done() {
    let world = World::new().await;
    let calls = calls(&world);
    join(&calls, "w").await;
    let on = |id: &str, on: &str, policy: &str| NewTask {
        depends_on: vec![TaskId::new(on).unwrap()],
        on_dependency_failure: Some(policy.parse().unwrap()),
        ..new_task(id)
    };
    create(
        &calls,
        vec![
            new_task("root"),
            on("cancels", "root", "cancel"),
            on("in-turn", "cancels", "cancel"),
            on("waits", "root", "wait"),
            on("runs", "root", "run"),
        ],
    )
    .await;
    let root = calls.claim(&scope(), &ask("w", 9)).await.unwrap().tasks;
    assert_eq!(root.len(), 1);
    calls
        .finish(&scope(), &actor("w"), failed("root", root[0].fencing_token.0, false))
        .await
        .unwrap();
    let status = async |id: &str| crate::tasks::stored(&world, id).await.status;
    assert_eq!(status("cancels").await, TaskStatus::Cancelled);
    assert_eq!(status("in-turn").await, TaskStatus::Cancelled);
    assert_eq!(status("waits").await, TaskStatus::Created);
    world.sound().await;
    let next = calls.claim(&scope(), &ask("w", 9)).await.unwrap().tasks;
    assert_eq!(
        next.iter().map(|task| task.task_id.as_str()).collect::<Vec<_>>(),
        ["runs"]
    );

    calls
        .retry_task(&scope(), &TaskId::new("root").unwrap(), &actor("boss"))
        .await
        .unwrap();
    let root = calls.claim(&scope(), &ask("w", 9)).await.unwrap().tasks.remove(0);
    calls
        .finish(&scope(), &actor("w"), done("root", root.fencing_token.0))
        .await
        .unwrap();
    let last = calls.claim(&scope(), &ask("w", 9)).await.unwrap().tasks;
    assert_eq!(
        last.iter().map(|task| task.task_id.as_str()).collect::<Vec<_>>(),
        ["waits"]
    );
    world.sound().await;
}

/// What a cancelled task waited for may complete before somebody retries it: it must not wait for ever.
#[tokio::test]
async fn a_task_that_is_retried_does_not_wait_for_what_was_done_meanwhile() {
    let world = World::new().await;
    let calls = calls(&world);
    join(&calls, "w").await;
    let dependent = NewTask {
        depends_on: vec![TaskId::new("first").unwrap()],
        ..new_task("second")
    };
    create(&calls, vec![new_task("first"), dependent]).await;
    let second = TaskId::new("second").unwrap();
    calls
        .cancel_task(&scope(), &second, &actor("boss"), None)
        .await
        .unwrap();
    let first = calls.claim(&scope(), &ask("w", 1)).await.unwrap().tasks.remove(0);
    calls
        .finish(&scope(), &actor("w"), done("first", first.fencing_token.0))
        .await
        .unwrap();
    calls.retry_task(&scope(), &second, &actor("boss")).await.unwrap();
    let claimed = calls.claim(&scope(), &ask("w", 1)).await.unwrap().tasks;
    assert_eq!(claimed.first().map(|task| task.task_id.clone()), Some(second));
    world.sound().await;
}

#[tokio::test]
async fn exclusive_a_key_with_limit_three_never_has_a_fourth_running_task_under_fifty_claimers_and_deaths() {
    let world = World::new().await;
    let calls = calls(&world);
    let tasks = (0..300).map(|n| NewTask {
        concurrency_key: Some("gpu".to_owned()),
        concurrency_limit: Some(3),
        max_attempts: Some(50),
        ..new_task(&format!("t{n:03}"))
    });
    create(&calls, tasks.collect()).await;
    let left = Arc::new(AtomicUsize::new(300));
    let over = Arc::new(AtomicBool::new(false));
    let mut claimers = Vec::new();
    for n in 0..50 {
        let (calls, left) = (calls.clone(), Arc::clone(&left));
        claimers.push(tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(n);
            let mut life = 0;
            while left.load(Ordering::Relaxed) > 0 {
                life += 1;
                let dies = random.u8(..100) < 20;
                let me = format!("{}-{n}-{life}", if dies { "dead" } else { "alive" });
                join(&calls, &me).await;
                for _ in 0..10 {
                    let claimed = calls.claim(&scope(), &ask(&me, 5)).await.unwrap().tasks;
                    if dies && !claimed.is_empty() {
                        break;
                    }
                    for task in claimed {
                        tokio::time::sleep(Duration::from_millis(random.u64(..5))).await;
                        if calls
                            .finish(&scope(), &actor(&me), done(task.task_id.as_str(), task.fencing_token.0))
                            .await
                            .is_ok()
                        {
                            left.fetch_sub(1, Ordering::Relaxed);
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(random.u64(..20))).await;
                }
            }
        }));
    }
    let mut most = 0;
    while left.load(Ordering::Relaxed) > 0 {
        world.sql(EXPIRE).await;
        let running = world
            .count("SELECT count(*) FROM swarm_tasks WHERE status = 'running'")
            .await;
        over.fetch_or(running > 3, Ordering::Relaxed);
        most = most.max(running);
    }
    for claimer in claimers {
        claimer.await.unwrap();
    }
    assert!(!over.load(Ordering::Relaxed), "a fourth task was running");
    assert_eq!(most, 3);
    // What the probe may have missed the log tells: between the starts and the ends there were never more than three.
    let peak = "SELECT max(running) FROM (
        SELECT sum(CASE WHEN event_type = 'task.started' THEN 1 ELSE -1 END) OVER (ORDER BY seq) AS running
        FROM swarm_events WHERE event_type IN ('task.started', 'task.completed', 'task.retrying', 'task.failed')) x";
    assert_eq!(world.count(peak).await, 3);
    world.sound().await;
}

#[tokio::test]
async fn exclusive_a_budget_hammered_by_fifty_workers_is_never_overspent_by_a_unit() {
    let world = World::new().await;
    let calls = calls(&world);
    let budget = BudgetId::new("b").unwrap();
    let made = NewBudget {
        budget_id: Some(budget.clone()),
        max_units: 1_000,
        unit: Some("tokens".to_owned()),
        actor_id: None,
    };
    calls
        .create_budget(&scope(), (&run(), &actor("boss")), made)
        .await
        .unwrap();
    let tasks = (0..50).map(|n| NewTask {
        budget_id: Some(budget.clone()),
        ..new_task(&format!("t{n:02}"))
    });
    create(&calls, tasks.collect()).await;
    let spent = Arc::new(AtomicI64::new(0));
    let workers: Vec<_> = (0..50)
        .map(|n| {
            let (calls, spent) = (calls.clone(), Arc::clone(&spent));
            tokio::spawn(async move {
                let me = format!("w{n}");
                join(&calls, &me).await;
                let task = calls.claim(&scope(), &ask(&me, 1)).await.unwrap().tasks.remove(0);
                let holder = Holder {
                    agent_id: actor(&me),
                    fencing_token: task.fencing_token,
                };
                let mut random = fastrand::Rng::with_seed(n);
                loop {
                    let units = random.i64(1..20);
                    match calls.reserve(&scope(), &task.task_id, &holder, units).await {
                        Ok(reserved) => {
                            assert!(reserved.available >= 0);
                            let used = random.i64(0..=units);
                            let settled = calls
                                .settle(&scope(), &task.task_id, &holder, &reserved.reservation_id, used)
                                .await
                                .unwrap();
                            assert!(settled.available >= 0);
                            spent.fetch_add(used, Ordering::Relaxed);
                        }
                        Err(Error::Budget(_)) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                (task, holder)
            })
        })
        .collect();
    let mut held = HashMap::new();
    for worker in workers {
        let (task, holder) = worker.await.unwrap();
        held.insert(task.task_id.clone(), holder);
    }
    let tenant = TenantId::single();
    let swarm = SwarmId::new("s").unwrap();
    let read = async || {
        brain_swarm::budgets::get(&world.postgres, &tenant, &swarm, &budget)
            .await
            .unwrap()
            .unwrap()
    };
    let now = read().await;
    assert_eq!((now.spent, now.reserved), (spent.load(Ordering::Relaxed), 0));
    assert!(now.spent <= 1_000);
    assert_eq!(now.state.as_str(), "paused");
    let exhausted = "SELECT count(*) FROM swarm_events WHERE event_type = 'budget.exhausted'";
    assert_eq!(world.count(exhausted).await, 1, "the breach is told once");
    world.sound().await;

    // While it is paused nothing of its tree is handed out; raised, it goes on.
    create(
        &calls,
        vec![NewTask {
            budget_id: Some(budget.clone()),
            ..new_task("later")
        }],
    )
    .await;
    join(&calls, "late").await;
    assert!(calls.claim(&scope(), &ask("late", 1)).await.unwrap().tasks.is_empty());
    calls
        .raise_budget(&scope(), (&run(), &actor("boss")), &budget, 2_000, None)
        .await
        .unwrap();
    let task = calls.claim(&scope(), &ask("late", 1)).await.unwrap().tasks.remove(0);
    assert_eq!(task.task_id.as_str(), "later");
    // A worker that is lost has spent what it reserved.
    let holder = Holder {
        agent_id: actor("late"),
        fencing_token: task.fencing_token,
    };
    calls.reserve(&scope(), &task.task_id, &holder, 100).await.unwrap();
    world
        .sql("UPDATE swarm_tasks SET lease_expires_at = clock_timestamp() WHERE task_id = 'later'")
        .await;
    calls.claim(&scope(), &ask("late", 1)).await.unwrap();
    assert_eq!(read().await.spent, spent.load(Ordering::Relaxed) + 100);
    world.sound().await;

    // Stopped, it takes its tree with it.
    calls
        .stop_budget(&scope(), (&run(), &actor("boss")), &budget, None)
        .await
        .unwrap();
    let open = "SELECT count(*) FROM swarm_tasks WHERE status IN ('created', 'assigned', 'running')";
    assert_eq!(world.count(open).await, 0);
    world.sound().await;
}

#[tokio::test]
async fn a_cancelled_run_takes_its_tasks_with_it_and_a_finished_one_sums_them_up() {
    let world = World::new().await;
    let calls = calls(&world);
    join(&calls, "w").await;
    create(&calls, (0..2_500).map(|n| new_task(&format!("t{n}"))).collect()).await;
    let task = calls.claim(&scope(), &ask("w", 1)).await.unwrap().tasks.remove(0);
    let ended = calls
        .cancel_run(&scope(), &run(), &actor("boss"), Some("enough"))
        .await
        .unwrap();
    assert_eq!((ended.tasks.totals.cancelled, ended.tasks.open), (2_500, 0));
    let late = calls
        .finish(&scope(), &actor("w"), done(task.task_id.as_str(), task.fencing_token.0))
        .await;
    assert!(matches!(late, Err(Error::Refused(_))), "{late:?}");
    let refused = calls
        .create_tasks(&scope(), (&run(), &actor("me")), vec![new_task("x")])
        .await;
    assert!(matches!(refused, Err(Error::Refused(_))));
    world.sound().await;

    let other = runs_of(&calls, &world).await;
    assert_eq!(
        other,
        json!({ "by": "me", "tasks": { "created": 1, "completed": 1, "failed": 0, "cancelled": 0, "open": 0 } })
    );
}

async fn runs_of(calls: &Calls, world: &World) -> serde_json::Value {
    let second = brain_swarm::ids::RunId::new("r2").unwrap();
    calls
        .create_tasks(&scope(), (&second, &actor("me")), vec![new_task("y")])
        .await
        .unwrap();
    let task = calls.claim(&scope(), &ask("w", 1)).await.unwrap().tasks.remove(0);
    calls
        .finish(&scope(), &actor("w"), done("y", task.fencing_token.0))
        .await
        .unwrap();
    calls
        .finish_run(&scope(), &second, &actor("me"), Some(json!({ "by": "me" })))
        .await
        .unwrap();
    let run = runs::get(
        &world.postgres,
        &TenantId::single(),
        &SwarmId::new("s").unwrap(),
        &second,
    )
    .await
    .unwrap();
    run.unwrap().summary.unwrap()
}
