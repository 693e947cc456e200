//! Webhooks: capabilities that another service carries out over HTTP, and notices of what waits for a decision.
//!
//! Invariants: an address is judged before it is dialled, and only the judged one is ([`address`]); every request is signed
//! ([`signature`]) and sent at most once for each order; what comes back is bounded in size and time; no error and no log has a
//! secret, or more of a URL than its host and port. `docs/WEBHOOKS.md` tells receivers what they get.

pub mod address;
mod client;
mod exchange;
mod executor;
pub mod notices;
mod output;
pub mod signature;
mod wire;

pub use self::{
    client::{Client, Unusable},
    exchange::{MOST_ANSWER_BYTES, MOST_HEAD_BYTES, WRITE_LIMIT},
    executor::{Targets, WebhookExecutor},
};
