//! `brain migrate`: applies once, and says where a database stands.

use brain_testkit::TestDatabase;

use crate::brain_process::{environment, run};

#[tokio::test]
async fn an_empty_database_is_brought_up_once_and_then_is_ok() {
    let database = TestDatabase::empty().await;
    let variables = environment(&database.config(), &[]);

    let status = run(&variables, &["migrate", "status"]).await;
    assert_eq!(status.code, Some(1), "{}", status.stdout);
    assert!(
        status.stdout.contains("001_job_runs.sql is pending"),
        "{}",
        status.stdout
    );

    let up = run(&variables, &["migrate", "--output", "json"]).await;
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    let applied: serde_json::Value = serde_json::from_str(&up.stdout).unwrap();
    assert_eq!(applied[0]["fileName"], "001_job_runs.sql");

    let again = run(&variables, &["migrate", "up"]).await;
    assert_eq!(again.code, Some(0));
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);

    let status = run(&variables, &["migrate", "status"]).await;
    assert_eq!(status.code, Some(0), "{}", status.stdout);
    assert!(status.stdout.contains("\nok:"), "{}", status.stdout);
}

#[tokio::test]
async fn two_processes_at_once_apply_each_migration_once() {
    let database = TestDatabase::empty().await;
    let variables = environment(&database.config(), &[]);
    let up = ["migrate", "up", "--output", "json"];
    let (one, two) = tokio::join!(run(&variables, &up), run(&variables, &up));
    let applied = |ended: &crate::brain_process::Ended| -> usize {
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        serde_json::from_str::<Vec<serde_json::Value>>(&ended.stdout)
            .unwrap()
            .len()
    };
    let client = database.client().await;
    let rows: i64 = client
        .query_one("SELECT count(*) FROM brain_migrations", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(applied(&one) + applied(&two), usize::try_from(rows).unwrap());
    assert!(rows >= 6);
}

#[tokio::test]
async fn a_dropped_column_is_named_and_ends_with_code_1() {
    let database = crate::brain_process::migrated().await;
    database
        .client()
        .await
        .batch_execute("ALTER TABLE swarm_tasks DROP COLUMN priority CASCADE")
        .await
        .unwrap();
    let variables = environment(&database.config(), &[]);
    let status = run(&variables, &["migrate", "status", "--output", "json"]).await;
    assert_eq!(status.code, Some(1));
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["ok"], false);
    let problems = status["problems"].to_string();
    assert!(
        problems.contains("swarm_tasks") && problems.contains("priority"),
        "{problems}"
    );
}

#[tokio::test]
async fn a_database_that_does_not_answer_ends_with_code_1_and_names_the_address() {
    let database = TestDatabase::empty().await;
    let variables = environment(&database.config(), &[("PGPORT", "1")]);
    let ended = run(&variables, &["migrate"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains(":1/"), "{}", ended.stderr);
}
