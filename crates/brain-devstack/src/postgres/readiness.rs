//! Waiting until a PostgreSQL server really answers.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};

use super::{PASSWORD, SUPERUSER};
use crate::process::Running;

/// How often a server that is not ready yet is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// How long one question may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Whether a PostgreSQL server answers on this port of 127.0.0.1.
pub async fn answers(port: u16) -> bool {
    match tokio::time::timeout(ANSWER_LIMIT, ask(port)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => refuses_password(&error),
        Err(_) => false,
    }
}

/// Returns once the server answers a query (or refuses the password, which takes a running server too).
pub(super) async fn wait(running: &mut Running, port: u16, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = running.ended() {
            bail!("the server ended with {status}");
        }
        match tokio::time::timeout(ANSWER_LIMIT, ask(port)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if refuses_password(&error) => return Ok(()),
            Ok(Err(error)) if Instant::now() >= deadline => {
                return Err(error).context(format!("no answer within {} s", limit.as_secs()));
            }
            Err(_) if Instant::now() >= deadline => bail!("no answer within {} s", limit.as_secs()),
            _ => tokio::time::sleep(ASK_AGAIN).await,
        }
    }
}

async fn ask(port: u16) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = Config::new()
        .host("127.0.0.1")
        .port(port)
        .user(SUPERUSER)
        .password(PASSWORD)
        .dbname(SUPERUSER)
        .connect(NoTls)
        .await?;
    let driver = tokio::spawn(connection);
    let answer = client.simple_query("SELECT 1").await;
    drop(client);
    let _ = driver.await;
    answer.map(drop)
}

fn refuses_password(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| *code == SqlState::INVALID_PASSWORD)
}
