//! A server of the test's own, with a database of its own.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use brain_config::Config;
use brain_connectivity::{
    health::Health,
    migrations::Migrations,
    postgres::{Postgres, PostgresProbe},
};
use brain_http::{Server, Services};
use brain_swarm::{
    bus::StreamNames,
    calls::Calls,
    event::Defaults,
    ids::{RunId, SwarmId},
    publish,
    relay::RelayQueue,
    tails::Tails,
};
use brain_testkit::{TestDatabase, eventually};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{governance, shown, skills};

/// One recorder for all tests of a process.
static RECORDER: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let builder = PrometheusBuilder::new().set_buckets(&[0.001, 1.0]).unwrap();
    builder.install_recorder().unwrap()
});

/// What a server is made of, before it starts.
pub(crate) struct Setup {
    pub(crate) database: TestDatabase,
    pub(crate) config: Config,
    pub(crate) services: Services,
    pub(crate) relay: RelayQueue,
}

impl Setup {
    pub(crate) async fn new() -> Self {
        let migrate = async |settings: brain_config::Postgres| {
            let postgres = Postgres::open(&settings).map_err(|error| error.to_string())?;
            Migrations::embedded()
                .up(&postgres)
                .await
                .map_err(|error| error.to_string())?;
            postgres.close();
            Ok::<(), String>(())
        };
        let database = TestDatabase::create(migrate).await;
        let config = database.config();
        Self::over(database, config)
    }

    fn over(database: TestDatabase, config: Config) -> Self {
        let recorder = LazyLock::force(&RECORDER).clone();
        let postgres = Postgres::open(&config.postgres).unwrap();
        let relay = RelayQueue::default();
        let streams = StreamNames::new(&config.bus);
        let (service, publisher) =
            publish::Service::new(postgres.clone(), streams, config.bus.batch_size, relay.clone());
        // Ends with the runtime of the test.
        tokio::spawn(service.run(CancellationToken::new()));
        let probes = Health::new(Duration::from_secs(5)).with(PostgresProbe::new(postgres.clone()));
        let calls = Calls::new(
            postgres.clone(),
            publisher.clone(),
            config.swarm.task_lease,
            config.bus.max_event_bytes,
        );
        // Ends with the runtime of the test.
        let tails = Tails::new(postgres.clone(), relay.clone(), CancellationToken::new());
        let governance = governance::of(&config, postgres.clone());
        let skills = skills::availability(&postgres, &publisher);
        let services = Services {
            governance,
            skills,
            postgres,
            tails,
            publisher,
            calls,
            health: Arc::new(probes.clone()),
            readiness: Arc::new(probes),
            orchestrator: None,
            schedules: None,
            audit_signer: None,
            metrics: Arc::new(move || recorder.render()),
            tracer: brain_swarm::trace::Tracer::default(),
            defaults: Defaults {
                generate: true,
                swarm_id: Some(SwarmId::new(config.swarm.swarm_id.as_str()).unwrap()),
                run_id: Some(RunId::new("run-1").unwrap()),
                ..Defaults::default()
            },
            max_event_bytes: config.bus.max_event_bytes,
            service_name: "studiobrain".to_owned(),
            version: "0.0.0-test".to_owned(),
            replica_id: "replica-1".to_owned(),
            started_at: jiff::Timestamp::now(),
        };
        Self {
            database,
            config,
            services,
            relay,
        }
    }

    pub(crate) fn start(self) -> Brain {
        let server = Server::bind(&self.config.server, self.services).unwrap();
        let address = server.local_addr();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(server.run(shutdown.clone()));
        Brain {
            database: self.database,
            config: self.config,
            address,
            shutdown,
            running,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }
}

/// A running server.
pub(crate) struct Brain {
    pub(crate) database: TestDatabase,
    pub(crate) config: Config,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<()>,
    pub(crate) client: reqwest::Client,
}

impl Brain {
    pub(crate) async fn start() -> Self {
        Setup::new().await.start()
    }

    /// Another server over the same database, when this one has stopped.
    pub(crate) async fn restarted(self) -> Self {
        self.shutdown.cancel();
        self.running.await.unwrap();
        Setup::over(self.database, self.config).start()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(self.url(path))
    }

    pub(crate) fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(self.url(path))
    }

    /// Makes a call under `/api/swarm` and expects that it takes effect.
    pub(crate) async fn call(&self, path: &str, body: Value) -> Value {
        let response = self
            .post(&format!("/api/swarm/{path}"))
            .json(&body)
            .send()
            .await
            .unwrap();
        let status = response.status();
        let answer: Value = response.json().await.unwrap();
        assert!(status.is_success(), "{path}: {answer}");
        answer
    }

    /// Reads what is under `/api/swarm`.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let response = self.get(&format!("/api/swarm/{path}")).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    /// Compares the answer to a call under `/api/swarm` with the snapshot of that name.
    pub(crate) async fn show_call(&self, name: &str, path: &str, body: Value) {
        let request = self.post(&format!("/api/swarm/{path}")).json(&body);
        shown::check(
            name,
            &shown::brief(request.header("x-request-id", "r-1").send().await.unwrap()).await,
        );
    }

    /// Compares what is read under `/api/swarm` with the snapshot of that name.
    pub(crate) async fn show(&self, name: &str, path: &str) {
        let request = self.get(&format!("/api/swarm/{path}"));
        shown::check(
            name,
            &shown::brief(request.header("x-request-id", "r-1").send().await.unwrap()).await,
        );
    }

    /// An agent joins and claims one task; gives the token of its claim.
    pub(crate) async fn claim(&self, agent: &str, task: &str) -> i64 {
        self.call("agents", json!({"agentId": agent})).await;
        let claimed = self.call("tasks/claim", json!({"agentId": agent})).await;
        assert_eq!(claimed["tasks"][0]["taskId"], task, "{claimed}");
        claimed["tasks"][0]["fencingToken"].as_i64().unwrap()
    }

    pub(crate) fn delete(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.delete(self.url(path))
    }

    /// Publishes and expects that it is stored.
    pub(crate) async fn publish(&self, events: Value) -> Value {
        let response = self.post("/api/swarm/events").json(&events).send().await.unwrap();
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, 201, "{body}");
        body
    }

    /// How many events of this type are stored.
    pub(crate) async fn stored(&self, kind: &str) -> i64 {
        let client = self.database.client().await;
        let count = "SELECT count(*) FROM swarm_events WHERE event_type = $1";
        client.query_one(count, &[&kind]).await.unwrap().get(0)
    }

    /// Makes every publication wait until the lock is released, as a slow database would.
    pub(crate) async fn hold_commits(&self) -> Held {
        self.publish(json!({"type": "test.began", "actorId": "test"})).await;
        let client = self.database.client().await;
        client
            .batch_execute("BEGIN; SELECT * FROM swarm_sequences FOR UPDATE")
            .await
            .unwrap();
        Held(client)
    }

    /// Waits until a publication waits for the lock.
    pub(crate) async fn commit_waits(&self) {
        let client = self.database.client().await;
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("a commit waits for the lock", async || {
            let count: i64 = client.query_one(waiting, &[]).await.unwrap().get(0);
            (count > 0).then_some(())
        })
        .await;
    }
}

/// Holds all commits until it is released.
pub(crate) struct Held(tokio_postgres::Client);

impl Held {
    pub(crate) async fn release(self) {
        self.0.batch_execute("COMMIT").await.unwrap();
    }
}
