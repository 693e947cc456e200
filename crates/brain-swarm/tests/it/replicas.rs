//! Several replicas on several partitions.

use std::time::Duration;

use brain_connectivity::redis::Redis;
use brain_swarm::{
    bus::StreamNames,
    ids::{SwarmId, TenantId},
};
use brain_testkit::{eventually, eventually_within};
use serde_json::json;

use crate::{
    door::Door,
    world::{World, created},
};

async fn four_partitions() -> World {
    World::with(|config| {
        config.bus.partitions = 4;
        config.bus.start_id = "0-0".parse().unwrap();
        config.bus.lease = Duration::from_secs(2);
    })
    .await
}

/// Publishes `count` numbered notes for each of 12 swarms, as a foreign client.
async fn publish_notes(world: &World, from: usize, count: usize) {
    let streams = StreamNames::new(&world.config.bus);
    for n in from..from + count {
        for swarm in 0..12 {
            let swarm = SwarmId::new(format!("swarm-{swarm}")).unwrap();
            let mut note = created(&format!("t{n}"));
            note["swarmId"] = json!(swarm);
            world
                .xadd_to(
                    streams.of(&TenantId::single(), &swarm).as_str(),
                    &[("event", note.to_string())],
                )
                .await;
        }
    }
}

/// Every swarm has its notes, each once, in the order in which they were published.
async fn notes_are_complete_and_in_order(world: &World, count: usize) {
    for swarm in 0..12 {
        let swarm = format!("swarm-{swarm}");
        let events = world.events_at_least(&swarm, count).await;
        let tasks: Vec<String> = events
            .iter()
            .map(|event| event.payload["taskId"].as_str().unwrap().to_owned())
            .collect();
        let expected: Vec<String> = (0..count).map(|n| format!("t{n}")).collect();
        assert_eq!(tasks, expected, "{swarm}");
    }
}

#[tokio::test]
async fn exclusive_partitions_spread_over_replicas_and_move_within_the_lease_time_when_one_dies() {
    let mut world = four_partitions().await;
    let one = world.orchestrate("one");
    eventually("one replica with all", async || {
        (one.streams().len() == 4).then_some(())
    })
    .await;
    let two = world.orchestrate("two");
    let three = world.orchestrate("three");
    let publishing = publish_notes(&world, 0, 20);
    let spreading = eventually("a fair share each", async || {
        let mut counts = [one.streams().len(), two.streams().len(), three.streams().len()];
        counts.sort_unstable();
        (counts == [1, 1, 2]).then_some(())
    });
    tokio::join!(publishing, spreading);
    notes_are_complete_and_in_order(&world, 20).await;

    // As kill -9 does: nothing is given back.
    let orphans = two.streams();
    two.task.abort();
    let killed = std::time::Instant::now();
    publish_notes(&world, 20, 20).await;
    eventually_within(world.config.bus.lease * 2, "the partitions to move", async || {
        let held: Vec<String> = one.streams().into_iter().chain(three.streams()).collect();
        orphans.iter().all(|stream| held.contains(stream)).then_some(())
    })
    .await;
    let moved = killed.elapsed();
    assert!(
        moved <= world.config.bus.lease + Duration::from_millis(500),
        "{moved:?}"
    );
    notes_are_complete_and_in_order(&world, 40).await;
    world.sound().await;
    one.leave().await;
    three.leave().await;
}

#[tokio::test]
async fn a_replica_that_redis_does_not_answer_leaves_its_streams_to_others_and_comes_back() {
    let mut world = four_partitions().await;
    let door = Door::to(world.config.redis.port).await;
    let mut settings = world.config.redis.clone();
    settings.port = door.port;
    let deaf = world.orchestrate_over("deaf", Redis::open(&settings).unwrap());
    let other = world.orchestrate("other");
    let spread = async || (deaf.streams().len() == 2 && other.streams().len() == 2).then_some(());
    eventually("two streams each", spread).await;
    publish_notes(&world, 0, 5).await;
    notes_are_complete_and_in_order(&world, 5).await;

    door.shut();
    publish_notes(&world, 5, 5).await;
    eventually_within(world.config.bus.lease * 2, "the other to have all", async || {
        (other.streams().len() == 4).then_some(())
    })
    .await;
    notes_are_complete_and_in_order(&world, 10).await;
    let said = deaf.handle.snapshot();
    assert!(!said.leases_ok && said.partitions.is_empty(), "{said:?}");

    door.open();
    eventually("two streams each again", spread).await;
    assert!(deaf.handle.snapshot().leases_ok);
    publish_notes(&world, 10, 5).await;
    notes_are_complete_and_in_order(&world, 15).await;
    world.sound().await;
    deaf.leave().await;

    // One that is alone has nobody to leave anything to.
    let door = Door::to(world.config.redis.port).await;
    settings.port = door.port;
    other.leave().await;
    let alone = world.orchestrate_over("alone", Redis::open(&settings).unwrap());
    eventually("all streams", async || (alone.streams().len() == 4).then_some(())).await;
    door.shut();
    tokio::time::sleep(world.config.bus.lease * 2).await;
    assert_eq!(alone.streams().len(), 4);
    door.open();
    alone.leave().await;
}

#[tokio::test]
async fn a_replica_that_leaves_gives_its_partitions_back_at_once() {
    let mut world = four_partitions().await;
    let one = world.orchestrate("one");
    eventually("one replica with all", async || {
        (one.streams().len() == 4).then_some(())
    })
    .await;
    one.leave().await;
    assert_eq!(
        world
            .count("SELECT count(*) FROM swarm_streams WHERE lease_owner IS NOT NULL")
            .await,
        0
    );
    let two = world.orchestrate("two");
    publish_notes(&world, 0, 3).await;
    notes_are_complete_and_in_order(&world, 3).await;
    two.leave().await;
}

#[tokio::test]
async fn two_processes_with_one_stream_never_consume_it_together() {
    let mut world = World::with(|config| {
        config.bus.start_id = "0-0".parse().unwrap();
        config.bus.lease = Duration::from_secs(1);
    })
    .await;
    let one = world.orchestrate("one");
    let two = world.orchestrate("two");
    let token = |world: &World| {
        let postgres = world.postgres.clone();
        async move {
            let client = postgres.client().await.unwrap();
            let row = client
                .query_opt(
                    "SELECT fencing_token FROM swarm_streams WHERE lease_owner IS NOT NULL",
                    &[],
                )
                .await
                .unwrap()?;
            Some(row.get::<_, i64>(0))
        }
    };
    let first = eventually("an owner", async || token(&world).await).await;
    // Somebody else takes the lease by force: the holder's writes are refused and it stops.
    world.execute("UPDATE swarm_streams SET lease_owner = 'intruder', lease_expires_at = now() + interval '1 second', fencing_token = fencing_token + 1").await;
    for n in 0..5 {
        world.xadd(&created(&format!("t{n}")).to_string()).await;
    }
    world.events_at_least("s", 1 + 5).await;
    let last = token(&world).await.unwrap();
    assert!(last >= first + 2, "{first} {last}");
    world.sound().await;
    one.leave().await;
    two.leave().await;
}
