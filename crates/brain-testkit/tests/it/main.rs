//! A test's own share of the servers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};

use brain_testkit::{TestDatabase, eventually, test_config};
use tokio_postgres::NoTls;

async fn migrate(settings: brain_config::Postgres) -> Result<(), tokio_postgres::Error> {
    use secrecy::ExposeSecret;
    let mut config = tokio_postgres::Config::new();
    config
        .host(&settings.host)
        .port(settings.port)
        .user(&settings.user)
        .dbname(&settings.database);
    let (client, connection) = config
        .password(settings.password.expose_secret())
        .connect(NoTls)
        .await?;
    let driver = tokio::spawn(connection);
    client.batch_execute("CREATE TABLE migrated (n int)").await?;
    drop(client);
    let _ = driver.await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tests_at_once_migrate_once_and_do_not_see_each_other() {
    static MIGRATED: AtomicUsize = AtomicUsize::new(0);
    let one = async || {
        TestDatabase::create(async |settings| {
            MIGRATED.fetch_add(1, Ordering::SeqCst);
            migrate(settings).await
        })
        .await
    };
    let mut databases = Vec::new();
    let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
    databases.extend([a, b, c, d]);
    assert!(MIGRATED.load(Ordering::SeqCst) <= 1);
    for database in &databases {
        let client = database.client().await;
        client.batch_execute("INSERT INTO migrated VALUES (1)").await.unwrap();
        let count: i64 = client
            .query_one("SELECT count(*) FROM migrated", &[])
            .await
            .unwrap()
            .get(0);
        assert_eq!(count, 1);
        assert_eq!(database.config().bus.stream_name, database.config().bus.stream_name);
    }
    let streams: std::collections::BTreeSet<_> = databases
        .iter()
        .map(|database| database.config().bus.stream_name)
        .collect();
    assert_eq!(streams.len(), databases.len());
}

#[tokio::test]
async fn a_database_is_gone_after_the_test_whoever_is_connected() {
    let database = TestDatabase::empty().await;
    let name = database.name().to_owned();
    let _connected = database.client().await;
    let other = TestDatabase::empty().await;
    let client = other.client().await;
    drop(database);
    let left = client
        .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name])
        .await
        .unwrap();
    assert!(left.is_none());
}

#[tokio::test]
async fn waiting_ends_with_the_value_as_soon_as_there_is_one() {
    let mut asked = 0;
    let value = eventually("the third question is answered", async || {
        asked += 1;
        (asked == 3).then_some("yes")
    })
    .await;
    assert_eq!(value, "yes");
    assert_ne!(test_config().artifacts.bucket, test_config().artifacts.bucket);
}
