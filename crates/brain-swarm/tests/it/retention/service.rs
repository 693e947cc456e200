//! The service beside a running swarm.

use std::time::Duration;

use brain_swarm::{
    bus::StreamNames,
    retention::{Options, Pace, Service},
};
use brain_testkit::eventually;
use serde_json::json;

use super::{DAYS, age, begin, notes, pruned_seq};
use crate::world::{Replica, World, event};

fn service(world: &World, replica: &Replica) -> Service {
    Service::new(Options {
        postgres: world.postgres.clone(),
        streams: StreamNames::new(&world.config.bus),
        orchestrator: replica.handle.clone(),
        days: DAYS,
        pace: Pace {
            every: Duration::from_millis(200),
            again: Duration::from_millis(200),
            look: Duration::from_millis(50),
            pause: Duration::from_millis(1),
        },
    })
}

#[tokio::test]
async fn the_replica_that_consumes_the_first_stream_prunes_and_records_its_passes() {
    let mut world = World::new().await;
    notes(&world, "s", 1_500).await;
    age(&world, "s", 1_200).await;
    let idle = world.orchestrate("idle");
    eventually("the stream to be consumed", async || {
        (!idle.streams().is_empty()).then_some(())
    })
    .await;
    let other = world.orchestrate("other");
    let bystander = tokio::spawn(service(&world, &other).run(world.stop.child_token()));
    let pruner = tokio::spawn(service(&world, &idle).run(world.stop.child_token()));
    eventually("the old events to go", async || {
        (pruned_seq(&world, "s").await == 1_200).then_some(())
    })
    .await;
    eventually("two finished passes", async || {
        let finished = "SELECT count(*) FROM brain_job_runs WHERE job_name = 'retention' AND status = 'succeeded'
            AND finished_at IS NOT NULL AND summary ->> 'complete' = 'true'";
        (world.count(finished).await >= 2).then_some(())
    })
    .await;
    assert_eq!(
        world
            .count("SELECT sum((summary #>> '{removed,events}')::bigint)::bigint FROM brain_job_runs")
            .await,
        1_200
    );
    assert_eq!(
        world
            .count("SELECT count(*) FROM swarm_events WHERE swarm_id = 's' AND seq <= 1200")
            .await,
        0
    );
    world.sound().await;
    world.stop.cancel();
    pruner.await.unwrap();
    bystander.await.unwrap();
}

#[tokio::test]
async fn publishing_goes_on_while_two_prune() {
    let mut world = World::new().await;
    notes(&world, "s", 6_000).await;
    age(&world, "s", 5_500).await;
    let replica = world.orchestrate("one");
    let prune = async || {
        let mut pass = begin(&world).await;
        let mut largest = 0;
        let mut before = 0;
        while pass.step().await.unwrap() {
            largest = largest.max(pass.counts().events - before);
            before = pass.counts().events;
        }
        (before, largest)
    };
    let publish = async {
        let mut last = 0;
        for n in 0..200 {
            let seq = world
                .publish(event("note.made", "writer", json!({ "later": n })))
                .await
                .seq;
            assert!(seq > last);
            last = seq;
        }
    };
    let (one, two, ()) = tokio::join!(prune(), prune(), publish);
    assert_eq!(one.0 + two.0, 5_500, "each event goes once: {one:?} {two:?}");
    assert!(one.1 <= 1_000 && two.1 <= 1_000, "{one:?} {two:?}");
    assert_eq!(pruned_seq(&world, "s").await, 5_500);
    let later = "SELECT count(*) FROM swarm_events WHERE payload ? 'later'";
    assert_eq!(world.count(later).await, 200);
    world.sound().await;
    replica.leave().await;
}
