//! Typed, validated, redacted configuration of Studio Brain. Pure data.
//!
//! Every setting is an environment variable, defined once in [`definitions`]: name, default, what is
//! valid, whether it is a secret, and what it means. That list drives parsing, the defaults, the
//! redacted listing, `.env.example` and `docs/ENVIRONMENT_REFERENCE.md`.
//!
//! Values come from flags, then the process environment, then a `.env` file. [`Config::load`] reports
//! every problem at once, and no output of this crate ever contains a secret.
//!
//! ```
//! use brain_config::{Config, Sources};
//!
//! let sources = Sources::from_pairs([("PGPORT", "5440"), ("STUDIO_BRAIN_LOG_LEVEL", "debug")]);
//! let loaded = Config::load(&sources)?;
//! assert_eq!(loaded.config.postgres.port, 5440);
//!
//! let sources = Sources::from_pairs([("PGPORT", "none"), ("REDIS_PORT", "70000")]);
//! if let Err(problems) = Config::load(&sources) {
//!     assert_eq!(problems.len(), 2);
//! }
//! # Ok::<(), brain_config::Problems>(())
//! ```
#![warn(missing_docs)]

mod access;
pub mod address;
mod artifacts;
mod audit;
mod bus;
mod config;
mod consistency;
mod definition;
mod dotenv;
mod governance;
mod load;
mod log;
mod memory;
mod oidc;
mod postgres;
mod problem;
mod redacted;
mod redis;
pub mod reference;
mod retention;
mod server;
mod skills;
mod sources;
mod swarm;
mod telemetry;
mod valid;
mod warning;
mod webhooks;

pub use artifacts::Artifacts;
pub use audit::Audit;
pub use bus::{Bus, InvalidStartId, StartId};
pub use config::Config;
pub use definition::{Definition, Section, definition, definitions};
pub use governance::Governance;
pub use load::Loaded;
pub use log::{Log, LogFormat, LogLevel};
pub use memory::{EmbeddingProvider, Memory};
pub use oidc::Oidc;
pub use postgres::{Postgres, SslMode};
pub use problem::{Problem, Problems};
pub use redacted::RedactedEntry;
pub use redis::Redis;
pub use retention::Retention;
pub use server::Server;
pub use skills::Skills;
pub use sources::{Source, Sources};
pub use swarm::Swarm;
pub use telemetry::Telemetry;
pub use valid::Valid;
pub use warning::Warning;
pub use webhooks::{Webhooks, signing_key};

// The types of some fields, so that a caller needs no direct dependency to read them.
pub use ipnet::IpNet;
pub use secrecy::{ExposeSecret, SecretSlice, SecretString};
pub use url::Url;
