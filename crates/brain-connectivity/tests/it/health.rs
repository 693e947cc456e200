//! The health report: its form, its limits, and the checks of PostgreSQL and Redis.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use brain_connectivity::health::{Check, Health, Outcome, Probe, Report, Status};
use brain_connectivity::migrations::Migrations;
use brain_connectivity::postgres::{Postgres, PostgresProbe};
use brain_connectivity::redis::{Redis, RedisProbe};
use brain_testkit::{TestDatabase, test_config};
use serde_json::json;

struct Fake {
    name: &'static str,
    answer: fn() -> Outcome,
    delay: Duration,
}

#[async_trait]
impl Probe for Fake {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn probe(&self) -> Outcome {
        tokio::time::sleep(self.delay).await;
        (self.answer)()
    }
}

fn fake(name: &'static str, answer: fn() -> Outcome) -> Fake {
    Fake {
        name,
        answer,
        delay: Duration::ZERO,
    }
}

/// The report with what differs from run to run set to a fixed value, after checking that it is plausible.
fn settled(mut report: Report) -> Report {
    report.at = "2025-01-02T03:04:05.678Z".parse().unwrap();
    for check in &mut report.checks {
        if let Some(latency) = check.latency_ms.as_mut() {
            assert!((0.0..10_000.0).contains(latency));
            *latency = 1.5;
        }
    }
    report
}

#[tokio::test]
async fn one_bad_check_leaves_the_others_alone_and_the_form_is_the_published_one() {
    let health = Health::new(Duration::from_millis(200))
        .with(fake("own_thing", Outcome::ok))
        .with(fake("skill_sandbox", || panic!("a defect in a probe")))
        .with(fake("vector_store", Outcome::disabled))
        .with(fake("artifact_store", || {
            Outcome::degraded("slow").with_details(json!({"bucket": "b"}))
        }))
        .with(Fake {
            name: "redis",
            answer: Outcome::ok,
            delay: Duration::from_secs(60),
        })
        .with(fake("postgres", || {
            Outcome::ok().with_details(json!({"version": "18.1"}))
        }));
    let started = Instant::now();
    let report = health.report().await;
    assert!(started.elapsed() < Duration::from_secs(5));
    insta::assert_json_snapshot!(settled(report));
}

#[tokio::test]
async fn probes_run_at_once_and_ok_means_that_every_check_is_ok_or_disabled() {
    let slow = |name| Fake {
        name,
        answer: Outcome::ok,
        delay: Duration::from_millis(300),
    };
    let mut health = Health::new(Duration::from_secs(5));
    for name in ["postgres", "redis", "event_bus", "artifact_store", "skill_registry"] {
        health = health.with(slow(name));
    }
    let health = health.with(fake("vector_store", Outcome::disabled));
    let started = Instant::now();
    let report = health.report().await;
    assert!(report.ok);
    assert!(
        started.elapsed() < Duration::from_millis(2_400),
        "{:?}",
        started.elapsed()
    );
    assert!(
        !health
            .with(fake("x", || Outcome::degraded("a little")))
            .report()
            .await
            .ok
    );
}

async fn check(probe: impl Probe + 'static) -> Check {
    let health = Health::new(Duration::from_secs(5)).with(probe);
    health.report().await.checks.remove(0)
}

#[tokio::test]
async fn the_postgres_check_knows_the_migrations() {
    let database = TestDatabase::empty().await;
    let mut settings = database.config().postgres;
    settings.pool_max = 1;
    let postgres = Postgres::open(&settings).unwrap();
    let probe = PostgresProbe::new(postgres.clone());
    let total = Migrations::embedded().files().len();

    let pending = check(probe.clone()).await;
    assert_eq!(pending.status, Status::Degraded);
    assert_eq!(
        pending.error.unwrap(),
        format!("{total} of {total} migrations are pending; run `brain migrate up`")
    );

    Migrations::embedded().up(&postgres).await.unwrap();
    let migrated = check(probe.clone()).await;
    assert_eq!((migrated.status, migrated.error), (Status::Ok, None));
    let details = migrated.details.unwrap();
    assert_eq!(details["migrations"], json!({"applied": total, "pending": 0}));
    assert!(
        details["version"]
            .as_str()
            .unwrap()
            .starts_with(|first: char| first.is_ascii_digit())
    );

    database
        .client()
        .await
        .batch_execute("ALTER TABLE swarm_tasks DROP COLUMN error")
        .await
        .unwrap();
    let damaged = check(probe.clone()).await;
    assert_eq!(damaged.status, Status::Degraded);
    assert_eq!(
        damaged.error.unwrap(),
        "column swarm_tasks.error is missing; run `brain migrate status`"
    );
}

#[tokio::test]
async fn a_server_that_is_away_is_an_error_that_says_where_it_should_be() {
    let mut config = test_config();
    config.postgres.port = brain_devstack::free_port().unwrap();
    config.redis.port = brain_devstack::free_port().unwrap();
    for (found, port) in [
        (
            check(PostgresProbe::new(Postgres::open(&config.postgres).unwrap())).await,
            config.postgres.port,
        ),
        (
            check(RedisProbe::new(Redis::open(&config.redis).unwrap())).await,
            config.redis.port,
        ),
    ] {
        assert_eq!(found.status, Status::Error);
        let error = found.error.unwrap();
        assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
        assert!(found.latency_ms.unwrap() < 2_000.0, "{:?}", found.latency_ms);
    }
}

#[tokio::test]
async fn the_redis_check_knows_the_server() {
    let check = check(RedisProbe::new(Redis::open(&test_config().redis).unwrap())).await;
    assert_eq!((check.status, check.error), (Status::Ok, None));
    let details = check.details.unwrap();
    assert_eq!(details["mode"], "standalone");
    assert!(["redis", "valkey"].contains(&details["server"].as_str().unwrap()));
    assert!(details["version"].as_str().unwrap().contains('.'));
}
