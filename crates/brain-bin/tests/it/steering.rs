//! Tasks, agents, runs and budgets as people steer them from the command line.

use serde_json::json;

use crate::brain_process::{BrainProcess, migrated};

#[tokio::test]
async fn tasks_are_created_and_steered() {
    let database = migrated().await;
    let brain = BrainProcess::start(&database.config(), &[]).await;
    let create = [
        "task",
        "create",
        "--id",
        "t/1",
        "--inputs",
        r#"{"n":1}"#,
        "--priority",
        "-5",
        "--run",
        "r-1",
        "--max-attempts",
        "2",
    ];
    let created = brain.json(&create).await;
    assert_eq!(
        (&created["tasks"][0]["taskId"], &created["tasks"][0]["duplicate"]),
        (&json!("t/1"), &json!(false))
    );
    let again = brain.cli(&create).await;
    assert_eq!(again.code, Some(1));
    assert!(
        again.stderr.contains("the task exists already; choose another taskId"),
        "{}",
        again.stderr
    );

    let lines =
        "{\"taskId\":\"c\",\"dependsOn\":[\"b\"]}\n{\"taskId\":\"b\",\"dependsOn\":[\"t/1\"],\"actorId\":\"boss\"}\n";
    let from_file = brain.cli_with_input(&["task", "create", "--file", "-"], lines).await;
    assert_eq!(from_file.code, Some(0), "{}", from_file.stderr);
    assert!(from_file.stdout.contains("dependencies"), "{}", from_file.stdout);
    let cycle = r#"[{"taskId":"x","dependsOn":["y"]},{"taskId":"y","dependsOn":["x"]}]"#;
    let cycle = brain.cli_with_input(&["task", "create", "--file", "-"], cycle).await;
    assert_eq!(cycle.code, Some(1));
    assert!(cycle.stderr.contains("x -> y -> x"), "{}", cycle.stderr);
    let wrong = brain.cli(&["task", "create", "--inputs", "[1]"]).await;
    assert!(
        wrong.stderr.contains("--inputs must be a JSON object"),
        "{}",
        wrong.stderr
    );

    let task = brain.json(&["task", "show", "t/1"]).await;
    assert_eq!((&task["priority"], &task["runId"]), (&json!(-5), &json!("r-1")));
    let shown = brain.cli(&["task", "show", "c"]).await.stdout;
    assert!(shown.contains("waiting for") && shown.contains("depends on"), "{shown}");
    let listed = brain.cli(&["task", "list"]).await.stdout;
    assert!(
        listed.contains("WAITING FOR") && listed.contains("dependencies"),
        "{listed}"
    );

    let register = [
        "agent",
        "register",
        "worker/1",
        "--capability",
        "ocr",
        "--capability",
        "tts",
        "--capacity",
        "2",
    ];
    assert_eq!(brain.json(&register).await["capabilities"], json!(["ocr", "tts"]));
    let given = brain.json(&["task", "reassign", "t/1", "--to", "worker/1"]).await;
    assert_eq!(given["status"], "assigned");
    let off = brain.json(&["task", "cancel", "t/1", "--reason", "not needed"]).await;
    assert_eq!(off["status"], "cancelled");
    let retried = brain.json(&["task", "retry", "t/1", "--actor", "boss"]).await;
    assert_eq!(retried["status"], "created");
    let events = brain
        .json(&["event", "tail", "--from", "1", "--type", "task.retrying"])
        .await;
    assert_eq!(events["events"][0]["actorId"], "boss");
    let unknown = brain.cli(&["task", "cancel", "nowhere"]).await;
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("the task is unknown"), "{}", unknown.stderr);
}

#[tokio::test]
async fn agents_runs_and_budgets_are_steered() {
    let database = migrated().await;
    let brain = BrainProcess::start(&database.config(), &[]).await;
    brain
        .json(&["agent", "register", "w", "--role", "writer", "--assignment", "push"])
        .await;
    assert_eq!(brain.json(&["agent", "drain", "w"]).await["draining"], true);
    let listed = brain.cli(&["agent", "list"]).await.stdout;
    assert!(listed.contains("live, draining"), "{listed}");
    assert_eq!(brain.json(&["agent", "resume", "w"]).await["draining"], false);
    let said = brain
        .json(&[
            "agent",
            "message",
            "w",
            "please hurry",
            "--data",
            r#"{"by":5}"#,
            "--actor",
            "boss",
        ])
        .await;
    let events = brain
        .json(&["event", "tail", "--from", "1", "--type", "agent.message"])
        .await;
    assert_eq!(events["events"][0]["id"], said["id"]);
    assert_eq!(events["events"][0]["payload"]["data"], json!({"by": 5}));

    brain
        .json(&["budget", "create", "--id", "b", "--max-units", "10", "--unit", "tokens"])
        .await;
    brain
        .json(&["task", "create", "--id", "t-1", "--run", "r-1", "--budget", "b"])
        .await;
    assert_eq!(
        brain.json(&["budget", "raise", "b", "--max-units", "20"]).await["available"],
        20
    );
    assert_eq!(brain.json(&["budget", "list"]).await["budgets"][0]["unit"], "tokens");
    let stopped = brain.cli(&["budget", "stop", "b", "--reason", "enough"]).await;
    assert!(stopped.stdout.contains("stopped"), "{}", stopped.stdout);
    assert_eq!(brain.json(&["task", "show", "t-1"]).await["status"], "cancelled");
    assert_eq!(brain.json(&["budget", "show", "b"]).await["state"], "stopped");

    brain.json(&["task", "create", "--id", "t-2", "--run", "r-2"]).await;
    let off = brain.json(&["run", "cancel", "r-2", "--reason", "too late"]).await;
    assert_eq!((&off["state"], &off["tasks"]["open"]), (&json!("cancelled"), &json!(0)));
    let end = brain
        .json(&["run", "finish", "r-1", "--summary", r#"{"pages":12}"#])
        .await;
    assert_eq!(end["summary"]["pages"], 12);
    assert_eq!(brain.json(&["run", "show", "r-1"]).await["state"], "finished");
    let runs = brain.cli(&["run", "list", "--state", "cancelled"]).await.stdout;
    assert!(runs.contains("r-2") && !runs.contains("r-1"), "{runs}");
}
