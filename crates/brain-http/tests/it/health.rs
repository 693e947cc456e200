//! `/healthz`, `/readyz`, `/health/dependencies`.

use std::{sync::Arc, time::Duration};

use brain_connectivity::{
    health::{Health, Outcome, Probe},
    redis::{Redis, RedisProbe},
};

use crate::{
    brain::{Brain, Setup},
    shown::{brief, check, whole},
};

#[tokio::test]
async fn all_is_well() {
    let brain = Brain::start().await;
    check("healthz", &whole(brain.get("/healthz").send().await.unwrap()).await);
    check("readyz", &whole(brain.get("/readyz").send().await.unwrap()).await);
    check(
        "health_dependencies",
        &brief(brain.get("/health/dependencies").send().await.unwrap()).await,
    );
}

#[tokio::test]
async fn a_dependency_that_is_away_makes_the_report_503() {
    let mut setup = Setup::new().await;
    let mut nowhere = setup.config.redis.clone();
    // Port 1 is nobody's.
    nowhere.port = 1;
    nowhere.connect_timeout = Duration::from_millis(500);
    nowhere.command_timeout = Duration::from_millis(500);
    let probes = (*setup.services.health)
        .clone()
        .with(RedisProbe::new(Redis::open(&nowhere).unwrap()));
    setup.services.health = Arc::new(probes);
    let brain = setup.start();

    let response = brain.get("/health/dependencies").send().await.unwrap();
    assert_eq!(response.status(), 503);
    let report: serde_json::Value = response.json().await.unwrap();
    assert_eq!(report["ok"], false);
    let status = |check: usize| {
        (
            report["checks"][check]["name"].as_str().unwrap(),
            report["checks"][check]["status"].as_str().unwrap(),
        )
    };
    assert_eq!(status(0), ("postgres", "ok"));
    assert_eq!(status(1), ("redis", "error"));
    assert_eq!(
        brain.get("/readyz").send().await.unwrap().status(),
        200,
        "readiness asks for less"
    );
    assert_eq!(brain.get("/healthz").send().await.unwrap().status(), 200);
}

/// A dependency that hangs.
struct Hanging;

#[async_trait::async_trait]
impl Probe for Hanging {
    fn name(&self) -> &'static str {
        "hanging"
    }

    async fn probe(&self) -> Outcome {
        std::future::pending().await
    }
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_a_problem() {
    let mut setup = Setup::new().await;
    setup.config.server.request_timeout = Duration::from_millis(200);
    setup.services.readiness = Arc::new(Health::new(Duration::from_secs(60)).with(Hanging));
    let brain = setup.start();
    check(
        "request_timeout",
        &whole(brain.get("/readyz").send().await.unwrap()).await,
    );
}
