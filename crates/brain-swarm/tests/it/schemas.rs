//! Registered schemas: every way in is held against them, in every process, at next to no cost.

use std::time::{Duration, Instant};

use brain_swarm::{
    calls::{Calls, Scope},
    dead_letters,
    event::{EventType, Invalid},
    ids::{ActorId, FencingToken, SwarmId, TenantId},
    publish,
    schema::{self, Compatibility, Document, Error, Proposal, Registered, Subject},
};
use brain_testkit::eventually;
use serde_json::{Value, json};

use crate::world::{World, event, parse};

fn proposal(kind: &str, schema: Value) -> Proposal {
    proposal_of(TenantId::single(), kind, schema)
}

fn proposal_of(tenant: TenantId, kind: &str, schema: Value) -> Proposal {
    let kind: EventType = kind.parse().unwrap();
    Proposal {
        subject: Subject::new(tenant, &kind).unwrap(),
        document: Document::new(schema).unwrap(),
        compatibility: Compatibility::Backward,
        version: None,
    }
}

/// Registers as another process would: this world's publisher is not told.
async fn register(world: &World, proposal: &Proposal) -> Result<(Registered, bool), Error> {
    let by = ActorId::new("keeper").unwrap();
    schema::register(&world.postgres, proposal, (&by, "token:1")).await
}

fn integer() -> Value {
    json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}})
}

fn reading(n: Value) -> Value {
    event("sensor.read", "sensor", json!({ "n": n }))
}

async fn try_publish(world: &World, event: &Value) -> Result<(), publish::Error> {
    world.publisher.publish(vec![parse(event)]).await.map(drop)
}

/// Publishes what does not fit until it is refused.
async fn until_refused(world: &World, event: impl Fn() -> Value) -> Invalid {
    eventually("what does not fit is refused", async || {
        match try_publish(world, &event()).await {
            Ok(()) => None,
            Err(publish::Error::Invalid { mut faults, .. }) => Some(faults.remove(0).1),
            Err(error) => panic!("{error}"),
        }
    })
    .await
}

#[tokio::test]
async fn what_is_registered_elsewhere_holds_within_about_a_second() {
    let world = World::new().await;
    world.publish(reading(json!("free"))).await;
    register(&world, &proposal("sensor.read", integer())).await.unwrap();
    let began = Instant::now();
    let refused = until_refused(&world, || reading(json!("x"))).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    insta::assert_snapshot!(refused, @r#"payload of sensor.read version 1: /n: "x" is not of type "integer""#);
    world.publish(reading(json!(1))).await;
    // A version that appears later, and one that nobody registered.
    let mut second = reading(json!(2));
    second["schemaVersion"] = json!(2);
    insta::assert_snapshot!(try_publish(&world, &second).await.unwrap_err(), @"payload of sensor.read version 2: no such schema version; known: 1");
    let wider = json!({"type": "object", "properties": {"n": {"type": ["integer", "null"]}}});
    register(&world, &proposal("sensor.read", wider)).await.unwrap();
    eventually("the second version is known", async || {
        second["id"] = json!(uuid::Uuid::now_v7().to_string());
        try_publish(&world, &second).await.ok()
    })
    .await;
    // Other types, and the brain's own, are as they were.
    world.publish(event("sensor.lost", "sensor", json!({"n": "x"}))).await;
    world
        .publish(event("task.created", "sensor", json!({"taskId": "t"})))
        .await;
}

#[tokio::test]
async fn what_does_not_fit_on_a_stream_becomes_a_dead_letter() {
    let mut world = World::with(|config| config.bus.start_id = "0-0".parse().unwrap()).await;
    register(&world, &proposal("sensor.read", integer())).await.unwrap();
    let replica = world.orchestrate("one");
    world.xadd(&reading(json!("x")).to_string()).await;
    world.xadd(&reading(json!(1)).to_string()).await;
    let query = dead_letters::Query {
        tenant_id: TenantId::single(),
        status: None,
        reason: None,
        before: None,
        limit: 10,
    };
    let letter = eventually("a dead letter", async || {
        let page = dead_letters::list(&world.postgres, &query).await.unwrap();
        page.dead_letters.into_iter().next()
    })
    .await;
    assert_eq!(letter.reason.as_str(), "schema_violation");
    insta::assert_snapshot!(letter.detail, @r#"payload of sensor.read version 1: /n: "x" is not of type "integer""#);
    let stored = eventually("the other entry is stored", async || {
        let events = world.events("s").await.into_iter();
        let read: Vec<_> = events.filter(|event| event.kind == "sensor.read").collect();
        (!read.is_empty()).then_some(read)
    })
    .await;
    assert_eq!((stored.len(), &stored[0].payload["n"]), (1, &json!(1)));
    world.sound().await;
    replica.leave().await;
}

#[tokio::test]
async fn tenants_have_schemas_of_their_own() {
    let world = World::new().await;
    let other = TenantId::new("other").unwrap();
    register(&world, &proposal_of(other.clone(), "sensor.read", integer()))
        .await
        .unwrap();
    world.publish(reading(json!("free"))).await;
    let mut theirs = parse(&reading(json!("x")));
    theirs.tenant_id = other.clone();
    let refused = world.publisher.publish(vec![theirs]).await.unwrap_err();
    assert!(matches!(refused, publish::Error::Invalid { .. }), "{refused}");
    let ours = schema::versions(&world.postgres, &proposal("sensor.read", json!({})).subject)
        .await
        .unwrap();
    assert_eq!(ours, []);
    // Each tenant counts its own versions.
    let (first, new) = register(&world, &proposal("sensor.read", json!({}))).await.unwrap();
    assert_eq!((first.version, new), (1, true));
}

/// Many register at once: versions have no gaps, the same schema is one version, and numbers are seen in order.
#[tokio::test]
async fn those_who_register_at_once_agree() {
    let world = World::new().await;
    let schemas = (0..24).map(|n| {
        // They differ in notes alone, so any order is compatible.
        let schema = json!({"properties": {"n": true}, "title": format!("{}", n % 8), "x-n": n % 8});
        let world = &world;
        async move { register(world, &proposal("sensor.read", schema)).await.unwrap() }
    });
    let registered = futures_util::future::join_all(schemas).await;
    let mut versions: Vec<i16> = registered
        .iter()
        .filter(|(_, new)| *new)
        .map(|(one, _)| one.version)
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6, 7, 8]);
    for (one, _) in &registered {
        assert!(
            registered
                .iter()
                .all(|(other, _)| (one.schema == other.schema) == (one.version == other.version))
        );
    }
    let out_of_order =
        "SELECT count(*) FROM event_schemas a JOIN event_schemas b ON a.number < b.number AND a.version > b.version";
    assert_eq!(world.count(out_of_order).await, 0);
}

/// The price of a check is a look into memory: many publications cost no statements beyond one a second.
#[tokio::test]
async fn a_busy_publisher_asks_the_database_at_most_once_a_second() {
    let world = World::new().await;
    register(&world, &proposal("sensor.read", integer())).await.unwrap();
    let registry = world.publisher.schemas().clone();
    let kind: EventType = "sensor.read".parse().unwrap();
    let fits = async || {
        registry
            .validate(&TenantId::single(), &kind, 1, json!({"n": 1}))
            .await
            .unwrap()
    };
    assert_eq!(fits().await, []);
    // With the database gone the answer still holds, for as long as it is recent.
    world.postgres.close();
    let began = Instant::now();
    for _ in 0..1000 {
        let answer = registry.validate(&TenantId::single(), &kind, 1, json!({"n": 1})).await;
        if began.elapsed() < Duration::from_millis(500) {
            assert_eq!(answer.unwrap(), []);
        }
    }
    eventually("the answer is not recent any more", async || {
        let answer = registry.validate(&TenantId::single(), &kind, 1, json!({"n": 1})).await;
        answer.err()
    })
    .await;
}

#[tokio::test]
async fn calls_of_workers_are_held_against_schemas_too() {
    let world = World::new().await;
    register(&world, &proposal("page.read", integer())).await.unwrap();
    let calls = Calls::new(
        world.postgres.clone(),
        world.publisher.clone(),
        Duration::from_secs(30),
        1 << 20,
    );
    let scope = Scope {
        tenant_id: TenantId::single(),
        swarm_id: SwarmId::new("s").unwrap(),
    };
    let holder = brain_swarm::calls::Holder {
        agent_id: ActorId::new("w").unwrap(),
        fencing_token: FencingToken(1),
    };
    let task = "t".parse().unwrap();
    let kind: EventType = "page.read".parse().unwrap();
    let emitted = calls
        .emit(&scope, &task, &holder, vec![(kind, json!({"n": "x"}))])
        .await;
    let error = emitted.unwrap_err();
    insta::assert_snapshot!(error, @r#"payload of page.read version 1: /n: "x" is not of type "integer""#);
    assert!(!error.retryable());
}
