//! Events in, tasks out: the client commands against a running brain.

use brain_testkit::eventually;
use fred::interfaces::{ClientLike as _, StreamsInterface as _};
use serde_json::json;

use crate::brain_process::{BrainProcess, environment, migrated, run};

#[tokio::test]
async fn what_is_published_is_stored_assigned_and_shown() {
    let database = migrated().await;
    let mut config = database.config();
    config.swarm.orchestrator_enabled = true;
    let brain = BrainProcess::start(&config, &[]).await;

    let joined = brain
        .cli(&["event", "publish", "--type", "run.started", "--actor", "worker-1"])
        .await;
    assert_eq!(joined.code, Some(0), "{}", joined.stderr);
    let payload = r#"{"taskId":"t1","inputs":{"n":1}}"#;
    let publish = [
        "event",
        "publish",
        "--type",
        "task.created",
        "--id",
        "e1",
        "--payload",
        payload,
    ];
    assert_eq!(brain.json(&publish).await["events"][0]["duplicate"], false);

    let task = brain.json(&["task", "show", "t1"]).await;
    assert_eq!(
        (&task["status"], &task["assignedAgentId"]),
        (&json!("assigned"), &json!("worker-1"))
    );
    let tasks = brain
        .json(&["task", "list", "--status", "assigned", "--agent", "worker-1"])
        .await;
    assert_eq!(
        (tasks["tasks"].as_array().unwrap().len(), &tasks["more"]),
        (1, &json!(false))
    );
    let agents = brain.json(&["agent", "list", "--status", "live"]).await;
    assert!(agents["agents"].to_string().contains("worker-1"), "{agents}");

    let tail = brain
        .cli(&[
            "event",
            "tail",
            "--from",
            "1",
            "--type",
            "task.assigned",
            "--output",
            "jsonl",
        ])
        .await;
    let event: serde_json::Value = serde_json::from_str(tail.stdout.trim()).unwrap();
    assert_eq!(event["causationId"], "e1");

    let table = brain.cli(&["task", "list"]).await.stdout;
    assert!(table.starts_with("TASK") && table.contains("worker-1"), "{table}");
    let unknown = brain.cli(&["task", "show", "t2"]).await;
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("there is no task t2"), "{}", unknown.stderr);
    let doctor = run(brain.variables(), &["doctor", "--invariants", "--output", "json"]).await;
    assert_eq!(doctor.code, Some(0), "{}{}", doctor.stdout, doctor.stderr);
}

#[tokio::test]
async fn a_file_of_events_is_published_in_batches_and_followed() {
    let database = migrated().await;
    let config = database.config();
    let brain = BrainProcess::start(&config, &[]).await;
    let events: String = (1..=600)
        .map(|n| format!("{{\"type\":\"build.finished\",\"payload\":{{\"n\":{n}}}}}\n"))
        .collect();
    let published = brain
        .cli_with_input(&["event", "publish", "--file", "-"], &events)
        .await;
    assert_eq!(published.code, Some(0), "{}", published.stderr);
    assert!(
        published.stdout.starts_with("600 events: 600 stored now"),
        "{}",
        published.stdout
    );

    let tail = brain
        .cli(&[
            "event", "tail", "--from", "1", "--follow", "--limit", "600", "--output", "jsonl",
        ])
        .await;
    let numbers = tail.stdout.lines().map(|line| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["payload"]["n"], event["seq"]);
        event["seq"].as_i64().unwrap()
    });
    assert!(numbers.eq(1..=600), "{}", tail.stdout);
    let last = brain.json(&["event", "tail"]).await;
    assert_eq!(last["events"].as_array().unwrap().len(), 20);

    let refused = brain
        .cli_with_input(
            &["event", "publish", "--file", "-"],
            r#"[{"type":"a.b"},{"type":"nonsense"}]"#,
        )
        .await;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("event 1:") && refused.stderr.contains("nothing was stored"),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
async fn a_dead_letter_is_listed_mended_and_dropped() {
    let database = migrated().await;
    let mut config = database.config();
    config.swarm.orchestrator_enabled = true;
    let brain = BrainProcess::start(&config, &[("STUDIO_BRAIN_EVENT_BUS_START_ID", "0-0")]).await;
    let redis = fred::types::Builder::from_config(fred::types::config::Config {
        server: fred::types::config::ServerConfig::new_centralized(config.redis.host.as_str(), config.redis.port),
        ..Default::default()
    })
    .build()
    .unwrap();
    redis.init().await.unwrap();
    for raw in ["\u{1b}[2Jnot json", "{\"type\":"] {
        let () = redis
            .xadd(
                config.bus.stream_name.as_str(),
                false,
                None::<()>,
                "*",
                vec![("event", raw)],
            )
            .await
            .unwrap();
    }
    let letters = eventually("both entries are dead letters", async || {
        let letters = brain.json(&["dead-letter", "list", "--reason", "malformed"]).await["deadLetters"].clone();
        (letters.as_array().unwrap().len() == 2).then_some(letters)
    })
    .await;
    let (newest, oldest) = (
        letters[0]["deadLetterId"].as_str().unwrap(),
        letters[1]["deadLetterId"].as_str().unwrap(),
    );

    let shown = brain.cli(&["dead-letter", "show", oldest]).await.stdout;
    assert!(
        shown.contains("\\u{1b}[2Jnot json") && !shown.contains('\u{1b}'),
        "{shown}"
    );

    let mended = json!({"id": "e1", "type": "task.created", "swarmId": config.swarm.swarm_id, "runId": "r", "actorId": "me",
        "payload": {"taskId": "mended"}, "createdAt": "2026-01-02T03:04:05Z"});
    let mended = &mended.to_string();
    let replayed = brain
        .cli_with_input(&["dead-letter", "replay", oldest, "--with", "-"], mended)
        .await;
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    assert_eq!(brain.json(&["task", "show", "mended"]).await["taskId"], "mended");
    let again = brain
        .cli_with_input(&["dead-letter", "replay", oldest, "--with", "-"], mended)
        .await;
    assert_eq!(again.code, Some(1), "{}", again.stdout);

    assert_eq!(brain.cli(&["dead-letter", "drop", newest]).await.code, Some(0));
    let parked = brain.cli(&["dead-letter", "list", "--status", "parked"]).await;
    assert_eq!(parked.stdout, "none\n");
}

#[tokio::test]
async fn a_server_with_a_token_refuses_changes_without_it() {
    let database = migrated().await;
    let config = database.config();
    let brain = BrainProcess::start(&config, &[("STUDIO_BRAIN_ADMIN_TOKEN", "letmein")]).await;
    let url = brain.url().to_owned();
    let publish = ["event", "publish", "--type", "build.finished", "--server", &url];
    let variables = environment(&config, &[]);
    let refused = run(&variables, &publish).await;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("--token") && refused.stderr.contains("STUDIO_BRAIN_ADMIN_TOKEN"),
        "{}",
        refused.stderr
    );
    assert_eq!(
        run(&variables, &[&publish[..], &["--token", "letmein"]].concat())
            .await
            .code,
        Some(0)
    );
    assert_eq!(
        brain.cli(&publish[..4]).await.code,
        Some(0),
        "the token of the environment is used"
    );
    assert!(!brain.stderr().contains("letmein"));
}

#[tokio::test]
async fn a_schedule_is_put_fires_and_is_deleted() {
    let database = migrated().await;
    let mut config = database.config();
    config.swarm.orchestrator_enabled = true;
    let brain = BrainProcess::start(&config, &[]).await;
    let put = [
        "schedule",
        "put",
        "often",
        "--cron",
        "* * * * * *",
        "--time-zone",
        "Europe/Berlin",
        "--task",
        r#"{"inputs":{"n":1}}"#,
    ];
    assert_eq!(brain.json(&put).await["actorId"], "cli");
    let task = eventually("a task of the schedule", async || {
        let schedule = brain.json(&["schedule", "show", "often"]).await;
        schedule["lastTaskId"].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(brain.json(&["task", "show", &task]).await["inputs"], json!({"n": 1}));
    let table = brain.cli(&["schedule", "list"]).await.stdout;
    assert!(
        table.starts_with("SCHEDULE") && table.contains("Europe/Berlin"),
        "{table}"
    );

    let deleted = brain.cli(&["schedule", "delete", "often"]).await;
    assert_eq!((deleted.code, deleted.stdout.trim()), (Some(0), "deleted often"));
    let unknown = brain.cli(&["schedule", "delete", "often"]).await;
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stderr.contains("there is no schedule often"),
        "{}",
        unknown.stderr
    );
    let wrong = brain.cli(&["schedule", "put", "x", "--cron", "0 25 * * *"]).await;
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.stderr.contains("the hour is"), "{}", wrong.stderr);
    let task = brain
        .cli(&["schedule", "put", "x", "--cron", "@daily", "--task", "[]"])
        .await;
    assert!(task.stderr.contains("must hold a JSON object"), "{}", task.stderr);
}
