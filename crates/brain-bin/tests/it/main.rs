//! Tests of the `brain` program as people and supervisors use it: a process, its output and its exit code.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says why"
)]

mod audit;
mod brain_process;
mod cloud_events_sdk;
mod config_check;
mod dashboard;
mod footprint;
mod governance;
mod healthcheck;
mod lifecycle;
mod migrate;
mod observability;
mod otlp_receiver;
mod outage;
mod python_worker;
mod round_trip;
mod schemas;
mod skills;
mod steering;
mod survival;
mod task_calls;
mod tokens;
mod traces;
mod usage;
mod worker;
