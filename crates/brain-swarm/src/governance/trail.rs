//! What the audit trail says of proposals, whatever is done with them.

use super::{
    Who,
    decide::ReasonCode,
    error::{Error, Refusal},
    proposal::StoredProposal,
};
use crate::audit::{self, ApprovalState, Entry, Metadata};

/// What the trail says of a proposal each time.
pub(super) fn about(it: &StoredProposal) -> Metadata {
    Metadata::default()
        .with("capabilityId", it.capability_id.as_str())
        .with("actorId", it.actor_id.as_str())
        .with("ownerId", it.owner_id.as_str())
        .with("requestedBy", it.requested_by.as_str())
        .with("definitionDigest", it.definition_digest)
        .with("policyVersion", it.policy_version)
        .maybe("delegationId", it.delegation_id)
}

/// Records a refusal, and gives it.
pub(super) async fn refuse(
    transaction: deadpool_postgres::Transaction<'_>,
    who: &Who,
    it: &StoredProposal,
    (action, refusal): (&'static str, Refusal),
) -> Result<Error, Error> {
    let entry = Entry {
        approval_state: ApprovalState::Denied,
        input_hash: Some(it.input_hash),
        metadata: about(it)
            .with("reasonCode", refusal.code.as_str())
            .with("byActorId", who.actor_id.as_str())
            .maybe("retryAfterSeconds", refusal.retry_after_seconds),
        ..Entry::new(who.actor(), refused(refusal.code, action), it.proposal_id.to_string())
    };
    audit::append(&transaction, &who.tenant_id, entry).await?;
    transaction.commit().await?;
    Ok(refusal.into())
}

/// Refusals for want of a delegation have an action of their own, by which they are found.
pub(super) fn refused(code: ReasonCode, else_: &'static str) -> &'static str {
    if code.as_str().starts_with("DELEGATION_") {
        "capability.delegation.refused"
    } else {
        else_
    }
}
