//! What installed skills are used for: calls, tasks, capabilities.

use brain_testkit::eventually;
use serde_json::json;

use super::{Shop, call, done};
use crate::brain_process::migrated;

#[tokio::test]
async fn a_skill_is_installed_called_and_removed() {
    let shop = Shop::new().await;
    shop.publish("word-count").await;
    shop.publish("sandbox-report").await;
    let database = migrated().await;
    let brain = shop.serve(&database.config(), &[]).await;
    let found = brain.cli(&["skill", "search", "--refresh"]).await;
    done(&found);
    assert!(
        found.stdout.contains("word-count@1.0.0      examples"),
        "{}",
        found.stdout
    );
    assert!(
        found.stdout.contains("signed; what it says holds until"),
        "{}",
        found.stdout
    );
    let installed = brain.json(&["skill", "install", "word-count@1.0.0"]).await;
    assert_eq!(installed["publisher"], "examples", "{installed}");
    done(&brain.cli(&["skill", "install", "sandbox-report@1.0.0"]).await);

    let counted = call(&brain, "word-count@1.0.0", "count", r#"{"text": "a b a\nc", "top": 1}"#).await;
    assert_eq!(
        counted["result"],
        json!({"words": 4, "lines": 2, "top": [{"word": "a", "times": 2}]})
    );
    let warm = call(&brain, "word-count@1.0.0", "count", r#"{"text": "a"}"#).await;
    assert_eq!(warm["warm"], true);
    let enforced = counted["enforced"].as_array().unwrap();
    let seccomp = enforced.iter().find(|one| one["name"] == "seccomp").unwrap();
    assert_eq!(seccomp["enforced"], true);

    let seen = call(&brain, "sandbox-report@1.0.0", "report", "{}").await;
    let seen = &seen["result"];
    let text = |field: &str| seen[field].as_str().unwrap().to_owned();
    assert!(!text("user").contains("uid=0(root)"), "{seen}");
    assert!(
        !text("root")
            .split(' ')
            .any(|name| ["root", "home", "var", "sys", "boot"].contains(&name)),
        "{seen}"
    );
    assert!(text("code").contains("main.sh"), "{seen}");
    assert!(!text("interfaces").contains("eth"), "{seen}");
    for variable in ["PGPASSWORD", "STUDIO_BRAIN_HOST", "PGHOST"] {
        assert!(!text("variables").contains(variable), "{seen}");
    }

    let listed = brain.cli(&["skill", "list"]).await;
    assert!(listed.stdout.contains("sandbox-report@1.0.0") && listed.stdout.contains("word-count@1.0.0"));
    done(&brain.cli(&["skill", "verify", "word-count@1.0.0"]).await);
    done(&brain.cli(&["skill", "show", "word-count@1.0.0"]).await);
    let health = brain.json(&["healthcheck"]).await;
    let check = |name: &str| {
        health["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(check("skill_registry")["status"], "ok", "{health}");
    assert_eq!(check("skill_sandbox")["status"], "ok", "{health}");
    done(&brain.cli(&["skill", "remove", "word-count@1.0.0"]).await);
    let gone = brain.cli(&["skill", "call", "word-count@1.0.0", "count"]).await;
    assert_eq!(gone.code, Some(1));
    assert!(gone.stderr.contains("is not installed"), "{}", gone.stderr);
    let swept = brain.json(&["skill", "gc"]).await;
    assert_eq!(swept["removed"], 1);
}

#[tokio::test]
async fn a_task_is_worked_on_by_a_skill() {
    let shop = Shop::new().await;
    shop.publish("word-count").await;
    let database = migrated().await;
    let brain = shop
        .serve(&database.config(), &[("STUDIO_BRAIN_SKILL_TASKS", "2")])
        .await;
    done(&brain.cli(&["skill", "install", "word-count@1.0.0"]).await);
    let create = async |id: &str, inputs: serde_json::Value| {
        let inputs = inputs.to_string();
        let words = [
            "task",
            "create",
            "--id",
            id,
            "--capability",
            "skill",
            "--max-attempts",
            "1",
            "--inputs",
            &inputs,
        ];
        done(&brain.cli(&words).await);
    };
    create(
        "good",
        json!({"skill": "word-count@1.0.0", "command": "count", "payload": {"text": "one two"}}),
    )
    .await;
    create("bad", json!({"skill": "word-count@1.0.0", "command": "shout"})).await;
    create("wrong", json!({"skills": "word-count@1.0.0"})).await;
    let ended = async |id: &str, status: &str| {
        eventually("the task ends", async || {
            let task = brain.json(&["task", "show", id]).await;
            (task["status"] == status).then_some(task)
        })
        .await
    };
    let good = ended("good", "completed").await;
    assert_eq!(good["outputs"]["result"]["words"], 2, "{good}");
    assert_eq!(good["outputs"]["skill"], "word-count@1.0.0");
    assert!(
        good["outputs"]["digest"].as_str().unwrap().starts_with("sha256:"),
        "{good}"
    );
    assert!(good["outputs"]["enforced"].to_string().contains("seccomp"), "{good}");
    assert_eq!(good["progress"]["command"], "count", "{good}");
    let bad = ended("bad", "failed").await;
    assert!(bad["error"].to_string().contains("may be asked for count"), "{bad}");
    assert!(ended("wrong", "failed").await["error"].to_string().contains("inputs: "));
}

const CAPABILITIES: &str = r#"
[[capability]]
id = "text.count"
target = "texts"
description = "Counts words."
risk = "low"
owner = "o"
rollback_plan = "p"
escalation_path = "e"
executor = { type = "skill", skill = "word-count@1.0.0", command = "count", time_limit_seconds = 20 }
"#;

#[tokio::test]
async fn a_capability_is_carried_out_by_a_skill() {
    const WHY: &str = "because it has to be done";
    let shop = Shop::new().await;
    shop.publish("word-count").await;
    let file = shop.path("capabilities.toml");
    std::fs::write(&file, CAPABILITIES).unwrap();
    let database = migrated().await;
    let brain = shop
        .serve(&database.config(), &[("STUDIO_BRAIN_CAPABILITIES_FILE", &file)])
        .await;
    let propose = async |input: &str| {
        let words = [
            "proposal",
            "create",
            "--capability",
            "text.count",
            "--input",
            input,
            "--summary",
            "Count.",
            "--rationale",
            WHY,
        ];
        let made = brain.json(&words).await["proposalId"].as_str().unwrap().to_owned();
        done(
            &brain
                .cli(&["proposal", "approve", &made, "--yes", "--reason", WHY])
                .await,
        );
        made
    };
    let early = propose(r#"{"text": "x"}"#).await;
    let absent = brain.cli(&["proposal", "execute", &early]).await;
    assert!(
        format!("{}{}", absent.stdout, absent.stderr).contains("is not installed"),
        "{absent:?}"
    );

    done(&brain.cli(&["skill", "install", "word-count@1.0.0"]).await);
    let good = propose(r#"{"text": "one two three"}"#).await;
    let executed = brain.json(&["proposal", "execute", &good]).await;
    assert_eq!(executed["status"], "executed", "{executed}");
    assert_eq!(executed["executions"][0]["output"]["words"], 3, "{executed}");
    let wrong = propose(r#"{"words": 1}"#).await;
    let failed = brain.cli(&["proposal", "execute", &wrong, "--output", "json"]).await;
    assert!(
        format!("{}{}", failed.stdout, failed.stderr).contains("the skill says: payload"),
        "{failed:?}"
    );

    let stopped = propose(r#"{"text": "x"}"#).await;
    done(&brain.cli(&["kill-switch", "on", "--reason", WHY]).await);
    let refused = brain.cli(&["proposal", "execute", &stopped]).await;
    assert!(refused.stderr.contains("the kill switch is on"), "{refused:?}");
}
