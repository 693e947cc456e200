//! Whether something may be executed: a pure decision over facts, in the order of the specification.
//!
//! Invariants: the first check that fails names the reason; nothing is allowed by what is missing or unclear.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    capability::CapabilityId,
    envelope::{Binding, Envelope},
    proposal::Status,
};
use crate::{
    digest::Digest,
    ids::{ActorId, TenantId},
};

/// Why something may be executed, or may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReasonCode {
    /// It may.
    Allowed,
    /// There is no such capability.
    CapabilityUnknown,
    /// An agent acts through a delegation, and names none.
    DelegationMissing,
    /// The delegation is over.
    DelegationExpired,
    /// The delegation was revoked.
    DelegationRevoked,
    /// The delegation is of another owner than the proposal.
    DelegationOwnerMismatch,
    /// The delegation is of another agent.
    DelegationAgentMismatch,
    /// The caller, or its delegation, lacks the scope of the capability.
    DelegationScopeMissing,
    /// A rationale or reason of at least 10 characters is wanted.
    RationaleRequired,
    /// The kill switch is on, or a rule of the policy stands against it.
    BlockedByPolicy,
    /// The proposal is of another capability.
    ProposalCapabilityMismatch,
    /// The proposal is of another tenant.
    TenantMismatch,
    /// The proposal was rejected.
    ProposalRejected,
    /// It was executed before.
    AlreadyExecuted,
    /// Nobody approved it.
    ApprovalRequired,
    /// The approval is too old.
    ApprovalExpired,
    /// Somebody else asked for it than the one it was approved for.
    ApprovalPrincipalChanged,
    /// The capability is defined otherwise than when it was approved; or proposed, where it needs no approval.
    ApprovalDefinitionChanged,
    /// The policy is another one than when it was approved.
    ApprovalPolicyChanged,
    /// The arguments are not those that were approved.
    ApprovalInputChanged,
    /// The approval is of something else.
    ApprovalVoid,
    /// The quota of this hour, or the rate of this minute, is used up.
    RateLimited,
}

impl ReasonCode {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Allowed,
        Self::CapabilityUnknown,
        Self::DelegationMissing,
        Self::DelegationExpired,
        Self::DelegationRevoked,
        Self::DelegationOwnerMismatch,
        Self::DelegationAgentMismatch,
        Self::DelegationScopeMissing,
        Self::RationaleRequired,
        Self::BlockedByPolicy,
        Self::ProposalCapabilityMismatch,
        Self::TenantMismatch,
        Self::ProposalRejected,
        Self::AlreadyExecuted,
        Self::ApprovalRequired,
        Self::ApprovalExpired,
        Self::ApprovalPrincipalChanged,
        Self::ApprovalDefinitionChanged,
        Self::ApprovalPolicyChanged,
        Self::ApprovalInputChanged,
        Self::ApprovalVoid,
        Self::RateLimited,
    ];

    /// The code as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "ALLOWED",
            Self::CapabilityUnknown => "CAPABILITY_UNKNOWN",
            Self::DelegationMissing => "DELEGATION_MISSING",
            Self::DelegationExpired => "DELEGATION_EXPIRED",
            Self::DelegationRevoked => "DELEGATION_REVOKED",
            Self::DelegationOwnerMismatch => "DELEGATION_OWNER_MISMATCH",
            Self::DelegationAgentMismatch => "DELEGATION_AGENT_MISMATCH",
            Self::DelegationScopeMissing => "DELEGATION_SCOPE_MISSING",
            Self::RationaleRequired => "RATIONALE_REQUIRED",
            Self::BlockedByPolicy => "BLOCKED_BY_POLICY",
            Self::ProposalCapabilityMismatch => "PROPOSAL_CAPABILITY_MISMATCH",
            Self::TenantMismatch => "TENANT_MISMATCH",
            Self::ProposalRejected => "PROPOSAL_REJECTED",
            Self::AlreadyExecuted => "ALREADY_EXECUTED",
            Self::ApprovalRequired => "APPROVAL_REQUIRED",
            Self::ApprovalExpired => "APPROVAL_EXPIRED",
            Self::ApprovalPrincipalChanged => "APPROVAL_PRINCIPAL_CHANGED",
            Self::ApprovalDefinitionChanged => "APPROVAL_DEFINITION_CHANGED",
            Self::ApprovalPolicyChanged => "APPROVAL_POLICY_CHANGED",
            Self::ApprovalInputChanged => "APPROVAL_INPUT_CHANGED",
            Self::ApprovalVoid => "APPROVAL_VOID",
            Self::RateLimited => "RATE_LIMITED",
        }
    }

    /// The same in words.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Allowed => "it is allowed",
            Self::CapabilityUnknown => "there is no such capability; STUDIO_BRAIN_CAPABILITIES_FILE defines them",
            Self::DelegationMissing => "an agent acts through a delegation of an owner: name it in delegationId",
            Self::DelegationExpired => "the delegation is over",
            Self::DelegationRevoked => "the delegation was revoked",
            Self::DelegationOwnerMismatch => "the delegation is of another owner than the proposal",
            Self::DelegationAgentMismatch => "the delegation is of another agent",
            Self::DelegationScopeMissing => "the scope capability:<id>:execute is missing",
            Self::RationaleRequired => "say why, in at least 10 characters",
            Self::BlockedByPolicy => "the kill switch is on, or a rule stands against it",
            Self::ProposalCapabilityMismatch => "the proposal is of another capability",
            Self::TenantMismatch => "the proposal is of another tenant",
            Self::ProposalRejected => "the proposal was rejected",
            Self::AlreadyExecuted => "the proposal was executed before; an approval serves once",
            Self::ApprovalRequired => "a person must approve it first",
            Self::ApprovalExpired => "the approval is too old; a person must approve again",
            Self::ApprovalPrincipalChanged => "somebody else asks than the one it was approved for",
            Self::ApprovalDefinitionChanged => {
                "the capability is defined otherwise than when it was proposed or approved"
            }
            Self::ApprovalPolicyChanged => "the policy is another one than when it was approved",
            Self::ApprovalInputChanged => "the arguments are not those that were approved",
            Self::ApprovalVoid => "the approval is of something else",
            Self::RateLimited => "the quota is used up",
        }
    }
}

/// Through whom an actor acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// A person, or a service that answers for itself, whose own scopes say what it may.
    Own {
        /// Whether they cover the capability.
        scope: bool,
    },
    /// An agent, through a delegation.
    Delegated(Option<Delegated>),
}

/// A delegation as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegated {
    /// Who delegated.
    pub owner_id: ActorId,
    /// To whom.
    pub agent_id: ActorId,
    /// Whether its scopes, and those of the caller itself, cover the capability.
    pub scope: bool,
    /// Until when.
    pub expires_at: Timestamp,
    /// Whether it was revoked.
    pub revoked: bool,
}

impl Standing {
    /// The first thing that is wrong with it.
    #[must_use]
    pub fn refusal(&self, actor: &ActorId, owner: Option<&ActorId>, now: Timestamp) -> Option<ReasonCode> {
        match self {
            Self::Own { scope: true } => None,
            Self::Own { scope: false } => Some(ReasonCode::DelegationScopeMissing),
            Self::Delegated(None) => Some(ReasonCode::DelegationMissing),
            Self::Delegated(Some(it)) => {
                if it.revoked {
                    Some(ReasonCode::DelegationRevoked)
                } else if it.expires_at <= now {
                    Some(ReasonCode::DelegationExpired)
                } else if owner.is_some_and(|owner| *owner != it.owner_id) {
                    Some(ReasonCode::DelegationOwnerMismatch)
                } else if it.agent_id != *actor {
                    Some(ReasonCode::DelegationAgentMismatch)
                } else if !it.scope {
                    Some(ReasonCode::DelegationScopeMissing)
                } else {
                    None
                }
            }
        }
    }
}

/// A proposal, as far as the decision needs it.
#[derive(Debug, Clone)]
pub struct Proposed {
    /// Of which capability.
    pub capability_id: CapabilityId,
    /// Of which tenant.
    pub tenant_id: TenantId,
    /// For whom the actor acts.
    pub owner_id: ActorId,
    /// Where it stands.
    pub status: Status,
    /// Whether a rule wants a person to look at it, whatever the capability says.
    pub intercepted: bool,
    /// What was approved.
    pub approval: Option<Approval>,
}

/// An approval as it was given.
#[derive(Debug, Clone)]
pub struct Approval {
    /// What it is bound to.
    pub envelope: Envelope,
    /// The digest of that, as it was noted then.
    pub digest: Digest,
}

/// Everything that a decision depends on.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// When.
    pub now: Timestamp,
    /// Which capability was named, beside the proposal.
    pub wanted: Option<&'a CapabilityId>,
    /// Whether it is defined, and whether it needs an approval.
    pub requires_approval: Option<bool>,
    /// Who acts.
    pub actor_id: &'a ActorId,
    /// Through whom.
    pub standing: &'a Standing,
    /// For which tenant.
    pub tenant_id: &'a TenantId,
    /// Whether the kill switch is on.
    pub stopped: bool,
    /// What was proposed.
    pub proposal: &'a Proposed,
    /// What an approval must be bound to now.
    pub binding: &'a Binding,
    /// Whether an exemption covers the capability.
    pub exempt: bool,
}

/// By what right something is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// A person approved it.
    Approval,
    /// An exemption covers the capability.
    Exemption,
    /// The capability needs no approval.
    Policy,
}

impl Authority {
    /// The word in the database and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Exemption => "exemption",
            Self::Policy => "policy",
        }
    }
}

/// Decides, but for the quota, which is taken as the last thing.
///
/// # Errors
/// The reason, which is never [`ReasonCode::Allowed`].
pub fn decide(facts: &Facts<'_>) -> Result<Authority, ReasonCode> {
    let proposal = facts.proposal;
    let requires_approval = facts.requires_approval.ok_or(ReasonCode::CapabilityUnknown)?;
    let refusal = facts
        .standing
        .refusal(facts.actor_id, Some(&proposal.owner_id), facts.now);
    if let Some(code) = refusal {
        return Err(code);
    }
    if facts.stopped {
        return Err(ReasonCode::BlockedByPolicy);
    }
    if facts.wanted.is_some_and(|wanted| *wanted != proposal.capability_id) {
        return Err(ReasonCode::ProposalCapabilityMismatch);
    }
    if *facts.tenant_id != proposal.tenant_id {
        return Err(ReasonCode::TenantMismatch);
    }
    match proposal.status {
        Status::Rejected => return Err(ReasonCode::ProposalRejected),
        Status::Executed => return Err(ReasonCode::AlreadyExecuted),
        Status::Draft | Status::PendingApproval | Status::Approved => {}
    }
    let wrong = match &proposal.approval {
        Some(approval) if proposal.status == Status::Approved => match approval.void(facts.binding, facts.now) {
            None => return Ok(Authority::Approval),
            Some(code) => code,
        },
        _ => ReasonCode::ApprovalRequired,
    };
    // An exemption stands for the approval of a person, and not for the look that a rule wants.
    let free = facts.exempt || !requires_approval;
    let changed = wrong == ReasonCode::ApprovalInputChanged;
    if proposal.intercepted || !free || changed {
        return Err(wrong);
    }
    // Whatever else may be open, what is executed is what was proposed, by the one who proposed it.
    if let Some(code) = facts.binding.differs_from_proposal() {
        return Err(code);
    }
    Ok(if requires_approval {
        Authority::Exemption
    } else {
        Authority::Policy
    })
}

impl Approval {
    /// What makes it void.
    #[must_use]
    pub fn void(&self, now: &Binding, at: Timestamp) -> Option<ReasonCode> {
        let was = &self.envelope;
        if was.expires_at <= at {
            Some(ReasonCode::ApprovalExpired)
        } else if was.principal != now.principal || was.actor_id != now.actor_id {
            Some(ReasonCode::ApprovalPrincipalChanged)
        } else if was.definition_digest != now.definition_digest {
            Some(ReasonCode::ApprovalDefinitionChanged)
        } else if was.policy_version != now.policy_version {
            Some(ReasonCode::ApprovalPolicyChanged)
        } else if was.input_digest != now.input_digest || now.input_digest != now.asked_input_digest {
            Some(ReasonCode::ApprovalInputChanged)
        } else if was.digest() != Some(self.digest) {
            Some(ReasonCode::ApprovalVoid)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests;
