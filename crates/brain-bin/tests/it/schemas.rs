//! Event schemas from the command line.

use serde_json::json;

use crate::brain_process::{BrainProcess, migrated};

const FIRST: &str = r#"{"type":"object","additionalProperties":false,"required":["status"],"properties":{"status":{"enum":["ok","failed"]}}}"#;
const NARROWER: &str = r#"{"type":"object","additionalProperties":false,"properties":{"status":{"const":"ok"}}}"#;

#[tokio::test]
async fn are_registered_checked_and_held_against_payloads() {
    let database = migrated().await;
    let brain = BrainProcess::start(&database.config(), &[]).await;
    let with = ["--type", "build.done"];
    let register = [&["schema", "register", "-"], &with[..]].concat();
    let registered = brain.cli_with_input(&register, FIRST).await;
    assert_eq!(registered.code, Some(0), "{}", registered.stderr);
    let check = [&["schema", "check", "-"], &with[..]].concat();
    let same = brain.cli_with_input(&check, FIRST).await;
    assert_eq!((same.code, same.stdout.trim()), (Some(0), "ok, as version 1"));
    let narrower = brain.cli_with_input(&check, NARROWER).await;
    assert_eq!(narrower.code, Some(1), "{}", narrower.stderr);
    insta::assert_snapshot!(narrower.stdout, @r#"backward  /properties/status/const  the writer may write "failed", which the reader does not take"#);
    let refused = brain.cli_with_input(&register, NARROWER).await;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("not backward compatible with version 1"),
        "{}",
        refused.stderr
    );
    let forced = [&register[..], &["--compatibility", "none", "--schema-version", "2"]].concat();
    assert_eq!(brain.cli_with_input(&forced, NARROWER).await.code, Some(0));

    let listed = brain.cli(&["schema", "list", "--type", "build.done"]).await.stdout;
    let row = |line: &str| line.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
    let rows: Vec<String> = listed.lines().map(row).collect();
    insta::assert_snapshot!(rows.join("\n"), @r"
    TYPE VERSION COMPATIBILITY BY
    build.done 1 backward api
    build.done 2 none api
    ");
    let shown = brain.json(&["schema", "show", "build.done"]).await;
    assert_eq!(shown["version"], 2);
    let old = brain
        .json(&["schema", "show", "build.done", "--schema-version", "1"])
        .await;
    assert_eq!(old["schema"]["required"], json!(["status"]));

    let validate = |payload: &'static str| [&["schema", "validate", "--payload", payload], &with[..]].concat();
    assert_eq!(brain.cli(&validate(r#"{"status":"ok"}"#)).await.code, Some(0));
    let wrong = brain.cli(&validate(r#"{"status":"late"}"#)).await;
    assert_eq!(wrong.code, Some(1));
    insta::assert_snapshot!(wrong.stdout, @r#"/status  "late" is not one of "ok" or "failed""#);
    let publish = [
        "event",
        "publish",
        "--type",
        "build.done",
        "--payload",
        r#"{"status":"late"}"#,
    ];
    let published = brain.cli(&publish).await;
    assert_eq!(published.code, Some(1));
    assert!(published.stderr.contains("is not one of"), "{}", published.stderr);
}
