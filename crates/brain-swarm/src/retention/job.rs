//! The record of each pass in `brain_job_runs`.
//!
//! Invariant: the record is there, with its cutoff, before anything is removed; so the newest cutoff says what may be gone.

use brain_connectivity::postgres::{self, Postgres};
use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::GenericClient;
use uuid::Uuid;

/// The name of the job.
const JOB: &str = "retention";

/// Begins the record of a pass. Records as old as what the pass removes go too.
pub(super) async fn begin(postgres: &Postgres, cutoff: Timestamp, summary: &Value) -> Result<Uuid, postgres::Error> {
    let id = Uuid::now_v7();
    let mut client = postgres.client().await?;
    let transaction = client.transaction().await?;
    transaction
        .execute(
            "DELETE FROM brain_job_runs WHERE job_name = $1 AND started_at < $2",
            &[&JOB, &cutoff],
        )
        .await?;
    transaction
        .execute(include_str!("../sql/insert_job_run.sql"), &[&id, &JOB, summary])
        .await?;
    transaction.commit().await?;
    Ok(id)
}

/// Ends it.
pub(super) async fn end(
    postgres: &Postgres,
    id: Uuid,
    summary: &Value,
    error: Option<&str>,
) -> Result<(), postgres::Error> {
    let client = postgres.client().await?;
    client
        .execute(include_str!("../sql/finish_job_run.sql"), &[&id, summary, &error])
        .await?;
    Ok(())
}

/// The newest cutoff of any pass: what was stored before it may be gone.
pub(crate) async fn newest_cutoff(client: &impl GenericClient) -> Result<Option<Timestamp>, tokio_postgres::Error> {
    let row = client
        .query_one(
            "SELECT max((summary ->> 'cutoff')::timestamptz) FROM brain_job_runs WHERE job_name = $1",
            &[&JOB],
        )
        .await?;
    Ok(row.get(0))
}
