//! The envelope: everything that an approval is bound to.
//!
//! Invariant: whatever changes of it, the digest changes, and the approval is void.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{capability::CapabilityId, decide::ReasonCode};
use crate::{
    digest::Digest,
    ids::{ActorId, TenantId},
};

/// What was approved, for whom, under which rules, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ApprovalEnvelope")]
pub struct Envelope {
    /// The proposal.
    pub proposal_id: Uuid,
    /// Its tenant.
    pub tenant_id: TenantId,
    /// The capability.
    pub capability_id: CapabilityId,
    /// The digest of how it was defined.
    pub definition_digest: Digest,
    /// The version of the policy.
    pub policy_version: Digest,
    /// The digest of the arguments in canonical form (RFC 8785).
    pub input_digest: Digest,
    /// The credential that asked.
    pub principal: String,
    /// Who that is.
    pub actor_id: ActorId,
    /// For whom it acts.
    pub owner_id: ActorId,
    /// Through which delegation.
    pub delegation_id: Option<Uuid>,
    /// Until when the approval holds.
    pub expires_at: Timestamp,
}

impl Envelope {
    /// The digest of all of it.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        Digest::of_json(self).ok()
    }
}

/// What an approval must be bound to at the moment at which it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The credential that asks.
    pub principal: String,
    /// Who that is.
    pub actor_id: ActorId,
    /// The credential that proposed.
    pub proposed_by: String,
    /// How the capability is defined now; none where it is not.
    pub definition_digest: Digest,
    /// How it was defined when it was proposed.
    pub proposed_definition_digest: Digest,
    /// The policy now.
    pub policy_version: Digest,
    /// The digest of the arguments that would be sent, made anew from them.
    pub input_digest: Digest,
    /// The digest that the proposal noted when it was made.
    pub noted_input_digest: Digest,
    /// The digest of the arguments that the caller names; that of the stored ones, where it names none.
    pub asked_input_digest: Digest,
}

impl Binding {
    /// What differs from what was proposed, where no approval is needed.
    #[must_use]
    pub fn differs_from_proposal(&self) -> Option<ReasonCode> {
        if self.input_digest != self.noted_input_digest || self.input_digest != self.asked_input_digest {
            Some(ReasonCode::ApprovalInputChanged)
        } else if self.principal != self.proposed_by {
            Some(ReasonCode::ApprovalPrincipalChanged)
        } else if self.definition_digest != self.proposed_definition_digest {
            // The arguments were held against another schema.
            Some(ReasonCode::ApprovalDefinitionChanged)
        } else {
            None
        }
    }
}
