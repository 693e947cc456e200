//! What workers say of the tasks that they hold.

use serde_json::json;

use crate::brain::Brain;

#[tokio::test]
async fn a_task_is_claimed_and_completed_once() {
    let brain = Brain::start().await;
    brain
        .call(
            "tasks",
            json!({"taskId": "t/1 ü", "inputs": {"n": 1}, "role": "worker", "priority": 3}),
        )
        .await;
    brain.call("agents", json!({"agentId": "a"})).await;
    let ask = json!({"agentId": "a", "max": 10, "leaseMs": 60_000, "waitMs": 0});
    brain.show_call("claimed", "tasks/claim", ask.clone()).await;
    brain.show_call("claimed_nothing", "tasks/claim", ask).await;
    let token = brain.database.client().await;
    let token: i64 = token
        .query_one("SELECT fencing_token FROM swarm_tasks", &[])
        .await
        .unwrap()
        .get(0);
    let task = "tasks/t%2F1%20%C3%BC";
    let stale = json!({"agentId": "a", "fencingToken": token - 1, "outputs": {}});
    brain
        .show_call("complete_with_a_stale_token", &format!("{task}/complete"), stale)
        .await;
    let foreign = json!({"agentId": "b", "fencingToken": token});
    brain
        .show_call("complete_by_another_agent", &format!("{task}/complete"), foreign)
        .await;
    let done = json!({"agentId": "a", "fencingToken": token, "outputs": {"words": 2}});
    brain
        .show_call("completed", &format!("{task}/complete"), done.clone())
        .await;
    brain
        .show_call("completed_again", &format!("{task}/complete"), done)
        .await;
    let failed = json!({"agentId": "a", "fencingToken": token, "error": "no"});
    brain
        .show_call("fail_after_completing", &format!("{task}/fail"), failed)
        .await;
    brain.show("task_completed", task).await;
    assert_eq!(brain.stored("task.completed").await, 1);
}

#[tokio::test]
async fn an_attempt_fails_and_another_follows() {
    let brain = Brain::start().await;
    let backoff = json!({"initialMs": 60_000, "maxMs": 60_000, "factor": 1});
    for task in ["again", "never"] {
        brain.call("tasks", json!({"taskId": task, "backoff": backoff})).await;
    }
    let token = brain.claim("a", "again").await;
    let failed = json!({"agentId": "a", "fencingToken": token, "error": "the disk is full"});
    brain.show_call("failed_for_now", "tasks/again/fail", failed).await;
    let token = brain.claim("a", "never").await;
    let failed = json!({"agentId": "a", "fencingToken": token, "error": "no such file", "retryable": false});
    brain.show_call("failed_for_good", "tasks/never/fail", failed).await;
    brain.show("tasks_failed", "tasks?status=failed").await;
}

#[tokio::test]
async fn a_task_is_given_back_with_its_progress() {
    let brain = Brain::start().await;
    brain.call("tasks", json!({"taskId": "t-1"})).await;
    let token = brain.claim("a", "t-1").await;
    let progress = json!({"agentId": "a", "fencingToken": token, "progress": {"page": 3}});
    brain.show_call("progress_noted", "tasks/t-1/progress", progress).await;
    let events = json!({"agentId": "a", "fencingToken": token, "events": [
        {"type": "page.read", "payload": {"page": 3}}, {"type": "page.read"}]});
    brain.show_call("events_emitted", "tasks/t-1/emit", events).await;
    let release = json!({"agentId": "a", "fencingToken": token, "delayMs": 0});
    brain.show_call("released", "tasks/t-1/release", release).await;
    let claimed = brain.call("tasks/claim", json!({"agentId": "a"})).await["tasks"][0].clone();
    assert_eq!(
        (&claimed["progress"], &claimed["attempt"]),
        (&json!({"page": 3}), &json!(1))
    );
    for (name, path, field, value) in [
        ("progress", "progress", "progress", json!({"page": 4})),
        ("emit", "emit", "events", json!([{"type": "page.read"}])),
        ("release", "release", "delayMs", json!(0)),
    ] {
        let mut late = json!({"agentId": "a", "fencingToken": token});
        late[field] = value;
        brain
            .show_call(&format!("{name}_after_release"), &format!("tasks/t-1/{path}"), late)
            .await;
    }
    assert_eq!(brain.stored("page.read").await, 2);
}

#[tokio::test]
async fn many_tasks_end_in_one_call_each_for_itself() {
    let brain = Brain::start().await;
    let tasks: Vec<_> = (1..=3)
        .map(|n| json!({"taskId": format!("t-{n}"), "maxAttempts": 1}))
        .collect();
    brain.call("tasks", json!({"tasks": tasks})).await;
    brain.call("agents", json!({"agentId": "a"})).await;
    let claimed = brain.call("tasks/claim", json!({"agentId": "a", "max": 3})).await;
    let token = |place: usize| claimed["tasks"][place]["fencingToken"].clone();
    let ends = json!({"agentId": "a", "results": [
        {"taskId": "t-1", "fencingToken": token(0), "outputs": {"n": 1}},
        {"taskId": "nowhere", "fencingToken": 1, "outputs": {}},
        {"taskId": "t-2", "fencingToken": 0, "outputs": {}},
        {"taskId": "t-3", "fencingToken": token(2), "error": "no", "retryable": true, "retryAfterMs": 5},
        {"taskId": "t-2", "fencingToken": token(1), "outputs": {}},
        {"taskId": "t-2", "fencingToken": token(1), "outputs": {}},
    ]});
    brain.show_call("finished", "tasks/finish", ends).await;
    for (name, results) in [
        ("none", json!([])),
        (
            "too_many",
            json!(vec![json!({"taskId": "t", "fencingToken": 1, "outputs": {}}); 1001]),
        ),
        (
            "unclear",
            json!([{"taskId": "t", "fencingToken": 1}, {"taskId": "t", "fencingToken": 1, "outputs": {}, "error": "no"},
                {"taskId": "t", "fencingToken": 1, "outputs": {}, "retryable": true}]),
        ),
        ("list", json!([["t", 1, {}]])),
    ] {
        let ends = json!({"agentId": "a", "results": results});
        brain
            .show_call(&format!("finish_refused_{name}"), "tasks/finish", ends)
            .await;
    }
}

#[tokio::test]
async fn what_cannot_be_said_is_refused_with_the_remedy() {
    let brain = Brain::start().await;
    brain.call("tasks", json!({"taskId": "t-1"})).await;
    let token = brain.claim("a", "t-1").await;
    let with = |fields: serde_json::Value| {
        let mut body = json!({"agentId": "a", "fencingToken": token});
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        body
    };
    let cases = [
        ("claim_by_a_stranger", "tasks/claim", json!({"agentId": "stranger"})),
        ("claim_none", "tasks/claim", json!({"agentId": "a", "max": 0})),
        ("claim_too_many", "tasks/claim", json!({"agentId": "a", "max": 1001})),
        (
            "claim_less_than_none",
            "tasks/claim",
            json!({"agentId": "a", "max": -1}),
        ),
        (
            "claim_short_lease",
            "tasks/claim",
            json!({"agentId": "a", "leaseMs": 999}),
        ),
        (
            "claim_long_lease",
            "tasks/claim",
            json!({"agentId": "a", "leaseMs": u64::MAX}),
        ),
        (
            "claim_long_wait",
            "tasks/claim",
            json!({"agentId": "a", "waitMs": 60_001}),
        ),
        ("claim_nobody", "tasks/claim", json!({})),
        ("claim_list", "tasks/claim", json!(["a"])),
        ("claim_unknown_field", "tasks/claim", json!({"agentId": "a", "wait": 5})),
        ("complete_outputs", "tasks/t-1/complete", with(json!({"outputs": [1]}))),
        ("complete_without_token", "tasks/t-1/complete", json!({"agentId": "a"})),
        ("complete_unknown_task", "tasks/nowhere/complete", with(json!({}))),
        (
            "complete_unknown_field",
            "tasks/t-1/complete",
            with(json!({"output": {}})),
        ),
        ("complete_list", "tasks/t-1/complete", json!(["a", token, {}])),
        ("fail_without_error", "tasks/t-1/fail", with(json!({}))),
        (
            "fail_far_away",
            "tasks/t-1/fail",
            with(json!({"error": "no", "retryAfterMs": u64::MAX})),
        ),
        (
            "release_far_away",
            "tasks/t-1/release",
            with(json!({"delayMs": u64::MAX})),
        ),
        ("progress_text", "tasks/t-1/progress", with(json!({"progress": "half"}))),
        ("emit_nothing", "tasks/t-1/emit", with(json!({"events": []}))),
        (
            "emit_known_type",
            "tasks/t-1/emit",
            with(json!({"events": [{"type": "task.completed"}]})),
        ),
        (
            "emit_no_type",
            "tasks/t-1/emit",
            with(json!({"events": [{"type": "Nonsense"}]})),
        ),
    ];
    for (name, path, body) in cases {
        brain.show_call(&format!("refused_{name}"), path, body).await;
    }
    assert_eq!(
        brain.read("tasks/t-1").await["status"],
        "running",
        "nothing of it counted"
    );
    brain.call("tasks/t-1/cancel", json!({})).await;
    brain
        .show_call("complete_after_cancelling", "tasks/t-1/complete", with(json!({})))
        .await;
}
