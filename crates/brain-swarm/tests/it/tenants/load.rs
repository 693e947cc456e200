//! All tenants under load at once, with the same ids for everything, and the orchestrator killed in the middle.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use brain_swarm::{
    budgets,
    calls::{Finished, Holder, Message, NewBudget, NewTask, Outcome},
    decide::TaskStatus,
    doctor,
    events::StoredEvent,
    ids::{BudgetId, ScheduleId, TenantId},
    relay::RelayQueue,
    retention::Pass,
    runs,
    schedules::{self, Clock, Definition, Key, MissedRuns, Options, Wish},
    tails::{Followed, Selection, Tails},
    tasks,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    TENANTS, create, event_of, events_of, join, letters_of, note, only_its_own, scope_of,
    stream::{consumed, from_the_start},
    tag, xadd,
};
use crate::{
    tasks::{actor, ask, calls, run},
    world::World,
};

/// All of it comes in halves, before and after the orchestrator is killed.
const HALVES: [usize; 2] = [0, 1];
/// Publishers of each tenant in each half, and notes of each.
const PUBLISHERS: usize = 3;
const NOTES: usize = 50;
/// Entries of a foreign program of each tenant in each half.
const FOREIGN: usize = 40;
/// Tasks of each tenant in both halves together, beside the one of its schedule.
const TASKS: usize = 40;

fn budget() -> BudgetId {
    BudgetId::new("b").unwrap()
}

/// The moment at which the schedules are put, and one at which they fire.
fn clock(time: &str) -> Clock {
    let time: Timestamp = time.parse().unwrap();
    Clock {
        offset: time.duration_since(Timestamp::now()),
    }
}

fn schedule(name: &str) -> Key {
    let scope = scope_of(name);
    Key {
        tenant_id: scope.tenant_id,
        swarm_id: scope.swarm_id,
        schedule_id: ScheduleId::new("hourly").unwrap(),
    }
}

/// Agents, a budget and a schedule.
async fn set_up(world: &World, name: &str) {
    for agent in ["w1", "w2"] {
        join(world, name, agent).await;
    }
    let wanted: NewBudget =
        serde_json::from_value(json!({ "budgetId": "b", "maxUnits": 10_000, "unit": tag(name) })).unwrap();
    let (calls, scope, me) = (calls(world), scope_of(name), actor("me"));
    calls.create_budget(&scope, (&run(), &me), wanted).await.unwrap();
    let Value::Object(task) =
        json!({ "inputs": { "tag": tag(name) }, "runId": "r", "concurrencyKey": "k", "budgetId": "b" })
    else {
        unreachable!()
    };
    let wish = Wish {
        cron: "0 * * * *".to_owned(),
        time_zone: "UTC".to_owned(),
        missed_runs: MissedRuns::Once,
        task,
        enabled: true,
        actor_id: actor("planner"),
    };
    let definition = Definition::new(schedule(name), wish, 1 << 20).unwrap();
    schedules::put(&world.postgres, clock("2026-06-01T10:00:10Z"), &definition)
        .await
        .unwrap();
}

/// Tasks that wait for each other in pairs, share a key and a budget; every other one has an idempotency key.
async fn create_half(world: &World, name: &'static str, half: usize) {
    for n in (0..TASKS / 2).map(|n| n + half * TASKS / 2) {
        let id = |n: usize| brain_swarm::ids::TaskId::new(format!("t{n}")).unwrap();
        let task = NewTask {
            task_id: Some(id(n)),
            run_id: Some(run()),
            idempotency_key: (n % 2 == 0).then(|| format!("key-{n}")),
            inputs: Some(json!({ "tag": tag(name) })),
            depends_on: if n % 2 == 1 { vec![id(n - 1)] } else { Vec::new() },
            concurrency_key: (n % 3 == 0).then(|| "k".to_owned()),
            concurrency_limit: (n % 3 == 0).then_some(2),
            budget_id: Some(budget()),
            ..NewTask::default()
        };
        assert!(!create(world, name, task).await.duplicate, "{name}");
    }
}

/// Says something to an agent.
async fn say(world: &World, name: &str) {
    let message = Message {
        actor_id: actor("me"),
        message: tag(name),
        data: None,
        task_id: None,
    };
    calls(world)
        .message_agent(&scope_of(name), &actor("w1"), message)
        .await
        .unwrap();
}

async fn publish(world: &World, name: &'static str, publisher: usize) {
    for n in 0..NOTES {
        let note = event_of(name, &note(name, &format!("note-{publisher}-{n}")));
        let stored = world.publisher.publish(vec![note]).await.unwrap();
        assert!(!stored[0].duplicate, "{name}");
    }
}

/// A foreign program: good entries, and one of each kind that becomes a dead letter.
async fn add(world: &World, name: &'static str, half: usize) {
    for n in 0..FOREIGN {
        xadd(world, name, &note(name, &format!("foreign-{half}-{n}")).to_string()).await;
    }
    let mut unfit = note(name, "unfit");
    unfit["type"] = json!("task.created");
    let mut again = note(name, &format!("foreign-{half}-0"));
    again["payload"]["other"] = json!(true);
    for body in [
        unfit.to_string(),
        again.to_string(),
        format!("nonsense {half} {}", tag(name)),
    ] {
        xadd(world, name, &body).await;
    }
}

/// Works until all tasks of its tenant are done; whatever it gets must be of its tenant.
async fn work(world: &World, name: &'static str, agent: &'static str) -> BTreeSet<String> {
    let (calls, scope) = (calls(world), scope_of(name));
    let mut completed = BTreeSet::new();
    let open = format!("SELECT count(*) FROM swarm_tasks WHERE tenant_id = '{name}' AND status = 'completed'");
    while world.count(&open).await < i64::try_from(TASKS).unwrap() + 1 {
        let mut wanted = ask(agent, 3);
        wanted.wait = Duration::from_millis(200);
        for task in calls.claim(&scope, &wanted).await.unwrap().tasks {
            assert_eq!(task.inputs["tag"], tag(name), "{name} was given {task:?}");
            let holder = Holder {
                agent_id: actor(agent),
                fencing_token: task.fencing_token,
            };
            let reserved = calls.reserve(&scope, &task.task_id, &holder, 2).await.unwrap();
            calls
                .settle(&scope, &task.task_id, &holder, &reserved.reservation_id, 1)
                .await
                .unwrap();
            let finished = Finished {
                task_id: task.task_id.clone(),
                fencing_token: task.fencing_token,
                outcome: Outcome::Completed {
                    outputs: json!({ "tag": tag(name), "by": agent }),
                },
            };
            calls.finish(&scope, &actor(agent), finished).await.unwrap();
            completed.insert(task.task_id.to_string());
        }
    }
    completed
}

fn text(event: &StoredEvent) -> String {
    serde_json::to_string(event).unwrap()
}

/// One half of the load, of all tenants at once.
fn half_of_the_load(world: &Arc<World>, half: usize) -> JoinSet<()> {
    let mut load = JoinSet::new();
    for name in TENANTS {
        for publisher in 0..PUBLISHERS {
            let world = Arc::clone(world);
            load.spawn(async move { publish(&world, name, publisher + half * PUBLISHERS).await });
        }
        let world_too = Arc::clone(world);
        load.spawn(async move { create_half(&world_too, name, half).await });
        let world_too = Arc::clone(world);
        load.spawn(async move { add(&world_too, name, half).await });
    }
    load
}

#[tokio::test]
async fn tenants_that_name_everything_alike_never_meet() {
    let mut world = from_the_start().await;
    world.config.bus.lease = Duration::from_secs(2);
    // Another process, as far as bells go: it hears of events by notifications alone.
    let tails = Tails::new(world.postgres.clone(), RelayQueue::default(), world.stop.clone());
    for name in TENANTS {
        set_up(&world, name).await;
        say(&world, name).await;
    }
    // The load runs over a world of its own, because the orchestrators of this one change meanwhile.
    let beside = Arc::new(World::beside(&world).await);
    let first = world.orchestrate("one");
    let before = half_of_the_load(&beside, 0);
    let mut workers = JoinSet::new();
    for name in TENANTS {
        for agent in ["w1", "w2"] {
            let world = Arc::clone(&beside);
            workers.spawn(async move { (name, work(&world, name, agent).await) });
        }
    }
    let following = {
        let tails = tails.clone();
        tokio::spawn(async move { futures_util::future::join_all(TENANTS.map(|name| follow(&tails, name))).await })
    };
    let (service, _) = schedules::Service::new(Options {
        postgres: world.postgres.clone(),
        publisher: world.publisher.clone(),
        clock: clock("2026-06-01T11:00:01Z"),
    });
    assert_eq!(service.look().await.unwrap().fired, TENANTS.len());
    before.join_all().await;
    // As kill -9 does: what it knew of its entries is gone, and nothing is given back.
    first.task.abort();
    let second = world.orchestrate("two");
    half_of_the_load(&beside, 1).join_all().await;
    brain_testkit::eventually("the second to take over", async || {
        (second.streams().len() == 1).then_some(())
    })
    .await;
    let mut by = BTreeMap::<&str, BTreeSet<String>>::new();
    while let Some(ended) = workers.join_next().await {
        let (name, completed) = ended.unwrap();
        by.entry(name).or_default().extend(completed);
    }
    for name in TENANTS {
        // The followers end with it.
        let last = event_of(name, &note(name, "last"));
        world.publisher.publish(vec![last]).await.unwrap();
    }
    let followed = following.await.unwrap();
    consumed(&world).await;

    for (name, seen) in TENANTS.into_iter().zip(followed) {
        let events = events_of(&world, name).await;
        let numbers: Vec<i64> = (1..=i64::try_from(events.len()).unwrap()).collect();
        assert_eq!(
            events.iter().map(|event| event.seq).collect::<Vec<_>>(),
            numbers,
            "{name}"
        );
        let last = events.iter().find(|event| event.id.as_str() == "last").unwrap().seq;
        assert_eq!(seen, (1..=last).collect::<Vec<_>>(), "{name}");
        assert_eq!(follow(&tails, name).await, seen, "{name}");
        its_own_and_whole(&world, name, &events, &by[name]).await;
    }
    world.sound().await;
    retention_is_of_a_tenant(&world).await;
    second.leave().await;
}

/// Follows the swarm of a tenant from its beginning to the note `last`.
async fn follow(tails: &Tails, name: &str) -> Vec<i64> {
    let scope = scope_of(name);
    let selection = Selection {
        tenant_id: scope.tenant_id,
        swarm_id: scope.swarm_id,
        run_id: None,
        kind: None,
        actor_id: None,
    };
    let mut follower = tails.follow(selection, Some(0)).await.unwrap();
    let mut seen = Vec::new();
    loop {
        let Some(Followed::Event(event)) = follower.next().await.unwrap() else {
            panic!("a gap, or the end")
        };
        only_its_own(name, "an event as it was stored", &text(&event));
        seen.push(event.seq);
        if event.id.as_str() == "last" {
            return seen;
        }
    }
}

/// Everything of a tenant is there once, and nothing else.
async fn its_own_and_whole(world: &World, name: &str, events: &[StoredEvent], completed: &BTreeSet<String>) {
    for event in events {
        only_its_own(name, "an event", &text(event));
    }
    let notes: BTreeSet<&str> = events
        .iter()
        .filter(|event| event.kind == "note.made")
        .map(|event| event.id.as_str())
        .collect();
    let mut expected = BTreeSet::new();
    for half in HALVES {
        expected.extend((0..FOREIGN).map(|n| format!("foreign-{half}-{n}")));
        let publishers = (0..PUBLISHERS).map(|publisher| publisher + half * PUBLISHERS);
        expected.extend(publishers.flat_map(|publisher| (0..NOTES).map(move |n| format!("note-{publisher}-{n}"))));
    }
    expected.insert("last".to_owned());
    assert_eq!(notes, expected.iter().map(String::as_str).collect(), "{name}");

    let letters = letters_of(world, name).await;
    let mut reasons: Vec<&str> = letters.iter().map(|letter| letter.reason.as_str()).collect();
    reasons.sort_unstable();
    let expected = ["duplicate", "malformed", "schema_violation"].into_iter();
    assert_eq!(
        reasons,
        expected.flat_map(|reason| HALVES.map(|_| reason)).collect::<Vec<_>>(),
        "{name}"
    );
    for letter in &letters {
        assert!(letter.raw.contains(&tag(name)), "{name}: {letter:?}");
    }

    let scope = scope_of(name);
    let (tenant, swarm) = (&scope.tenant_id, &scope.swarm_id);
    let query = tasks::Query {
        tenant_id: tenant.clone(),
        swarm_id: swarm.clone(),
        run_id: None,
        status: None,
        assigned_agent_id: None,
        after: None,
        limit: 1000,
    };
    let stored = tasks::list(&world.postgres, &query).await.unwrap().tasks;
    assert_eq!(stored.len(), TASKS + 1, "{name}");
    for task in &stored {
        assert_eq!(task.status, TaskStatus::Completed);
        assert_eq!((task.attempt, &task.inputs["tag"]), (1, &json!(tag(name))));
        assert_eq!(task.outputs.as_ref().unwrap()["tag"], tag(name));
        assert!(
            completed.contains(task.task_id.as_str()),
            "{name}: somebody else completed {task:?}"
        );
    }

    let run = runs::get(&world.postgres, tenant, swarm, &run())
        .await
        .unwrap()
        .unwrap();
    let tasks = i64::try_from(TASKS).unwrap() + 1;
    assert_eq!((run.tasks.totals.created, run.tasks.totals.completed), (tasks, tasks));
    let spent = budgets::get(&world.postgres, tenant, swarm, &budget())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((spent.spent, spent.reserved, spent.unit), (tasks, 0, tag(name)));
    let fired = schedules::get(&world.postgres, &schedule(name)).await.unwrap().unwrap();
    assert!(fired.last_task_id.is_some());
    let inbox = calls(world).agent_messages(&scope, &actor("w1"), 0, 10).await.unwrap();
    assert_eq!(inbox.len(), 1, "{name}");
    assert_eq!(inbox[0].payload["message"], tag(name));
}

/// What is old of one tenant goes, and nothing of the others.
async fn retention_is_of_a_tenant(world: &World) {
    let acme = scope_of("acme");
    calls(world)
        .finish_run(&acme, &run(), &actor("me"), None)
        .await
        .unwrap();
    consumed(world).await;
    let old = "now() - interval '31 days'";
    world
        .execute(&format!(
            "UPDATE swarm_events SET stored_at = {old} WHERE tenant_id = 'acme';
             UPDATE swarm_tasks SET updated_at = {old} WHERE tenant_id = 'acme';
             UPDATE swarm_runs SET updated_at = {old}, finished_at = {old} WHERE tenant_id = 'acme' AND state <> 'open';
             UPDATE swarm_runs SET updated_at = {old} WHERE tenant_id = 'acme'"
        ))
        .await;
    let streams = brain_swarm::bus::StreamNames::new(&world.config.bus);
    let others = "SELECT count(*) FROM swarm_events WHERE tenant_id <> 'acme'";
    let before = world.count(others).await;
    let mut pass = Pass::begin(world.postgres.clone(), streams, 30).await.unwrap();
    while pass.step().await.unwrap() {}
    assert!(
        pass.counts().tasks > 0 && pass.counts().dead_letters == 0,
        "{:?}",
        pass.counts()
    );
    assert_eq!(world.count(others).await, before);
    let pruned = "SELECT count(*) FROM swarm_sequences WHERE pruned_seq > 0 AND tenant_id <> 'acme'";
    assert_eq!(world.count(pruned).await, 0);
    let left = "SELECT count(*) FROM swarm_tasks WHERE tenant_id <> 'acme'";
    assert_eq!(
        world.count(left).await,
        i64::try_from((TENANTS.len() - 1) * (TASKS + 1)).unwrap()
    );
    assert_eq!(events_of(world, TenantId::single().as_str()).await[0].seq, 1);
    // Without the stream, whose entries are younger than what was made old here.
    let findings = doctor::check(&world.postgres, None, &world.config.bus, Duration::from_secs(60))
        .await
        .unwrap();
    assert!(findings.iter().all(|finding| finding.violations == 0), "{findings:#?}");
}
