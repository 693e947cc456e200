//! A program that embeds the swarm: it joins an agent, publishes a task and prints what followed.
//!
//! `cargo run -p brain-swarm --example publish` while `cargo xtask dev-up` is running. Settings come from the environment.
#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use brain_config::{Config, Sources};
use brain_connectivity::{migrations::Migrations, postgres::Postgres};
use brain_swarm::{
    bus::StreamNames,
    event::{Defaults, Event},
    events,
    ids::{RunId, SwarmId, TenantId},
    publish,
    relay::RelayQueue,
};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sources = Sources::from_process(Some(std::path::Path::new(".env")), std::collections::BTreeMap::new())?;
    let config = Config::load(&sources)?.config;
    let postgres = Postgres::open(&config.postgres)?;
    Migrations::embedded().up(&postgres).await?;

    // The service commits what the publisher hands over; it is told to stop at the end and finishes what it has.
    let streams = StreamNames::new(&config.bus);
    let (service, publisher) =
        publish::Service::new(postgres.clone(), streams, config.bus.batch_size, RelayQueue::default());
    let stop = CancellationToken::new();
    let running = tokio::spawn(service.run(stop.clone()));

    let swarm = SwarmId::new(format!("example-{}", jiff::Timestamp::now().as_millisecond()))?;
    let defaults = Defaults {
        generate: true,
        swarm_id: Some(swarm.clone()),
        run_id: Some(RunId::new("example-run")?),
        ..Defaults::default()
    };
    let parse = |json: &str| Event::parse(json.as_bytes(), config.bus.max_event_bytes, &defaults);
    let joined = parse(r#"{"type": "run.started", "actorId": "agent-1", "payload": {"role": "worker"}}"#)?;
    let created = parse(r#"{"type": "task.created", "actorId": "planner", "payload": {"taskId": "task-1"}}"#)?;
    for published in publisher.publish(vec![joined, created]).await? {
        println!("stored {} as number {}", published.id, published.seq);
    }

    let query = events::Query {
        tenant_id: TenantId::single(),
        swarm_id: swarm,
        run_id: None,
        kind: None,
        actor_id: None,
        after: 0,
        limit: 10,
    };
    for event in events::list(&postgres, &query).await?.events {
        println!("{} {} by {}: {}", event.seq, event.kind, event.actor_id, event.payload);
    }
    stop.cancel();
    running.await?;
    postgres.close();
    Ok(())
}
