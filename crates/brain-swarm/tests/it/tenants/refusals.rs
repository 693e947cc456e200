//! What another tenant has is answered like what nobody has, word for word.

use std::{fmt::Display, time::Duration};

use brain_swarm::{
    agents, budgets,
    calls::{Hold, Holder, Message, NewBudget, NewTask},
    ids::{BudgetId, FencingToken, RunId, ScheduleId, TaskId},
    runs,
    schedules::{self, Definition, Key, MissedRuns, Wish},
    tasks,
};
use serde_json::json;

use super::{create, event_of, events_of, join, note, scope_of, tag};
use crate::{
    tasks::{actor, ask, calls, done, failed, new_task, run},
    world::World,
};

/// Beta has all of it: agent `w`, task `t` under lease, run `r`, budget `b`, a reservation, schedule `p`.
async fn beta_has_it_all(world: &World) -> String {
    let (calls, scope) = (calls(world), scope_of("beta"));
    join(world, "beta", "w").await;
    let budget: NewBudget = serde_json::from_value(json!({ "budgetId": "b", "maxUnits": 100 })).unwrap();
    calls
        .create_budget(&scope, (&run(), &actor("me")), budget)
        .await
        .unwrap();
    let task = NewTask {
        budget_id: Some(BudgetId::new("b").unwrap()),
        idempotency_key: Some("key".to_owned()),
        ..new_task("t")
    };
    create(world, "beta", task).await;
    let claimed = calls.claim(&scope, &ask("w", 1)).await.unwrap();
    assert_eq!(claimed.tasks.len(), 1);
    let reserved = calls.reserve(&scope, &task_id("t"), &holder("w"), 5).await.unwrap();
    let wish = Wish {
        cron: "0 * * * *".to_owned(),
        time_zone: "UTC".to_owned(),
        missed_runs: MissedRuns::Skip,
        task: serde_json::Map::new(),
        enabled: true,
        actor_id: actor("me"),
    };
    let definition = Definition::new(schedule("beta", "p"), wish, 1 << 20).unwrap();
    schedules::put(&world.postgres, schedules::Clock::default(), &definition)
        .await
        .unwrap();
    reserved.reservation_id
}

fn schedule(name: &str, id: &str) -> Key {
    let scope = scope_of(name);
    Key {
        tenant_id: scope.tenant_id,
        swarm_id: scope.swarm_id,
        schedule_id: ScheduleId::new(id).unwrap(),
    }
}

fn task_id(id: &str) -> TaskId {
    TaskId::new(id).unwrap()
}

fn holder(agent: &str) -> Holder {
    Holder {
        agent_id: actor(agent),
        fencing_token: FencingToken(1),
    }
}

/// What acme is told about these ids.
async fn told(world: &World, agent: &str, task: &str, run_id: &str, budget: &str, reservation: &str) -> Vec<String> {
    let (calls, scope) = (calls(world), scope_of("acme"));
    let (who, id, me) = (actor(agent), task_id(task), (&run(), &actor("me")));
    let run_id = RunId::new(run_id).unwrap();
    let budget_id = BudgetId::new(budget).unwrap();
    let mut told = Vec::new();
    let mut hear = |what: &str, answer: Result<(), &dyn Display>| {
        told.push(format!(
            "{what}: {}",
            answer.map_or_else(ToString::to_string, |()| "done".to_owned())
        ));
    };
    macro_rules! ask {
        ($($what:literal: $call:expr,)+) => {
            $(hear($what, $call.await.as_ref().map(drop).map_err(|error| error as &dyn Display));)+
        };
    }
    let hold = Hold {
        task_id: id.clone(),
        fencing_token: FencingToken(1),
    };
    let message = || Message {
        actor_id: actor("me"),
        message: "hello".to_owned(),
        data: None,
        task_id: Some(id.clone()),
    };
    let depends = NewTask {
        depends_on: vec![id.clone()],
        ..NewTask::default()
    };
    let parent = NewTask {
        parent_task_id: Some(id.clone()),
        ..NewTask::default()
    };
    let spends = NewTask {
        budget_id: Some(budget_id.clone()),
        ..NewTask::default()
    };
    ask! {
        "claim": calls.claim(&scope, &ask(agent, 1)),
        "complete": calls.finish(&scope, &who, done(task, 1)),
        "fail": calls.finish(&scope, &who, failed(task, 1, true)),
        "progress": calls.progress(&scope, &id, &holder(agent), json!({})),
        "emit": calls.emit(&scope, &id, &holder(agent), vec![("a.b".parse().unwrap(), json!({}))]),
        "cancel": calls.cancel_task(&scope, &id, &who, None),
        "retry": calls.retry_task(&scope, &id, &who),
        "reassign": calls.reassign_task(&scope, &id, &who, &who),
        "heartbeat": calls.heartbeat(&scope, &who, &[hold]),
        "drain": calls.drain_agent(&scope, &who, &who, true),
        "message": calls.message_agent(&scope, &who, message()),
        "raise": calls.raise_budget(&scope, me, &budget_id, 1000, None),
        "stop": calls.stop_budget(&scope, me, &budget_id, None),
        "reserve": calls.reserve(&scope, &id, &holder(agent), 1),
        "settle": calls.settle(&scope, &id, &holder(agent), reservation, 1),
        "finish run": calls.finish_run(&scope, &run_id, &who, None),
        "cancel run": calls.cancel_run(&scope, &run_id, &who, None),
        "depend": calls.create_tasks(&scope, me, vec![depends]),
        "parent": calls.create_tasks(&scope, me, vec![parent]),
        "spend": calls.create_tasks(&scope, me, vec![spends]),
    }
    told
}

#[tokio::test]
async fn a_thing_of_another_tenant_is_answered_like_an_unknown_one() {
    let world = World::new().await;
    let reservation = beta_has_it_all(&world).await;
    let before = world
        .count("SELECT last_seq FROM swarm_sequences WHERE tenant_id = 'beta'")
        .await;
    let others = told(&world, "w", "t", "r", "b", &reservation).await;
    let unknown = told(&world, "w2", "t2", "r2", "b2", "x").await;
    assert_eq!(others, unknown);
    insta::assert_snapshot!(others.join("\n"), @r"
    claim: the agent is unknown
    complete: the task is unknown
    fail: the task is unknown
    progress: the task is unknown
    emit: the task is unknown
    cancel: the task is unknown
    retry: the task is unknown
    reassign: the task is unknown
    heartbeat: the agent is unknown
    drain: the agent is unknown
    message: the agent is unknown
    raise: the budget is unknown
    stop: the budget is unknown
    reserve: the task is unknown
    settle: the task is unknown
    finish run: the run is unknown
    cancel run: the run is unknown
    depend: a task that it depends on is unknown
    parent: its parent task is unknown
    spend: the budget is unknown
    ");

    let scope = scope_of("acme");
    let (tenant, swarm) = (&scope.tenant_id, &scope.swarm_id);
    assert_eq!(
        agents::get(&world.postgres, tenant, swarm, &actor("w")).await.unwrap(),
        None
    );
    assert_eq!(
        tasks::get(&world.postgres, tenant, swarm, &task_id("t")).await.unwrap(),
        None
    );
    assert_eq!(runs::get(&world.postgres, tenant, swarm, &run()).await.unwrap(), None);
    assert_eq!(
        budgets::get(&world.postgres, tenant, swarm, &BudgetId::new("b").unwrap())
            .await
            .unwrap(),
        None
    );
    assert!(
        schedules::get(&world.postgres, &schedule("acme", "p"))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        !schedules::delete(&world.postgres, &schedule("acme", "p"))
            .await
            .unwrap()
    );

    let after = world
        .count("SELECT last_seq FROM swarm_sequences WHERE tenant_id = 'beta'")
        .await;
    assert_eq!(before, after, "beta has heard nothing of it");
    let held =
        "SELECT count(*) FROM swarm_tasks WHERE tenant_id = 'beta' AND status = 'running' AND reserved_units = 5";
    assert_eq!(world.count(held).await, 1);
    world.sound().await;
}

#[tokio::test]
async fn ids_and_idempotency_keys_are_a_tenants_own() {
    let world = World::new().await;
    let publish = async |name: &str, id: &str| {
        world
            .publisher
            .publish(vec![event_of(name, &note(name, id))])
            .await
            .unwrap()
            .remove(0)
    };
    assert!(!publish("acme", "n").await.duplicate);
    assert!(
        !publish("beta", "n").await.duplicate,
        "other content under the same id is no conflict"
    );
    assert!(publish("acme", "n").await.duplicate);

    let mut made = Vec::new();
    for name in ["acme", "beta", "acme"] {
        let task = NewTask {
            idempotency_key: Some("key".to_owned()),
            inputs: Some(json!({ "tag": tag(name) })),
            ..NewTask::default()
        };
        made.push(create(&world, name, task).await);
    }
    assert_eq!(
        made.iter().map(|task| task.duplicate).collect::<Vec<_>>(),
        [false, false, true]
    );
    assert!(made[0].task_id == made[2].task_id && made[0].task_id != made[1].task_id);
    assert_eq!(events_of(&world, "beta").await.len(), 2);
    world.sound().await;
}

#[tokio::test]
async fn a_claim_that_waits_gets_nothing_of_another_tenant() {
    let world = World::new().await;
    for name in ["acme", "beta"] {
        join(&world, name, "w").await;
    }
    let waiting = |name: &str, wait: u64| {
        let (calls, scope) = (calls(&world), scope_of(name));
        let mut ask = ask("w", 1);
        ask.wait = Duration::from_millis(wait);
        tokio::spawn(async move { calls.claim(&scope, &ask).await.unwrap().tasks })
    };
    let (acme, beta) = (waiting("acme", 1_500), waiting("beta", 30_000));
    brain_testkit::eventually("both to wait", async || {
        let sql = "SELECT count(*) FROM swarm_agents WHERE last_seen_at > created_at";
        (world.count(sql).await == 2).then_some(())
    })
    .await;
    create(&world, "beta", new_task("t")).await;
    assert_eq!(beta.await.unwrap()[0].task_id, task_id("t"));
    assert_eq!(acme.await.unwrap(), []);
    assert!(
        events_of(&world, "acme")
            .await
            .iter()
            .all(|event| event.kind == "agent.registered")
    );
    world.sound().await;
}
