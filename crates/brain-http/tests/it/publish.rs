//! `POST /api/swarm/events`.

use reqwest::Body;
use serde_json::{Value, json};

use crate::{
    brain::{Brain, Setup},
    shown::{brief, check, whole},
};

const EVENTS: &str = "/api/swarm/events";

fn event(id: &str) -> Value {
    json!({"id": id, "type": "build.finished", "actorId": "builder", "payload": {"ok": true}, "createdAt": "2026-01-02T03:04:05Z"})
}

async fn refused(brain: &Brain, name: &str, body: impl Into<Body>) {
    let response = brain
        .post(EVENTS)
        .header("x-request-id", "r-1")
        .body(body)
        .send()
        .await
        .unwrap();
    check(&format!("publish_refused_{name}"), &brief(response).await);
}

#[tokio::test]
async fn one_event_is_stored_once() {
    let brain = Brain::start().await;
    let first = brain.post(EVENTS).json(&event("e-1")).send().await.unwrap();
    check("publish_one", &whole(first).await);
    let again = brain.post(EVENTS).json(&event("e-1")).send().await.unwrap();
    check("publish_again", &brief(again).await);
    let mut other = event("e-1");
    other["payload"]["ok"] = json!(false);
    let conflict = brain.post(EVENTS).json(&other).send().await.unwrap();
    check("publish_conflict", &brief(conflict).await);
    assert_eq!(brain.stored("build.finished").await, 1);
}

#[tokio::test]
async fn several_events_are_stored_in_their_order_or_not_at_all() {
    let brain = Brain::start().await;
    let list = brain
        .post(EVENTS)
        .json(&json!([event("e-1"), event("e-2")]))
        .send()
        .await
        .unwrap();
    check("publish_list", &brief(list).await);
    let wrapped = brain
        .post(EVENTS)
        .json(&json!({"events": [event("e-2"), event("e-3")]}))
        .send()
        .await
        .unwrap();
    check("publish_wrapped", &brief(wrapped).await);

    refused(
        &brain,
        "in_part",
        json!([event("e-4"), {"type": "task.created", "actorId": "a"}, 7]).to_string(),
    )
    .await;
    assert_eq!(brain.stored("build.finished").await, 3);
}

#[tokio::test]
async fn gaps_are_filled_and_the_trace_goes_on() {
    let brain = Brain::start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    let minimal = json!({"type": "build.began", "actorId": "builder"});
    let response = brain
        .post(EVENTS)
        .header("traceparent", &traceparent)
        .json(&minimal)
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-trace-id"], trace);
    let own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    brain
        .publish(json!({"type": "build.began", "actorId": "builder", "traceparent": own}))
        .await;

    let page: Value = brain
        .get("/api/swarm/events?type=build.began")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let events = page["events"].as_array().unwrap();
    assert_eq!(events[0]["traceparent"], json!(traceparent), "the caller's trace");
    assert_eq!(events[1]["traceparent"], json!(own), "the event's own wins");
    assert_eq!(events[0]["runId"], "run-1");
    assert_eq!(events[0]["swarmId"], json!(brain.config.swarm.swarm_id));
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_with_the_reason() {
    let mut setup = Setup::new().await;
    setup.services.max_event_bytes = 2000;
    let brain = setup.start();
    refused(&brain, "nothing", "").await;
    refused(&brain, "cut_off", r#"{"type": "build"#).await;
    refused(&brain, "not_utf8", b"{\"type\": \"\xff\"}".as_slice()).await;
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    refused(
        &brain,
        "deep",
        format!(r#"{{"type":"a.b","actorId":"a","payload":{{"x":{deep}}}}}"#),
    )
    .await;
    refused(&brain, "empty_list", "[]").await;
    refused(
        &brain,
        "duplicate_key",
        r#"{"type": "a.b", "type": "a.c", "actorId": "a"}"#,
    )
    .await;
    refused(
        &brain,
        "unknown_key",
        r#"{"type": "a.b", "actorId": "a", "swarm": "s"}"#,
    )
    .await;
    refused(
        &brain,
        "schema",
        r#"{"type": "task.created", "actorId": "a", "payload": {"taskId": "", "priority": "high"}}"#,
    )
    .await;
    refused(
        &brain,
        "nul",
        r#"{"type": "a.b", "actorId": "a", "payload": {"x": "\u0000"}}"#,
    )
    .await;
    let large = json!({"type": "a.b", "actorId": "a", "payload": {"x": "x".repeat(3000)}});
    refused(&brain, "large", large.to_string()).await;
    let none: Value = brain.get(EVENTS).send().await.unwrap().json().await.unwrap();
    assert_eq!(none, json!({"events": [], "nextCursor": null, "lastSeq": 0}));
}

#[tokio::test]
async fn a_large_batch_is_stored_too() {
    let brain = Brain::start().await;
    let events: Vec<Value> = (0..1000).map(|n| event(&format!("e-{n}"))).collect();
    let receipt = brain.publish(json!(events)).await;
    let seqs: Vec<i64> = receipt["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["seq"].as_i64().unwrap())
        .collect();
    assert_eq!(seqs, (1..=1000).collect::<Vec<i64>>());
}
