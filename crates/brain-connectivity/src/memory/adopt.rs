//! Turning the embeddings into pgvector's type where that is possible.
//!
//! Never an obstacle: without the extension, or without the right to create it, everything works as before, and the
//! reason is kept as the comment of the column, where every process and every administrator finds it.

use tokio_postgres::Client;

use super::state::State;
use crate::postgres::{Error, Kind, classify};

/// Creates the extension and converts the column, if the server has the extension and lets us. Run under the
/// migration lock; running it again changes nothing.
///
/// # Errors
/// Only what says nothing about pgvector: a lost connection or a time-out.
pub(crate) async fn adopt_pgvector(client: &Client) -> Result<(), Error> {
    let state = State::read(client).await?;
    if !state.migrated || state.adopted {
        return Ok(());
    }
    if !state.adoptable() {
        tracing::info!(reason = state.reason(), remedy = state.remedy(), "pgvector is not used");
        return Ok(());
    }
    let Err(error) = client.batch_execute(include_str!("sql/adopt_pgvector.sql")).await else {
        tracing::info!("pgvector is used from now on");
        return Ok(());
    };
    if error.is_closed() || classify(&error) == Kind::Unavailable {
        return Err(error.into());
    }
    client.batch_execute("ROLLBACK").await?;
    let reason = error
        .as_db_error()
        .map_or_else(|| error.to_string(), |error| error.message().to_owned());
    tracing::warn!(reason, "pgvector cannot be used");
    remember(client, &reason).await
}

/// Keeps the reason. Whoever may not comment on the table did not make it and will see the reason in the log.
async fn remember(client: &Client, reason: &str) -> Result<(), Error> {
    let statement = client
        .query_one(
            "SELECT format('COMMENT ON COLUMN swarm_memory.embedding IS %L', $1::text)",
            &[&reason],
        )
        .await?;
    match client.batch_execute(statement.try_get(0)?).await {
        Err(error) if error.as_db_error().is_none() => Err(error.into()),
        _ => Ok(()),
    }
}
