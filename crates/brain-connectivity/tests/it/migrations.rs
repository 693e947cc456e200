//! The migration runner: once each, in order, all or nothing, and refusing what does not fit.

use std::path::Path;
use std::time::Duration;

use brain_connectivity::migrations::{Error, Migrations, State};
use brain_connectivity::postgres::Postgres;
use brain_testkit::TestDatabase;

fn write(folder: &Path, name: &str, sql: &str) {
    std::fs::write(folder.join(name), sql).unwrap();
}

fn three_steps() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "001_first.sql", "CREATE TABLE first (a integer);");
    write(
        folder.path(),
        "002_second.sql",
        "SELECT pg_sleep(0.3);\nINSERT INTO first VALUES (2);",
    );
    write(folder.path(), "003_third.sql", "INSERT INTO first VALUES (3);");
    folder
}

fn read(folder: &tempfile::TempDir) -> Migrations {
    Migrations::from_dir(folder.path()).unwrap()
}

async fn values(database: &TestDatabase) -> Vec<i32> {
    let rows = database
        .client()
        .await
        .query("SELECT a FROM first ORDER BY a", &[])
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn any_number_at_once_apply_each_migration_once() {
    let database = TestDatabase::empty().await;
    let folder = three_steps();
    let settings = database.config().postgres;
    let runs = (0..4).map(|_| {
        let (settings, migrations) = (settings.clone(), read(&folder));
        tokio::spawn(async move {
            let postgres = Postgres::open(&settings).unwrap();
            migrations.up(&postgres).await.unwrap()
        })
    });
    let mut applied = Vec::new();
    for run in runs.collect::<Vec<_>>() {
        applied.extend(run.await.unwrap().into_iter().map(|done| done.version));
    }
    applied.sort_unstable();
    assert_eq!(applied, [1, 2, 3]);
    assert_eq!(values(&database).await, [2, 3]);
    let rows = database
        .client()
        .await
        .query("SELECT name, duration_ms FROM brain_migrations ORDER BY version", &[])
        .await
        .unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(names, ["first", "second", "third"]);
    assert!(rows[1].get::<_, i64>(1) >= 300);
}

#[tokio::test]
async fn a_migration_may_take_longer_than_a_query() {
    let database = TestDatabase::empty().await;
    let mut settings = database.config().postgres;
    settings.query_timeout = Duration::from_millis(100);
    let postgres = Postgres::open(&settings).unwrap();
    assert_eq!(read(&three_steps()).up(&postgres).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_changed_file_is_refused_by_name_and_nothing_after_it_runs() {
    let database = TestDatabase::empty().await;
    let folder = three_steps();
    let postgres = Postgres::open(&database.config().postgres).unwrap();
    read(&folder).up(&postgres).await.unwrap();

    write(folder.path(), "002_second.sql", "INSERT INTO first VALUES (22);");
    write(folder.path(), "004_fourth.sql", "INSERT INTO first VALUES (4);");
    let error = read(&folder).up(&postgres).await.unwrap_err();
    assert!(
        matches!(&error, Error::Changed { name, .. } if name == "002_second.sql"),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .starts_with("002_second.sql was changed after it was applied"),
        "{error}"
    );
    assert_eq!(values(&database).await, [2, 3]);

    let status = read(&folder).status(&postgres).await.unwrap();
    assert_eq!(
        status.problems(),
        [
            "002_second.sql was changed after it was applied",
            "004_fourth.sql is pending"
        ]
    );
}

#[tokio::test]
async fn a_failing_migration_leaves_no_trace_and_names_its_line() {
    let database = TestDatabase::empty().await;
    let folder = three_steps();
    let postgres = Postgres::open(&database.config().postgres).unwrap();
    write(
        folder.path(),
        "002_second.sql",
        "-- Why: größer.\nINSERT INTO first VALUES (2);\nINSERT INTO nowhere VALUES (2);\n",
    );
    let error = read(&folder).up(&postgres).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("002_second.sql failed at line 3: "), "{text}");
    assert!(text.contains("relation \"nowhere\" does not exist"), "{text}");
    assert!(values(&database).await.is_empty());

    // What came before stays, so that after the repair only the rest runs.
    write(folder.path(), "002_second.sql", "INSERT INTO first VALUES (2);");
    let applied = read(&folder).up(&postgres).await.unwrap();
    assert_eq!(applied.iter().map(|done| done.version).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(values(&database).await, [2, 3]);
}

#[tokio::test]
async fn a_database_from_a_newer_program_is_refused_with_both_versions() {
    let database = TestDatabase::empty().await;
    let folder = three_steps();
    let postgres = Postgres::open(&database.config().postgres).unwrap();
    read(&folder).up(&postgres).await.unwrap();
    std::fs::remove_file(folder.path().join("003_third.sql")).unwrap();
    let error = read(&folder).up(&postgres).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the database is newer than this program: it has migration 003_third.sql, this program ends with \
         002_second.sql; use the program that made it, or a newer one"
    );
    let status = read(&folder).status(&postgres).await.unwrap();
    assert_eq!(status.problems(), ["003_third.sql is unknown to this program"]);
}

#[tokio::test]
async fn status_tells_pending_from_applied() {
    let database = TestDatabase::empty().await;
    let folder = three_steps();
    let postgres = Postgres::open(&database.config().postgres).unwrap();
    let before = read(&folder).status(&postgres).await.unwrap();
    assert_eq!((before.applied(), before.pending()), (0, 3));
    read(&folder).up(&postgres).await.unwrap();
    write(folder.path(), "004_fourth.sql", "SELECT 1;");
    let after = read(&folder).status(&postgres).await.unwrap();
    let states: Vec<String> = after
        .migrations
        .iter()
        .map(|migration| format!("{} {}", migration.file_name, migration.state))
        .collect();
    assert_eq!(
        states,
        [
            "001_first.sql applied",
            "002_second.sql applied",
            "003_third.sql applied",
            "004_fourth.sql pending"
        ]
    );
    assert!(matches!(after.migrations[1].state, State::Applied { duration_ms, .. } if duration_ms >= 300));
}

#[tokio::test]
async fn who_waits_for_the_lock_is_not_hurried_by_the_statement_timeout() {
    let database = TestDatabase::empty().await;
    let mut settings = database.config().postgres;
    settings.query_timeout = Duration::from_millis(100);
    let holder = database.client().await;
    holder
        .execute("SELECT pg_advisory_lock(x'627261696e6d6967'::bigint)", &[])
        .await
        .unwrap();
    let folder = three_steps();
    let migrations = read(&folder);
    let postgres = Postgres::open(&settings).unwrap();
    let run = tokio::spawn(async move { migrations.up(&postgres).await });

    // Well past the time-out it still waits.
    let waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() \
         AND wait_event = 'advisory' AND now() - query_start > interval '500 ms'";
    brain_testkit::eventually("the run waits for the lock", async || {
        (holder.query(waiting, &[]).await.unwrap().len() == 1).then_some(())
    })
    .await;
    drop(holder);
    assert_eq!(run.await.unwrap().unwrap().len(), 3);
}
