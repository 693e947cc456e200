//! `brain token`, `brain whoami` and `brain profile` against a server that wants a token.

use serde_json::Value;

use crate::brain_process::{BrainProcess, environment, migrated, run, run_with_input};

#[tokio::test]
async fn the_first_token_comes_from_the_database_and_gives_the_next() {
    let database = migrated().await;
    let config = database.config();
    let brain = BrainProcess::start(&config, &[("STUDIO_BRAIN_AUTH_REQUIRED", "true")]).await;
    let folder = brain_testkit::scratch_dir();
    let profiles = folder.join("profiles.toml").display().to_string();
    let variables = environment(&config, &[("BRAIN_PROFILES", &profiles), ("BRAIN_SERVER", brain.url())]);
    let cli = async |words: &[&str]| run(&variables, words).await;

    let refused = cli(&["task", "list"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("BRAIN_TOKEN"), "{}", refused.stderr);

    let refused = cli(&["healthcheck", "--running"]).await;
    assert!(
        refused.stderr.contains("BRAIN_TOKEN"),
        "not that it is no brain: {}",
        refused.stderr
    );

    let words = [
        "token",
        "create",
        "--database",
        "--name",
        "root",
        "--role",
        "admin",
        "--output",
        "json",
    ];
    let made = cli(&words).await;
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let made: Value = serde_json::from_str(&made.stdout).unwrap();
    let root = made["token"].as_str().unwrap().to_owned();

    let mut words = vec!["profile", "set", "root", "--server", brain.url(), "--token-stdin"];
    assert_eq!(run_with_input(&variables, &words, &root).await.code, Some(0));
    let listed = cli(&["profile", "list"]).await;
    assert!(
        listed.stdout.contains("[set]") && !listed.stdout.contains("brain_"),
        "{}",
        listed.stdout
    );

    words = vec![
        "token",
        "create",
        "--profile",
        "root",
        "--name",
        "worker-1",
        "--role",
        "agent",
        "--bound",
    ];
    words.extend(["--scope", "tasks:work", "--expires-in", "12h", "--output", "json"]);
    let worker = cli(&words).await;
    assert_eq!(worker.code, Some(0), "{}", worker.stderr);
    let worker: Value = serde_json::from_str(&worker.stdout).unwrap();
    let (token, id) = (worker["token"].as_str().unwrap(), worker["tokenId"].as_str().unwrap());

    let health = cli(&["healthcheck", "--running", "--profile", "root"]).await;
    assert!(health.stdout.contains("postgres"), "{}", health.stderr);

    let who = cli(&["whoami", "--token", token]).await;
    assert!(
        who.stdout.contains("worker-1") && who.stdout.contains("tasks:work"),
        "{}",
        who.stdout
    );
    let refused = cli(&["task", "list", "--token", token]).await;
    assert!(refused.stderr.contains("tasks:read"), "{}", refused.stderr);

    let list = cli(&["token", "list", "--profile", "root"]).await;
    assert!(
        list.stdout.contains(id) && !list.stdout.contains("brain_"),
        "{}",
        list.stdout
    );
    assert_eq!(cli(&["token", "revoke", id, "--profile", "root"]).await.code, Some(0));
    let shown = cli(&["token", "show", id, "--profile", "root"]).await;
    assert!(shown.stdout.contains("revoked"), "{}", shown.stdout);
    assert_eq!(cli(&["whoami", "--token", token]).await.code, Some(1));

    assert_eq!(
        cli(&["token", "revoke", &root[6..22], "--database"]).await.code,
        Some(0)
    );
    assert_eq!(cli(&["profile", "remove", "root"]).await.code, Some(0));
    let unknown = cli(&["task", "list", "--profile", "root"]).await;
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.stderr.contains("there is no profile root"),
        "{}",
        unknown.stderr
    );
}
