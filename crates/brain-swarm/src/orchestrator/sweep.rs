//! What no event brings about: agents that fall silent, tasks that nobody works on.
//!
//! Invariant: the sweep decides nothing; it publishes `agent.lost` and asks the one way in to settle a swarm.

use std::time::Duration;

use brain_connectivity::postgres::{self, Postgres};
use jiff::Timestamp;
use serde_json::json;
use tokio_postgres::types::ToSql;

use crate::{
    bus::StreamNames,
    event::{Context, Event, EventType},
    ids::{ActorId, EventId, RunId, SwarmId, TenantId},
    ingest::{self, BRAIN_ACTOR, Batch},
    publish::{self, Publisher},
    relay::RelayQueue,
};

/// Lost agents of one sweep.
const AGENTS: i64 = 100;
/// Swarms that one sweep settles.
const SWARMS: i64 = 32;

/// Batches of one swarm and sweep.
const BATCHES: usize = 20;
/// From so many settled tasks more may be left.
const FULL: usize = 1000;

/// Why a sweep failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
    #[error(transparent)]
    Publish(#[from] publish::Error),
}

pub(super) struct Sweep {
    pub(super) postgres: Postgres,
    pub(super) streams: StreamNames,
    pub(super) publisher: Publisher,
    pub(super) queue: RelayQueue,
    pub(super) agent_timeout: Duration,
}

impl Sweep {
    /// One sweep over everything. Two replicas that sweep at once do no harm: the second finds nothing left to do.
    pub(super) async fn run(&self) -> Result<(), Error> {
        let lost = self.lost_agents().await?;
        if !lost.is_empty() {
            tracing::info!(agents = lost.len(), "agents are lost");
            metrics::counter!(crate::metric_names::AGENTS_LOST).increment(lost.len() as u64);
            self.publisher.publish(lost).await?;
        }
        for swarm in self.unsettled().await? {
            self.settle(swarm).await?;
        }
        Ok(())
    }

    /// Settles one swarm, batch by batch while the batches are full: a run with many open tasks is cancelled in one sweep.
    async fn settle(&self, swarm: (TenantId, SwarmId)) -> Result<(), Error> {
        for _ in 0..BATCHES {
            let batch = Batch {
                settle: vec![swarm.clone()],
                ..Batch::default()
            };
            match ingest::commit(&self.postgres, &self.streams, &self.queue.tracer, &batch).await {
                Ok(committed) => {
                    self.queue.bells.committed(&committed);
                    self.queue.add(committed.relay);
                    if committed.settled < FULL {
                        break;
                    }
                }
                Err(ingest::Error::Database(error)) => return Err(error.into()),
                Err(ingest::Error::LeaseLost(_)) => break,
            }
        }
        Ok(())
    }

    async fn lost_agents(&self) -> Result<Vec<Event>, postgres::Error> {
        let client = self.postgres.client().await?;
        let statement = client
            .prepare_cached(include_str!("../sql/select_lost_agents.sql"))
            .await?;
        let rows = client
            .query(&statement, &[&(self.agent_timeout.as_secs_f64() * 1000.0), &AGENTS])
            .await?;
        let events = rows.iter().map(|row| {
            let last_seen_at: Timestamp = row.get(4);
            Event {
                tenant_id: TenantId::trusted(row.get(0)),
                swarm_id: SwarmId::trusted(row.get(1)),
                id: EventId::generate(),
                kind: EventType::AgentLost,
                schema_version: 1,
                run_id: RunId::trusted(row.get(3)),
                actor_id: ActorId::trusted(BRAIN_ACTOR),
                payload: json!({ "agentId": row.get::<_, &str>(2), "lastSeenAt": last_seen_at }),
                created_at: Timestamp::now(),
                context: Context::default(),
            }
        });
        Ok(events.collect())
    }

    async fn unsettled(&self) -> Result<Vec<(TenantId, SwarmId)>, postgres::Error> {
        let client = self.postgres.client().await?;
        let statement = client
            .prepare_cached(include_str!("../sql/select_unsettled_swarms.sql"))
            .await?;
        // Reading a large table whole can look cheaper to the planner than a probe, when it expects many of the rows sought.
        let parameters: [&(dyn ToSql + Sync); 1] = [&SWARMS];
        let (begun, rows, ended) = tokio::join!(
            client.batch_execute("BEGIN; SET LOCAL enable_seqscan = off"),
            client.query(&statement, &parameters),
            client.batch_execute("COMMIT"),
        );
        begun?;
        let rows = rows?;
        ended?;
        Ok(rows
            .iter()
            .map(|row| (TenantId::trusted(row.get(0)), SwarmId::trusted(row.get(1))))
            .collect())
    }
}
