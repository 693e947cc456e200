//! Callers that hang up, and a server that stops.

use std::{io::ErrorKind, time::Duration};

use brain_testkit::{eventually, eventually_within};
use serde_json::json;
use tokio::net::TcpStream;

use crate::{
    brain::{Brain, Setup},
    dead_letters::park,
    raw::Raw,
};

const PUBLISH: &str = "POST /api/swarm/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 44\r\n\r\n\
    {\"type\": \"build.finished\", \"actorId\": \"abc\"}";

#[tokio::test]
async fn what_was_sent_is_stored_although_the_caller_hangs_up() {
    let brain = Brain::start().await;
    let held = brain.hold_commits().await;
    let mut raw = Raw::connect(brain.address).await;
    raw.send(PUBLISH).await.unwrap();
    brain.commit_waits().await;
    drop(raw);
    eventually("the server has noticed", async || {
        let metrics = brain.get("/metrics").send().await.unwrap().text().await.unwrap();
        let line = r#"studio_brain_http_requests_total{route="/api/swarm/events",method="POST",status="499"} 1"#;
        metrics.contains(line).then_some(())
    })
    .await;
    held.release().await;
    eventually("the event is stored", async || {
        (brain.stored("build.finished").await == 1).then_some(())
    })
    .await;
}

/// Publishing and marking are two steps, and nobody may come between them.
#[tokio::test]
async fn a_replay_is_finished_although_the_caller_hangs_up_and_the_server_stops() {
    let brain = Brain::start().await;
    let event = json!({"id": "e-1", "type": "build.finished", "swarmId": brain.config.swarm.swarm_id, "runId": "r",
        "actorId": "a", "createdAt": "2026-01-02T03:04:05Z"});
    let letter = park(&brain, "1-0", "apply_failed", event.to_string().as_bytes()).await;
    let held = brain.hold_commits().await;
    let mut raw = Raw::connect(brain.address).await;
    let path = format!("/api/swarm/dead-letters/{letter}/replay");
    raw.send(format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"
    ))
    .await
    .unwrap();
    brain.commit_waits().await;
    drop(raw);
    brain.shutdown.cancel();
    let Brain {
        mut running, database, ..
    } = brain;
    let early = tokio::time::timeout(Duration::from_millis(300), &mut running).await;
    assert!(early.is_err(), "the server waits for the change");
    held.release().await;
    running.await.unwrap();
    let status = "SELECT status FROM swarm_dead_letters WHERE dead_letter_id = $1";
    let row = database.client().await.query_one(status, &[&letter]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "replayed");
}

#[tokio::test]
async fn stopping_lets_requests_finish() {
    let brain = Brain::start().await;
    let held = brain.hold_commits().await;
    let mut running = Raw::connect(brain.address).await;
    running.send(PUBLISH).await.unwrap();
    brain.commit_waits().await;
    let mut idle = Raw::connect(brain.address).await;
    idle.get("/healthz").await;
    idle.answer().await;

    brain.shutdown.cancel();
    eventually("new connections are refused", async || {
        let refused = TcpStream::connect(brain.address).await.err()?;
        (refused.kind() == ErrorKind::ConnectionRefused).then_some(())
    })
    .await;
    assert!(idle.rest().await.is_empty(), "an idle connection is closed");
    assert!(!brain.running.is_finished(), "the server waits for the request");
    held.release().await;
    let answer = running.answer().await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert!(
        answer.contains("connection: close"),
        "the caller is told that this was all: {answer}"
    );
    brain.running.await.unwrap();
    assert_eq!(
        brain
            .database
            .client()
            .await
            .query("SELECT FROM swarm_events WHERE event_type = 'build.finished'", &[])
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let mut setup = Setup::new().await;
    setup.config.server.drain_timeout = Duration::from_millis(300);
    let brain = setup.start();
    let held = brain.hold_commits().await;
    let mut running = Raw::connect(brain.address).await;
    running.send(PUBLISH).await.unwrap();
    brain.commit_waits().await;
    brain.shutdown.cancel();
    let Brain {
        running: server,
        database,
        ..
    } = brain;
    let mut server = std::pin::pin!(server);
    eventually_within(Duration::from_secs(3), "the server stops", async || {
        tokio::time::timeout(Duration::from_millis(20), server.as_mut())
            .await
            .ok()
    })
    .await
    .unwrap();
    assert!(running.rest().await.is_empty(), "no answer is better than a wrong one");
    held.release().await;
    eventually("what was handed over is stored all the same", async || {
        let stored = "SELECT FROM swarm_events WHERE event_type = 'build.finished'";
        (database.client().await.query(stored, &[]).await.unwrap().len() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_silent_connection_does_not_hold_up_the_end() {
    let brain = Brain::start().await;
    let mut silent = Raw::connect(brain.address).await;
    let mut halfway = Raw::connect(brain.address).await;
    halfway.send("GET /healthz HTTP/1.1\r\nhost").await.unwrap();
    brain.publish(json!({"type": "test.began", "actorId": "a"})).await;
    let begun = std::time::Instant::now();
    brain.shutdown.cancel();
    brain.running.await.unwrap();
    assert!(
        begun.elapsed() < brain.config.server.drain_timeout / 2,
        "{:?}",
        begun.elapsed()
    );
    assert!(silent.rest().await.is_empty() && halfway.rest().await.is_empty());
}
