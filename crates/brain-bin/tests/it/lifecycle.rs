//! Starting and stopping: what is said, what is lost (nothing), and the exit codes.

use std::time::{Duration, Instant};

use brain_testkit::{TestDatabase, eventually};
use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt as _;

use crate::brain_process::{BrainProcess, environment, migrated, run};

#[tokio::test]
async fn a_start_applies_migrations_and_is_ready() {
    let database = TestDatabase::empty().await;
    let brain = BrainProcess::start(&database.config(), &[]).await;
    let ready = get(&format!("{}/readyz", brain.url())).await;
    assert_eq!(ready.status(), 200);
    assert!(brain.stderr().contains("migration applied"), "{}", brain.stderr());
}

#[tokio::test]
async fn without_migrations_it_serves_but_is_not_ready() {
    let database = TestDatabase::empty().await;
    let brain = BrainProcess::spawn(&database.config(), &[], &["--no-migrate"])
        .ready()
        .await;
    assert_eq!(get(&format!("{}/readyz", brain.url())).await.status(), 503);
    assert!(
        brain.stderr().contains("001_job_runs.sql is pending"),
        "{}",
        brain.stderr()
    );
}

#[tokio::test]
async fn sigterm_finishes_what_was_accepted_and_exits_with_0() {
    let database = migrated().await;
    let mut config = database.config();
    config.swarm.orchestrator_enabled = true;
    let mut brain = BrainProcess::start(&config, &[]).await;
    let url = format!("{}/api/swarm/events", brain.url());
    let mut publishers = tokio::task::JoinSet::new();
    for publisher in 0..8 {
        let url = url.clone();
        publishers.spawn(async move {
            let http = client();
            let mut acknowledged = Vec::new();
            // Ends with the first request that is not answered: the server is gone.
            for n in 0.. {
                let id = format!("e-{publisher}-{n}");
                let event = serde_json::json!({"id": id, "type": "build.finished", "actorId": "t"});
                match http.post(&url).json(&event).send().await {
                    Ok(answer) if answer.status() == 201 => acknowledged.push(id),
                    _ => break,
                }
            }
            acknowledged
        });
    }
    let rows = database.client().await;
    eventually("some events are stored", async || {
        let count: i64 = rows
            .query_one("SELECT count(*) FROM swarm_events", &[])
            .await
            .unwrap()
            .get(0);
        (count > 100).then_some(())
    })
    .await;
    brain.sigterm();
    assert_eq!(brain.wait().await.code(), Some(0), "{}", brain.stderr());
    let acknowledged: Vec<String> = publishers.join_all().await.concat();
    assert!(acknowledged.len() > 100);
    let missing = rows
        .query(
            "SELECT id FROM unnest($1::text[]) AS id WHERE NOT EXISTS (SELECT FROM swarm_events WHERE event_id = id)",
            &[&acknowledged],
        )
        .await
        .unwrap();
    assert_eq!(missing.len(), 0, "{missing:?}");
    assert!(!brain.stderr().contains("\"level\":\"error\""), "{}", brain.stderr());
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    let database = migrated().await;
    let mut brain = BrainProcess::start(&database.config(), &[]).await;
    // A request that never ends keeps the server draining.
    let mut slow = tokio::net::TcpStream::connect(("127.0.0.1", brain.port()))
        .await
        .unwrap();
    let head = "POST /api/swarm/events HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();
    // The slow one, and the one that asks.
    let in_flight = format!("{} 2", brain_http::metric_names::REQUESTS_IN_FLIGHT);
    eventually("the request is in flight", async || {
        let metrics = get(&format!("{}/metrics", brain.url())).await.text().await.unwrap();
        metrics.lines().any(|line| line == in_flight).then_some(())
    })
    .await;
    brain.signal(Signal::SIGINT);
    eventually("it is stopping", async || {
        brain.stderr().contains("a second signal ends").then_some(())
    })
    .await;
    assert!(brain.is_running(), "it did not wait for the request");
    let asked = Instant::now();
    brain.signal(Signal::SIGTERM);
    assert_eq!(brain.wait().await.code(), Some(1));
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn after_a_crash_everything_acknowledged_is_there() {
    let database = migrated().await;
    let mut brain = BrainProcess::start(&database.config(), &[]).await;
    let payload = r#"{"taskId":"t1"}"#;
    let published = brain
        .cli(&["event", "publish", "--type", "task.created", "--payload", payload])
        .await;
    assert_eq!(published.code, Some(0), "{}", published.stderr);
    brain.kill9().await;
    let unanswered = brain.cli(&["task", "show", "t1"]).await;
    assert_eq!(unanswered.code, Some(1), "{}", unanswered.stdout);
    let brain = BrainProcess::start(&database.config(), &[]).await;
    assert_eq!(brain.json(&["task", "show", "t1"]).await["status"], "created");
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_setting() {
    let database = migrated().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = run(
        &environment(&database.config(), &[("STUDIO_BRAIN_PORT", &port)]),
        &["serve"],
    )
    .await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("STUDIO_BRAIN_PORT") && ended.stderr.contains(&port),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_database_that_is_down_is_waited_for_with_its_address_in_the_log() {
    let database = migrated().await;
    let mut brain = BrainProcess::spawn(&database.config(), &[("PGPORT", "1")], &[]);
    eventually("it says that it waits", async || {
        brain.stderr().contains("postgres does not answer yet").then_some(())
    })
    .await;
    assert!(
        brain.stderr().contains("\"postgres.address\":\"127.0.0.1:1/"),
        "{}",
        brain.stderr()
    );
    brain.sigterm();
    assert_eq!(
        brain.wait().await.code(),
        Some(0),
        "it can be stopped while it waits: {}",
        brain.stderr()
    );
}

#[tokio::test]
async fn a_database_that_refuses_is_not_waited_for() {
    let database = migrated().await;
    let variables = environment(&database.config(), &[("PGDATABASE", "no_such_database")]);
    let asked = Instant::now();
    let ended = run(&variables, &["serve"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("no_such_database") && ended.stderr.contains("PGDATABASE"),
        "{}",
        ended.stderr
    );
    assert!(asked.elapsed() < Duration::from_secs(20));
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn get(url: &str) -> reqwest::Response {
    client().get(url).send().await.unwrap()
}
