//! The connections of Studio Brain: PostgreSQL, Redis or Valkey, object store and vector memory, with their
//! migrations, health checks and retries.
//!
//! Nothing here knows the swarm. Handles are cheap to clone, connect by themselves and come back by themselves
//! when a server was away; every wait has a limit that the configuration names.
//!
//! ```no_run
//! # async fn run(config: brain_config::Config) -> Result<(), Box<dyn std::error::Error>> {
//! use brain_connectivity::{migrations::Migrations, postgres::Postgres, redis::Redis};
//!
//! let postgres = Postgres::open(&config.postgres)?;
//! Migrations::embedded().up(&postgres).await?;
//! let row = postgres.client().await?.query_one("SELECT 1", &[]).await?;
//! assert_eq!(row.get::<_, i32>(0), 1);
//!
//! let redis = Redis::open(&config.redis)?;
//! redis.ping().await?;
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

pub mod artifacts;
pub mod health;
pub mod memory;
pub mod metric;
pub mod metric_names;
pub mod migrations;
pub mod postgres;
pub mod redis;
pub mod retry;
mod tls;
