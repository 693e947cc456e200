//! What the pool does while its server is killed or frozen, and afterwards.

use std::time::{Duration, Instant};

use brain_connectivity::health::{Health, Status};
use brain_connectivity::postgres::{Error, Kind, Postgres, PostgresProbe};
use brain_testkit::{eventually, own_postgres, test_config};

fn settings(port: u16) -> brain_config::Postgres {
    let mut settings = test_config().postgres;
    settings.port = port;
    settings.connection_timeout = Duration::from_millis(1_000);
    settings
}

async fn ask(postgres: &Postgres) -> Result<(), Error> {
    postgres.client().await?.query_one("SELECT 1", &[]).await?;
    Ok(())
}

#[tokio::test]
async fn a_killed_server_is_unavailable_and_found_again() {
    let mut server = own_postgres(true).await;
    let postgres = Postgres::open(&settings(server.port())).unwrap();
    ask(&postgres).await.unwrap();
    let (listener, mut notifications) = postgres.dedicated_with_notifications().await.unwrap();
    listener.batch_execute("LISTEN wake").await.unwrap();

    server.kill().await.unwrap();
    assert!(notifications.recv().await.is_none());
    for _ in 0..20 {
        let error = ask(&postgres).await.unwrap_err();
        assert_eq!((error.kind(), error.retryable()), (Kind::Unavailable, true), "{error}");
    }

    server.start_again().await.unwrap();
    eventually("the pool serves again", async || ask(&postgres).await.ok()).await;
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_frozen_server_is_an_error_in_time_and_well_again_afterwards() {
    let mut server = own_postgres(true).await;
    let postgres = Postgres::open(&settings(server.port())).unwrap();
    ask(&postgres).await.unwrap();
    let health = Health::new(Duration::from_millis(700)).with(PostgresProbe::new(postgres.clone()));

    server.pause();
    let started = Instant::now();
    let check = health.check("postgres").await.unwrap();
    assert_eq!(
        (check.status, check.error.as_deref()),
        (Status::Error, Some("no answer within 700 ms"))
    );
    // The pool's one connection is taken or dead, so this makes a new one, to a server that does not answer.
    let busy = postgres.client().await;
    let error = postgres.client().await.map(drop).unwrap_err();
    assert_eq!((error.kind(), error.retryable()), (Kind::Timeout, true), "{error}");
    assert!(
        error.to_string().contains("STUDIO_BRAIN_PG_CONNECTION_TIMEOUT_MS"),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    drop(busy);

    server.resume();
    eventually("the check answers again", async || {
        let check = health.check("postgres").await.unwrap();
        (check.status != Status::Error).then_some(())
    })
    .await;
    server.stop().await.unwrap();
}
