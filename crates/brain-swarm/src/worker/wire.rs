//! What a worker says and is told: the requests and answers of docs/TASKS.md, as they are written in JSON.
//!
//! Invariant: a field that the contract calls optional is left out when there is nothing to say. Answers may hold more
//! than is read here.

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::transport::Error;
use crate::ids::{ActorId, EventId, FencingToken, RunId, TaskId};

/// How an agent comes to its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assignment {
    /// It claims them.
    Pull,
    /// It is given them.
    Push,
}

/// `POST /agents`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// Who joins.
    pub agent_id: ActorId,
    /// The run that it works for, where it is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// What it is.
    pub role: String,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// How many tasks it takes at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<usize>,
    /// How it comes to its tasks.
    pub assignment: Assignment,
}

/// `POST /tasks/claim`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Who claims.
    pub agent_id: ActorId,
    /// At most so many tasks.
    pub max: usize,
    /// For how long, unless a heartbeat renews it.
    pub lease_ms: u64,
    /// How long the call may wait for the first task.
    pub wait_ms: u64,
}

/// The answer to a claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claimed {
    /// What was given out; empty when nothing came in time.
    pub tasks: Vec<ClaimedTask>,
}

/// A task that was given out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedTask {
    /// Its id.
    pub task_id: TaskId,
    /// The run that it belongs to.
    pub run_id: RunId,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How many there may be.
    pub max_attempts: u32,
    /// Goes with everything that is said about the task.
    pub fencing_token: FencingToken,
    /// How long the lease is, from the moment of the claim or of a heartbeat.
    pub lease_ms: u64,
    /// When it ends by the clock of the database. For people: a worker counts [`lease`](Self::lease) on its own clock.
    pub lease_expires_at: Timestamp,
    /// What is to be worked on.
    #[serde(default)]
    pub inputs: Value,
    /// Higher goes first.
    #[serde(default)]
    pub priority: i64,
    /// The role that it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The capability that it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// What it may spend from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<String>,
    /// What an earlier attempt noted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Value>,
}

impl ClaimedTask {
    /// How long the lease is.
    #[must_use]
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }
}

/// A task as its holder names it: the id and the token of the claim.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holding {
    /// The task.
    pub task_id: TaskId,
    /// The token of the claim.
    pub fencing_token: FencingToken,
}

/// `POST /agents/{agentId}/heartbeat`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Everything that the agent holds.
    pub tasks: Vec<Holding>,
}

/// The answer to a heartbeat, as far as it is about tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// Leases that were renewed, each for its own length.
    #[serde(default)]
    pub held: Vec<Renewed>,
    /// Leases that are over.
    #[serde(default)]
    pub lost: Vec<Lost>,
}

/// A lease that a heartbeat renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Renewed {
    /// Which.
    #[serde(flatten)]
    pub holding: Holding,
    /// When it ends now, by the clock of the database.
    pub lease_expires_at: Timestamp,
}

/// A lease that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lost {
    /// Which.
    #[serde(flatten)]
    pub holding: Holding,
    /// Why, for the log.
    #[serde(default)]
    pub reason: String,
}

/// `POST /tasks/finish`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finish {
    /// Who worked.
    pub agent_id: ActorId,
    /// What came of it; at most [`MOST_RESULTS`](super::MOST_RESULTS).
    pub results: Vec<TaskResult>,
}

/// How one task ended for its worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// Which task.
    #[serde(flatten)]
    pub holding: Holding,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Success or failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Outcome {
    /// It is done.
    Completed {
        /// What it gave.
        outputs: Value,
    },
    /// It is not.
    Failed {
        /// Why, for people.
        error: String,
        /// Whether another attempt makes sense.
        retryable: bool,
        /// When it may begin, instead of after the task's backoff.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
}

/// The answer to [`Finish`], in the order of the results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// One for each.
    pub results: Vec<Settled>,
}

/// What became of one result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Settled {
    /// It was refused, and nothing changed.
    Refused {
        /// Which task.
        task_id: TaskId,
        /// Why.
        problem: Problem,
    },
    /// It is stored.
    Stored {
        /// Which task.
        task_id: TaskId,
        /// The task's status now.
        status: String,
        /// The number of the event in the swarm; absent when it had been stored before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<i64>,
        /// Whether it had been stored before.
        #[serde(default)]
        duplicate: bool,
    },
}

impl Settled {
    /// The task that it is about.
    #[must_use]
    pub fn task_id(&self) -> &TaskId {
        match self {
            Self::Refused { task_id, .. } | Self::Stored { task_id, .. } => task_id,
        }
    }
}

/// `POST /tasks/{taskId}/progress`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Who works.
    pub agent_id: ActorId,
    /// The token of the claim.
    pub fencing_token: FencingToken,
    /// What to keep for the next attempt, an object.
    pub progress: Value,
}

/// `POST /tasks/{taskId}/emit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Emit {
    /// Who works.
    pub agent_id: ActorId,
    /// The token of the claim.
    pub fencing_token: FencingToken,
    /// Events of custom types.
    pub events: Vec<Emission>,
}

/// One event to publish in the name of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Emission {
    /// A custom dotted type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    pub payload: Value,
}

/// The answer to [`Emit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emitted {
    /// One for each event, in order.
    pub events: Vec<EmittedEvent>,
}

/// An event that was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmittedEvent {
    /// The id that it was given.
    pub id: EventId,
    /// Its number in the swarm.
    pub seq: i64,
}

/// `POST /tasks/{taskId}/release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// Who gives it back.
    pub agent_id: ActorId,
    /// The token of the claim.
    pub fencing_token: FencingToken,
    /// When it may be claimed again.
    pub delay_ms: u64,
}

/// `POST /tasks/{taskId}/reserve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reserve {
    /// Who works.
    pub agent_id: ActorId,
    /// The token of the claim.
    pub fencing_token: FencingToken,
    /// How much it may cost.
    pub units: u64,
}

/// `POST /tasks/{taskId}/settle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settle {
    /// Who works.
    pub agent_id: ActorId,
    /// The token of the claim.
    pub fencing_token: FencingToken,
    /// Which reservation.
    pub reservation_id: String,
    /// How much it did cost.
    pub units: u64,
}

/// The answer to [`Reserve`] and [`Settle`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reservation {
    /// Its id.
    pub reservation_id: String,
    /// What is reserved, or was spent.
    pub units: u64,
    /// What the budget has left.
    pub available: i64,
}

/// Why something was refused: the type and detail of a problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The stable identifier of the kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened, for people.
    #[serde(default)]
    pub detail: String,
}

impl Problem {
    /// What this means to a worker.
    #[must_use]
    pub fn into_error(self) -> Error {
        let Self { kind, detail } = self;
        match kind.rsplit(':').next().unwrap_or_default() {
            "lease-lost" => Error::LeaseLost { detail },
            "not-found" => Error::NotFound { detail },
            // Too many waited, so that nothing was begun.
            "overloaded" => Error::Unavailable {
                reason: detail,
                untouched: true,
            },
            "unavailable" | "timeout" | "internal" | "body-timeout" => Error::Unavailable {
                reason: detail,
                untouched: false,
            },
            problem => Error::Refused {
                problem: problem.to_owned(),
                detail,
            },
        }
    }
}
