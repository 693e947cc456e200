//! A database, a stream and a running swarm of its own for each test.

use std::time::Duration;

use brain_config::Config;
use brain_connectivity::{migrations::Migrations, postgres::Postgres, redis::Redis};
use brain_swarm::{
    bus::StreamNames,
    doctor,
    event::{Defaults, Event},
    events::{self, StoredEvent},
    ids::{SwarmId, TenantId},
    orchestrator,
    publish::{self, Publisher},
    relay::RelayQueue,
};
use brain_testkit::{TestDatabase, eventually};
use fred::{interfaces::StreamsInterface as _, types::Value};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What a test needs of the system; dropping it ends everything.
pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
    pub(crate) publisher: Publisher,
    pub(crate) stop: CancellationToken,
    orchestrated: bool,
    tasks: Vec<JoinHandle<()>>,
    _database: Option<TestDatabase>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(edit: impl FnOnce(&mut Config)) -> Self {
        let database = TestDatabase::create(async |settings: brain_config::Postgres| {
            let postgres = Postgres::open(&settings)?;
            Migrations::embedded().up(&postgres).await.map(drop)
        })
        .await;
        let mut config = database.config();
        config.bus.poll_interval = Duration::from_millis(100);
        config.swarm.swarm_id = "s".to_owned();
        edit(&mut config);
        let postgres = Postgres::open(&config.postgres).unwrap();
        let redis = Redis::open(&config.redis).unwrap();
        let queue = RelayQueue::default();
        let stop = CancellationToken::new();
        let streams = StreamNames::new(&config.bus);
        let (service, publisher) = publish::Service::new(postgres.clone(), streams, config.bus.batch_size, queue);
        let tasks = vec![tokio::spawn(service.run(stop.clone()))];
        Self {
            config,
            postgres,
            redis,
            publisher,
            stop,
            orchestrated: false,
            tasks,
            _database: Some(database),
        }
    }

    /// Starts the orchestrator of this world, or one more replica of it.
    pub(crate) fn orchestrate(&mut self, replica: &str) -> Replica {
        let redis = self.redis.clone();
        self.orchestrate_over(replica, redis)
    }

    /// The same, with a way of its own to Redis.
    pub(crate) fn orchestrate_over(&mut self, replica: &str, redis: Redis) -> Replica {
        self.orchestrated = true;
        let options = orchestrator::Options {
            postgres: self.postgres.clone(),
            redis,
            bus: self.config.bus.clone(),
            swarm: self.config.swarm.clone(),
            publisher: self.publisher.clone(),
            queue: RelayQueue::default(),
            replica_id: replica.to_owned(),
        };
        let (service, handle) = orchestrator::Service::new(options);
        let stop = self.stop.child_token();
        let task = tokio::spawn(service.run(stop.clone()));
        Replica { handle, stop, task }
    }

    pub(crate) async fn publish(&self, event: serde_json::Value) -> publish::Published {
        self.publisher.publish(vec![parse(&event)]).await.unwrap().remove(0)
    }

    /// What a program that knows nothing of us does.
    pub(crate) async fn xadd(&self, body: &str) -> String {
        let stream = StreamNames::new(&self.config.bus).all()[0].clone();
        self.xadd_to(stream.as_str(), &[("event", body.to_owned())]).await
    }

    pub(crate) async fn xadd_to(&self, stream: &str, fields: &[(&str, String)]) -> String {
        let id: Value = self
            .redis
            .commands()
            .xadd(stream, false, None::<()>, "*", fields.to_vec())
            .await
            .unwrap();
        id.as_string().unwrap()
    }

    pub(crate) async fn events(&self, swarm: &str) -> Vec<StoredEvent> {
        let query = events::Query {
            tenant_id: TenantId::single(),
            swarm_id: SwarmId::new(swarm).unwrap(),
            run_id: None,
            kind: None,
            actor_id: None,
            after: 0,
            limit: 100_000,
        };
        events::list(&self.postgres, &query).await.unwrap().events
    }

    /// Waits until the swarm has at least so many events.
    pub(crate) async fn events_at_least(&self, swarm: &str, count: usize) -> Vec<StoredEvent> {
        eventually(&format!("{count} events"), async || {
            let events = self.events(swarm).await;
            (events.len() >= count).then_some(events)
        })
        .await
    }

    /// One more process over the same database: a publisher of its own.
    pub(crate) async fn beside(other: &Self) -> Self {
        let postgres = Postgres::open(&other.config.postgres).unwrap();
        let streams = StreamNames::new(&other.config.bus);
        let (service, publisher) = publish::Service::new(
            postgres.clone(),
            streams,
            other.config.bus.batch_size,
            RelayQueue::default(),
        );
        Self {
            config: other.config.clone(),
            redis: other.redis.clone(),
            publisher,
            tasks: vec![tokio::spawn(service.run(other.stop.clone()))],
            postgres,
            stop: other.stop.clone(),
            orchestrated: other.orchestrated,
            _database: None,
        }
    }

    /// Changes the database behind everybody's back.
    pub(crate) async fn sql(&self, statement: &str) {
        self.postgres
            .client()
            .await
            .unwrap()
            .batch_execute(statement)
            .await
            .unwrap();
    }

    /// Waits until the outbox is empty, where somebody relays it, and checks every invariant.
    pub(crate) async fn sound(&self) {
        if self.orchestrated {
            self.relayed().await;
        }
        let findings = doctor::check(
            &self.postgres,
            Some(&self.redis),
            &self.config.bus,
            Duration::from_secs(60),
        )
        .await
        .unwrap();
        let broken: Vec<_> = findings.iter().filter(|finding| finding.violations > 0).collect();
        assert!(broken.is_empty(), "{broken:#?}");
    }

    async fn relayed(&self) {
        eventually("an empty outbox", async || {
            (self.count("SELECT count(*) FROM swarm_outbox").await == 0).then_some(())
        })
        .await;
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.postgres
            .client()
            .await
            .unwrap()
            .query_one(sql, &[])
            .await
            .unwrap()
            .get(0)
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.postgres.client().await.unwrap().batch_execute(sql).await.unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A running orchestrator.
pub(crate) struct Replica {
    pub(crate) handle: orchestrator::Handle,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Replica {
    /// As SIGTERM does.
    pub(crate) async fn leave(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    pub(crate) fn streams(&self) -> Vec<String> {
        self.handle
            .snapshot()
            .partitions
            .into_iter()
            .map(|partition| partition.stream)
            .collect()
    }
}

pub(crate) fn parse(event: &serde_json::Value) -> Event {
    let defaults = Defaults {
        generate: true,
        ..Defaults::default()
    };
    Event::parse(event.to_string().as_bytes(), 1 << 20, &defaults).unwrap()
}

/// An event of swarm `s`.
pub(crate) fn event(kind: &str, actor: &str, payload: serde_json::Value) -> serde_json::Value {
    json!({ "id": uuid::Uuid::now_v7().to_string(), "type": kind, "swarmId": "s", "runId": "r", "actorId": actor, "payload": payload,
        "createdAt": jiff::Timestamp::now() })
}

pub(crate) fn joined(agent: &str) -> serde_json::Value {
    event("run.started", agent, json!({}))
}

pub(crate) fn created(task: &str) -> serde_json::Value {
    event(
        "task.created",
        "planner",
        json!({ "taskId": task, "inputs": { "n": 1 } }),
    )
}
