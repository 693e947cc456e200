//! `brain healthcheck`: the report of a running brain, and the same checks without one.

use serde_json::Value;

use crate::brain_process::{BrainProcess, environment, migrated, run};

/// What a report looks like, without what it measured.
fn shape(report: &Value) -> Value {
    let checks = report["checks"].as_array().unwrap().iter().map(|check| {
        let fields: Vec<&String> = check.as_object().unwrap().keys().collect();
        serde_json::json!([check["name"], check["status"], fields])
    });
    let fields: Vec<&String> = report.as_object().unwrap().keys().collect();
    serde_json::json!([fields, checks.collect::<Vec<_>>()])
}

#[tokio::test]
async fn the_command_gives_the_report_that_the_server_gives() {
    let database = migrated().await;
    let mut config = database.config();
    config.swarm.orchestrator_enabled = true;
    let brain = BrainProcess::start(&config, &[]).await;
    // The server is asked, so what the consumer does is in the report.
    let port = brain.port().to_string();
    let variables = environment(&config, &[("STUDIO_BRAIN_PORT", &port)]);
    let ours = brain_testkit::eventually("the stream is consumed and every check is ok", async || {
        let ended = run(&variables, &["healthcheck", "--output", "json"]).await;
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        // The lag is known once the consumer has its group.
        let lag = report["checks"][2]["details"]["lag"][&config.bus.stream_name].is_number();
        (ended.code == Some(0) && lag).then_some(report)
    })
    .await;

    let url = format!("{}/health/dependencies", brain.url());
    let theirs: Value = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(shape(&ours), shape(&theirs), "{ours:#}\n{theirs:#}");
    assert_eq!(ours["ok"], true, "{ours:#}");
    assert_eq!(ours["checks"][2]["name"], "event_bus");
    assert_eq!(ours["checks"][2]["status"], "ok");
}

#[tokio::test]
async fn without_a_server_the_checks_run_here_and_the_bus_says_so() {
    let database = migrated().await;
    let config = database.config();
    ensure_bucket(&config).await;
    // Nothing listens on port 1.
    let variables = environment(&config, &[("STUDIO_BRAIN_PORT", "1")]);
    let ended = run(&variables, &["healthcheck", "--output", "json"]).await;
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let names: Vec<&str> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "postgres",
            "redis",
            "event_bus",
            "artifact_store",
            "vector_store",
            "skill_registry",
            "skill_sandbox"
        ]
    );
    let bus = &report["checks"][2];
    assert_eq!(bus["status"], "disabled");
    assert!(
        bus["details"]["reason"]
            .as_str()
            .unwrap()
            .contains("no brain answers at http://127.0.0.1:1/"),
        "{bus}"
    );
    assert_eq!((ended.code, &report["ok"]), (Some(0), &Value::Bool(true)), "{report:#}");

    let variables = environment(
        &config,
        &[
            ("STUDIO_BRAIN_PORT", "1"),
            ("STUDIO_BRAIN_SWARM_ORCHESTRATOR_ENABLED", "true"),
        ],
    );
    let wanted = run(&variables, &["healthcheck"]).await;
    assert_eq!(
        wanted.code,
        Some(1),
        "a consumer that should run and is not there is not ok: {}",
        wanted.stdout
    );
    let running = run(&variables, &["healthcheck", "--running"]).await;
    assert_eq!((running.code, running.stdout.as_str()), (Some(1), ""));
}

#[tokio::test]
async fn a_dependency_that_is_away_is_not_ok_and_leaves_the_others_alone() {
    let database = migrated().await;
    let config = database.config();
    ensure_bucket(&config).await;
    let variables = environment(&config, &[("STUDIO_BRAIN_PORT", "1"), ("REDIS_PORT", "1")]);
    let ended = run(&variables, &["healthcheck", "--output", "json"]).await;
    assert_eq!(ended.code, Some(1));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let bad: Vec<&str> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| !["ok", "disabled"].contains(&check["status"].as_str().unwrap()))
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(bad, ["redis"], "{report:#}");
}

async fn ensure_bucket(config: &brain_config::Config) {
    brain_connectivity::artifacts::ArtifactStore::open(&config.artifacts)
        .unwrap()
        .ensure_bucket()
        .await
        .unwrap();
}
