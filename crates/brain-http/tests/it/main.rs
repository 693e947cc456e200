//! Tests of the HTTP interface against a real database, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod agents;
mod audit;
mod audit_trail;
mod brain;
mod budgets;
mod claims;
mod cloud_events;
mod dashboard;
mod dead_letters;
mod every_answer;
mod governance;
mod headers;
mod health;
mod hostile;
mod http2;
mod idempotency;
mod lifecycle;
mod log;
mod matrix;
mod oidc;
mod openapi;
mod publish;
mod raw;
mod reading;
mod reports;
mod runs;
mod schedules;
mod schemas;
mod shown;
mod skills;
mod status;
mod streams;
mod tasks;
mod tenants;
