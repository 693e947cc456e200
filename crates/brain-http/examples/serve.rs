//! Serves the HTTP interface with the settings of the environment and of `.env`.
//!
//! Start the servers with `cargo xtask dev-up --deps`, then run `cargo run -p brain-http --example serve` and try
//! `curl -s http://127.0.0.1:8787/health/dependencies`. Ctrl-C stops it in an orderly way.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{collections::BTreeMap, error::Error, path::Path, sync::Arc, time::Duration};

use brain_config::{Config, Sources};
use brain_connectivity::{
    health::Health,
    migrations::Migrations,
    postgres::{Postgres, PostgresProbe},
    redis::{Redis, RedisProbe},
};
use brain_http::{Server, Services, skills::Availability};
use brain_swarm::{
    bus::StreamNames,
    event::Defaults,
    governance::{self, Governance},
    ids::{RunId, SwarmId},
    orchestrator::{self, EventBusProbe},
    publish,
    relay::RelayQueue,
    schedules,
    tails::Tails,
};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let sources = Sources::from_process(Some(Path::new(".env")), BTreeMap::new())?;
    let config = Config::load(&sources)?.config;
    // Before anything records a metric.
    let recorder = PrometheusBuilder::new().install_recorder()?;

    let postgres = Postgres::open(&config.postgres)?;
    Migrations::embedded().up(&postgres).await?;
    let redis = Redis::open(&config.redis)?;

    let replica_id = uuid::Uuid::now_v7().to_string();
    let queue = RelayQueue::default();
    let streams = StreamNames::new(&config.bus);
    let (publishing, publisher) =
        publish::Service::new(postgres.clone(), streams, config.bus.batch_size, queue.clone());
    let (orchestrating, orchestrator) = orchestrator::Service::new(orchestrator::Options {
        postgres: postgres.clone(),
        redis: redis.clone(),
        bus: config.bus.clone(),
        swarm: config.swarm.clone(),
        publisher: publisher.clone(),
        queue: queue.clone(),
        replica_id: replica_id.clone(),
    });

    let (scheduling, schedules) = schedules::Service::new(schedules::Options {
        postgres: postgres.clone(),
        publisher: publisher.clone(),
        clock: schedules::Clock::default(),
    });

    let patience = Duration::from_secs(5);
    let readiness = Health::new(patience).with(PostgresProbe::new(postgres.clone()));
    let event_bus = EventBusProbe::new(
        Some(orchestrator.clone()),
        postgres.clone(),
        redis.clone(),
        config.bus.clone(),
    );
    let health = readiness.clone().with(RedisProbe::new(redis.clone())).with(event_bus);
    let run_id = config.swarm.run_id.clone().unwrap_or_else(|| replica_id.clone());
    let calls = brain_swarm::calls::Calls::new(
        postgres.clone(),
        publisher.clone(),
        config.swarm.task_lease,
        config.bus.max_event_bytes,
    );
    let stop = CancellationToken::new();
    // Nothing may be done to the world outside: there is no policy.
    let governance = Governance::new(governance::Options {
        postgres: postgres.clone(),
        policy: governance::policy::Policy::empty(),
        executor: Box::new(|_| unreachable!("an empty policy has no capability")),
        notices: None,
        replica_id: replica_id.clone(),
    });
    let services = Services {
        skills: Availability::Unserved("this example has none".into()),
        governance,
        postgres: postgres.clone(),
        tails: Tails::new(postgres.clone(), queue, stop.clone()),
        publisher,
        calls,
        health: Arc::new(health),
        readiness: Arc::new(readiness),
        orchestrator: Some(orchestrator),
        schedules: Some(schedules),
        audit_signer: None,
        metrics: Arc::new(move || recorder.render()),
        tracer: brain_swarm::trace::Tracer::default(),
        defaults: Defaults {
            generate: true,
            swarm_id: Some(SwarmId::new(config.swarm.swarm_id.clone())?),
            run_id: Some(RunId::new(run_id)?),
            ..Defaults::default()
        },
        max_event_bytes: config.bus.max_event_bytes,
        service_name: config.telemetry.service_name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        replica_id,
        started_at: jiff::Timestamp::now(),
    };

    let server = Server::bind(&config.server, services)?;
    println!("listening on http://{}", server.local_addr());
    // First the requests end, then what they rely on.
    let (serving, working) = (CancellationToken::new(), stop);
    let work = [
        tokio::spawn(scheduling.run(working.clone())),
        tokio::spawn(publishing.run(working.clone())),
        tokio::spawn(orchestrating.run(working.clone())),
    ];
    let server = tokio::spawn(server.run(serving.clone()));
    tokio::signal::ctrl_c().await?;
    serving.cancel();
    server.await?;
    working.cancel();
    for part in work {
        part.await?;
    }
    redis.close().await;
    postgres.close();
    Ok(())
}
