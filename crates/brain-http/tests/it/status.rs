//! `/api/status`, metrics and schemas.

use std::sync::Arc;

use brain_connectivity::redis::Redis;
use brain_swarm::orchestrator;
use brain_testkit::eventually;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    brain::{Brain, Setup},
    shown::{brief, check, whole},
};

#[tokio::test]
async fn says_what_runs() {
    let brain = Brain::start().await;
    check("status", &brief(brain.get("/api/status").send().await.unwrap()).await);
}

#[tokio::test]
async fn shows_the_partitions_of_the_orchestrator() {
    let mut setup = Setup::new().await;
    let (service, handle) = orchestrator::Service::new(orchestrator::Options {
        postgres: setup.services.postgres.clone(),
        redis: Redis::open(&setup.config.redis).unwrap(),
        bus: setup.config.bus.clone(),
        swarm: setup.config.swarm.clone(),
        publisher: setup.services.publisher.clone(),
        queue: setup.relay.clone(),
        replica_id: "replica-1".to_owned(),
    });
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(service.run(shutdown.clone()));
    setup.services.orchestrator = Some(handle);
    let brain = setup.start();

    let partition = eventually("the orchestrator consumes its stream", async || {
        let status: Value = brain.get("/api/status").send().await.unwrap().json().await.unwrap();
        let partition = status["orchestrator"]["partitions"][0].clone();
        (partition["state"] == "running").then_some(partition)
    })
    .await;
    assert_eq!(partition["stream"], json!(brain.config.bus.stream_name));
    shutdown.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn metrics_tell_of_requests_by_route() {
    let brain = Brain::start().await;
    brain.get("/api/swarm/tasks/unknown-1").send().await.unwrap();
    brain.get("/no/such/path").send().await.unwrap();
    for path in ["/metrics", "/api/metrics"] {
        let response = brain.get(path).send().await.unwrap();
        assert_eq!(
            response.headers()["content-type"],
            "text/plain; version=0.0.4; charset=utf-8"
        );
        let text = response.text().await.unwrap();
        let has = |line: &str| assert!(text.lines().any(|found| found.starts_with(line)), "{line}\n{text}");
        has(r#"studio_brain_http_requests_total{route="/api/swarm/tasks/{taskId}",method="GET",status="404"}"#);
        has(r#"studio_brain_http_requests_total{route="none",method="GET",status="404"}"#);
        has(r#"studio_brain_http_request_duration_seconds"#);
        has("studio_brain_http_connections ");
        has("studio_brain_http_requests_in_flight 1");
        assert!(!text.contains("unknown-1"), "a path is not a label");
    }
}

#[tokio::test]
async fn a_defect_is_a_problem_and_not_a_cut_connection() {
    let mut setup = Setup::new().await;
    setup.services.metrics = Arc::new(|| panic!("a defect"));
    let brain = setup.start();
    let before = brain
        .get("/metrics")
        .header("x-request-id", "r-1")
        .send()
        .await
        .unwrap();
    check("panic", &whole(before).await);
    assert_eq!(
        brain.get("/healthz").send().await.unwrap().status(),
        200,
        "the server lives on"
    );
}

#[tokio::test]
async fn schemas_are_listed_whole() {
    let brain = Brain::start().await;
    let catalogue: Value = brain
        .get("/api/swarm/schemas")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let known: Vec<String> = catalogue["schemas"]
        .as_array()
        .unwrap()
        .iter()
        .inspect(|entry| assert!(entry["schema"].is_object(), "{entry}"))
        .map(|entry| format!("{} {}", entry["type"].as_str().unwrap(), entry["version"]))
        .collect();
    check("schemas", &known.join("\n"));
}

/// What is counted on the way from a claim that waits to a task that is taken back, and what is asked of the servers at a scrape.
#[tokio::test]
async fn metrics_tell_of_streams_claims_and_the_pool() {
    let mut setup = Setup::new().await;
    let (service, handle) = orchestrator::Service::new(orchestrator::Options {
        postgres: setup.services.postgres.clone(),
        redis: Redis::open(&setup.config.redis).unwrap(),
        bus: setup.config.bus.clone(),
        swarm: setup.config.swarm.clone(),
        publisher: setup.services.publisher.clone(),
        queue: setup.relay.clone(),
        replica_id: "replica-1".to_owned(),
    });
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(service.run(shutdown.clone()));
    setup.services.orchestrator = Some(handle);
    let brain = setup.start();
    let stream = brain.config.bus.stream_name.clone();
    let scrape = async || brain.get("/metrics").send().await.unwrap().text().await.unwrap();

    eventually("its stream is held and has no lag", async || {
        let text = scrape().await;
        let lag = format!(r#"studio_brain_bus_lag_entries{{stream="{stream}"}} 0"#);
        let lines: Vec<&str> = text.lines().collect();
        let all = lines.contains(&lag.as_str())
            && lines.contains(&"studio_brain_streams_held 1")
            && lines.contains(&"studio_brain_streams_orphaned 0");
        all.then_some(())
    })
    .await;

    let value = |text: &str, series: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(&format!("{series} ")));
        line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    };
    let before = scrape().await;
    brain.call("agents?swarmId=s", json!({"agentId": "w"})).await;
    brain
        .call("tasks?swarmId=s", json!({"taskId": "t", "maxAttempts": 1}))
        .await;
    let claim = json!({"agentId": "w", "leaseMs": 1000});
    brain.call("tasks/claim?swarmId=s", claim.clone()).await;
    brain.call("tasks/claim?swarmId=s", claim).await;
    brain.get("/api/swarm/tasks/none").send().await.unwrap();
    // Other tests of this process count too.
    let grown = |after: &str, series: &str| value(after, series) > value(&before, series);
    let expired = r#"studio_brain_tasks_reclaimed_total{reason="lease_expired"}"#;
    let after = eventually("the lease of the task runs out", async || {
        let text = scrape().await;
        grown(&text, expired).then_some(text)
    })
    .await;
    for series in [
        r#"studio_brain_claims_total{outcome="tasks"}"#,
        r#"studio_brain_claims_total{outcome="nothing"}"#,
        "studio_brain_claimed_tasks_total",
        r#"studio_brain_stored_events_total{type="task.started"}"#,
        r#"studio_brain_stored_events_total{type="task.failed"}"#,
        r#"studio_brain_http_problems_total{type="not-found"}"#,
        "studio_brain_postgres_pool_wait_seconds_count",
    ] {
        assert!(grown(&after, series), "{series}\n{after}");
    }
    assert!(value(&after, "studio_brain_postgres_pool_max") > 0.0);
    assert!(value(&after, r#"studio_brain_stream_leases_taken_total{after="release"}"#) >= 1.0);
    assert!(after.contains("studio_brain_outbox_oldest_seconds "));

    shutdown.cancel();
    running.await.unwrap();
}
