//! Asks PostgreSQL and Redis how they are, with the settings of the environment and of `.env`.
//!
//! Start the servers with `cargo xtask dev-up --deps`, then run
//! `cargo run -p brain-connectivity --example health`.
#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

use brain_config::{Config, Sources};
use brain_connectivity::health::Health;
use brain_connectivity::postgres::{Postgres, PostgresProbe};
use brain_connectivity::redis::{Redis, RedisProbe};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let sources = Sources::from_process(Some(Path::new(".env")), BTreeMap::new())?;
    let config = Config::load(&sources)?.config;

    let postgres = Postgres::open(&config.postgres)?;
    let redis = Redis::open(&config.redis)?;
    let health = Health::new(Duration::from_secs(5))
        .with(PostgresProbe::new(postgres.clone()))
        .with(RedisProbe::new(redis.clone()));
    let report = health.report().await;
    println!("{}", serde_json::to_string_pretty(&report)?);

    redis.close().await;
    postgres.close();
    if report.ok {
        Ok(())
    } else {
        Err("not every dependency is well".into())
    }
}
