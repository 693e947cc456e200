//! `/api/swarm/schedules`.

use serde_json::{Value, json};

use crate::{
    brain::Brain,
    shown::{brief, check},
};

const SCHEDULES: &str = "/api/swarm/schedules";

fn put(brain: &Brain, path: &str) -> reqwest::RequestBuilder {
    brain.client.put(brain.url(&format!("{SCHEDULES}/{path}")))
}

fn get(brain: &Brain, path: &str) -> reqwest::RequestBuilder {
    brain.get(&format!("{SCHEDULES}{path}"))
}

async fn snapshot(name: &str, request: reqwest::RequestBuilder) {
    check(
        name,
        &brief(request.header("x-request-id", "r-1").send().await.unwrap()).await,
    );
}

async fn json_of(request: reqwest::RequestBuilder) -> Value {
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn are_stored_shown_changed_and_removed() {
    let brain = Brain::start().await;
    let nightly = json!({"cron": "30 2 * * MON-FRI", "timeZone": "europe/berlin", "missedRuns": "once",
        "task": {"inputs": {"report": "sales"}, "role": "writer"}, "actorId": "planner"});
    snapshot("schedule_stored", put(&brain, "nightly").json(&nightly)).await;
    snapshot("schedule", get(&brain, "/nightly")).await;
    let stored = json_of(get(&brain, "/nightly")).await;
    let minimal = json!({"cron": "@hourly", "task": {}, "enabled": false});
    snapshot("schedule_disabled", put(&brain, "nightly").json(&minimal)).await;
    let changed = json_of(get(&brain, "/nightly")).await;
    assert_eq!(changed["createdAt"], stored["createdAt"]);
    assert!(changed["updatedAt"].as_str() > stored["updatedAt"].as_str());

    let path = format!("{SCHEDULES}/nightly");
    snapshot("schedule_of_another_swarm", get(&brain, "/nightly?swarmId=other")).await;
    snapshot("schedule_removed", brain.delete(&path)).await;
    snapshot("schedule_removed_twice", brain.delete(&path)).await;
    snapshot("schedule_unknown", get(&brain, "/nightly")).await;
}

#[tokio::test]
async fn are_listed_by_page() {
    let brain = Brain::start().await;
    snapshot("schedules_none", get(&brain, "")).await;
    for id in ["c", "a%2Fb", "d"] {
        let stored = put(&brain, id)
            .json(&json!({"cron": "@daily", "task": {}}))
            .send()
            .await
            .unwrap();
        assert_eq!(stored.status(), 200);
    }
    let ids = |page: &Value| {
        let items = page["schedules"].as_array().unwrap().iter();
        items
            .map(|one| one["scheduleId"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = json_of(get(&brain, "?limit=2")).await;
    assert_eq!(ids(&first), ["a/b", "c"]);
    let cursor = first["nextCursor"].as_str().unwrap();
    let second = json_of(get(&brain, &format!("?limit=2&cursor={cursor}"))).await;
    assert_eq!(
        (ids(&second), &second["nextCursor"]),
        (vec!["d".to_owned()], &Value::Null)
    );
    snapshot(
        "schedules_cursor_of_another_swarm",
        get(&brain, &format!("?swarmId=other&cursor={cursor}")),
    )
    .await;
}

#[tokio::test]
async fn that_could_never_work_are_refused_with_the_remedy() {
    let brain = Brain::start().await;
    let cases = [
        ("hour", json!({"cron": "0 24 * * *", "task": {}})),
        ("never", json!({"cron": "0 0 31 6 *", "task": {}})),
        ("zone", json!({"cron": "@daily", "timeZone": "Berlin", "task": {}})),
        ("policy", json!({"cron": "@daily", "missedRuns": "some", "task": {}})),
        ("no_task", json!({"cron": "@daily"})),
        ("task", json!({"cron": "@daily", "task": {"priority": "high"}})),
        ("task_id", json!({"cron": "@daily", "task": {"taskId": "t"}})),
        (
            "actor",
            json!({"cron": "@daily", "task": {}, "actorId": "studio-brain"}),
        ),
        ("field", json!({"cron": "@daily", "task": {}, "timezone": "UTC"})),
        ("list", json!(["@daily", "UTC", "skip", {}, true, "me"])),
    ];
    for (name, body) in cases {
        snapshot(&format!("schedule_refused_{name}"), put(&brain, "x").json(&body)).await;
    }
    snapshot("schedule_no_json", put(&brain, "x").body("{\"cron\": ")).await;
    snapshot(
        "schedule_control",
        put(&brain, "a%00b").json(&json!({"cron": "@daily", "task": {}})),
    )
    .await;
    assert_eq!(json_of(get(&brain, "")).await["schedules"], json!([]));
}
