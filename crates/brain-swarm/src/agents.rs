//! Reading agents, and their heartbeats.

use brain_connectivity::postgres::{self, Postgres};
use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::Row;

use crate::ids::{ActorId, RunId, SwarmId, TenantId};

/// Which agents to read.
#[derive(Debug, Clone)]
pub struct Query {
    /// Of this tenant.
    pub tenant_id: TenantId,
    /// Of this swarm.
    pub swarm_id: SwarmId,
    /// Only live ones, or only lost ones.
    pub live: Option<bool>,
    /// With an id after this one.
    pub after: Option<ActorId>,
    /// At most this many.
    pub limit: usize,
}

/// An agent, as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Agent")]
#[serde(rename_all = "camelCase")]
pub struct StoredAgent {
    /// Its id.
    pub agent_id: ActorId,
    /// Its swarm.
    pub swarm_id: SwarmId,
    /// The run it joined with.
    pub run_id: RunId,
    /// What it is.
    pub role: String,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// How many tasks it may hold at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<i32>,
    /// `live` or `lost`.
    pub status: String,
    /// `pull`: it claims its tasks; `push`: it is given them.
    pub assignment: String,
    /// It finishes what it has and takes nothing new.
    pub draining: bool,
    /// How many tasks it holds.
    pub load: i32,
    /// When it was last heard.
    pub last_seen_at: Timestamp,
    /// When it first joined.
    pub created_at: Timestamp,
}

/// Some agents, in order of id.
#[derive(Debug, Clone)]
pub struct Page {
    /// The agents.
    pub agents: Vec<StoredAgent>,
    /// Read on after this one; `None` at the end.
    pub next: Option<ActorId>,
}

/// Reads a page of agents.
///
/// # Errors
/// Those of the database.
pub async fn list(postgres: &Postgres, query: &Query) -> Result<Page, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client.prepare_cached(include_str!("sql/select_agent_page.sql")).await?;
    let (tenant, swarm) = (query.tenant_id.as_str(), query.swarm_id.as_str());
    let status = query.live.map(|live| if live { "live" } else { "lost" });
    let after = query.after.as_ref().map_or("", AsRef::<str>::as_ref);
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX).saturating_add(1);
    let rows = client
        .query(&statement, &[&tenant, &swarm, &status, &after, &limit])
        .await?;
    let more = rows.len() > query.limit;
    let agents: Vec<StoredAgent> = rows.iter().take(query.limit).map(stored_agent).collect();
    Ok(Page {
        next: agents.last().filter(|_| more).map(|agent| agent.agent_id.clone()),
        agents,
    })
}

/// Reads one agent.
///
/// # Errors
/// Those of the database.
pub async fn get(
    postgres: &Postgres,
    tenant: &TenantId,
    swarm: &SwarmId,
    agent: &ActorId,
) -> Result<Option<StoredAgent>, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client.prepare_cached(include_str!("sql/select_agent.sql")).await?;
    let row = client
        .query_opt(&statement, &[&tenant.as_str(), &swarm.as_str(), &agent.as_str()])
        .await?;
    Ok(row.as_ref().map(stored_agent))
}

/// Notes that an agent is alive. `None`: the swarm has no such agent; it joins with a `run.started` event.
///
/// # Errors
/// Those of the database.
pub async fn heartbeat(
    postgres: &Postgres,
    tenant: &TenantId,
    swarm: &SwarmId,
    agent: &ActorId,
) -> Result<Option<StoredAgent>, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client.prepare_cached(include_str!("sql/heartbeat_agent.sql")).await?;
    let row = client
        .query_opt(&statement, &[&tenant.as_str(), &swarm.as_str(), &agent.as_str()])
        .await?;
    Ok(row.as_ref().map(stored_agent))
}

fn stored_agent(row: &Row) -> StoredAgent {
    StoredAgent {
        agent_id: ActorId::trusted(row.get(0)),
        swarm_id: SwarmId::trusted(row.get(1)),
        run_id: RunId::trusted(row.get(2)),
        role: row.get(3),
        capabilities: row.get(4),
        capacity: row.get(5),
        status: row.get(6),
        load: row.get(7),
        last_seen_at: row.get(8),
        created_at: row.get(9),
        assignment: row.get(10),
        draining: row.get(11),
    }
}
