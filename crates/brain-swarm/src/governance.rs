//! Governance of what agents do to the world outside: capabilities, proposals, approvals, and the executors behind them.

pub mod executor;
#[cfg(feature = "webhooks")]
pub mod webhook;
