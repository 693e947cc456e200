//! Development only: a database, stream prefix and bucket of its own for each test.
//!
//! `cargo xtask test` starts PostgreSQL, Valkey and an S3 server and says in `BRAIN_TEST_*` variables where they are.
//! Tests take their share of them here, so that all can run at once:
//!
//! ```no_run
//! # async fn example() {
//! use brain_testkit::TestDatabase;
//!
//! # async fn migrate(_: brain_config::Postgres) -> Result<(), std::io::Error> { Ok(()) }
//! let database = TestDatabase::create(migrate).await;
//! let config = database.config();
//! assert!(config.bus.stream_name.starts_with("test-"));
//! # }
//! ```
//!
//! Nothing here returns an error: a test that cannot have its servers fails, saying what to do. It never passes by
//! being skipped.

mod database;
pub mod python;
mod servers;
mod stack;
mod template;
mod waiting;

pub use database::TestDatabase;
pub use servers::{own_postgres, own_valkey, own_valkey_cluster, scratch_dir};
pub use stack::{Endpoints, brain_bin, endpoints, test_config, unique};
pub use waiting::{eventually, eventually_within};
