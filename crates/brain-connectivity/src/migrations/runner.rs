//! Applies migrations, one process at a time, each in one transaction with its record.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::{Client, Row};

use super::{Applied, Error, Migration, plan};
use crate::memory;
use crate::postgres::Postgres;

/// The advisory lock of all who migrate: "brainmig" in ASCII.
const LOCK: i64 = 0x6272_6169_6e6d_6967;

/// A migration takes as long as it takes, and so does waiting for another process that migrates.
const NO_TIMEOUTS: &str =
    "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0";

pub(super) async fn up(postgres: &Postgres, files: &[Migration]) -> Result<Vec<Applied>, Error> {
    let (mut client, connection) = postgres.dedicated().await?;
    client.batch_execute(NO_TIMEOUTS).await?;
    lock(&client).await?;

    let result = apply_pending(&mut client, files).await;

    // The lock belongs to the session: it goes with the connection, whatever happened before. Waiting for the end
    // makes sure that it is free when we return.
    drop(client);
    let _ended = connection.await;
    result
}

async fn lock(client: &Client) -> Result<(), Error> {
    let row = client.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK]).await?;
    if !row.try_get::<_, bool>(0)? {
        tracing::info!("waiting for another process to finish the migrations");
        client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await?;
    }
    Ok(())
}

async fn apply_pending(client: &mut Client, files: &[Migration]) -> Result<Vec<Applied>, Error> {
    client
        .batch_execute(include_str!("sql/create_brain_migrations.sql"))
        .await?;
    let recorded = applied(client).await?;
    let mut done = Vec::new();
    for migration in plan::pending(files, &recorded)? {
        let record = apply(client, migration).await?;
        tracing::info!(
            migration.name = record.file_name(),
            duration_ms = record.duration_ms,
            "migration applied"
        );
        done.push(record);
    }
    memory::adopt_pgvector(client).await?;
    Ok(done)
}

async fn apply(client: &mut Client, migration: &Migration) -> Result<Applied, Error> {
    let started = Instant::now();
    let transaction = client.transaction().await?;
    transaction
        .batch_execute(&migration.sql)
        .await
        .map_err(|error| failed(migration, error))?;
    let took = SignedDuration::try_from(started.elapsed()).unwrap_or(SignedDuration::MAX);
    let record = Applied {
        version: migration.version,
        name: migration.name.clone(),
        checksum: migration.checksum.clone(),
        applied_at: Timestamp::now(),
        duration_ms: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
    };
    transaction
        .execute(
            include_str!("sql/insert_applied.sql"),
            &[
                &record.version,
                &record.name,
                &record.checksum,
                &record.applied_at,
                &record.duration_ms,
            ],
        )
        .await?;
    transaction.commit().await.map_err(|error| failed(migration, error))?;
    Ok(record)
}

/// The rows of `brain_migrations`, in order.
pub(super) async fn applied(client: &Client) -> Result<Vec<Applied>, Error> {
    let rows = client.query(include_str!("sql/select_applied.sql"), &[]).await?;
    rows.iter().map(from_row).collect()
}

fn from_row(row: &Row) -> Result<Applied, Error> {
    Ok(Applied {
        version: row.try_get("version")?,
        name: row.try_get("name")?,
        checksum: row.try_get("checksum")?,
        applied_at: row.try_get("applied_at")?,
        duration_ms: row.try_get("duration_ms")?,
    })
}

fn failed(migration: &Migration, error: tokio_postgres::Error) -> Error {
    let position = error.as_db_error().and_then(|error| error.position());
    let line = match position {
        Some(ErrorPosition::Original(position)) => {
            let before = migration
                .sql
                .chars()
                .take(usize::try_from(*position).unwrap_or(0).saturating_sub(1));
            Some(before.filter(|c| *c == '\n').count() + 1)
        }
        _ => None,
    };
    Error::Failed {
        name: migration.file_name(),
        line,
        source: error.into(),
    }
}
