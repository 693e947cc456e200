//! What a running brain says about itself: its metrics are the documented ones, and no secret is in its log.

use std::collections::BTreeMap;

use brain_testkit::eventually;
use serde_json::json;

use crate::brain_process::{BrainProcess, migrated};

const PAGE: &str = include_str!("../../../../docs/METRICS.md");
const ADMIN: &str = "an-admin-token-that-nobody-may-see";

#[tokio::test]
async fn metrics_are_the_documented_ones_and_the_log_keeps_secrets() {
    let database = migrated().await;
    let mut brain = BrainProcess::start(
        &database.config(),
        &[("STUDIO_BRAIN_ADMIN_TOKEN", ADMIN), ("STUDIO_BRAIN_LOG_LEVEL", "debug")],
    )
    .await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let api = |path: &str| format!("{}{path}", brain.url());
    let made = client.post(api("/api/tokens")).bearer_auth(ADMIN);
    let made = made
        .json(&json!({"name": "one", "role": "admin"}))
        .send()
        .await
        .unwrap();
    let made: serde_json::Value = made.json().await.unwrap();
    let token = made["token"].as_str().unwrap();
    let (id, secret) = (&token[6..22], &token[23..]);

    // Wherever a careless program may put it.
    for request in [
        client.get(api("/api/swarm/tasks")).bearer_auth(token),
        client.get(api(&format!("/api/tokens/{token}"))).bearer_auth(token),
        client.get(api(&format!("/nowhere/{token}?token={token}"))),
        client
            .get(api("/api/whoami"))
            .header("x-request-id", token)
            .bearer_auth(format!("{token}0")),
        client
            .post(api("/api/swarm/tasks"))
            .bearer_auth(token)
            .json(&json!({"taskId": token, "unknown": token})),
        client
            .post(api("/api/swarm/tasks"))
            .bearer_auth(token)
            .body(format!("{{\"{token}\"")),
        client
            .get(api("/healthz"))
            .header("authorization", format!("Basic {secret}")),
    ] {
        request.send().await.unwrap();
    }
    eventually("the last request is in the log", async || {
        brain.stderr().contains("\"path\":\"/healthz\"").then_some(())
    })
    .await;

    let answer = client.get(api("/metrics")).bearer_auth(ADMIN).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    let documented: BTreeMap<&str, &str> = PAGE
        .lines()
        .filter_map(|line| {
            let mut cells = line.split('|').map(|cell| cell.trim().trim_matches('`'));
            let name = cells.nth(1)?;
            name.starts_with("studio_brain_")
                .then(|| cells.next().map(|kind| (name, kind)))?
        })
        .collect();
    let mut seen = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        assert_eq!(
            documented.get(name),
            Some(&kind),
            "{name} is not in docs/METRICS.md as that"
        );
        seen += 1;
    }
    assert!(seen > 20, "{text}");
    assert!(client.get(api("/metrics")).send().await.unwrap().status() == 401);

    brain.sigterm();
    brain.wait().await;
    let log = brain.stderr();
    assert!(log.contains(id), "its id is no secret: {log}");
    for hidden in [secret, ADMIN] {
        let line = log.lines().find(|line| line.contains(hidden));
        assert_eq!(line, None);
    }
}
