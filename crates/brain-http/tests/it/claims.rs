//! Claims that wait: for a task, past the time limit of a request, until the caller hangs up or the server stops.

use std::time::{Duration, Instant};

use brain_testkit::eventually;
use serde_json::{Value, json};

use crate::{
    brain::{Brain, Setup},
    raw::Raw,
};

const CLAIM: &str = "/api/swarm/tasks/claim";

fn claim(agent: &str, wait: Duration) -> String {
    let body = json!({"agentId": agent, "waitMs": wait.as_millis() as u64}).to_string();
    format!(
        "POST {CLAIM} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Waits until an agent has been heard twice: by joining, and by the claim that is to be waiting now.
async fn waits(brain: &Brain, agent: &str) {
    eventually("the claim waits", async || {
        let agents = brain.read("agents").await;
        let found = agents["agents"]
            .as_array()
            .unwrap()
            .iter()
            .find(|found| found["agentId"] == agent)?
            .clone();
        (found["lastSeenAt"].as_str() > found["createdAt"].as_str()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_claim_gets_the_task_that_comes_while_it_waits() {
    let mut setup = Setup::new().await;
    // The wait comes on top of it.
    setup.config.server.request_timeout = Duration::from_millis(200);
    setup.config.server.body_timeout = Duration::from_millis(200);
    let brain = setup.start();
    brain.call("agents", json!({"agentId": "a"})).await;
    let begun = Instant::now();
    let mut raw = Raw::connect(brain.address).await;
    raw.send(claim("a", Duration::from_secs(30))).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(700), raw.answer()).await;
    assert!(early.is_err(), "{early:?}");
    brain.call("tasks", json!({"taskId": "t-1"})).await;
    let answer = raw.answer().await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"t-1\""),
        "{answer}"
    );
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_claim_that_waited_in_vain_gets_nothing() {
    let brain = Brain::start().await;
    brain.call("agents", json!({"agentId": "a"})).await;
    let begun = Instant::now();
    let claimed = brain.call("tasks/claim", json!({"agentId": "a", "waitMs": 300})).await;
    assert_eq!(claimed["tasks"], json!([]));
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

/// A database that hangs must not keep a claim for ever, however long it was willing to wait.
#[tokio::test]
async fn a_claim_has_a_time_limit_of_its_own() {
    let mut setup = Setup::new().await;
    setup.config.server.request_timeout = Duration::from_millis(200);
    let brain = setup.start();
    brain.call("agents", json!({"agentId": "a"})).await;
    let held = brain.hold_commits().await;
    brain
        .show_call("claim_timeout", "tasks/claim", json!({"agentId": "a", "waitMs": 100}))
        .await;
    held.release().await;
}

#[tokio::test]
async fn a_claim_whose_caller_hung_up_takes_nothing() {
    let brain = Brain::start().await;
    for agent in ["gone", "b"] {
        brain.call("agents", json!({"agentId": agent})).await;
    }
    let mut raw = Raw::connect(brain.address).await;
    raw.send(claim("gone", Duration::from_secs(60))).await.unwrap();
    waits(&brain, "gone").await;
    drop(raw);
    eventually("the server has noticed", async || {
        let metrics = brain.get("/metrics").send().await.unwrap().text().await.unwrap();
        let line = r#"studio_brain_http_requests_total{route="/api/swarm/tasks/claim",method="POST",status="499"} 1"#;
        metrics.contains(line).then_some(())
    })
    .await;
    brain.call("tasks", json!({"taskId": "t-1"})).await;
    assert_eq!(brain.read("tasks/t-1").await["status"], "created");
    let claimed = brain.call("tasks/claim", json!({"agentId": "b"})).await;
    assert_eq!(claimed["tasks"][0]["taskId"], "t-1");
}

#[tokio::test]
async fn stopping_answers_claims_that_wait() {
    let brain = Brain::start().await;
    let mut waiting = Vec::new();
    for agent in ["a", "b", "c"] {
        brain.call("agents", json!({"agentId": agent})).await;
        let mut raw = Raw::connect(brain.address).await;
        raw.send(claim(agent, Duration::from_secs(60))).await.unwrap();
        waits(&brain, agent).await;
        waiting.push(raw);
    }
    let begun = Instant::now();
    brain.shutdown.cancel();
    for raw in &mut waiting {
        let answer = raw.answer().await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let body: Value = serde_json::from_str(answer.lines().last().unwrap()).unwrap();
        assert_eq!(body["tasks"], json!([]));
    }
    brain.running.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// What is being handed out when the server stops must not be lost on the way to its worker.
#[tokio::test]
async fn stopping_lets_a_claim_have_its_task() {
    let brain = Brain::start().await;
    brain.call("agents", json!({"agentId": "a"})).await;
    brain.call("tasks", json!({"taskId": "t-1"})).await;
    let held = brain.hold_commits().await;
    let mut raw = Raw::connect(brain.address).await;
    raw.send(claim("a", Duration::from_secs(60))).await.unwrap();
    brain.commit_waits().await;
    brain.shutdown.cancel();
    held.release().await;
    let answer = raw.answer().await;
    assert!(answer.contains("\"t-1\""), "{answer}");
    brain.running.await.unwrap();
}
