//! The stream: foreign entries, bad entries, repeated entries, a flushed server.

use std::time::Duration;

use brain_connectivity::health::{Probe as _, Status};
use brain_swarm::{
    bus::StreamNames,
    dead_letters::{self, DeadLetter, Reason},
    ids::TenantId,
    orchestrator::EventBusProbe,
};
use brain_testkit::eventually;
use fred::{
    interfaces::{KeysInterface as _, StreamsInterface as _, TransactionInterface as _},
    types::Value,
};
use serde_json::json;

use crate::world::{World, created, event, joined};

async fn letters(world: &World) -> Vec<DeadLetter> {
    let query = dead_letters::Query {
        tenant_id: TenantId::single(),
        status: None,
        reason: None,
        before: None,
        limit: 100,
    };
    dead_letters::list(&world.postgres, &query).await.unwrap().dead_letters
}

async fn letters_at_least(world: &World, count: usize) -> Vec<DeadLetter> {
    eventually(&format!("{count} dead letters"), async || {
        let letters = letters(world).await;
        (letters.len() >= count).then_some(letters)
    })
    .await
}

/// The brain's own `run.started` comes first in swarm `s`.
const OWN: usize = 1;

async fn from_the_start(edit: impl FnOnce(&mut brain_config::Config)) -> World {
    World::with(|config| {
        config.bus.start_id = "0-0".parse().unwrap();
        edit(config);
    })
    .await
}

#[tokio::test]
async fn an_entry_of_a_foreign_client_is_stored_and_its_follow_up_comes_back_on_the_stream() {
    let mut world = from_the_start(|_| {}).await;
    world.xadd(&joined("a1").to_string()).await;
    world.xadd(&created("t1").to_string()).await;
    let replica = world.orchestrate("one");
    let events = world.events_at_least("s", OWN + 3).await;
    assert_eq!(events.iter().filter(|event| event.kind == "task.assigned").count(), 1);
    world.sound().await;

    let stream = StreamNames::new(&world.config.bus).all()[0].clone();
    let entries: Value = world
        .redis
        .commands()
        .xrange(stream.as_str(), "-", "+", None)
        .await
        .unwrap();
    let text = format!("{entries:?}");
    assert!(text.contains("task.assigned") && text.contains("seq"), "{text}");
    // The relay's own entry is recognised and acknowledged, not stored again.
    eventually("nothing pending", async || {
        let pending: Value = world
            .redis
            .commands()
            .xpending(stream.as_str(), world.config.bus.group.as_str(), ())
            .await
            .unwrap();
        (pending.into_array()[0].as_i64() == Some(0)).then_some(())
    })
    .await;
    assert_eq!(world.events("s").await.len(), OWN + 3);
    assert!(letters(&world).await.is_empty());
    replica.leave().await;
}

#[tokio::test]
async fn bad_entries_become_dead_letters_with_reasons_while_good_ones_are_stored() {
    let mut world = from_the_start(|config| config.bus.max_event_bytes = 2048).await;
    let good = created("good-1");
    world.xadd(&good.to_string()).await;
    world.xadd("{\"id\": tru").await;
    let mut unfit = created("t2");
    unfit["payload"] = json!({ "taskId": 7 });
    world.xadd(&unfit.to_string()).await;
    let mut large = created("t3");
    large["payload"]["inputs"] = json!({ "text": "x".repeat(4096) });
    world.xadd(&large.to_string()).await;
    world.xadd(&good.to_string()).await;
    let mut forged = good.clone();
    forged["payload"]["inputs"] = json!({ "n": 2 });
    world.xadd(&forged.to_string()).await;
    let stream = StreamNames::new(&world.config.bus).all()[0].clone();
    world.xadd_to(stream.as_str(), &[("data", "x".to_owned())]).await;
    // It claims to come from the relay: it is looked up, not believed.
    let claim = [
        ("seq", "1".to_owned()),
        ("swarm", "s".to_owned()),
        ("id", "forged".to_owned()),
        ("event", created("good-3").to_string()),
    ];
    world.xadd_to(stream.as_str(), &claim).await;
    world.xadd(&created("good-2").to_string()).await;

    let replica = world.orchestrate("one");
    let events = world.events_at_least("s", OWN + 3).await;
    assert_eq!(events.iter().filter(|event| event.kind == "task.created").count(), 3);
    let letters = letters_at_least(&world, 6).await;
    let count = |reason| letters.iter().filter(|letter| letter.reason == reason).count();
    assert_eq!(letters.len(), 6, "{letters:#?}");
    assert_eq!(
        [
            Reason::Malformed,
            Reason::SchemaViolation,
            Reason::TooLarge,
            Reason::Duplicate
        ]
        .map(count),
        [2, 1, 1, 2],
        "{letters:#?}"
    );
    let duplicates: Vec<&str> = letters
        .iter()
        .filter(|letter| letter.reason == Reason::Duplicate)
        .map(|letter| letter.detail.as_str())
        .collect();
    assert!(
        duplicates.iter().any(|detail| detail.contains("the same content")),
        "{duplicates:?}"
    );
    assert!(
        duplicates.iter().any(|detail| detail.contains("other content")),
        "{duplicates:?}"
    );
    world.sound().await;
    replica.leave().await;
}

#[tokio::test]
async fn an_entry_that_cannot_be_applied_is_tried_alone_then_parked_and_can_be_replayed_after_a_fix() {
    let mut world = from_the_start(|config| config.bus.max_attempts = 3).await;
    world
        .execute("ALTER TABLE swarm_events ADD CONSTRAINT no_poison CHECK (event_id <> 'poison')")
        .await;
    let mut poison = created("poisoned");
    poison["id"] = json!("poison");
    for task in ["a", "b"] {
        world.xadd(&created(task).to_string()).await;
    }
    world.xadd(&poison.to_string()).await;
    for task in ["c", "d"] {
        world.xadd(&created(task).to_string()).await;
    }
    let replica = world.orchestrate("one");
    world.events_at_least("s", OWN + 4).await;
    let letter = letters_at_least(&world, 1).await.remove(0);
    assert_eq!(
        (letter.reason, letter.delivery_count, letter.event_id.as_deref()),
        (Reason::ApplyFailed, 3, Some("poison"))
    );
    assert!(letter.detail.contains("no_poison"), "{}", letter.detail);
    world.sound().await;

    let replay = async || {
        dead_letters::replay(
            &world.postgres,
            &world.publisher,
            &TenantId::single(),
            letter.dead_letter_id,
            None,
            1 << 20,
        )
        .await
    };
    let error = replay().await.unwrap_err();
    assert!(matches!(error, dead_letters::Error::Publish(_)), "{error}");
    world
        .execute("ALTER TABLE swarm_events DROP CONSTRAINT no_poison")
        .await;
    assert_eq!(replay().await.unwrap().id.as_str(), "poison");
    assert!(matches!(
        replay().await.unwrap_err(),
        dead_letters::Error::NotParked { .. }
    ));
    world.sound().await;
    replica.leave().await;
}

#[tokio::test]
async fn a_dead_letter_is_replayed_with_a_mended_event_or_dropped() {
    let mut world = from_the_start(|_| {}).await;
    let mut unfit = created("t1");
    unfit["payload"] = json!({});
    world.xadd(&unfit.to_string()).await;
    world.xadd("nonsense").await;
    let replica = world.orchestrate("one");
    let letters = letters_at_least(&world, 2).await;
    let tenant = TenantId::single();
    let id = letters
        .iter()
        .find(|letter| letter.reason == Reason::SchemaViolation)
        .unwrap()
        .dead_letter_id;
    let as_is = dead_letters::replay(&world.postgres, &world.publisher, &tenant, id, None, 4096)
        .await
        .unwrap_err();
    assert!(matches!(as_is, dead_letters::Error::Invalid(_)), "{as_is}");
    unfit["payload"] = json!({ "taskId": "t1" });
    let mended = Some(unfit.to_string().into_bytes());
    dead_letters::replay(&world.postgres, &world.publisher, &tenant, id, mended, 4096)
        .await
        .unwrap();
    let other = letters
        .iter()
        .find(|letter| letter.reason == Reason::Malformed)
        .unwrap()
        .dead_letter_id;
    dead_letters::discard(&world.postgres, &tenant, other).await.unwrap();
    assert!(matches!(
        dead_letters::discard(&world.postgres, &tenant, other).await,
        Err(dead_letters::Error::NotParked { .. })
    ));
    assert!(matches!(
        dead_letters::discard(&world.postgres, &tenant, uuid::Uuid::nil()).await,
        Err(dead_letters::Error::NotFound(_))
    ));
    world.sound().await;
    replica.leave().await;
}

#[tokio::test]
async fn a_flushed_stream_loses_nothing_that_was_acknowledged_and_goes_on() {
    let mut world = from_the_start(|_| {}).await;
    let stream = StreamNames::new(&world.config.bus).all()[0].clone();
    let replica = world.orchestrate("one");
    world.publish(joined("a1")).await;
    for round in 0..5 {
        for n in 0..20 {
            world.publish(created(&format!("http-{round}-{n}"))).await;
        }
        let _: i64 = world.redis.commands().del(stream.as_str()).await.unwrap();
        world.xadd(&created(&format!("xadd-{round}")).to_string()).await;
        eventually("the entry after the flush", async || {
            let events = world.events("s").await;
            events
                .iter()
                .any(|event| event.payload["taskId"] == format!("xadd-{round}"))
                .then_some(())
        })
        .await;
    }
    let events = world.events_at_least("s", OWN + 1 + 2 * 105).await;
    assert_eq!(events.len(), OWN + 1 + 2 * 105);
    world.sound().await;
    replica.leave().await;
}

#[tokio::test]
async fn entries_with_ids_that_go_backwards_after_a_flush_are_read() {
    let mut world = from_the_start(|_| {}).await;
    let stream = StreamNames::new(&world.config.bus).all()[0].clone();
    let replica = world.orchestrate("one");
    world.xadd(&created("before").to_string()).await;
    world.events_at_least("s", OWN + 1).await;
    let _: i64 = world.redis.commands().del(stream.as_str()).await.unwrap();
    let fields = vec![("event", created("after").to_string())];
    let _: Value = world
        .redis
        .commands()
        .xadd(stream.as_str(), false, None::<()>, "1-1", fields)
        .await
        .unwrap();
    world.events_at_least("s", OWN + 2).await;
    replica.leave().await;
}

#[tokio::test]
async fn the_stream_stays_bounded_and_is_never_cut_before_the_cursor() {
    let mut world = from_the_start(|config| config.bus.stream_retention = Duration::ZERO).await;
    let stream = StreamNames::new(&world.config.bus).all()[0].clone();
    let replica = world.orchestrate("one");
    let pipeline = world.redis.commands().pipeline();
    for n in 0..3000 {
        let fields = vec![("event", event("note.taken", "someone", json!({ "n": n })).to_string())];
        let () = pipeline
            .xadd(stream.as_str(), false, None::<()>, "*", fields)
            .await
            .unwrap();
    }
    let _: Value = pipeline.all().await.unwrap();
    world.events_at_least("s", OWN + 3000).await;
    eventually("a short stream", async || {
        let length: i64 = world.redis.commands().xlen(stream.as_str()).await.unwrap();
        (length < 300).then_some(())
    })
    .await;
    world.sound().await;
    replica.leave().await;
}

#[tokio::test]
async fn a_consumer_that_lags_or_has_no_owner_makes_the_event_bus_not_ok() {
    let mut world = from_the_start(|config| config.bus.max_lag = 10).await;
    let probe = |world: &World, handle| {
        EventBusProbe::new(
            handle,
            world.postgres.clone(),
            world.redis.clone(),
            world.config.bus.clone(),
        )
    };
    assert_eq!(probe(&world, None).probe().await.status, Status::Disabled);

    let replica = world.orchestrate("one");
    let handle = replica.handle.clone();
    eventually("an event bus that is ok", async || {
        (probe(&world, Some(handle.clone())).probe().await.status == Status::Ok).then_some(())
    })
    .await;

    // The table is locked: the consumer cannot store, so the stream runs ahead of it.
    let mut client = world.postgres.client().await.unwrap();
    let lock = client.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE swarm_events IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    for n in 0..50 {
        world.xadd(&created(&format!("t{n}")).to_string()).await;
    }
    let behind = eventually("an event bus that is behind", async || {
        let outcome = probe(&world, Some(handle.clone())).probe().await;
        (outcome.status == Status::Error).then_some(outcome)
    })
    .await;
    assert!(behind.error.unwrap().contains("STUDIO_BRAIN_EVENT_BUS_MAX_LAG"));
    lock.rollback().await.unwrap();
    eventually("an event bus that is ok again", async || {
        (probe(&world, Some(handle.clone())).probe().await.status == Status::Ok).then_some(())
    })
    .await;

    replica.leave().await;
    let outcome = probe(&world, Some(handle)).probe().await;
    assert_eq!(outcome.status, Status::Error);
    let error = outcome.error.unwrap();
    assert!(
        error.contains("the orchestrator has ended") && error.contains("no replica consumes"),
        "{error}"
    );
}

/// A former holder of the lease that wakes up late can still be given an entry, which it may not store any more.
#[tokio::test]
async fn an_entry_that_went_to_a_consumer_that_lost_the_lease_is_claimed_from_it() {
    let mut world = from_the_start(|config| config.bus.lease = Duration::from_secs(1)).await;
    let stream = StreamNames::new(&world.config.bus).all()[0].clone();
    let replica = world.orchestrate("one");
    world.publish(joined("a1")).await;
    world.xadd(&created("before").to_string()).await;
    world.events_at_least("s", OWN + 3).await;

    // In one step, so that the entry does not go to the reader that waits for it; all that is there, because the relay
    // may just have added an entry of its own.
    let transaction = world.redis.commands().multi();
    let fields = vec![("event", created("stray").to_string())];
    let () = transaction
        .xadd(stream.as_str(), false, None::<()>, "*", fields)
        .await
        .unwrap();
    let group = world.config.bus.group.as_str();
    let () = transaction
        .xreadgroup(group, "zombie", None::<u64>, None, false, stream.as_str(), ">")
        .await
        .unwrap();
    let taken: Value = transaction.exec(true).await.unwrap();
    assert!(
        format!("{taken:?}").contains("stray"),
        "the zombie has the entry: {taken:?}"
    );

    eventually("the stray entry", async || {
        let events = world.events("s").await;
        events
            .iter()
            .any(|event| event.payload["taskId"] == "stray")
            .then_some(())
    })
    .await;
    world.sound().await;
    replica.leave().await;
}

/// U+0000 fits no text column: it must not get into the details of a dead letter, nor into a question about a relay mark.
#[tokio::test]
async fn zero_characters_in_names_and_marks_neither_lose_nor_block_anything() {
    let mut world = from_the_start(|_| {}).await;
    let stream = StreamNames::new(&world.config.bus).all()[0].clone();
    let mut odd = created("odd");
    odd["\u{0}"] = json!(1);
    world.xadd(&odd.to_string()).await;
    world.xadd_to(stream.as_str(), &[("x\u{0}y", "z".to_owned())]).await;
    let mut nameless = created("nameless");
    nameless["swarmId"] = json!("\u{0}");
    world.xadd(&nameless.to_string()).await;
    let mark = [
        ("seq", "1".to_owned()),
        ("swarm", "\u{0}".to_owned()),
        ("id", "\u{0}".to_owned()),
        ("event", created("marked").to_string()),
    ];
    world.xadd_to(stream.as_str(), &mark).await;
    world.xadd(&created("after").to_string()).await;
    let replica = world.orchestrate("one");
    let events = world.events_at_least("s", OWN + 2).await;
    assert!(events.iter().any(|event| event.payload["taskId"] == "marked"));
    assert_eq!(letters_at_least(&world, 3).await.len(), 3);
    world.sound().await;
    replica.leave().await;
}
