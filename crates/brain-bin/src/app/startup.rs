//! What must happen before requests are served: the database answers and has its migrations.

use std::time::Duration;

use anyhow::Context as _;
use brain_config as config;
use brain_connectivity::{artifacts::ArtifactStore, migrations::Migrations, postgres::Postgres, retry::Backoff};
use tokio::time::Instant;

/// How long a start waits for PostgreSQL.
const POSTGRES_PATIENCE: Duration = Duration::from_secs(30);

/// Pauses between attempts to reach a server.
const PAUSES: Backoff = Backoff {
    initial: Duration::from_millis(200),
    max: Duration::from_secs(3),
    factor: 1.6,
    jitter: 0.1,
};

/// Pauses between attempts to make the bucket, which nothing waits for.
const BUCKET_PAUSES: Backoff = Backoff {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(60),
    factor: 2.0,
    jitter: 0.5,
};

/// Waits for PostgreSQL, with a line in the log for each attempt that failed.
pub(super) async fn wait_for_postgres(postgres: &Postgres, settings: &config::Postgres) -> anyhow::Result<()> {
    let deadline = Instant::now() + POSTGRES_PATIENCE;
    let mut pauses = PAUSES.delays();
    let mut attempt = 0_u32;
    loop {
        attempt += 1;
        let asked = tokio::time::timeout_at(deadline, postgres.client()).await;
        let error = match asked {
            Ok(Ok(_client)) => return Ok(()),
            Ok(Err(error)) if !error.retryable() => return Err(error).with_context(|| located(settings)),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        let pause = pauses.next().unwrap_or(PAUSES.max);
        if Instant::now() + pause >= deadline {
            anyhow::bail!(
                "{}, and {} s were not enough for it to come up: {error}\n\
                 start it (`cargo xtask dev-up` does), or correct PGHOST and PGPORT",
                located(settings),
                POSTGRES_PATIENCE.as_secs(),
            );
        }
        let retry_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(
            attempt,
            error,
            retry_in_ms,
            postgres.address = postgres.address(),
            "postgres does not answer yet"
        );
        tokio::time::sleep(pause).await;
    }
}

/// Applies pending migrations, or only says that there are some.
pub(super) async fn migrate(postgres: &Postgres, apply: bool) -> anyhow::Result<()> {
    let migrations = Migrations::embedded();
    if apply {
        migrations
            .up(postgres)
            .await
            .context("the migrations were not applied")?;
        // Tried again by the next start, so it keeps nobody from serving.
        if let Err(error) = brain_swarm::audit::record_migrations(postgres).await {
            tracing::error!(error = %error, "migrations are applied and could not be recorded in the audit trail");
        }
        return Ok(());
    }
    let problems = migrations
        .status(postgres)
        .await
        .context("cannot look at the migrations")?
        .problems();
    if !problems.is_empty() {
        tracing::warn!(
            problems = problems.join("; "),
            "the database is not as this version needs it"
        );
    }
    Ok(())
}

/// Makes the bucket of the artifact store, however long that takes; health shows while it is missing.
pub(super) async fn ensure_bucket(store: ArtifactStore) {
    let mut pauses = BUCKET_PAUSES.delays();
    while let Err(error) = store.ensure_bucket().await {
        let pause = pauses.next().unwrap_or(BUCKET_PAUSES.max);
        let retry_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(error = %error, retry_in_ms, "the artifact bucket cannot be made yet");
        tokio::time::sleep(pause).await;
    }
    tracing::debug!(bucket.name = store.place().bucket, "the artifact bucket is there");
}

fn located(settings: &config::Postgres) -> String {
    format!(
        "PostgreSQL cannot be used at PGHOST={} PGPORT={}",
        settings.host, settings.port
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// Time is simulated: it jumps to the end of every pause.
    #[tokio::test(start_paused = true)]
    async fn a_database_that_stays_away_is_given_up_with_its_settings_named() {
        let mut settings = config::Config::defaults().postgres;
        // Nothing listens on port 1.
        settings.port = 1;
        let postgres = Postgres::open(&settings).unwrap();
        let started = Instant::now();
        let error = wait_for_postgres(&postgres, &settings).await.unwrap_err().to_string();
        assert!(
            error.contains("PGHOST=127.0.0.1 PGPORT=1") && error.contains("30 s"),
            "{error}"
        );
        assert!(started.elapsed() <= POSTGRES_PATIENCE && started.elapsed() > POSTGRES_PATIENCE / 2);
    }
}
