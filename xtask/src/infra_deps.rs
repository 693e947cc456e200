//! `cargo xtask infra-deps`: whether the three servers can be reached with the settings of this clone.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use brain_connectivity::artifacts::{ArtifactStore, ArtifactStoreProbe};
use brain_connectivity::health::Health;
use brain_connectivity::postgres::{Postgres, PostgresProbe};
use brain_connectivity::redis::{Redis, RedisProbe};

use crate::browser;
use crate::dev::{Settings, failed, table};
use crate::signals::runtime;

/// How long each server may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(8);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> Result<ExitCode> {
    let config = Settings::load()?.config;
    runtime()?.block_on(async {
        let redis = Redis::open(&config.redis)?;
        let report = Health::new(ANSWER_LIMIT)
            .with(PostgresProbe::new(Postgres::open(&config.postgres)?))
            .with(RedisProbe::new(redis.clone()))
            .with(ArtifactStoreProbe::new(ArtifactStore::open(&config.artifacts)?))
            .report()
            .await;
        println!("{}", table(&report));
        redis.close().await;
        // Nothing that runs needs it, so it is no failure.
        if let Some(missing) = browser::missing() {
            eprintln!("{missing}");
        }
        let unreachable = failed(&report);
        if unreachable.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        eprintln!(
            "cannot be reached: {}; `cargo xtask dev-up --deps` starts all three",
            unreachable.join(", ")
        );
        Ok(ExitCode::FAILURE)
    })
}
