//! Publishing: what an event does, and that it does it once.

use brain_swarm::{
    agents,
    ids::{ActorId, SwarmId, TaskId, TenantId},
    publish,
    tasks::{self, StoredTask, TaskStatus},
};
use brain_testkit::eventually;
use serde_json::json;

use crate::world::{World, created, event, joined, parse};

async fn task(world: &World, id: &str) -> StoredTask {
    let (tenant, swarm) = (TenantId::single(), SwarmId::new("s").unwrap());
    tasks::get(&world.postgres, &tenant, &swarm, &TaskId::new(id).unwrap())
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn a_created_task_is_assigned_with_a_follow_up_in_the_same_transaction() {
    let world = World::new().await;
    world.publish(joined("a1")).await;
    let cause = created("t1");
    let published = world.publish(cause.clone()).await;
    assert_eq!((published.seq, published.duplicate), (2, false));

    let events = world.events("s").await;
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3]);
    let follow_up = &events[2];
    assert_eq!(follow_up.kind, "task.assigned");
    assert_eq!(
        follow_up.causation_id.as_ref().unwrap().as_str(),
        cause["id"].as_str().unwrap()
    );
    assert_eq!(follow_up.correlation_id.as_deref(), cause["id"].as_str());
    assert_eq!(
        follow_up.payload,
        json!({ "taskId": "t1", "agentId": "a1", "attempt": 0 })
    );
    let task = task(&world, "t1").await;
    assert_eq!(
        (task.status, task.assigned_agent_id.unwrap().as_str()),
        (TaskStatus::Assigned, "a1")
    );
    assert_eq!(task.inputs, json!({ "n": 1 }));
}

#[tokio::test]
async fn a_task_lives_from_created_to_completed_and_never_changes_again() {
    let world = World::new().await;
    world.publish(joined("a1")).await;
    world.publish(created("t1")).await;
    world
        .publish(event(
            "agent.message",
            "a1",
            json!({ "taskId": "t1", "state": "running" }),
        ))
        .await;
    assert_eq!(task(&world, "t1").await.attempt, 1);
    world
        .publish(event(
            "agent.message",
            "a1",
            json!({ "taskId": "t1", "state": "done", "outputs": { "x": 1 } }),
        ))
        .await;
    let done = task(&world, "t1").await;
    assert_eq!(
        (done.status, done.outputs.clone()),
        (TaskStatus::Completed, Some(json!({ "x": 1 })))
    );

    for late in [
        event(
            "agent.message",
            "a1",
            json!({ "taskId": "t1", "state": "failed", "error": "no" }),
        ),
        event("task.completed", "a1", json!({ "taskId": "t1" })),
        event("task.assigned", "a1", json!({ "taskId": "t1", "agentId": "a1" })),
        created("t1"),
    ] {
        let published = world.publish(late).await;
        assert!(published.note.is_some(), "{published:?}");
    }
    assert_eq!(task(&world, "t1").await, done);
    world.sound().await;
}

#[tokio::test]
async fn only_the_holder_moves_a_task() {
    let world = World::new().await;
    world.publish(joined("a1")).await;
    world.publish(joined("a2")).await;
    let mut named = created("t1");
    named["payload"]["assignedAgentId"] = json!("a2");
    world.publish(named).await;
    let stranger = world
        .publish(event("agent.message", "a1", json!({ "taskId": "t1", "state": "done" })))
        .await;
    assert_eq!(stranger.note.as_deref(), Some("the task is held by another agent"));
    assert_eq!(task(&world, "t1").await.status, TaskStatus::Assigned);
    let unknown = world
        .publish(event("agent.message", "a1", json!({ "taskId": "t9", "state": "done" })))
        .await;
    assert_eq!(unknown.note.as_deref(), Some("the task is unknown"));
    world.sound().await;
}

#[tokio::test]
async fn tasks_wait_for_an_agent_that_fits_and_spread_by_load() {
    let world = World::new().await;
    for (id, payload) in [
        ("any", json!({})),
        ("gpu", json!({ "capability": "gpu" })),
        ("named", json!({ "assignedAgentId": "ghost" })),
    ] {
        let mut created = created(id);
        created["payload"]
            .as_object_mut()
            .unwrap()
            .extend(payload.as_object().unwrap().clone());
        world.publish(created).await;
        assert_eq!(task(&world, id).await.status, TaskStatus::Created);
    }
    world
        .publish(event("run.started", "boss", json!({ "role": "orchestrator" })))
        .await;
    assert_eq!(task(&world, "any").await.status, TaskStatus::Created);
    world
        .publish(event(
            "run.started",
            "g1",
            json!({ "capabilities": ["gpu"], "capacity": 2 }),
        ))
        .await;
    assert_eq!(task(&world, "gpu").await.assigned_agent_id.unwrap().as_str(), "g1");
    world.publish(joined("w1")).await;
    for task in ["b", "c", "d", "e"] {
        world.publish(created(task)).await;
    }
    let agents = agents::list(
        &world.postgres,
        &agents::Query {
            tenant_id: TenantId::single(),
            swarm_id: SwarmId::new("s").unwrap(),
            live: Some(true),
            after: None,
            limit: 10,
        },
    )
    .await
    .unwrap()
    .agents;
    let load = |id: &str| agents.iter().find(|agent| agent.agent_id.as_str() == id).unwrap().load;
    assert_eq!((load("g1"), load("w1"), load("boss")), (2, 5, 0));
    world.sound().await;
}

#[tokio::test]
async fn repeating_a_call_stores_nothing_twice_and_other_content_is_a_conflict() {
    let world = World::new().await;
    let first = created("t1");
    let stored = world.publish(first.clone()).await;
    let again = world.publish(first.clone()).await;
    assert_eq!((again.seq, again.duplicate), (stored.seq, true));

    let mut other = first.clone();
    other["payload"]["inputs"] = json!({ "n": 2 });
    let error = world
        .publisher
        .publish(vec![parse(&created("t2")), parse(&other)])
        .await
        .unwrap_err();
    assert!(matches!(error, publish::Error::Conflict { seq: 1, .. }), "{error}");
    assert_eq!(world.events("s").await.len(), 1, "a call is stored whole or not at all");

    let (one, mut two) = (created("t3"), created("t4"));
    two["id"] = one["id"].clone();
    let error = world
        .publisher
        .publish(vec![parse(&one), parse(&two)])
        .await
        .unwrap_err();
    assert!(matches!(error, publish::Error::Conflict { .. }), "{error}");
    let both = world.publisher.publish(vec![parse(&one), parse(&one)]).await.unwrap();
    assert_eq!(
        both.iter()
            .map(|published| (published.seq, published.duplicate))
            .collect::<Vec<_>>(),
        [(2, false), (2, true)]
    );
}

#[tokio::test]
async fn many_publishers_get_numbers_without_gaps_in_every_swarm() {
    let world = World::new().await;
    let callers = (0..40).map(|caller| {
        let publisher = world.publisher.clone();
        tokio::spawn(async move {
            for n in 0..25 {
                let mut event = created(&format!("t-{caller}-{n}"));
                event["swarmId"] = json!(format!("s{}", (caller + n) % 3));
                publisher.publish(vec![parse(&event)]).await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    assert_eq!(world.count("SELECT count(*) FROM swarm_events").await, 1000);
    let findings = brain_swarm::doctor::check(
        &world.postgres,
        None,
        &world.config.bus,
        std::time::Duration::from_secs(600),
    )
    .await
    .unwrap();
    assert!(findings.iter().all(|finding| finding.violations == 0), "{findings:#?}");
}

#[tokio::test]
async fn data_that_the_database_refuses_fails_its_own_call_only() {
    let world = World::new().await;
    world
        .execute("ALTER TABLE swarm_events ADD CHECK (event_id <> 'poison')")
        .await;
    let mut poison = created("t0");
    poison["id"] = json!("poison");
    let calls = (0..20).map(|n| {
        let publisher = world.publisher.clone();
        let event = if n == 7 {
            parse(&poison)
        } else {
            parse(&created(&format!("t{n}")))
        };
        tokio::spawn(async move { publisher.publish(vec![event]).await })
    });
    let mut refused = 0;
    for call in calls.collect::<Vec<_>>() {
        match call.await.unwrap() {
            Ok(_) => {}
            Err(publish::Error::Rejected { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(refused, 1);
    assert_eq!(world.events("s").await.len(), 19);
}

#[tokio::test]
async fn what_was_accepted_is_committed_when_the_service_stops_or_the_caller_leaves() {
    let world = World::new().await;
    let calls: Vec<_> = (0..50)
        .map(|n| {
            let publisher = world.publisher.clone();
            let event = parse(&created(&format!("t{n}")));
            tokio::spawn(async move { publisher.publish(vec![event]).await })
        })
        .collect();
    tokio::task::yield_now().await;
    world.stop.cancel();
    let mut stored = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => stored += 1,
            Err(error) => assert!(matches!(error, publish::Error::Closed), "{error}"),
        }
    }
    assert_eq!(world.events("s").await.len(), stored);
}

#[tokio::test]
async fn a_silent_agent_is_lost_and_its_tasks_go_to_others() {
    let mut world = World::with(|config| {
        config.swarm.agent_timeout = std::time::Duration::from_secs(1);
        config.swarm.sweep_interval = std::time::Duration::from_millis(100);
    })
    .await;
    let replica = world.orchestrate("one");
    world.publish(joined("silent")).await;
    world.publish(created("t1")).await;
    let mut once = created("t2");
    once["payload"]["maxAttempts"] = json!(1);
    world.publish(once).await;
    world
        .publish(event(
            "agent.message",
            "silent",
            json!({ "taskId": "t2", "state": "running" }),
        ))
        .await;
    let beating = {
        let (postgres, stop) = (world.postgres.clone(), world.stop.clone());
        world.publish(joined("lively")).await;
        tokio::spawn(async move {
            while !stop.is_cancelled() {
                let (tenant, swarm, agent) = (
                    TenantId::single(),
                    SwarmId::new("s").unwrap(),
                    ActorId::new("lively").unwrap(),
                );
                agents::heartbeat(&postgres, &tenant, &swarm, &agent).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        })
    };
    let moved = eventually("the task to move", async || {
        let task = task(&world, "t1").await;
        (task.assigned_agent_id.as_ref()?.as_str() == "lively").then_some(task)
    })
    .await;
    assert_eq!(moved.status, TaskStatus::Assigned);
    let failed = task(&world, "t2").await;
    assert_eq!(
        (failed.status, failed.error.as_deref()),
        (TaskStatus::Failed, Some("its agent was lost and no attempt is left"))
    );
    let back = world
        .publish(event(
            "agent.message",
            "silent",
            json!({ "taskId": "t1", "state": "done" }),
        ))
        .await;
    assert_eq!(back.note.as_deref(), Some("the task is held by another agent"));
    assert!(world.events("s").await.iter().any(|event| event.kind == "agent.lost"));
    world.sound().await;
    beating.abort();
    replica.leave().await;
}

/// It did: an idle system with many open tasks read them all with each sweep, with parallel workers.
#[tokio::test]
async fn a_sweep_reads_no_tasks_that_are_as_they_should_be() {
    let world = World::new().await;
    for agent in ["a", "b"] {
        world.publish(joined(agent)).await;
    }
    world
        .sql(
            "INSERT INTO swarm_tasks (swarm_id, task_id, run_id, status, assigned_agent_id, created_event_id, lease_ms, \
             lease_expires_at) \
             SELECT 's', 't' || n, 'r', CASE WHEN n % 2 = 0 THEN 'assigned' ELSE 'running' END, 'a', 'e' || n, 60000, \
                CASE WHEN n % 2 = 1 THEN now() + interval '1 hour' END \
             FROM generate_series(1, 50000) n; \
             INSERT INTO swarm_sequences (swarm_id) SELECT 'other' || n FROM generate_series(1, 100) n; \
             ANALYZE",
        )
        .await;
    let statement = include_str!("../../src/sql/select_unsettled_swarms.sql").replace("$1", "100");
    let client = world.postgres.client().await.unwrap();
    client.batch_execute("SET enable_seqscan = off").await.unwrap();
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS OFF, TIMING OFF) {statement}");
    let plan: Vec<String> = client
        .query(&explain, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    client.batch_execute("RESET enable_seqscan").await.unwrap();
    let plan = plan.join("\n");
    assert!(
        !plan.contains("Seq Scan on swarm_tasks") && !plan.contains("Parallel"),
        "{plan}"
    );
    // Every node stops at its first row, so no node gives many rows in all.
    let rows = plan.split("actual rows=").skip(1).filter_map(|text| {
        let digits = text.split(|c: char| c != '.' && !c.is_ascii_digit()).next()?;
        digits.parse::<f64>().ok()
    });
    assert!(rows.fold(0.0, f64::max) <= 200.0, "{plan}");
}
