//! The HTTP interface of Studio Brain: hyper serves, axum routes, and every answer is JSON, a health report, metrics
//! text or a page of the dashboard.
//!
//! The crate knows status codes and wire formats and nothing else: what happens is decided in `brain-swarm`. Every
//! wait and every size has a limit, each answer carries the same headers, and every error is a problem document
//! (RFC 9457) of a stable type.
//!
//! ```no_run
//! # async fn serve(config: brain_config::Config, services: brain_http::Services) -> Result<(), brain_http::Error> {
//! use tokio_util::sync::CancellationToken;
//!
//! let server = brain_http::Server::bind(&config.server, services)?;
//! tracing::info!(address = %server.local_addr(), "http server listens");
//!
//! let shutdown = CancellationToken::new();
//! server.run(shutdown).await;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/serve.rs` shows how the parts that it needs are put together.
#![warn(missing_docs)]

pub mod access;
mod admission;
mod app;
mod audit;
mod body;
mod connection;
mod cursor;
mod dashboard;
mod exchange;
mod idempotency;
mod identity;
pub mod metric_names;
mod metrics;
mod object;
mod openapi;
mod problem;
mod query;
mod reply;
mod routes;
mod server;
mod services;
pub mod skills;
mod trace;

pub use server::{Error, Server};
pub use services::Services;
