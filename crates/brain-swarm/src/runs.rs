//! Reading runs.

use brain_connectivity::postgres::{self, Postgres};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Row;

pub use crate::decide::RunState;
use crate::{
    decide::Totals,
    ids::{RunId, SwarmId, TenantId},
};

/// Which runs to read.
#[derive(Debug, Clone)]
pub struct Query {
    /// Of this tenant.
    pub tenant_id: TenantId,
    /// Of this swarm.
    pub swarm_id: SwarmId,
    /// That stand so.
    pub state: Option<RunState>,
    /// With an id after this one.
    pub after: Option<RunId>,
    /// At most this many.
    pub limit: usize,
}

/// The tasks of a run by where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "RunTasks")]
#[serde(rename_all = "camelCase")]
pub struct Tasks {
    /// By how they ended.
    #[serde(flatten)]
    pub totals: Totals,
    /// Those that have not ended.
    pub open: i64,
}

/// A run, as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Run")]
#[serde(rename_all = "camelCase")]
pub struct StoredRun {
    /// Its id.
    pub run_id: RunId,
    /// Its swarm.
    pub swarm_id: SwarmId,
    /// Where it stands.
    pub state: RunState,
    /// Its tasks.
    pub tasks: Tasks,
    /// What was said at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Value>,
    /// When it was started, if somebody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// When it was first heard of.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Some runs, in order of id.
#[derive(Debug, Clone)]
pub struct Page {
    /// The runs.
    pub runs: Vec<StoredRun>,
    /// Read on after this one; `None` at the end.
    pub next: Option<RunId>,
}

/// Reads a page of runs.
///
/// # Errors
/// Those of the database.
pub async fn list(postgres: &Postgres, query: &Query) -> Result<Page, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client.prepare_cached(include_str!("sql/select_run_page.sql")).await?;
    let (tenant, swarm) = (query.tenant_id.as_str(), query.swarm_id.as_str());
    let state = query.state.map(RunState::as_str);
    let after = query.after.as_ref().map_or("", AsRef::<str>::as_ref);
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX).saturating_add(1);
    let none: Option<&str> = None;
    let rows = client
        .query(&statement, &[&tenant, &swarm, &none, &state, &after, &limit])
        .await?;
    let more = rows.len() > query.limit;
    let runs: Vec<StoredRun> = rows.iter().take(query.limit).map(stored_run).collect();
    Ok(Page {
        next: runs.last().filter(|_| more).map(|run| run.run_id.clone()),
        runs,
    })
}

/// Reads one run.
///
/// # Errors
/// Those of the database.
pub async fn get(
    postgres: &Postgres,
    tenant: &TenantId,
    swarm: &SwarmId,
    run: &RunId,
) -> Result<Option<StoredRun>, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client.prepare_cached(include_str!("sql/select_run_page.sql")).await?;
    let none: Option<&str> = None;
    let row = client
        .query_opt(
            &statement,
            &[
                &tenant.as_str(),
                &swarm.as_str(),
                &Some(run.as_str()),
                &none,
                &"",
                &1_i64,
            ],
        )
        .await?;
    Ok(row.as_ref().map(stored_run))
}

fn stored_run(row: &Row) -> StoredRun {
    let totals = Totals {
        created: row.get(3),
        completed: row.get(4),
        failed: row.get(5),
        cancelled: row.get(6),
    };
    StoredRun {
        run_id: RunId::trusted(row.get(0)),
        swarm_id: SwarmId::trusted(row.get(1)),
        state: row.get::<_, &str>(2).parse().unwrap_or(RunState::Open),
        tasks: Tasks {
            totals,
            open: totals.open(),
        },
        summary: row.get(7),
        started_at: row.get(8),
        finished_at: row.get(9),
        created_at: row.get(10),
        updated_at: row.get(11),
    }
}
