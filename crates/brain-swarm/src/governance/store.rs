//! Proposals and their executions in the database.

use std::collections::HashMap;

use tokio_postgres::{GenericClient, Transaction};
use uuid::Uuid;

use super::{
    error::Error,
    proposal::{self, Execution, StoredProposal},
};
use crate::ids::TenantId;

/// A proposal with its executions, which nobody else changes until the transaction ends.
pub(super) async fn lock(transaction: &Transaction<'_>, tenant: &TenantId, id: Uuid) -> Result<StoredProposal, Error> {
    transaction
        .execute(include_str!("../sql/lock_proposal.sql"), &[&id, &tenant.as_str()])
        .await?;
    // A statement of its own: it sees what was committed while the lock was waited for.
    get(transaction, tenant, id)
        .await?
        .ok_or(Error::NotFound("proposal", id))
}

/// A proposal with its executions.
pub(super) async fn get(
    client: &impl GenericClient,
    tenant: &TenantId,
    id: Uuid,
) -> Result<Option<StoredProposal>, Error> {
    let row = client
        .query_opt(include_str!("../sql/select_proposal.sql"), &[&id, &tenant.as_str()])
        .await?;
    let Some(row) = row else { return Ok(None) };
    let mut executions = executions(client, tenant, &[id], true).await?;
    Ok(Some(proposal::read(&row, executions.remove(&id).unwrap_or_default())?))
}

/// The executions of some proposals, in their order; with what the other side said, or without.
pub(super) async fn executions(
    client: &impl GenericClient,
    tenant: &TenantId,
    proposals: &[Uuid],
    with_output: bool,
) -> Result<HashMap<Uuid, Vec<Execution>>, Error> {
    let rows = client
        .query(
            include_str!("../sql/select_executions.sql"),
            &[&proposals, &tenant.as_str(), &with_output],
        )
        .await?;
    let mut found: HashMap<Uuid, Vec<Execution>> = HashMap::new();
    for row in &rows {
        let of = found.entry(row.get("proposal_id")).or_default();
        of.push(proposal::read_execution(row)?);
    }
    Ok(found)
}
