//! Reading the trail: by page from its end, and all of it from its begin.
//!
//! Invariant: every statement is about one tenant.

use brain_connectivity::postgres::Postgres;
use jiff::Timestamp;
use tokio_postgres::{GenericClient, Row};

use super::{
    Error,
    record::{ActorKind, ApprovalState, Record, written},
};
use crate::{digest::Digest, ids::TenantId};

/// The most records of a page.
pub const MAX_LIMIT: usize = 500;

/// Which records to read.
#[derive(Debug, Clone)]
pub struct Query {
    /// Of this tenant.
    pub tenant_id: TenantId,
    /// Whose action begins like this, such as `token.`.
    pub action_prefix: Option<String>,
    /// Of this actor.
    pub actor_id: Option<String>,
    /// In this state of approval.
    pub approval_state: Option<ApprovalState>,
    /// About this thing.
    pub target: Option<String>,
    /// Before the record with this number.
    pub before: Option<i64>,
    /// At most this many, and never more than [`MAX_LIMIT`].
    pub limit: usize,
}

/// Some records, newest first.
#[derive(Debug, Clone)]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// Read on before this one; `None` at the end.
    pub next: Option<i64>,
}

/// Reads a page of records.
///
/// # Errors
/// Those of the database, and [`Error::Unreadable`] for a row that somebody else wrote.
pub async fn list(postgres: &Postgres, query: &Query) -> Result<Page, Error> {
    let client = postgres.client().await?;
    let wanted = query.limit.min(MAX_LIMIT);
    // One more than asked for says whether there are more.
    let limit = i64::try_from(wanted).unwrap_or(i64::MAX).saturating_add(1);
    // Not kept prepared: the plan depends on which filters are set.
    let rows = client
        .query(
            include_str!("../sql/select_audit_page.sql"),
            &[
                &query.tenant_id.as_str(),
                &query.before.unwrap_or(i64::MAX),
                &query.action_prefix,
                &query.actor_id,
                &query.approval_state.map(ApprovalState::as_str),
                &query.target,
                &limit,
            ],
        )
        .await?;
    let more = rows.len() > wanted;
    let records: Result<Vec<Record>, Error> = rows
        .iter()
        .take(wanted)
        .map(|row| read(row, &query.tenant_id))
        .collect();
    let records = records?;
    Ok(Page {
        next: records.last().filter(|_| more).map(|record| record.seq),
        records,
    })
}

/// Rows in the order of the chain, after one and up to another.
pub(crate) async fn following(
    client: &impl GenericClient,
    tenant: &TenantId,
    (after, to): (i64, i64),
    limit: i64,
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let statement = include_str!("../sql/select_audit_chain.sql");
    client.query(statement, &[&tenant.as_str(), &after, &to, &limit]).await
}

/// The record of a row.
pub(crate) fn read(row: &Row, tenant: &TenantId) -> Result<Record, Error> {
    let unreadable = || Error::Unreadable(tenant.clone(), row.get("seq"));
    let digest = |column: &str| Digest::try_from(row.get::<_, &[u8]>(column)).map_err(|_| unreadable());
    let hash = |column: &str| {
        let text: Option<&str> = row.get(column);
        text.map(|text| text.parse::<Digest>().map_err(|_| unreadable()))
            .transpose()
    };
    let actor_type = match row.get("actor_type") {
        "principal" => ActorKind::Principal,
        "system" => ActorKind::System,
        _ => return Err(unreadable()),
    };
    let state: &str = row.get("approval_state");
    // Years beyond what a timestamp holds are not ours.
    let at: Timestamp = row.try_get("at").map_err(|_| unreadable())?;
    Ok(Record {
        seq: row.get("seq"),
        id: row.get("id"),
        at: written(at),
        tenant_id: tenant.clone(),
        actor_type,
        actor_id: row.get("actor_id"),
        action: row.get("action"),
        rationale: row.get("rationale"),
        target: row.get("target"),
        approval_state: state.parse().map_err(|_| unreadable())?,
        input_hash: hash("input_hash")?,
        output_hash: hash("output_hash")?,
        metadata: row.get("metadata"),
        prev_hash: digest("prev_hash")?,
        hash: digest("hash")?,
    })
}
