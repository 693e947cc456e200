//! `Idempotency-Key`, and entity tags.

use std::time::Duration;

use brain_http::access::Role;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::{
    access::{give, guarded, wish},
    brain::{Brain, Setup},
    shown::{check, whole},
};

const MESSAGES: &str = "/api/swarm/agents/a/messages";

async fn text_of(request: RequestBuilder) -> (StatusCode, bool, String) {
    let response = request.send().await.unwrap();
    let replayed = response.headers().contains_key("idempotency-replayed");
    (response.status(), replayed, response.text().await.unwrap())
}

fn say(brain: &Brain, key: &str, message: &str) -> RequestBuilder {
    let request = brain.post(MESSAGES).header("idempotency-key", key);
    request.json(&json!({"message": message}))
}

async fn with_agent() -> Brain {
    let brain = Brain::start().await;
    brain.call("agents", json!({"agentId": "a"})).await;
    brain
}

#[tokio::test]
async fn the_same_request_is_answered_as_it_was_and_takes_effect_once() {
    let brain = with_agent().await;
    let first = text_of(say(&brain, "k-1", "hello")).await;
    assert_eq!((first.0.as_u16(), first.1), (200, false));
    for _ in 0..3 {
        let again = text_of(say(&brain, "k-1", "hello")).await;
        assert_eq!(again, (first.0, true, first.2.clone()));
    }
    assert_eq!(brain.stored("agent.message").await, 1);
    text_of(say(&brain, "k-2", "hello")).await;
    text_of(say(&brain, "\"k-2\"", "hello")).await;
    assert_eq!(brain.stored("agent.message").await, 2, "another key is another request");
}

#[tokio::test]
async fn another_request_with_the_same_key_is_refused() {
    let brain = with_agent().await;
    text_of(say(&brain, "k-1", "hello")).await;
    let other = say(&brain, "k-1", "goodbye").header("x-request-id", "r-1");
    check("idempotency_key_reused", &whole(other.send().await.unwrap()).await);
    let elsewhere = brain.post("/api/swarm/agents/a/drain").header("idempotency-key", "k-1");
    assert_eq!(text_of(elsewhere.json(&json!({}))).await.0, 422);
    assert_eq!(brain.stored("agent.message").await, 1);
    let wrong = brain
        .post(MESSAGES)
        .header("idempotency-key", "two words")
        .json(&json!({"message": "x"}));
    assert_eq!(text_of(wrong).await.0, 400);
}

#[tokio::test]
async fn refusals_are_kept_and_what_may_succeed_later_is_not() {
    let brain = Brain::start().await;
    let cancel = || {
        let request = brain.post("/api/swarm/tasks/t/cancel").header("idempotency-key", "k-1");
        request.json(&json!({}))
    };
    let first = text_of(cancel()).await;
    assert_eq!(first.0, 404);
    brain.call("tasks", json!({"taskId": "t"})).await;
    let again = text_of(cancel()).await;
    assert_eq!(again, (first.0, true, first.2), "as it was, its request id included");

    // An answer that says "come again" is one after which the same key may come again.
    let claim = || {
        let request = brain.post("/api/swarm/tasks").header("idempotency-key", "k-2");
        request.json(&json!({"taskId": "u"}))
    };
    let client = brain.database.client().await;
    let broken = "ALTER TABLE swarm_events RENAME TO swarm_events_away";
    client.batch_execute(broken).await.unwrap();
    assert!(text_of(claim()).await.0.is_server_error());
    client
        .batch_execute("ALTER TABLE swarm_events_away RENAME TO swarm_events")
        .await
        .unwrap();
    assert_eq!(text_of(claim()).await.0, 201);
}

#[tokio::test]
async fn a_second_request_waits_for_the_first() {
    let brain = with_agent().await;
    let held = brain.hold_commits().await;
    let first = tokio::spawn(say(&brain, "k-1", "hello").send());
    brain.commit_waits().await;
    let second = text_of(say(&brain, "k-1", "hello")).await;
    assert_eq!(second.0, 409);
    assert!(second.2.contains("request-in-progress"), "{}", second.2);
    held.release().await;
    let first = first.await.unwrap().unwrap();
    assert_eq!(first.status(), 200);
    let (status, replayed, text) = text_of(say(&brain, "k-1", "hello")).await;
    assert_eq!(
        (status, replayed, text),
        (first.status(), true, first.text().await.unwrap())
    );
    assert_eq!(brain.stored("agent.message").await, 1);
}

#[tokio::test]
async fn a_caller_that_hangs_up_finds_the_answer_later() {
    let brain = with_agent().await;
    let held = brain.hold_commits().await;
    let first = tokio::spawn(say(&brain, "k-1", "hello").send());
    brain.commit_waits().await;
    first.abort();
    held.release().await;
    brain_testkit::eventually("the answer is kept", async || {
        let (status, replayed, _) = text_of(say(&brain, "k-1", "hello")).await;
        (status == 200 && replayed).then_some(())
    })
    .await;
    assert_eq!(brain.stored("agent.message").await, 1);
}

#[tokio::test]
async fn a_hundred_at_once_take_effect_once() {
    let brain = with_agent().await;
    let requests = (0..100).map(|_| text_of(say(&brain, "k-1", "hello")));
    let answers = futures_util::future::join_all(requests).await;
    let good: Vec<_> = answers.iter().filter(|(status, ..)| *status == 200).collect();
    assert_eq!(good.iter().filter(|(_, replayed, _)| !replayed).count(), 1);
    assert!(answers.iter().all(|(status, ..)| matches!(status.as_u16(), 200 | 409)));
    assert_eq!(brain.stored("agent.message").await, 1);
}

#[tokio::test]
async fn a_key_belongs_to_its_caller() {
    let brain = guarded().await;
    let one = give(&brain, &wish("one", Role::Admin)).await;
    let other = give(&brain, &wish("other", Role::Admin)).await;
    let post = |token: &str| {
        let request = brain
            .post("/api/swarm/tasks")
            .bearer_auth(token)
            .header("idempotency-key", "k-1");
        request.json(&json!({"taskId": "t"}))
    };
    assert_eq!(text_of(post(&one)).await.0, 201);
    let (status, replayed, _) = text_of(post(&other)).await;
    assert_eq!((status.as_u16(), replayed), (201, false));
    let make = brain
        .post("/api/tokens")
        .bearer_auth(&one)
        .header("idempotency-key", "k-2");
    let (status, _, text) = text_of(make.json(&json!({"name": "n", "role": "viewer"}))).await;
    assert_eq!(status, 400, "{text}");
    let client = brain.database.client().await;
    let kept = "SELECT count(*) FROM brain_idempotency_keys WHERE idempotency_key = 'k-2'";
    assert_eq!(client.query_one(kept, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn what_is_known_is_not_sent_again() {
    let brain = Brain::start().await;
    brain.call("tasks", json!({"taskId": "t"})).await;
    let show = || brain.get("/api/swarm/tasks/t");
    let response = show().send().await.unwrap();
    let tag = response.headers()["etag"].to_str().unwrap().to_owned();
    for asked in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
        let response = show().header("if-none-match", asked).send().await.unwrap();
        assert_eq!(response.status(), 304);
        assert_eq!(
            (
                &response.headers()["etag"],
                response.headers().contains_key("content-type")
            ),
            (&tag.parse().unwrap(), false)
        );
        assert!(response.text().await.unwrap().is_empty());
    }
    brain.call("tasks/t/cancel", json!({})).await;
    let changed = show().header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(changed.status(), 200);
    let task: Value = changed.json().await.unwrap();
    assert_eq!(task["status"], "cancelled");
}

#[tokio::test]
async fn what_outlasts_its_caller_is_done_once() {
    let mut setup = Setup::new().await;
    setup.config.server.request_timeout = Duration::from_millis(300);
    setup.config.server.body_timeout = Duration::from_millis(300);
    let brain = setup.start();
    brain.call("agents", json!({"agentId": "a"})).await;
    let held = brain.hold_commits().await;
    let (status, _, text) = text_of(say(&brain, "k-1", "hello")).await;
    assert_eq!(status, 503, "{text}");
    let (status, _, text) = text_of(say(&brain, "k-1", "hello")).await;
    assert_eq!(status, 409, "it is still being worked on: {text}");
    held.release().await;
    brain_testkit::eventually("the answer is kept", async || {
        let (status, replayed, _) = text_of(say(&brain, "k-1", "hello")).await;
        (status == 200 && replayed).then_some(())
    })
    .await;
    assert_eq!(brain.stored("agent.message").await, 1);
}
