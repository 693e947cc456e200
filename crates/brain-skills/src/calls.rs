//! Calls of skills: one command and its payload in, one answer out, over the standard streams of a confined program.
//!
//! A [`Pool`] starts programs by a [`Launch`](crate::launch::Launch), keeps some warm, and speaks with each either JSON-RPC
//! as skills do or the Model Context Protocol.
//!
//! Invariants: whatever a program writes, or does not read, costs bounded memory and ends at the deadline of the call; a program
//! that broke the protocol is killed and never asked again; no process outlives the pool's knowledge of it; a worker serves one
//! tenant only.

mod backoff;
mod error;
mod escape;
mod events;
pub mod frames;
mod json_rpc;
mod mcp;
mod message;
mod peer;
mod stderr;
mod terms;
mod workers;

use std::sync::Arc;

use serde_json::Value;

pub use backoff::Backoff;
pub use error::{Error, Failure, Violation};
pub use escape::{escaped, escaped_line};
pub use events::{Event, Level, Sink};
pub use message::{Incoming, RpcError};
pub use terms::{Gate, Held, Terms};
pub use workers::{AtWork, Pool, Settings};

use crate::{
    digest::Digest,
    launch::{Enforced, Program},
};

/// A skill as it is called: its program, and what that speaks.
#[derive(Debug, Clone)]
pub struct Skill {
    /// What is started.
    pub program: Program,
    /// What it speaks.
    pub protocol: Protocol,
}

/// What a program speaks on its standard streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// JSON-RPC 2.0 with the methods of skills.
    JsonRpc,
    /// The Model Context Protocol; commands are its tools.
    Mcp {
        /// The digest that the definitions of its tools must have; nothing accepts those of each start, but no change
        /// while it runs.
        tools: Option<Digest>,
    },
}

/// What a skill is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Its command, or the name of its tool.
    pub command: String,
    /// What the command gets.
    pub payload: Value,
}

/// What a skill answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The result.
    pub value: Value,
    /// Whether the program was running already.
    pub warm: bool,
    /// What confined it.
    pub enforced: Arc<[Enforced]>,
    /// The digest of the definitions of its tools, where it has such.
    pub tools: Option<Digest>,
}
