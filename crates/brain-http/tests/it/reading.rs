//! Reading events, tasks and agents.

use serde_json::{Value, json};

use crate::{
    brain::Brain,
    shown::{brief, check},
};

async fn json_of(brain: &Brain, path: &str) -> Value {
    let response = brain.get(path).send().await.unwrap();
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert_eq!(status, 200, "{path}: {body}");
    body
}

async fn snapshot(brain: &Brain, name: &str, path: &str) {
    check(
        name,
        &brief(brain.get(path).header("x-request-id", "r-1").send().await.unwrap()).await,
    );
}

/// Two agents join and three tasks come; the third asks for a role that nobody has.
async fn a_small_swarm(brain: &Brain) {
    let event = |id: &str, kind: &str, actor: &str, payload: Value| json!({"id": id, "type": kind, "actorId": actor, "payload": payload});
    brain
        .publish(json!([
            event("e-1", "run.started", "agent-1", json!({"role": "writer"})),
            event(
                "e-2",
                "run.started",
                "agent-2",
                json!({"role": "writer", "capabilities": ["ocr"]})
            ),
        ]))
        .await;
    for (id, payload) in [
        (
            "e-3",
            json!({"taskId": "t-1", "inputs": {"n": 1}, "assignedAgentId": "agent-1"}),
        ),
        ("e-4", json!({"taskId": "t-2", "inputs": {"n": 2}, "capability": "ocr"})),
        ("e-5", json!({"taskId": "t/3 ü", "inputs": {"n": 3}, "role": "painter"})),
    ] {
        brain.publish(event(id, "task.created", "boss", payload)).await;
    }
}

/// All items of a list, page by page.
async fn all(brain: &Brain, list: &str, query: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = json_of(brain, &format!("/api/swarm/{list}?limit=2{query}{cursor}")).await;
        let found = page[list].as_array().unwrap();
        assert!(found.len() <= 2);
        items.extend(found.iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

#[tokio::test]
async fn events_are_read_in_order_page_by_page() {
    let brain = Brain::start().await;
    a_small_swarm(&brain).await;
    snapshot(&brain, "events_page", "/api/swarm/events?limit=1").await;

    let seqs = |events: Vec<Value>| {
        events
            .iter()
            .map(|event| event["seq"].as_i64().unwrap())
            .collect::<Vec<i64>>()
    };
    let every = seqs(all(&brain, "events", "").await);
    assert_eq!(every, (1..=i64::try_from(every.len()).unwrap()).collect::<Vec<i64>>());
    let last = json_of(&brain, "/api/swarm/events").await["lastSeq"].as_i64().unwrap();
    assert_eq!(every.len() as i64, last);
    assert_eq!(seqs(all(&brain, "events", "&after=3").await), every[3..]);
    let created = all(&brain, "events", "&type=task.created&actorId=boss&runId=run-1").await;
    assert_eq!(
        created
            .iter()
            .map(|event| event["id"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["e-3", "e-4", "e-5"]
    );
    assert!(all(&brain, "events", "&runId=other").await.is_empty());
    assert!(
        all(&brain, "events", "&swarmId=other").await.is_empty(),
        "another swarm has its own events"
    );
}

#[tokio::test]
async fn events_that_are_gone_are_an_explicit_gap() {
    let brain = Brain::start().await;
    a_small_swarm(&brain).await;
    brain
        .database
        .client()
        .await
        .batch_execute("DELETE FROM swarm_events WHERE seq <= 3; UPDATE swarm_sequences SET pruned_seq = 3")
        .await
        .unwrap();
    snapshot(&brain, "events_gap", "/api/swarm/events?limit=1").await;
    let gap = async |query: &str| json_of(&brain, &format!("/api/swarm/events?{query}")).await["gap"].clone();
    assert_eq!(gap("after=2&type=never.seen").await, json!({"fromSeq": 3, "toSeq": 3}));
    assert_eq!(gap("after=3").await, Value::Null);
    // The next page does not say it again.
    let seqs: Vec<Value> = all(&brain, "events", "")
        .await
        .iter()
        .map(|event| event["seq"].clone())
        .collect();
    assert_eq!(seqs, [4, 5, 6, 7]);
    let page = json_of(&brain, "/api/swarm/events?limit=1").await;
    let cursor = page["nextCursor"].as_str().unwrap();
    assert_eq!(gap(&format!("limit=1&cursor={cursor}")).await, Value::Null);
}

#[tokio::test]
async fn tasks_are_listed_filtered_and_shown() {
    let brain = Brain::start().await;
    a_small_swarm(&brain).await;
    snapshot(&brain, "task", "/api/swarm/tasks/t-1").await;
    snapshot(&brain, "task_unknown", "/api/swarm/tasks/t-9").await;
    snapshot(&brain, "task_of_another_swarm", "/api/swarm/tasks/t-1?swarmId=other").await;

    let ids = |tasks: Vec<Value>| {
        tasks
            .iter()
            .map(|task| task["taskId"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(all(&brain, "tasks", "").await), ["t-1", "t-2", "t/3 ü"]);
    assert_eq!(ids(all(&brain, "tasks", "&status=created").await), ["t/3 ü"]);
    assert_eq!(
        ids(all(&brain, "tasks", "&status=assigned&agentId=agent-2").await),
        ["t-2"]
    );
    assert_eq!(
        json_of(&brain, "/api/swarm/tasks/t%2F3%20%C3%BC").await["role"],
        "painter"
    );
}

#[tokio::test]
async fn agents_are_listed_and_heard() {
    let brain = Brain::start().await;
    a_small_swarm(&brain).await;
    snapshot(&brain, "agents", "/api/swarm/agents").await;
    let ids = |agents: Vec<Value>| {
        agents
            .iter()
            .map(|agent| agent["agentId"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(all(&brain, "agents", "&status=live").await), ["agent-1", "agent-2"]);
    assert!(all(&brain, "agents", "&status=lost").await.is_empty());

    let before = json_of(&brain, "/api/swarm/agents").await["agents"][0]["lastSeenAt"].clone();
    let heard = brain.post("/api/swarm/agents/agent-1/heartbeat").send().await.unwrap();
    assert_eq!(heard.status(), 200);
    let heard: Value = heard.json().await.unwrap();
    assert_eq!(heard["agentId"], "agent-1");
    assert!(heard["lastSeenAt"].as_str() > before.as_str(), "{heard} after {before}");
    let unknown = brain
        .post("/api/swarm/agents/agent-9/heartbeat")
        .header("x-request-id", "r-1")
        .send()
        .await
        .unwrap();
    check("heartbeat_unknown", &brief(unknown).await);
}

#[tokio::test]
async fn parameters_are_taken_at_their_word() {
    let brain = Brain::start().await;
    a_small_swarm(&brain).await;
    let page = json_of(&brain, "/api/swarm/events?limit=1").await;
    let cursor = page["nextCursor"].as_str().unwrap();
    let cases = [
        ("unknown", "/api/swarm/events?swarm=x".to_owned()),
        ("twice", "/api/swarm/events?limit=1&limit=2".to_owned()),
        ("limit", "/api/swarm/tasks?limit=501".to_owned()),
        ("type", "/api/swarm/events?type=Nonsense".to_owned()),
        ("status", "/api/swarm/tasks?status=gone".to_owned()),
        ("agent_status", "/api/swarm/agents?status=idle".to_owned()),
        ("empty_swarm", "/api/swarm/tasks?swarmId=".to_owned()),
        ("control", "/api/swarm/tasks/a%00b".to_owned()),
        ("not_utf8", "/api/swarm/tasks/%ff".to_owned()),
        ("after", "/api/swarm/events?after=-1".to_owned()),
        ("cursor", "/api/swarm/events?cursor=nonsense".to_owned()),
        ("cursor_of_another_list", format!("/api/swarm/tasks?cursor={cursor}")),
        (
            "cursor_of_another_query",
            format!("/api/swarm/events?type=task.created&cursor={cursor}"),
        ),
        ("none_known", "/healthz?x=1".to_owned()),
    ];
    for (name, path) in cases {
        snapshot(&brain, &format!("parameter_{name}"), &path).await;
    }
}
