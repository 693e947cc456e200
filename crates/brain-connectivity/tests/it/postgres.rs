//! The pool and the connections of one's own: settings, limits, errors and recovery.

use std::time::{Duration, Instant};

use brain_connectivity::postgres::{Error, Kind, Postgres};
use brain_testkit::{TestDatabase, eventually, eventually_within, test_config};
use futures_util::future::join_all;

/// The backends of the pool and of dedicated connections, not the one that asks.
const BACKENDS: &str = "SELECT pid FROM pg_stat_activity \
     WHERE datname = current_database() AND application_name = 'studio-brain'";
const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
     WHERE datname = current_database() AND application_name = 'studio-brain'";

fn refused<T>(result: Result<T, Error>) -> Error {
    match result {
        Ok(_) => panic!("this should have been refused"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn every_connection_carries_the_session_settings() {
    let mut settings = test_config().postgres;
    settings.query_timeout = Duration::from_millis(1_234);
    let postgres = Postgres::open(&settings).unwrap();
    let pooled = postgres.client().await.unwrap();
    let (dedicated, _driver) = postgres.dedicated().await.unwrap();
    let (listening, _notifications) = postgres.dedicated_with_notifications().await.unwrap();
    for client in [&**pooled, &dedicated, &listening] {
        let row = client
            .query_one(
                "SELECT current_setting('statement_timeout'), current_setting('synchronous_commit'), \
                 current_setting('application_name'), current_setting('idle_in_transaction_session_timeout')",
                &[],
            )
            .await
            .unwrap();
        let settings: Vec<String> = (0..4).map(|index| row.get(index)).collect();
        assert_eq!(settings, ["1234ms", "on", "studio-brain", "1234ms"]);
    }
}

#[tokio::test]
async fn a_transaction_whose_client_falls_silent_gives_its_locks_back() {
    let mut settings = test_config().postgres;
    settings.query_timeout = Duration::from_millis(1_000);
    let postgres = Postgres::open(&settings).unwrap();
    let lock = "SELECT pg_try_advisory_lock(7260611)";
    let (silent, _driver) = postgres.dedicated().await.unwrap();
    silent.batch_execute("BEGIN").await.unwrap();
    assert!(silent.query_one(lock, &[]).await.unwrap().get::<_, bool>(0));
    let begun = Instant::now();
    eventually_within(Duration::from_secs(5), "the lock is free", async || {
        let client = postgres.client().await.ok()?;
        client.query_one(lock, &[]).await.ok()?.get::<_, bool>(0).then_some(())
    })
    .await;
    assert!(begun.elapsed() > Duration::from_millis(800), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended_and_says_which_limit_it_met() {
    let mut settings = test_config().postgres;
    settings.query_timeout = Duration::from_millis(300);
    let postgres = Postgres::open(&settings).unwrap();
    let client = postgres.client().await.unwrap();
    let started = Instant::now();
    let error = refused(client.query_one("SELECT pg_sleep(20)", &[]).await.map_err(Error::from));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!((error.kind(), error.retryable()), (Kind::Timeout, true));
    assert!(
        error.to_string().contains("STUDIO_BRAIN_PG_QUERY_TIMEOUT_MS"),
        "{error}"
    );
    assert_eq!(error.sqlstate().unwrap().code(), "57014");
    // The connection is as good as before.
    client.query_one("SELECT 1", &[]).await.unwrap();
}

#[tokio::test]
async fn an_exhausted_pool_names_its_size_and_works_again_when_one_comes_back() {
    let mut settings = test_config().postgres;
    settings.pool_max = 2;
    settings.connection_timeout = Duration::from_millis(500);
    let postgres = Postgres::open(&settings).unwrap();
    let first = postgres.client().await.unwrap();
    let _second = postgres.client().await.unwrap();
    let error = refused(postgres.client().await);
    assert_eq!(error.kind(), Kind::Timeout);
    assert_eq!(
        error.to_string(),
        "postgres took too long: all 2 connections were in use for 500ms \
         (STUDIO_BRAIN_PG_POOL_MAX, STUDIO_BRAIN_PG_CONNECTION_TIMEOUT_MS)"
    );
    drop(first);
    drop(postgres.client().await.unwrap());
}

#[tokio::test]
async fn the_pool_recovers_by_itself_when_its_connections_are_killed() {
    let database = TestDatabase::empty().await;
    let postgres = Postgres::open(&database.config().postgres).unwrap();
    let clients = join_all((0..5).map(|_| postgres.client())).await;
    assert!(clients.iter().all(Result::is_ok));
    drop(clients);

    let admin = database.client().await;
    assert_eq!(admin.query(TERMINATE, &[]).await.unwrap().len(), 5);
    eventually("the pool serves a query again", async || {
        let client = postgres.client().await.unwrap();
        match client.query_one("SELECT 1", &[]).await.map_err(Error::from) {
            Ok(_) => Some(()),
            Err(error) => {
                assert_eq!((error.kind(), error.retryable()), (Kind::Unavailable, true), "{error}");
                None
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_dies_in_a_transaction_is_unavailable_not_a_defect() {
    let database = TestDatabase::empty().await;
    let postgres = Postgres::open(&database.config().postgres).unwrap();
    let mut client = postgres.client().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    transaction.query_one("SELECT 1", &[]).await.unwrap();
    database.client().await.query(TERMINATE, &[]).await.unwrap();
    let error = refused(
        transaction
            .query_one("SELECT pg_sleep(10)", &[])
            .await
            .map_err(Error::from),
    );
    assert_eq!((error.kind(), error.retryable()), (Kind::Unavailable, true), "{error}");
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_named() {
    let mut settings = test_config().postgres;
    settings.port = brain_devstack::free_port().unwrap();
    let postgres = Postgres::open(&settings).unwrap();
    let error = refused(postgres.client().await);
    assert_eq!((error.kind(), error.retryable()), (Kind::Unavailable, true));
    let address = format!("127.0.0.1:{}/", settings.port);
    assert!(error.to_string().contains(&address), "{error}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_or_database_names_the_variable() {
    let mut settings = test_config().postgres;
    settings.password = "not-it".into();
    let error = refused(Postgres::open(&settings).unwrap().client().await);
    assert_eq!((error.kind(), error.retryable()), (Kind::Configuration, false));
    assert!(
        error.to_string().starts_with("PGUSER or PGPASSWORD is wrong"),
        "{error}"
    );
    assert!(!error.to_string().contains("not-it"), "{error}");

    let mut settings = test_config().postgres;
    settings.database = "nowhere".to_owned();
    let error = refused(Postgres::open(&settings).unwrap().client().await);
    assert_eq!(error.kind(), Kind::Configuration);
    assert!(error.to_string().starts_with("PGDATABASE is wrong"), "{error}");
}

#[tokio::test]
async fn data_that_breaks_a_constraint_is_told_apart_and_the_constraint_named() {
    let postgres = Postgres::open(&test_config().postgres).unwrap();
    let client = postgres.client().await.unwrap();
    client
        .batch_execute("CREATE TEMPORARY TABLE t (a integer CONSTRAINT a_is_small CHECK (a < 10))")
        .await
        .unwrap();
    let error = refused(
        client
            .execute("INSERT INTO t VALUES (10)", &[])
            .await
            .map_err(Error::from),
    );
    assert_eq!((error.kind(), error.retryable()), (Kind::InvalidData, false));
    assert_eq!(error.constraint(), Some("a_is_small"));
    let error = refused(
        client
            .execute("INSERT INTO nothing VALUES (10)", &[])
            .await
            .map_err(Error::from),
    );
    assert_eq!(error.kind(), Kind::Other);
    let error = refused(
        client
            .query_one("SELECT 'x'::text WHERE false", &[])
            .await
            .map_err(Error::from),
    );
    assert_eq!((error.kind(), error.retryable()), (Kind::Other, false), "{error}");
}

#[tokio::test]
async fn a_deadlock_can_be_tried_again() {
    let database = TestDatabase::empty().await;
    let admin = database.client().await;
    admin
        .batch_execute("CREATE TABLE t (a integer); INSERT INTO t VALUES (1), (2)")
        .await
        .unwrap();
    let postgres = Postgres::open(&database.config().postgres).unwrap();
    let (mut one, mut two) = (postgres.client().await.unwrap(), postgres.client().await.unwrap());
    let (one, two) = (one.transaction().await.unwrap(), two.transaction().await.unwrap());
    one.execute("UPDATE t SET a = a WHERE a = 1", &[]).await.unwrap();
    two.execute("UPDATE t SET a = a WHERE a = 2", &[]).await.unwrap();
    let (first, second) = tokio::join!(one.execute("UPDATE t SET a = a WHERE a = 2", &[]), async {
        let result = two.execute("UPDATE t SET a = a WHERE a = 1", &[]).await;
        two.rollback().await.unwrap();
        result
    });
    let error = Error::from([first, second].into_iter().find_map(Result::err).unwrap());
    assert_eq!((error.kind(), error.retryable()), (Kind::Retryable, true), "{error}");
}

#[tokio::test]
async fn notifications_arrive_and_end_with_the_connection() {
    let database = TestDatabase::empty().await;
    let postgres = Postgres::open(&database.config().postgres).unwrap();
    let (client, mut notifications) = postgres.dedicated_with_notifications().await.unwrap();
    client.batch_execute("LISTEN wake").await.unwrap();
    let admin = database.client().await;
    admin.batch_execute("NOTIFY wake, 'up'").await.unwrap();
    let notification = notifications.recv().await.unwrap();
    assert_eq!((notification.channel(), notification.payload()), ("wake", "up"));
    admin.query(TERMINATE, &[]).await.unwrap();
    assert!(notifications.recv().await.is_none());
}

#[tokio::test]
async fn a_listener_that_falls_behind_loses_its_connection_and_nothing_in_silence() {
    let database = TestDatabase::empty().await;
    let postgres = Postgres::open(&database.config().postgres).unwrap();
    let (client, mut notifications) = postgres.dedicated_with_notifications().await.unwrap();
    client.batch_execute("LISTEN wake").await.unwrap();
    let admin = database.client().await;
    admin
        .batch_execute("SELECT pg_notify('wake', n::text) FROM generate_series(1, 10000) n")
        .await
        .unwrap();
    eventually("the connection is ended", async || client.is_closed().then_some(())).await;
    let mut received = 0;
    while let Some(notification) = notifications.recv().await {
        received += 1;
        assert_eq!(notification.payload(), received.to_string());
    }
    assert!(
        received < 10_000,
        "the reader was told of the end before the last of {received}"
    );
}

#[tokio::test]
async fn idle_connections_are_closed_and_used_ones_kept() {
    let database = TestDatabase::empty().await;
    let mut settings = database.config().postgres;
    settings.idle_timeout = Duration::from_millis(200);
    let postgres = Postgres::open(&settings).unwrap();
    let kept = postgres.client().await.unwrap();
    drop(join_all((0..3).map(|_| postgres.client())).await);
    assert_eq!(postgres.pool_status().size, 4);
    eventually("only the used connection is left", async || {
        (postgres.pool_status().size == 1).then_some(())
    })
    .await;
    let admin = database.client().await;
    eventually("the server has no other either", async || {
        (admin.query(BACKENDS, &[]).await.unwrap().len() == 1).then_some(())
    })
    .await;
    kept.query_one("SELECT 1", &[]).await.unwrap();
}

#[tokio::test]
async fn a_closed_pool_ends_its_connections_and_gives_no_more() {
    let database = TestDatabase::empty().await;
    let postgres = Postgres::open(&database.config().postgres).unwrap();
    drop(postgres.client().await.unwrap());
    postgres.close();
    assert_eq!(refused(postgres.client().await).kind(), Kind::Unavailable);
    let admin = database.client().await;
    eventually("the server has no connection of it", async || {
        admin.query(BACKENDS, &[]).await.unwrap().is_empty().then_some(())
    })
    .await;
}
