//! Reading tasks.

use brain_connectivity::postgres::{self, Postgres};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Row;

pub use crate::decide::{DependencyPolicy, TaskStatus, Wait};
use crate::ids::{ActorId, BudgetId, EventId, RunId, SwarmId, TaskId, TenantId};

/// Which tasks to read.
#[derive(Debug, Clone)]
pub struct Query {
    /// Of this tenant.
    pub tenant_id: TenantId,
    /// Of this swarm.
    pub swarm_id: SwarmId,
    /// Of this run.
    pub run_id: Option<RunId>,
    /// That stand so.
    pub status: Option<TaskStatus>,
    /// That this agent holds or held last.
    pub assigned_agent_id: Option<ActorId>,
    /// With an id after this one.
    pub after: Option<TaskId>,
    /// At most this many.
    pub limit: usize,
}

/// A task, as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Task")]
#[serde(rename_all = "camelCase")]
pub struct StoredTask {
    /// Its id.
    pub task_id: TaskId,
    /// Its swarm.
    pub swarm_id: SwarmId,
    /// Its run.
    pub run_id: RunId,
    /// Where it stands.
    pub status: TaskStatus,
    /// Who holds it, or held it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_agent_id: Option<ActorId>,
    /// The only role that fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The capability an agent must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// Higher goes first.
    pub priority: i16,
    /// How often it has been started.
    pub attempt: i32,
    /// How often it may be started.
    pub max_attempts: i32,
    /// What its worker needs to know.
    pub inputs: Value,
    /// What came out of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The event that created it.
    pub created_event_id: EventId,
    /// The event that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal_event_id: Option<EventId>,
    /// Whom its creator named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted_agent_id: Option<ActorId>,
    /// What it waits for besides an agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<Wait>,
    /// Not before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at: Option<Timestamp>,
    /// When its current attempt began, or its last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the lease of its claim runs out, by the clock of the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_expires_at: Option<Timestamp>,
    /// Tasks of one key share a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_key: Option<String>,
    /// The task whose tree it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_task_id: Option<TaskId>,
    /// What it may spend from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<BudgetId>,
    /// How many dependencies are not done.
    #[serde(skip_serializing_if = "is_zero")]
    pub unmet_dependencies: i32,
    /// What the failure of a dependency does to it, where that is not `cancel`.
    #[serde(skip_serializing_if = "is_cancel")]
    pub on_dependency_failure: DependencyPolicy,
    /// What its worker last said of its progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Value>,
    /// The tasks it depends on; only when one task is read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<TaskId>,
    /// The attempts that ended without success, oldest first; only when one task is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<Value>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Some tasks, in order of id.
#[derive(Debug, Clone)]
pub struct Page {
    /// The tasks.
    pub tasks: Vec<StoredTask>,
    /// Read on after this one; `None` at the end.
    pub next: Option<TaskId>,
}

/// Reads a page of tasks.
///
/// # Errors
/// Those of the database.
pub async fn list(postgres: &Postgres, query: &Query) -> Result<Page, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client.prepare_cached(include_str!("sql/select_task_page.sql")).await?;
    let (tenant, swarm) = (query.tenant_id.as_str(), query.swarm_id.as_str());
    let run = query.run_id.as_ref().map(AsRef::<str>::as_ref);
    let status = query.status.map(TaskStatus::as_str);
    let assignee = query.assigned_agent_id.as_ref().map(AsRef::<str>::as_ref);
    let after = query.after.as_ref().map_or("", AsRef::<str>::as_ref);
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX).saturating_add(1);
    let rows = client
        .query(&statement, &[&tenant, &swarm, &run, &status, &assignee, &after, &limit])
        .await?;
    let more = rows.len() > query.limit;
    let tasks: Vec<StoredTask> = rows.iter().take(query.limit).map(stored_task).collect();
    Ok(Page {
        next: tasks.last().filter(|_| more).map(|task| task.task_id.clone()),
        tasks,
    })
}

/// Reads one task.
///
/// # Errors
/// Those of the database.
pub async fn get(
    postgres: &Postgres,
    tenant: &TenantId,
    swarm: &SwarmId,
    task: &TaskId,
) -> Result<Option<StoredTask>, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client.prepare_cached(include_str!("sql/select_task.sql")).await?;
    let row = client
        .query_opt(&statement, &[&tenant.as_str(), &swarm.as_str(), &task.as_str()])
        .await?;
    Ok(row.as_ref().map(|row| StoredTask {
        history: row.get(28),
        depends_on: row.get::<_, Vec<&str>>(29).into_iter().map(TaskId::trusted).collect(),
        ..stored_task(row)
    }))
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_cancel(policy: &DependencyPolicy) -> bool {
    *policy == DependencyPolicy::Cancel
}

fn stored_task(row: &Row) -> StoredTask {
    StoredTask {
        task_id: TaskId::trusted(row.get(0)),
        swarm_id: SwarmId::trusted(row.get(1)),
        run_id: RunId::trusted(row.get(2)),
        status: row.get::<_, &str>(3).parse().unwrap_or(TaskStatus::Cancelled),
        assigned_agent_id: row.get::<_, Option<&str>>(4).map(ActorId::trusted),
        role: row.get(5),
        capability: row.get(6),
        priority: row.get(7),
        attempt: row.get(8),
        max_attempts: row.get(9),
        inputs: row.get(10),
        outputs: row.get(11),
        error: row.get(12),
        created_event_id: EventId::trusted(row.get(13)),
        terminal_event_id: row.get::<_, Option<&str>>(14).map(EventId::trusted),
        created_at: row.get(15),
        updated_at: row.get(16),
        waiting_for: row.get::<_, Option<&str>>(17).and_then(|word| word.parse().ok()),
        run_at: row.get(18),
        lease_expires_at: row.get(19),
        concurrency_key: row.get(20),
        parent_task_id: row.get::<_, Option<&str>>(21).map(TaskId::trusted),
        budget_id: row.get::<_, Option<&str>>(22).map(BudgetId::trusted),
        unmet_dependencies: row.get(23),
        on_dependency_failure: row.get::<_, &str>(24).parse().unwrap_or(DependencyPolicy::Cancel),
        progress: row.get(25),
        started_at: row.get(26),
        wanted_agent_id: row.get::<_, Option<&str>>(27).map(ActorId::trusted),
        history: None,
        depends_on: Vec::new(),
    }
}
