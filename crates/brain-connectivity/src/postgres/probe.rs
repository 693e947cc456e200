//! The `postgres` health check: the database answers, and has the schema that this program needs.

use async_trait::async_trait;
use serde_json::json;

use super::{Error, Postgres};
use crate::health::{Outcome, Probe};
use crate::migrations::{self, Migrations, Status};

/// Asks the database for its version and where its migrations stand.
#[derive(Debug, Clone)]
pub struct PostgresProbe {
    postgres: Postgres,
    migrations: Migrations,
}

impl PostgresProbe {
    /// A probe of this database against the migrations of this build.
    #[must_use]
    pub fn new(postgres: Postgres) -> Self {
        Self {
            postgres,
            migrations: Migrations::embedded(),
        }
    }

    async fn ask(&self) -> Result<(String, Status), migrations::Error> {
        let client = self.postgres.client().await?;
        let row = client
            .query_one("SELECT current_setting('server_version')", &[])
            .await
            .map_err(Error::from)?;
        let version: String = row.try_get(0).map_err(Error::from)?;
        // Given back before the pool is asked again, so that a pool of one connection is enough.
        drop(client);
        Ok((version, self.migrations.status(&self.postgres).await?))
    }
}

#[async_trait]
impl Probe for PostgresProbe {
    fn name(&self) -> &'static str {
        "postgres"
    }

    async fn probe(&self) -> Outcome {
        let (version, status) = match self.ask().await {
            Ok(answer) => answer,
            Err(error) => return Outcome::error(error.to_string()),
        };
        let problems = status.problems();
        let outcome = match problems.as_slice() {
            [] => Outcome::ok(),
            _ if status.pending() == problems.len() => Outcome::degraded(format!(
                "{} of {} migrations are pending; run `brain migrate up`",
                status.pending(),
                status.migrations.len()
            )),
            [first, rest @ ..] => Outcome::degraded(format!(
                "{first}{}; run `brain migrate status`",
                if rest.is_empty() {
                    String::new()
                } else {
                    format!(" and {} more", rest.len())
                }
            )),
        };
        outcome.with_details(json!({
            "version": version,
            "migrations": { "applied": status.applied(), "pending": status.pending() },
            "pool": self.postgres.pool_status(),
        }))
    }
}
