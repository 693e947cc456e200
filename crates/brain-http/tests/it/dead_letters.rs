//! `/api/swarm/dead-letters`.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    brain::Brain,
    shown::{brief, check},
};

const LETTERS: &str = "/api/swarm/dead-letters";

/// Parks an entry as the orchestrator does.
pub(crate) async fn park(brain: &Brain, entry: &str, reason: &str, raw: &[u8]) -> Uuid {
    let id = Uuid::now_v7();
    let insert =
        "INSERT INTO swarm_dead_letters (dead_letter_id, stream_name, entry_id, raw_sha256, reason, detail, raw)
        VALUES ($1, 'stream', $2, encode(sha256($4), 'hex'), $3, 'it was wrong', $4)";
    brain
        .database
        .client()
        .await
        .execute(insert, &[&id, &entry, &reason, &raw])
        .await
        .unwrap();
    id
}

fn good() -> Value {
    json!({"id": "e-1", "type": "build.finished", "swarmId": "s", "runId": "r", "actorId": "a", "payload": {},
        "createdAt": "2026-01-02T03:04:05Z"})
}

async fn snapshot(name: &str, request: reqwest::RequestBuilder) {
    check(
        name,
        &brief(request.header("x-request-id", "r-1").send().await.unwrap()).await,
    );
}

#[tokio::test]
async fn are_listed_newest_first_and_shown_whole() {
    let brain = Brain::start().await;
    snapshot("dead_letters_none", brain.get(LETTERS)).await;
    let long = park(&brain, "1-0", "malformed", &b"x".repeat(5000)).await;
    park(&brain, "2-0", "schema_violation", b"{\"type\": \"\xff\"}").await;
    park(&brain, "3-0", "malformed", b"{").await;
    snapshot(
        "dead_letters_first_page",
        brain.get(&format!("{LETTERS}?limit=2&status=parked")),
    )
    .await;

    let read = async |query: &str| -> Value {
        brain
            .get(&format!("{LETTERS}?{query}"))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    };
    let first = read("limit=2").await;
    let second = read(&format!("limit=2&cursor={}", first["nextCursor"].as_str().unwrap())).await;
    assert_eq!(second["nextCursor"], Value::Null);
    assert_eq!(second["deadLetters"][0]["entryId"], "1-0");
    assert_eq!(
        second["deadLetters"][0]["raw"].as_str().unwrap().len(),
        2048,
        "a list shows the beginning"
    );
    let whole: Value = brain
        .get(&format!("{LETTERS}/{long}"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(whole["raw"].as_str().unwrap().len(), 5000);
    let malformed = read("reason=malformed").await;
    assert_eq!(malformed["deadLetters"].as_array().unwrap().len(), 2);

    snapshot(
        "dead_letters_wrong_status",
        brain.get(&format!("{LETTERS}?status=gone")),
    )
    .await;
    snapshot("dead_letters_wrong_reason", brain.get(&format!("{LETTERS}?reason=bad"))).await;
    snapshot("dead_letter_no_uuid", brain.get(&format!("{LETTERS}/1"))).await;
    snapshot("dead_letter_unknown", brain.get(&format!("{LETTERS}/{}", Uuid::nil()))).await;
}

#[tokio::test]
async fn are_replayed_as_they_are_or_mended() {
    let brain = Brain::start().await;
    let fine = park(&brain, "1-0", "apply_failed", good().to_string().as_bytes()).await;
    snapshot("dead_letter_replayed", brain.post(&format!("{LETTERS}/{fine}/replay"))).await;
    snapshot(
        "dead_letter_replayed_twice",
        brain.post(&format!("{LETTERS}/{fine}/replay")),
    )
    .await;

    let broken = park(&brain, "2-0", "malformed", b"{\"id\": ").await;
    let path = format!("{LETTERS}/{broken}/replay");
    snapshot("dead_letter_still_broken", brain.post(&path)).await;
    snapshot("dead_letter_badly_mended", brain.post(&path).body("[]")).await;
    let mut mended = good();
    mended["id"] = json!("e-2");
    snapshot("dead_letter_mended", brain.post(&path).json(&mended)).await;
    assert_eq!(brain.stored("build.finished").await, 2);
    snapshot(
        "dead_letter_replay_unknown",
        brain.post(&format!("{LETTERS}/{}/replay", Uuid::nil())),
    )
    .await;
}

#[tokio::test]
async fn are_dropped_once() {
    let brain = Brain::start().await;
    let id = park(&brain, "1-0", "malformed", b"{").await;
    let path = format!("{LETTERS}/{id}");
    snapshot("dead_letter_dropped", brain.delete(&path)).await;
    snapshot("dead_letter_dropped_twice", brain.delete(&path)).await;
    snapshot(
        "dead_letter_drop_unknown",
        brain.delete(&format!("{LETTERS}/{}", Uuid::nil())),
    )
    .await;
    let letter: Value = brain.get(&path).send().await.unwrap().json().await.unwrap();
    assert_eq!(letter["status"], "dropped", "it stays readable");
}
