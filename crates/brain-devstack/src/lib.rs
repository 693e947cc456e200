//! Development only: starts PostgreSQL, Valkey and an S3 server natively, without Docker and without root.
//!
//! The servers listen on the loopback address only and run as an ordinary user, also when the caller is root.
//! `cargo xtask dev-up` keeps them in the background, `cargo xtask test` throws them away afterwards, and a test that
//! has to stop or freeze a server starts one of its own:
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use brain_devstack::{Binaries, PostgresOptions, PostgresServer};
//!
//! let binaries = Binaries::locate_or_install(&|line| eprintln!("{line}"))?;
//! let data_dir = std::env::temp_dir().join("example-postgres");
//! let mut server = PostgresServer::start(PostgresOptions { binaries, data_dir, port: 0, pgvector: true }).await?;
//! server.kill().await?;
//! server.start_again().await?;
//! server.stop().await
//! # }
//! ```

pub mod account;
pub mod binaries;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod s3;
pub mod stack;
pub mod state;
pub mod valkey;

pub use binaries::Binaries;
pub use ports::free_port;
pub use postgres::{PostgresOptions, PostgresServer};
pub use s3::S3Server;
pub use stack::Stack;
pub use valkey::{ValkeyCluster, ValkeyOptions, ValkeyServer};
