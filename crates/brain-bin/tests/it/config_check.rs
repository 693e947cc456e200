//! `brain config check`: what it shows, what it warns about, what it refuses.

use std::collections::BTreeMap;

use crate::brain_process::run;

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// The output without the settings that have their defaults, which change with every new setting.
fn not_defaults(output: &str) -> String {
    let (table, rest) = output.split_once("\n\n").unwrap();
    let (heading, rows) = table.split_once('\n').unwrap();
    let set = rows.lines().filter(|row| row.contains("  the "));
    let lines: Vec<&str> = std::iter::once(heading).chain(set).chain(["", rest]).collect();
    lines.join("\n")
}

#[tokio::test]
async fn every_setting_is_shown_without_secrets() {
    let set = variables(&[
        ("PGPASSWORD", "hunter2"),
        ("PGPORT", "5440"),
        ("STUDIO_BRAIN_ADMIN_TOKEN", "letmein"),
        ("STUDIO_BRAIN_EVENT_BUS_BATCHSIZE", "9"),
    ]);
    let ended = run(&set, &["config", "check", "--set", "STUDIO_BRAIN_LOG_LEVEL=debug"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stdout.contains("hunter2") && !ended.stdout.contains("letmein"));
    for definition in brain_config::definitions() {
        assert!(
            ended.stdout.contains(definition.name),
            "{} is not shown",
            definition.name
        );
    }
    insta::assert_snapshot!(not_defaults(&ended.stdout));
}

#[tokio::test]
async fn problems_are_listed_all_at_once_and_end_with_code_2() {
    let set = variables(&[
        ("PGPORT", "none"),
        ("STUDIO_BRAIN_LOG_LEVEL", "loud"),
        ("STUDIO_BRAIN_ADMIN_TOKEN", "a b"),
    ]);
    let ended = run(&set, &["config", "check"]).await;
    assert_eq!(ended.code, Some(2));
    insta::assert_snapshot!(format!("{}\n---\n{}", ended.stdout, ended.stderr));

    let ended = run(&set, &["config", "check", "--output", "json"]).await;
    assert_eq!(ended.code, Some(2));
    let found: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(found["ok"], false);
    assert_eq!(found["problems"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn every_command_refuses_a_wrong_configuration_with_code_2() {
    let set = variables(&[("PGPORT", "none")]);
    for arguments in [&["serve"][..], &["healthcheck"], &["migrate"], &["task", "list"]] {
        let ended = run(&set, arguments).await;
        assert_eq!(ended.code, Some(2), "{arguments:?}");
        assert!(ended.stderr.contains("PGPORT"), "{}", ended.stderr);
    }
    let ended = run(&variables(&[]), &["config", "check", "--set", "PGPROT=1"]).await;
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stdout.contains("PGPORT"),
        "the nearest name is not offered: {}",
        ended.stdout
    );
}

#[tokio::test]
async fn a_file_of_settings_is_read_and_a_missing_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings");
    std::fs::write(&file, "PGPORT=5441\n").unwrap();
    let ended = run(
        &variables(&[]),
        &[
            "--env-file",
            file.to_str().unwrap(),
            "config",
            "check",
            "--output",
            "json",
        ],
    )
    .await;
    let found: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let port = found["settings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["variable"] == "PGPORT")
        .unwrap();
    assert_eq!((&port["value"], &port["source"]), (&"5441".into(), &"dotenv".into()));

    let ended = run(&variables(&[]), &["config", "check", "--env-file", "/nowhere/settings"]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stdout.contains("/nowhere/settings"), "{}", ended.stdout);
}
