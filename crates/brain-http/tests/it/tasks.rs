//! Creating tasks, and what people do to them.

use serde_json::json;

use crate::brain::Brain;

#[tokio::test]
async fn are_created_alone_or_together() {
    let brain = Brain::start().await;
    brain
        .show_call("task_created", "tasks", json!({"taskId": "t-1", "inputs": {"n": 1}}))
        .await;
    brain
        .show_call("task_created_with_an_id_of_its_own", "tasks", json!({}))
        .await;
    let batch = json!({"tasks": [
        {"taskId": "c", "dependsOn": ["b", "t-1"]},
        {"taskId": "b", "dependsOn": ["a"]},
        {"taskId": "a", "runAt": "2100-01-01T00:00:00Z"},
    ]});
    brain.show_call("tasks_created", "tasks", batch).await;
    brain.show("task_alone", "tasks/c").await;
    let all = json!({"taskId": "all", "runId": "run-2", "actorId": "boss", "inputs": {"n": 2}, "role": "writer",
        "capability": "ocr", "priority": 7, "maxAttempts": 5, "delayMs": 3_600_000, "concurrencyKey": "k",
        "concurrencyLimit": 2, "backoff": {"initialMs": 10, "maxMs": 100, "factor": 3}, "parentTaskId": "t-1",
        "onDependencyFailure": "wait", "runbookId": "rb-1"});
    brain.call("tasks", all).await;
    brain.show("task_with_everything", "tasks/all").await;
    let event = brain.read("events?actorId=boss").await["events"][0].clone();
    assert_eq!(
        (&event["runId"], &event["runbookId"]),
        (&json!("run-2"), &json!("rb-1"))
    );
}

#[tokio::test]
async fn belong_to_the_trace_of_their_request() {
    let brain = Brain::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = brain
        .post("/api/swarm/tasks")
        .header("traceparent", trace)
        .json(&json!({"taskId": "t-1"}));
    assert_eq!(request.send().await.unwrap().status(), 201);
    let event = brain.read("events?type=task.created").await["events"][0].clone();
    assert_eq!(
        (&event["traceparent"], &event["actorId"]),
        (&json!(trace), &json!("api"))
    );
    brain.call("agents", json!({"agentId": "a"})).await;
    let claimed = brain.call("tasks/claim", json!({"agentId": "a"})).await;
    assert_eq!(claimed["tasks"][0]["traceparent"], trace);
}

#[tokio::test]
async fn are_created_once_for_each_key() {
    let brain = Brain::start().await;
    let task = json!({"idempotencyKey": "k", "inputs": {"n": 1}});
    let first = brain.call("tasks", task.clone()).await;
    brain.show_call("task_of_a_known_key", "tasks", task).await;
    let other = json!({"idempotencyKey": "k", "inputs": {"n": 2}});
    brain
        .show_call("task_of_a_key_with_other_content", "tasks", other)
        .await;
    let tasks = brain.read("tasks").await;
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 1);
    assert_eq!(tasks["tasks"][0]["taskId"], first["taskId"]);
}

#[tokio::test]
async fn that_cannot_be_are_refused_with_the_remedy() {
    let brain = Brain::start().await;
    brain.call("tasks", json!({"taskId": "t-1"})).await;
    let cycle = json!({"tasks": [{"taskId": "a", "dependsOn": ["b"]}, {"taskId": "b", "dependsOn": ["c"]},
        {"taskId": "c", "dependsOn": ["a"]}]});
    let cases = [
        ("cycle", cycle),
        ("itself", json!({"taskId": "a", "dependsOn": ["a"]})),
        ("taken_id", json!({"taskId": "t-1"})),
        ("unknown_dependency", json!({"dependsOn": ["nowhere"]})),
        ("unknown_parent", json!({"parentTaskId": "nowhere"})),
        ("unknown_budget", json!({"budgetId": "nowhere"})),
        ("unknown_field", json!({"taskid": "a"})),
        ("backoff", json!({"backoff": {"initialMS": 5}})),
        ("list", json!([{"taskId": "a"}])),
        ("inputs", json!({"inputs": [1]})),
        ("priority", json!({"priority": 1001})),
        ("run_at", json!({"runAt": "tomorrow"})),
        ("empty_id", json!({"taskId": ""})),
        ("control", json!({"taskId": "a\u{7}"})),
        ("nul", json!({"inputs": {"a": "\u{0}"}})),
        ("none", json!({"tasks": []})),
        (
            "in_part",
            json!({"tasks": [{}, {"dependson": []}, [], {"priority": "high"}]}),
        ),
        (
            "one_of_several",
            json!({"tasks": [{"taskId": "new"}, {"taskId": "t-1"}]}),
        ),
        (
            "one_without_an_id",
            json!({"tasks": [{"taskId": "new"}, {"dependsOn": ["nowhere"]}]}),
        ),
        ("too_many", json!({"tasks": vec![json!({}); 4097]})),
    ];
    for (name, body) in cases {
        brain.show_call(&format!("task_refused_{name}"), "tasks", body).await;
    }
    for (name, body) in [("nothing", ""), ("no_json", "{\"taskId\": ")] {
        let request = brain.post("/api/swarm/tasks").header("x-request-id", "r-1").body(body);
        let answer = crate::shown::brief(request.send().await.unwrap()).await;
        crate::shown::check(&format!("task_refused_{name}"), &answer);
    }
    let tasks = brain.read("tasks").await;
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 1, "nothing else was stored");
}

#[tokio::test]
async fn are_called_off_once() {
    let brain = Brain::start().await;
    brain.call("tasks", json!({"taskId": "t-1"})).await;
    let off = json!({"actorId": "boss", "reason": "not needed"});
    brain.show_call("task_cancelled", "tasks/t-1/cancel", off).await;
    brain
        .show_call("task_cancelled_again", "tasks/t-1/cancel", json!({}))
        .await;
    assert_eq!(brain.read("tasks/t-1").await["error"], "not needed");
    brain
        .show_call("task_cancelled_unknown", "tasks/nowhere/cancel", json!({}))
        .await;
    // Everything has a default, so there need not be a body.
    brain.call("tasks", json!({"taskId": "t-2"})).await;
    let empty = brain.post("/api/swarm/tasks/t-2/cancel").send().await.unwrap();
    assert_eq!(empty.status(), 200);
    let events = brain.read("events?type=task.cancelled").await;
    let actors: Vec<_> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["actorId"])
        .collect();
    assert_eq!(actors, ["boss", "api"]);
    brain
        .show_call("task_cancelled_unknown_field", "tasks/t-2/cancel", json!({"why": "so"}))
        .await;
    brain
        .show_call("task_cancelled_list", "tasks/t-2/cancel", json!(["boss", "so"]))
        .await;
}

#[tokio::test]
async fn that_ended_badly_get_another_try() {
    let brain = Brain::start().await;
    brain.call("tasks", json!({"taskId": "t-1", "maxAttempts": 1})).await;
    let token = brain.claim("a", "t-1").await;
    brain
        .show_call("task_retried_while_running", "tasks/t-1/retry", json!({}))
        .await;
    let failed = json!({"agentId": "a", "fencingToken": token, "error": "no"});
    assert_eq!(brain.call("tasks/t-1/fail", failed).await["status"], "failed");
    brain
        .show_call("task_retried", "tasks/t-1/retry", json!({"actorId": "boss"}))
        .await;
    brain.show("task_with_history", "tasks/t-1").await;
    assert!(brain.claim("a", "t-1").await > token);
}

#[tokio::test]
async fn are_given_to_another_agent() {
    let brain = Brain::start().await;
    brain.call("tasks", json!({"taskId": "t-1"})).await;
    let token = brain.claim("a", "t-1").await;
    brain
        .show_call(
            "task_reassigned_to_nobody",
            "tasks/t-1/reassign",
            json!({"agentId": "b"}),
        )
        .await;
    brain.call("agents", json!({"agentId": "b"})).await;
    brain
        .show_call(
            "task_reassigned",
            "tasks/t-1/reassign",
            json!({"agentId": "b", "actorId": "boss"}),
        )
        .await;
    brain
        .show_call("task_reassigned_nowhere", "tasks/t-1/reassign", json!({}))
        .await;
    let late = json!({"agentId": "a", "fencingToken": token});
    brain
        .show_call("complete_after_reassignment", "tasks/t-1/complete", late)
        .await;
    assert!(brain.claim("b", "t-1").await > token);
}
