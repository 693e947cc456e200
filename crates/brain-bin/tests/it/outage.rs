//! Each dependency stopped in turn under a running brain: its own check says so, and all is well when it is back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use brain_devstack::S3Server;
use brain_testkit::{eventually_within, own_postgres, own_valkey, scratch_dir, test_config};
use serde_json::Value;

use crate::brain_process::{BrainProcess, run};

const PATIENCE: Duration = Duration::from_secs(60);

async fn report(brain: &BrainProcess) -> (u16, Value) {
    let answer = reqwest::get(format!("{}/health/dependencies", brain.url()))
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// The checks that are not ok.
fn bad(report: &Value) -> BTreeSet<String> {
    let checks = report["checks"].as_array().unwrap();
    let bad = checks
        .iter()
        .filter(|check| !matches!(check["status"].as_str(), Some("ok" | "disabled")));
    bad.map(|check| check["name"].as_str().unwrap().to_owned()).collect()
}

/// Waits until exactly these checks are not ok.
async fn only(brain: &BrainProcess, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
    let begun = Instant::now();
    eventually_within(PATIENCE, &format!("exactly {expected:?} not ok"), async || {
        let asked = Instant::now();
        let (status, report) = report(brain).await;
        assert!(
            asked.elapsed() < Duration::from_secs(20),
            "the report took {:?}",
            asked.elapsed()
        );
        assert_eq!(status, if bad(&report).is_empty() { 200 } else { 503 });
        (bad(&report) == expected).then_some(())
    })
    .await;
    let healthcheck = run(brain.variables(), &["healthcheck", "--running"]).await;
    let code = i32::from(!expected.is_empty());
    assert_eq!(
        healthcheck.code,
        Some(code),
        "after {:?}: {}",
        begun.elapsed(),
        healthcheck.stdout
    );
}

#[tokio::test]
async fn exclusive_each_dependency_that_stops_shows_in_its_own_check_and_comes_back() {
    let mut postgres = own_postgres(true).await;
    let mut valkey = own_valkey().await;
    let mut s3 = S3Server::start(scratch_dir(), 0, "minioadmin", "minioadmin")
        .await
        .unwrap();
    let mut config = test_config();
    config.postgres.port = postgres.port();
    config.postgres.database = "postgres".to_owned();
    config.redis.port = valkey.port();
    config.artifacts.endpoint = s3.url().parse().unwrap();
    config.swarm.orchestrator_enabled = true;
    let port = brain_devstack::free_port().unwrap().to_string();
    let overrides = [
        ("STUDIO_BRAIN_VECTOR_STORE_ENABLED", "true"),
        ("STUDIO_BRAIN_PORT", port.as_str()),
        ("STUDIO_BRAIN_PG_CONNECTION_TIMEOUT_MS", "2000"),
        ("REDIS_COMMAND_TIMEOUT_MS", "2000"),
        ("STUDIO_BRAIN_ARTIFACT_STORE_TIMEOUT_MS", "2000"),
    ];
    let brain = BrainProcess::start(&config, &overrides).await;
    only(&brain, &[]).await;

    // What the bus and the memory need is away for them too.
    postgres.stop().await.unwrap();
    only(&brain, &["postgres", "event_bus", "vector_store"]).await;
    postgres.start_again().await.unwrap();
    only(&brain, &[]).await;

    valkey.stop().await.unwrap();
    only(&brain, &["redis", "event_bus"]).await;
    valkey.start_again().await.unwrap();
    only(&brain, &[]).await;

    s3.stop().await.unwrap();
    only(&brain, &["artifact_store"]).await;
    s3.start_again().await.unwrap();
    only(&brain, &[]).await;
}
