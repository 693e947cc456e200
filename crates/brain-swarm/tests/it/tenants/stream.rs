//! Tenants on the stream: whose an entry is, whether the relay wrote it, and what becomes of one that nobody can place.

use std::collections::HashMap;

use brain_swarm::{
    dead_letters::{self, Reason},
    ids::ActorId,
};
use brain_testkit::eventually;
use fred::{interfaces::StreamsInterface as _, types::Value};
use serde_json::json;

use super::{event_of, events_of, join, letters_of, note, tenant, xadd};
use crate::world::{World, event};

pub(crate) async fn from_the_start() -> World {
    World::with(|config| config.bus.start_id = "0-0".parse().unwrap()).await
}

/// Waits until everything on the stream was read, and is stored or was recognised.
pub(crate) async fn consumed(world: &World) {
    let stream = world.config.bus.stream_name.as_str();
    eventually("the stream to be consumed", async || {
        if world.count("SELECT count(*) FROM swarm_outbox").await > 0 {
            return None;
        }
        // Not the cursor: that of a consumer that was killed may stand still before entries which it has acknowledged.
        let groups: Result<Vec<HashMap<String, Value>>, _> = world.redis.commands().xinfo_groups(stream).await;
        // There is none before the first consumer came.
        let group = groups.ok()?.pop()?;
        let number = |what: &str| group.get(what).and_then(Value::as_i64);
        (number("lag") == Some(0) && number("pending") == Some(0)).then_some(())
    })
    .await;
}

/// How many tasks the agent `w` of a tenant has.
async fn load(world: &World, name: &str) -> i64 {
    let sql = format!("SELECT load::bigint FROM swarm_agents WHERE agent_id = 'w' AND tenant_id = '{name}'");
    world.count(&sql).await
}

async fn ids(world: &World, name: &str) -> Vec<String> {
    let own = events_of(world, name).await.into_iter();
    own.filter(|event| event.kind == "note.made")
        .map(|event| event.id.to_string())
        .collect()
}

#[tokio::test]
async fn an_entry_is_of_the_tenant_that_it_names_or_of_the_default_one() {
    let mut world = from_the_start().await;
    for name in super::TENANTS {
        xadd(&world, name, &note(name, "n").to_string()).await;
    }
    let named = [
        ("tenant", "default".to_owned()),
        ("event", note("default", "m").to_string()),
    ];
    world.xadd_to(&world.config.bus.stream_name, &named).await;
    let replica = world.orchestrate("one");
    consumed(&world).await;
    assert_eq!(ids(&world, "default").await, ["n", "m"]);
    assert_eq!(ids(&world, "acme").await, ["n"]);
    assert_eq!(ids(&world, "beta").await, ["n"]);
    for name in super::TENANTS {
        assert_eq!(letters_of(&world, name).await, []);
    }
    world.sound().await;
    replica.leave().await;
}

/// The marks of the relay die with it; the next one asks the database, of the tenant that the entry names.
#[tokio::test]
async fn what_the_relay_wrote_for_a_tenant_is_no_event_of_another_after_a_failover() {
    let mut world = from_the_start().await;
    let published = world
        .publisher
        .publish(vec![event_of("acme", &note("acme", "n"))])
        .await
        .unwrap();
    let first = world.orchestrate("one");
    consumed(&world).await;
    first.leave().await;

    // What the first one has written and has not read again.
    let stream = world.config.bus.stream_name.clone();
    let entries: Vec<(String, HashMap<String, String>)> = world
        .redis
        .commands()
        .xrange_values(stream.as_str(), "-", "+", None)
        .await
        .unwrap();
    let written = entries.into_iter().map(|(_, fields)| fields);
    let written = written
        .filter(|fields| fields.get("id").is_some_and(|id| id == "n"))
        .collect::<Vec<_>>();
    assert_eq!(written.len(), 1);
    let mut fields: Vec<(&str, String)> = Vec::new();
    for field in ["tenant", "seq", "swarm", "id", "event"] {
        fields.push((field, written[0][field].clone()));
    }
    assert_eq!((fields[0].1.as_str(), fields[1].1.as_str()), ("acme", "1"));
    world.xadd_to(&stream, &fields).await;
    // The same claim about tenants that have no such event is not believed: to them it is new.
    fields[0].1 = "beta".to_owned();
    world.xadd_to(&stream, &fields).await;
    let second = world.orchestrate("two");
    consumed(&world).await;
    assert_eq!(published[0].seq, 1);
    assert_eq!(ids(&world, "acme").await, ["n"]);
    assert_eq!(ids(&world, "beta").await, ["n"]);
    assert_eq!(ids(&world, "default").await, Vec::<String>::new());
    for name in super::TENANTS {
        assert_eq!(letters_of(&world, name).await, [], "{name}");
    }
    world.sound().await;
    second.leave().await;
}

#[tokio::test]
async fn a_dead_letter_is_of_the_tenant_of_its_entry_and_is_replayed_into_it() {
    let mut world = from_the_start().await;
    let mut unfit = note("acme", "n");
    unfit["type"] = json!("task.created");
    xadd(&world, "acme", &unfit.to_string()).await;
    xadd(&world, "acme", "nonsense").await;
    world
        .xadd_to(
            &world.config.bus.stream_name,
            &[("tenant", "beta".to_owned()), ("x", "1".to_owned())],
        )
        .await;
    let nobody = [
        ("tenant", "ACME".to_owned()),
        ("event", note("acme", "lost").to_string()),
    ];
    world.xadd_to(&world.config.bus.stream_name, &nobody).await;
    let replica = world.orchestrate("one");
    consumed(&world).await;

    let reasons = async |name: &str| -> Vec<Reason> {
        letters_of(&world, name)
            .await
            .iter()
            .map(|letter| letter.reason)
            .collect()
    };
    assert_eq!(reasons("acme").await, [Reason::Malformed, Reason::SchemaViolation]);
    assert_eq!(reasons("beta").await, [Reason::Malformed]);
    // Nobody knows whose it is, so the operator gets it, and cannot replay it by mistake into its own tenant.
    let unplaced = letters_of(&world, "default").await.remove(0);
    assert!(unplaced.detail.contains("lower-case letters"), "{}", unplaced.detail);
    let (id, own) = (unplaced.dead_letter_id, tenant("default"));
    let replayed = dead_letters::replay(&world.postgres, &world.publisher, &own, id, None, 4096).await;
    assert!(matches!(replayed, Err(dead_letters::Error::Invalid(_))));

    let id = letters_of(&world, "acme").await[1].dead_letter_id;
    let mended = || Some(note("acme", "mended").to_string().into_bytes());
    let replay = async |name: &str| {
        dead_letters::replay(&world.postgres, &world.publisher, &tenant(name), id, mended(), 4096).await
    };
    for other in ["default", "beta"] {
        assert!(matches!(replay(other).await, Err(dead_letters::Error::NotFound(_))));
        let dropped = dead_letters::discard(&world.postgres, &tenant(other), id).await;
        assert!(matches!(dropped, Err(dead_letters::Error::NotFound(_))));
        assert_eq!(
            dead_letters::get(&world.postgres, &tenant(other), id).await.unwrap(),
            None
        );
    }
    replay("acme").await.unwrap();
    assert_eq!(ids(&world, "acme").await, ["mended"]);
    assert_eq!(ids(&world, "default").await, Vec::<String>::new());
    world.sound().await;
    replica.leave().await;
}

#[tokio::test]
async fn an_entry_that_the_database_refuses_is_a_dead_letter_of_its_tenant() {
    let mut world = from_the_start().await;
    world.config.bus.max_attempts = 2;
    world
        .execute("ALTER TABLE swarm_events ADD CHECK (event_id <> 'poison')")
        .await;
    xadd(&world, "acme", &note("acme", "poison").to_string()).await;
    let replica = world.orchestrate("one");
    let letters = eventually("a dead letter", async || {
        Some(letters_of(&world, "acme").await).filter(|letters| !letters.is_empty())
    })
    .await;
    assert_eq!(letters[0].reason, Reason::ApplyFailed);
    assert_eq!(letters_of(&world, "default").await, []);
    replica.leave().await;
}

#[tokio::test]
async fn an_agent_that_is_pushed_gets_nothing_of_another_tenant_and_is_lost_alone() {
    let mut world = World::with(|config| config.swarm.agent_timeout = std::time::Duration::from_secs(60)).await;
    for name in ["acme", "beta"] {
        let pushed = event("run.started", "w", json!({}));
        world.publisher.publish(vec![event_of(name, &pushed)]).await.unwrap();
    }
    join(&world, "default", "w").await;
    let task = event("task.created", "planner", json!({ "taskId": "t" }));
    world.publisher.publish(vec![event_of("beta", &task)]).await.unwrap();
    assert_eq!(
        (
            load(&world, "acme").await,
            load(&world, "beta").await,
            load(&world, "default").await
        ),
        (0, 1, 0)
    );
    world
        .execute("UPDATE swarm_agents SET last_seen_at = now() - interval '1 hour' WHERE tenant_id = 'acme'")
        .await;
    let replica = world.orchestrate("one");
    eventually("the agent to be lost", async || {
        let lost = "SELECT count(*) FROM swarm_agents WHERE status = 'lost' AND tenant_id = 'acme'";
        (world.count(lost).await == 1).then_some(())
    })
    .await;
    assert_eq!(
        world
            .count("SELECT count(*) FROM swarm_agents WHERE status = 'lost'")
            .await,
        1
    );
    assert_eq!(load(&world, "beta").await, 1, "its own w still has the task");
    assert!(
        events_of(&world, "beta")
            .await
            .iter()
            .all(|event| event.kind != "agent.lost")
    );
    let own = events_of(&world, "default").await;
    assert!(
        own.iter()
            .any(|event| event.actor_id == ActorId::new("studio-brain").unwrap())
    );
    consumed(&world).await;
    world.sound().await;
    replica.leave().await;
}
