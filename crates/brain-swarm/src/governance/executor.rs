//! The port through which a capability acts on the world: a webhook, and where skills are there, a skill.
//!
//! Invariants: an executor does what an order says at most once, and never sends anything that can have an effect without a
//! [`Passing`] in its hand; what it cannot know it calls unknown, and never success or failure.

use std::{
    any::Any,
    fmt,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use uuid::Uuid;

use crate::ids::{ActorId, TenantId};

/// Whether something is to be done, or what was done is to be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ExecutionKind")]
pub enum Kind {
    /// To be done.
    Execute,
    /// To be undone.
    Rollback,
}

impl Kind {
    /// The word in the database and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Execute => "execute",
            Self::Rollback => "rollback",
        }
    }
}

/// What is to be done, exactly.
#[derive(Debug, Clone)]
pub struct Order {
    /// The id of this execution, by which a receiver knows an order that it has seen.
    pub execution_id: Uuid,
    /// What was proposed and allowed.
    pub proposal_id: Uuid,
    /// For whom.
    pub tenant_id: TenantId,
    /// Which capability.
    pub capability_id: String,
    /// To do, or to undo.
    pub kind: Kind,
    /// Who asked.
    pub actor_id: ActorId,
    /// With what: canonical JSON.
    pub input: String,
    /// How long it may take in all.
    pub time_limit: Duration,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Succeeded {
        /// What the other side said: JSON, or its text as a JSON string.
        output: String,
    },
    /// The other side says that it was not done.
    Failed {
        /// Why.
        error: String,
        /// What else it said.
        output: Option<String>,
    },
    /// Nothing was sent: it is certain that nothing happened.
    NotSent {
        /// Why.
        reason: NotSent,
    },
    /// It was sent, in whole or in part, and nobody knows what came of it.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// Why nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The fence was closed: the kill switch is on.
    #[error("the kill switch is on")]
    Stopped,
    /// The other side could not be reached.
    #[error("{0}")]
    Unreachable(String),
    /// It must not be reached.
    #[error("{0}")]
    Refused(String),
}

/// Does what orders say.
#[async_trait]
pub trait Executor: Send + Sync + fmt::Debug {
    /// Carries out one order: gets everything ready, passes the fence, and only then sends.
    ///
    /// It keeps the [`Passing`] until the last byte of the request has been handed to the operating system, and drops it then,
    /// long before the answer: who presses the kill switch waits for it.
    async fn carry_out(&self, order: &Order, fence: &dyn Fence) -> Outcome;
}

/// Where an order can be stopped until the moment at which it leaves.
#[async_trait]
pub trait Fence: Send + Sync {
    /// Lets an order pass, or not. Nobody can press the kill switch while a passing is held, so it is held for a moment.
    ///
    /// # Errors
    /// Why nothing may be sent.
    async fn pass(&self) -> Result<Passing, NotSent>;
}

/// The right to send, while it is held.
pub struct Passing {
    #[allow(dead_code, reason = "it is held, not read")]
    held: Box<dyn Any + Send>,
    /// When the fence stops waiting for it.
    until: Option<Instant>,
}

impl Passing {
    /// Wraps what closes the fence when it is dropped.
    pub fn new(held: impl Any + Send) -> Self {
        Self {
            held: Box::new(held),
            until: None,
        }
    }

    /// The same, where the fence waits no longer than this.
    pub fn for_at_most(held: impl Any + Send, time: Duration) -> Self {
        Self {
            until: Some(Instant::now() + time),
            ..Self::new(held)
        }
    }

    /// Whether it still holds. An executor that was frozen asks before its first byte.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

impl fmt::Debug for Passing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passing")
    }
}
