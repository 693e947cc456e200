//! `/api/swarm/runs`.

use serde_json::json;

use crate::brain::Brain;

#[tokio::test]
async fn are_listed_and_shown() {
    let brain = Brain::start().await;
    brain.show("runs_none", "runs").await;
    for run in ["r-1", "r-2", "r/3"] {
        brain
            .call("tasks", json!({"taskId": format!("of {run}"), "runId": run}))
            .await;
    }
    brain.call("runs/r-2/cancel", json!({})).await;
    brain.show("run", "runs/r%2F3").await;
    brain.show("run_unknown", "runs/nowhere").await;
    let ids = |page: &serde_json::Value| {
        let runs = page["runs"].as_array().unwrap().iter();
        runs.map(|run| run["runId"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = brain.read("runs?limit=2").await;
    assert_eq!(ids(&first), ["r-1", "r-2"]);
    let cursor = first["nextCursor"].as_str().unwrap();
    assert_eq!(
        ids(&brain.read(&format!("runs?limit=2&cursor={cursor}")).await),
        ["r/3"]
    );
    assert_eq!(ids(&brain.read("runs?state=cancelled").await), ["r-2"]);
    brain.show("runs_wrong_state", "runs?state=lost").await;
    brain
        .show("runs_cursor_of_another_list", &format!("budgets?cursor={cursor}"))
        .await;
}

#[tokio::test]
async fn are_called_off_with_all_their_tasks() {
    let brain = Brain::start().await;
    let tasks: Vec<_> = (0..300)
        .map(|n| json!({"taskId": format!("t-{n}"), "runId": "r-1"}))
        .collect();
    brain.call("tasks", json!({"tasks": tasks})).await;
    let off = json!({"actorId": "boss", "reason": "too late"});
    brain.show_call("run_cancelled", "runs/r-1/cancel", off).await;
    brain
        .show_call("run_cancelled_again", "runs/r-1/cancel", json!({}))
        .await;
    brain
        .show_call(
            "task_in_a_cancelled_run",
            "tasks",
            json!({"taskId": "late", "runId": "r-1"}),
        )
        .await;
    brain
        .show_call("run_cancelled_unknown", "runs/nowhere/cancel", json!({}))
        .await;
    assert_eq!(brain.stored("task.cancelled").await, 300);
}

#[tokio::test]
async fn are_summed_up_at_their_end() {
    let brain = Brain::start().await;
    for task in ["t-1", "t-2"] {
        brain.call("tasks", json!({"taskId": task, "runId": "r-1"})).await;
    }
    let token = brain.claim("a", "t-1").await;
    brain
        .call("tasks/t-1/complete", json!({"agentId": "a", "fencingToken": token}))
        .await;
    let end = json!({"actorId": "boss", "summary": {"pages": 12}});
    brain.show_call("run_finished", "runs/r-1/finish", end).await;
    brain
        .show_call("run_finished_again", "runs/r-1/finish", json!({}))
        .await;
    brain
        .show_call("run_finished_unknown", "runs/nowhere/finish", json!({}))
        .await;
    brain
        .show_call("run_finished_with_text", "runs/r-1/finish", json!({"summary": "good"}))
        .await;
}

#[tokio::test]
async fn have_messages_for_all_that_work_in_them() {
    let brain = Brain::start().await;
    brain.call("tasks", json!({"taskId": "t-1", "runId": "r-1"})).await;
    brain.show("run_messages_none", "runs/r-1/messages").await;
    brain
        .show_call(
            "message_to_a_run",
            "runs/r-1/messages",
            json!({"actorId": "boss", "message": "stop at five"}),
        )
        .await;
    brain.show("run_messages", "runs/r-1/messages").await;
    brain
        .show_call("message_to_no_run", "runs/nowhere/messages", json!({"message": "hi"}))
        .await;
    brain.show("run_messages_unknown", "runs/nowhere/messages").await;
}
