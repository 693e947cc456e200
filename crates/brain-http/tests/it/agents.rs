//! Agents join, are heard, drain, and are written to.

use serde_json::json;

use crate::{
    brain::Brain,
    shown::{brief, check},
};

#[tokio::test]
async fn join_drain_and_are_given_tasks_again() {
    let brain = Brain::start().await;
    let agent = json!({"agentId": "a/1", "runId": "run-2", "role": "writer", "capabilities": ["ocr"], "capacity": 3,
        "assignment": "push"});
    brain.show_call("agent_joined", "agents", agent).await;
    brain
        .show_call("agent_joined_again", "agents", json!({"agentId": "a/1"}))
        .await;
    brain.call("tasks", json!({"taskId": "t-1"})).await;
    brain
        .show_call("agent_draining", "agents/a%2F1/drain", json!({"actorId": "boss"}))
        .await;
    brain
        .show_call(
            "claim_while_draining",
            "tasks/claim",
            json!({"agentId": "a/1", "waitMs": 60_000}),
        )
        .await;
    let resumed = brain.post("/api/swarm/agents/a%2F1/resume").send().await.unwrap();
    assert_eq!(resumed.status(), 200);
    brain.show("agents_after_resuming", "agents").await;
    let claimed = brain.call("tasks/claim", json!({"agentId": "a/1"})).await;
    assert_eq!(claimed["tasks"][0]["taskId"], "t-1");
    let cases = [
        ("drain_unknown", "agents/nobody/drain", json!({})),
        ("resume_unknown", "agents/nobody/resume", json!({})),
        ("drain_reason", "agents/a%2F1/drain", json!({"reason": "so"})),
        ("join_nobody", "agents", json!({})),
        (
            "join_assignment",
            "agents",
            json!({"agentId": "b", "assignment": "pulled"}),
        ),
        ("join_capacity", "agents", json!({"agentId": "b", "capacity": 0})),
        ("join_unknown_field", "agents", json!({"agentId": "b", "name": "B"})),
        ("join_list", "agents", json!(["b"])),
        ("join_as_the_brain", "agents", json!({"agentId": "b".repeat(129)})),
    ];
    for (name, path, body) in cases {
        brain.show_call(&format!("refused_{name}"), path, body).await;
    }
}

#[tokio::test]
async fn keep_what_they_hold_and_learn_what_they_lost() {
    let brain = Brain::start().await;
    for task in ["kept", "off"] {
        brain.call("tasks", json!({"taskId": task})).await;
    }
    let kept = brain.claim("a", "kept").await;
    let off = brain.claim("a", "off").await;
    brain.call("tasks/off/cancel", json!({})).await;
    let until = |task: serde_json::Value| task["leaseExpiresAt"].as_str().unwrap().to_owned();
    let before = until(brain.read("tasks/kept").await);
    let holds = json!({"tasks": [{"taskId": "kept", "fencingToken": kept}, {"taskId": "off", "fencingToken": off},
        {"taskId": "kept", "fencingToken": 0}, {"taskId": "nowhere", "fencingToken": 7}]});
    brain.show_call("heartbeat", "agents/a/heartbeat", holds).await;
    assert!(until(brain.read("tasks/kept").await) > before, "the lease is renewed");
    // As before there were leases: nothing, or white space.
    for body in ["", " \n"] {
        let heard = brain
            .post("/api/swarm/agents/a/heartbeat")
            .header("x-request-id", "r-1")
            .body(body);
        check("heartbeat_without_a_body", &brief(heard.send().await.unwrap()).await);
    }
    let cases = [
        ("unknown", "agents/nobody/heartbeat", json!({"tasks": []})),
        (
            "list",
            "agents/a/heartbeat",
            json!([[{"taskId": "kept", "fencingToken": kept}]]),
        ),
        ("list_inside", "agents/a/heartbeat", json!({"tasks": [["kept", kept]]})),
        ("unknown_field", "agents/a/heartbeat", json!({"task": []})),
        (
            "too_many",
            "agents/a/heartbeat",
            json!({"tasks": vec![json!({"taskId": "t", "fencingToken": 1}); 4097]}),
        ),
    ];
    for (name, path, body) in cases {
        brain.show_call(&format!("refused_heartbeat_{name}"), path, body).await;
    }
}

#[tokio::test]
async fn find_in_their_inbox_what_was_said_to_them() {
    let brain = Brain::start().await;
    brain.call("agents", json!({"agentId": "a"})).await;
    brain.call("tasks", json!({"taskId": "t-1"})).await;
    brain.show("inbox_empty", "agents/a/messages").await;
    let said = json!({"actorId": "boss", "message": "hurry", "data": {"by": 5}, "taskId": "t-1"});
    brain.show_call("message_to_an_agent", "agents/a/messages", said).await;
    brain.call("agents/a/messages", json!({"message": "please"})).await;
    brain.show("inbox", "agents/a/messages").await;
    let first = brain.read("agents/a/messages?limit=1").await;
    assert_eq!(first["messages"][0]["payload"]["message"], "hurry");
    let after = first["nextAfter"].as_i64().unwrap();
    let second = brain.read(&format!("agents/a/messages?after={after}")).await;
    assert_eq!(
        (
            second["messages"].as_array().unwrap().len(),
            &second["messages"][0]["actorId"]
        ),
        (1, &json!("api"))
    );
    let end = second["nextAfter"].as_i64().unwrap();
    let nothing = brain.read(&format!("agents/a/messages?after={end}")).await;
    assert_eq!(nothing, json!({"messages": [], "nextAfter": end}));
    brain.show("inbox_unknown", "agents/nobody/messages").await;
    brain.show("inbox_after", "agents/a/messages?after=x").await;
    brain
        .show_call("message_to_nobody", "agents/nobody/messages", json!({"message": "hi"}))
        .await;
    brain
        .show_call("message_without_words", "agents/a/messages", json!({"data": 1}))
        .await;
}
