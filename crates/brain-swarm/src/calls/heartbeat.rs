//! Heartbeats: an agent says that it lives and what it works on, and learns what it lost.
//!
//! A heartbeat is no event and takes no lock of the swarm: it renews rows that it names, if they are still its own.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Calls, Error, Scope};
use crate::{
    agents::{self, StoredAgent},
    decide::Refusal,
    event::Invalid,
    ids::{ActorId, FencingToken, TaskId},
};

/// The most tasks of one heartbeat.
const MAX_HOLDS: usize = 4096;

/// A task that an agent believes to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "Holding")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hold {
    /// Which task.
    pub task_id: TaskId,
    /// By which claim.
    pub fencing_token: FencingToken,
}

/// A lease that was renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "HeldLease")]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// Which task.
    pub task_id: TaskId,
    /// By which claim.
    pub fencing_token: FencingToken,
    /// When it runs out now, by the clock of the database.
    pub lease_expires_at: Timestamp,
}

/// A lease that is over: stop working on the task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "LostLease")]
#[serde(rename_all = "camelCase")]
pub struct Lost {
    /// Which task.
    pub task_id: TaskId,
    /// By which claim.
    pub fencing_token: FencingToken,
    /// `cancelled`, or `lease-lost`.
    pub reason: &'static str,
}

/// What an agent learns from a heartbeat.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Heartbeat")]
#[serde(rename_all = "camelCase")]
pub struct Beat {
    /// The agent.
    #[serde(flatten)]
    pub agent: StoredAgent,
    /// What it still holds.
    pub held: Vec<Held>,
    /// What it lost.
    pub lost: Vec<Lost>,
}

impl Calls {
    /// Notes that an agent lives, and renews its leases, each for its own length.
    ///
    /// # Errors
    /// An agent that did not register is unknown.
    pub async fn heartbeat(&self, scope: &Scope, agent: &ActorId, holds: &[Hold]) -> Result<Beat, Error> {
        if holds.len() > MAX_HOLDS {
            let problem = format!("a heartbeat is about at most {MAX_HOLDS} tasks, not {}", holds.len());
            return Err(Invalid::Envelope(problem).into());
        }
        let mut held = Vec::new();
        let mut lost = Vec::new();
        if !holds.is_empty() {
            let client = self.postgres.client().await?;
            let renew = client
                .prepare_cached(include_str!("../sql/renew_task_leases.sql"))
                .await
                .map_err(to_error)?;
            let tasks: Vec<&str> = holds.iter().map(|hold| hold.task_id.as_str()).collect();
            let tokens: Vec<i64> = holds.iter().map(|hold| hold.fencing_token.0).collect();
            let (tenant, swarm) = (scope.tenant_id.as_str(), scope.swarm_id.as_str());
            let rows = client
                .query(&renew, &[&tenant, &swarm, &agent.as_str(), &tasks, &tokens])
                .await
                .map_err(to_error)?;
            for row in &rows {
                let task_id = TaskId::trusted(row.get(0));
                let fencing_token = FencingToken(row.get(1));
                match row.get::<_, Option<Timestamp>>(2) {
                    Some(lease_expires_at) => held.push(Held {
                        task_id,
                        fencing_token,
                        lease_expires_at,
                    }),
                    None => lost.push(Lost {
                        task_id,
                        fencing_token,
                        reason: if row.get::<_, Option<&str>>(3) == Some("cancelled") {
                            "cancelled"
                        } else {
                            "lease-lost"
                        },
                    }),
                }
            }
        }
        let agent = agents::heartbeat(&self.postgres, &scope.tenant_id, &scope.swarm_id, agent)
            .await?
            .ok_or(Error::NotFound(Refusal::UnknownAgent))?;
        Ok(Beat { agent, held, lost })
    }
}

fn to_error(error: tokio_postgres::Error) -> Error {
    brain_connectivity::postgres::Error::from(error).into()
}
