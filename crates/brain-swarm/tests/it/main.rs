//! The swarm against real servers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod audit_proof;
mod bus;
mod crowd;
mod door;
mod flow;
mod governance;
mod overview;
mod replicas;
mod retention;
mod schedules;
mod schemas;
mod skills;
mod tasks;
mod tenants;
mod traces;
mod webhooks;
mod worker;
mod world;
