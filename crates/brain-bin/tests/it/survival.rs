//! Whatever dies meanwhile: nothing acknowledged is lost, nothing takes effect twice, the invariants hold.
//!
//! The ledger is kept outside the system: the ids of what was acknowledged over HTTP or written to the stream.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brain_config::Config;
use brain_connectivity::{postgres::Postgres, redis::Redis};
use brain_swarm::{
    bus::StreamNames,
    doctor,
    ids::{SwarmId, TenantId},
};
use brain_testkit::{eventually_within, own_postgres, own_valkey};
use fred::interfaces::{ClientLike as _, StreamsInterface as _};
use fred::types::Value;
use serde_json::json;

use crate::brain_process::{BrainProcess, migrated};

const AGENTS: usize = 4;
/// Events of one HTTP call.
const CALL: usize = 20;
const PATIENCE: Duration = Duration::from_secs(120);
/// So that a dead process's lease does not hold up the test; entries from before the first start are read.
const OVERRIDES: [(&str, &str); 3] = [
    ("STUDIO_BRAIN_EVENT_BUS_LEASE_MS", "2000"),
    ("STUDIO_BRAIN_EVENT_BUS_START_ID", "0-0"),
    ("STUDIO_BRAIN_SWARM_AGENT_TIMEOUT_MS", "3600000"),
];

fn event(kind: &str, actor: &str, payload: serde_json::Value) -> serde_json::Value {
    json!({ "id": uuid::Uuid::now_v7().to_string(), "type": kind, "swarmId": "survival", "runId": "r", "actorId": actor,
        "payload": payload, "createdAt": jiff::Timestamp::now() })
}

fn task_created() -> (String, serde_json::Value) {
    let event = event(
        "task.created",
        "planner",
        json!({ "taskId": uuid::Uuid::now_v7().to_string() }),
    );
    (event["id"].as_str().unwrap().to_owned(), event)
}

/// What the outside world was promised.
#[derive(Clone, Default)]
struct Ledger {
    ids: Arc<Mutex<BTreeSet<String>>>,
    promised: Arc<AtomicUsize>,
}

impl Ledger {
    fn promise(&self, ids: impl IntoIterator<Item = String>) {
        let mut kept = self.ids.lock().unwrap();
        kept.extend(ids);
        self.promised.store(kept.len(), Ordering::Relaxed);
    }

    async fn reach(&self, count: usize) {
        eventually_within(PATIENCE, &format!("{count} acknowledged events"), async || {
            (self.promised.load(Ordering::Relaxed) >= count).then_some(())
        })
        .await;
    }
}

/// Where publishers find the brain, which may be somewhere else after a restart.
type Url = Arc<Mutex<String>>;

/// Publishes over HTTP until all is acknowledged, repeating a call that failed with the same ids.
async fn publish_over_http(url: Url, ledger: Ledger, calls: usize) {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap();
    for _ in 0..calls {
        let (ids, events): (Vec<String>, Vec<serde_json::Value>) = (0..CALL).map(|_| task_created()).unzip();
        loop {
            let target = format!("{}/api/swarm/events", url.lock().unwrap());
            if let Ok(answer) = client.post(target).json(&events).send().await {
                let status = answer.status();
                if status.is_success() {
                    break;
                }
                let retryable = status.is_server_error() || status.as_u16() == 429;
                assert!(retryable, "{status}: {}", answer.text().await.unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        ledger.promise(ids);
    }
}

/// Starts several publishers that together publish `events` events.
fn publishers(url: &Url, ledger: &Ledger, events: usize) -> tokio::task::JoinSet<()> {
    const PUBLISHERS: usize = 4;
    (0..PUBLISHERS)
        .map(|_| publish_over_http(Arc::clone(url), ledger.clone(), events / CALL / PUBLISHERS))
        .collect()
}

async fn agents_join(brain: &BrainProcess) {
    let agents: Vec<_> = (0..AGENTS)
        .map(|agent| event("run.started", &format!("agent-{agent}"), json!({})))
        .collect();
    let answer = reqwest::Client::new()
        .post(format!("{}/api/swarm/events", brain.url()))
        .json(&agents)
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

/// All that the ledger promises is stored once, has its follow-up, and the invariants hold.
async fn everything_is_there(config: &Config, ledger: &Ledger) {
    let postgres = Postgres::open(&config.postgres).unwrap();
    let redis = Redis::open(&config.redis).unwrap();
    let promised = ledger.ids.lock().unwrap().clone();
    let stored = eventually_within(PATIENCE, "everything stored and relayed", async || {
        let client = postgres.client().await.ok()?;
        let sql = "SELECT event_id FROM swarm_events WHERE swarm_id = 'survival' AND event_type = 'task.created'";
        let stored: Vec<String> = client
            .query(sql, &[])
            .await
            .ok()?
            .iter()
            .map(|row| row.get(0))
            .collect();
        let waiting: i64 = client
            .query_one("SELECT count(*) FROM swarm_outbox", &[])
            .await
            .ok()?
            .get(0);
        (stored.len() >= promised.len() && waiting == 0).then_some(stored)
    })
    .await;
    let unique: BTreeSet<String> = stored.iter().cloned().collect();
    assert_eq!(unique.len(), stored.len(), "an event is stored twice");
    let lost: Vec<&String> = promised.difference(&unique).collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged events are lost: {:?}",
        lost.len(),
        promised.len(),
        &lost[..lost.len().min(3)]
    );
    let client = postgres.client().await.unwrap();
    let count = async |sql: &str| -> i64 { client.query_one(sql, &[]).await.unwrap().get(0) };
    let tasks = count("SELECT count(*) FROM swarm_tasks WHERE swarm_id = 'survival' AND status = 'assigned'").await;
    let follow_ups =
        count("SELECT count(DISTINCT causation_id) FROM swarm_events WHERE event_type = 'task.assigned'").await;
    assert_eq!(usize::try_from(tasks).unwrap(), stored.len());
    assert_eq!(follow_ups, tasks);
    assert_eq!(count("SELECT count(*) FROM swarm_dead_letters").await, 0);
    let findings = doctor::check(&postgres, Some(&redis), &config.bus, Duration::from_secs(60))
        .await
        .unwrap();
    let broken: Vec<_> = findings.iter().filter(|finding| finding.violations > 0).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

fn orchestrated(config: &mut Config) {
    config.swarm.orchestrator_enabled = true;
    config.swarm.swarm_id = "brain".to_owned();
}

#[tokio::test]
async fn exclusive_kill_9_twice_in_the_middle_of_20000_events_loses_and_doubles_nothing() {
    let database = migrated().await;
    let mut config = database.config();
    orchestrated(&mut config);
    let mut brain = BrainProcess::start(&config, &OVERRIDES).await;
    agents_join(&brain).await;
    let url: Url = Arc::new(Mutex::new(brain.url().to_owned()));
    let ledger = Ledger::default();
    let mut publishing = publishers(&url, &ledger, 10_000);
    let foreign = {
        let (ledger, redis) = (ledger.clone(), Redis::open(&config.redis).unwrap());
        let stream = StreamNames::new(&config.bus).of(&TenantId::single(), &SwarmId::new("survival").unwrap());
        tokio::spawn(async move {
            for _ in 0..500 {
                let pipeline = redis.commands().pipeline();
                let mut ids = Vec::new();
                for _ in 0..20 {
                    let (id, event) = task_created();
                    ids.push(id);
                    let fields = vec![("event", event.to_string())];
                    let () = pipeline
                        .xadd(stream.as_str(), false, None::<()>, "*", fields)
                        .await
                        .unwrap();
                }
                let _: Value = pipeline.all().await.unwrap();
                ledger.promise(ids);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    };
    for killed_at in [5_000, 12_000] {
        ledger.reach(killed_at).await;
        brain.kill9().await;
        brain = BrainProcess::start(&config, &OVERRIDES).await;
        brain.url().clone_into(&mut url.lock().unwrap());
    }
    while let Some(done) = publishing.join_next().await {
        done.unwrap();
    }
    foreign.await.unwrap();
    assert_eq!(ledger.promised.load(Ordering::Relaxed), 20_000);
    everything_is_there(&config, &ledger).await;
    brain.sigterm();
    assert!(brain.wait().await.success());
}

#[tokio::test]
async fn exclusive_flushed_and_restarted_redis_loses_nothing_acknowledged_over_http() {
    let database = migrated().await;
    let mut valkey = own_valkey().await;
    let mut config = database.config();
    orchestrated(&mut config);
    config.redis.port = valkey.port();
    let brain = BrainProcess::start(&config, &OVERRIDES).await;
    agents_join(&brain).await;
    let url: Url = Arc::new(Mutex::new(brain.url().to_owned()));
    let ledger = Ledger::default();
    let mut publishing = publishers(&url, &ledger, 8_000);
    let redis = Redis::open(&config.redis).unwrap();
    for flushed_at in [1_000, 2_000] {
        ledger.reach(flushed_at).await;
        let () = redis.commands().flushall(false).await.unwrap();
    }
    ledger.reach(4_000).await;
    valkey.kill().await.unwrap();
    valkey.start_again().await.unwrap();
    ledger.reach(6_000).await;
    valkey.stop().await.unwrap();
    valkey.start_again().await.unwrap();
    while let Some(done) = publishing.join_next().await {
        done.unwrap();
    }
    everything_is_there(&config, &ledger).await;
}

#[tokio::test]
async fn exclusive_publishing_goes_on_while_redis_is_down_for_30_seconds() {
    let database = migrated().await;
    let mut valkey = own_valkey().await;
    let mut config = database.config();
    orchestrated(&mut config);
    config.redis.port = valkey.port();
    let brain = BrainProcess::start(&config, &OVERRIDES).await;
    agents_join(&brain).await;
    let url: Url = Arc::new(Mutex::new(brain.url().to_owned()));
    let ledger = Ledger::default();
    valkey.stop().await.unwrap();
    let down = std::time::Instant::now();
    while down.elapsed() < Duration::from_secs(30) {
        let before = ledger.promised.load(Ordering::Relaxed);
        publish_over_http(Arc::clone(&url), ledger.clone(), 5).await;
        assert_eq!(ledger.promised.load(Ordering::Relaxed), before + 5 * CALL);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    valkey.start_again().await.unwrap();
    everything_is_there(&config, &ledger).await;
    eventually_within(Duration::from_secs(30), "a healthy brain", async || {
        let report = reqwest::get(format!("{}/health/dependencies", brain.url()))
            .await
            .ok()?;
        report.status().is_success().then_some(())
    })
    .await;
}

#[tokio::test]
async fn exclusive_restarted_postgres_loses_nothing_acknowledged() {
    let mut postgres = own_postgres(true).await;
    let mut config = brain_testkit::test_config();
    orchestrated(&mut config);
    config.postgres.port = postgres.port();
    config.postgres.database = "postgres".to_owned();
    let brain = BrainProcess::start(&config, &OVERRIDES).await;
    agents_join(&brain).await;
    let url: Url = Arc::new(Mutex::new(brain.url().to_owned()));
    let ledger = Ledger::default();
    let mut publishing = publishers(&url, &ledger, 6_000);
    ledger.reach(1_500).await;
    postgres.stop().await.unwrap();
    postgres.start_again().await.unwrap();
    ledger.reach(3_500).await;
    postgres.kill().await.unwrap();
    postgres.start_again().await.unwrap();
    while let Some(done) = publishing.join_next().await {
        done.unwrap();
    }
    everything_is_there(&config, &ledger).await;
}

#[tokio::test]
async fn exclusive_three_replicas_on_a_three_node_cluster_share_four_partitions_and_survive_a_death() {
    let database = migrated().await;
    let mut cluster = brain_testkit::own_valkey_cluster(3).await;
    cluster.wait_until_whole().await.unwrap();
    let mut config = database.config();
    orchestrated(&mut config);
    config.redis.port = cluster.ports()[0];
    config.redis.cluster = true;
    config.bus.partitions = 4;
    let mut brains = Vec::new();
    for _ in 0..3 {
        brains.push(BrainProcess::start(&config, &OVERRIDES).await);
    }
    let held = async |brain: &BrainProcess| -> usize {
        let status: serde_json::Value = reqwest::get(format!("{}/api/status", brain.url()))
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        status["orchestrator"]["partitions"].as_array().map_or(0, Vec::len)
    };
    eventually_within(PATIENCE, "a fair share each", async || {
        let mut shares = Vec::new();
        for brain in &brains {
            shares.push(held(brain).await);
        }
        shares.sort_unstable();
        (shares == [1, 1, 2]).then_some(())
    })
    .await;
    agents_join(&brains[0]).await;
    let url: Url = Arc::new(Mutex::new(brains[0].url().to_owned()));
    let ledger = Ledger::default();
    let mut publishing = publishers(&url, &ledger, 4_000);
    ledger.reach(1_000).await;
    brains[2].kill9().await;
    let killed = std::time::Instant::now();
    let survivors = &brains[..2];
    eventually_within(PATIENCE, "the partitions of the dead to move", async || {
        let mut all = 0;
        for brain in survivors {
            all += held(brain).await;
        }
        (all == 4).then_some(())
    })
    .await;
    // The lease is 2 s; a status page under load takes its time to answer.
    assert!(killed.elapsed() < Duration::from_secs(4), "{:?}", killed.elapsed());
    while let Some(done) = publishing.join_next().await {
        done.unwrap();
    }
    everything_is_there(&config, &ledger).await;
}
