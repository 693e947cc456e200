//! Reading budgets.

use brain_connectivity::postgres::{self, Postgres};
use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::Row;

pub use crate::decide::BudgetState;
use crate::ids::{BudgetId, SwarmId, TenantId};

/// Which budgets to read.
#[derive(Debug, Clone)]
pub struct Query {
    /// Of this tenant.
    pub tenant_id: TenantId,
    /// Of this swarm.
    pub swarm_id: SwarmId,
    /// That stand so.
    pub state: Option<BudgetState>,
    /// With an id after this one.
    pub after: Option<BudgetId>,
    /// At most this many.
    pub limit: usize,
}

/// A budget, as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Budget")]
#[serde(rename_all = "camelCase")]
pub struct StoredBudget {
    /// Its id.
    pub budget_id: BudgetId,
    /// Its swarm.
    pub swarm_id: SwarmId,
    /// What its units count.
    pub unit: String,
    /// How many there are.
    pub max_units: i64,
    /// How many are promised to tasks that have not said yet what they spent.
    pub reserved: i64,
    /// How many are gone.
    pub spent: i64,
    /// How many it can still give.
    pub available: i64,
    /// Where it stands.
    pub state: BudgetState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Some budgets, in order of id.
#[derive(Debug, Clone)]
pub struct Page {
    /// The budgets.
    pub budgets: Vec<StoredBudget>,
    /// Read on after this one; `None` at the end.
    pub next: Option<BudgetId>,
}

/// Reads a page of budgets.
///
/// # Errors
/// Those of the database.
pub async fn list(postgres: &Postgres, query: &Query) -> Result<Page, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client
        .prepare_cached(include_str!("sql/select_budget_page.sql"))
        .await?;
    let (tenant, swarm) = (query.tenant_id.as_str(), query.swarm_id.as_str());
    let state = query.state.map(BudgetState::as_str);
    let after = query.after.as_ref().map_or("", AsRef::<str>::as_ref);
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX).saturating_add(1);
    let none: Option<&str> = None;
    let rows = client
        .query(&statement, &[&tenant, &swarm, &none, &state, &after, &limit])
        .await?;
    let more = rows.len() > query.limit;
    let budgets: Vec<StoredBudget> = rows.iter().take(query.limit).map(stored_budget).collect();
    Ok(Page {
        next: budgets.last().filter(|_| more).map(|budget| budget.budget_id.clone()),
        budgets,
    })
}

/// Reads one budget.
///
/// # Errors
/// Those of the database.
pub async fn get(
    postgres: &Postgres,
    tenant: &TenantId,
    swarm: &SwarmId,
    budget: &BudgetId,
) -> Result<Option<StoredBudget>, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client
        .prepare_cached(include_str!("sql/select_budget_page.sql"))
        .await?;
    let none: Option<&str> = None;
    let row = client
        .query_opt(
            &statement,
            &[
                &tenant.as_str(),
                &swarm.as_str(),
                &Some(budget.as_str()),
                &none,
                &"",
                &1_i64,
            ],
        )
        .await?;
    Ok(row.as_ref().map(stored_budget))
}

fn stored_budget(row: &Row) -> StoredBudget {
    let (max_units, reserved, spent): (i64, i64, i64) = (row.get(3), row.get(4), row.get(5));
    StoredBudget {
        budget_id: BudgetId::trusted(row.get(0)),
        swarm_id: SwarmId::trusted(row.get(1)),
        unit: row.get(2),
        max_units,
        reserved,
        spent,
        available: max_units - reserved - spent,
        state: row.get::<_, &str>(6).parse().unwrap_or(BudgetState::Stopped),
        created_at: row.get(7),
        updated_at: row.get(8),
    }
}
