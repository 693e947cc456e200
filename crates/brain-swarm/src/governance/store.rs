//! Proposals and their executions in the database.

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
    let mut executions = executions(client, tenant, &[id]).await?;
    let own = executions.drain(..).map(|(_, execution)| execution).collect();
    Ok(Some(proposal::read(&row, own)?))
}

/// The executions of some proposals, in their order.
pub(super) async fn executions(
    client: &impl GenericClient,
    tenant: &TenantId,
    proposals: &[Uuid],
) -> Result<Vec<(Uuid, Execution)>, Error> {
    let rows = client
        .query(
            include_str!("../sql/select_executions.sql"),
            &[&proposals, &tenant.as_str()],
        )
        .await?;
    let read = rows
        .iter()
        .map(|row| Ok((row.get("proposal_id"), proposal::read_execution(row)?)));
    read.collect::<Result<_, proposal::Unreadable>>().map_err(Into::into)
}
