//! Tests of the connections against real servers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod artifacts;
mod health;
mod memory;
mod migrations;
mod postgres;
mod postgres_outage;
mod proxy;
mod redis;
mod redis_outage;
mod schema;
mod tls;
