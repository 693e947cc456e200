//! A proposal: who wants to do what, with which arguments, why, and what was decided about it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    capability::CapabilityId,
    decide::{Approval, Authority, Proposed},
    envelope::Envelope,
    executor::Kind,
};
use crate::{
    digest::Digest,
    ids::{ActorId, TenantId},
};

/// The least that a rationale or a reason must say, in characters.
pub const MIN_REASON_CHARS: usize = 10;
/// The most.
pub const MAX_REASON_CHARS: usize = 4096;
/// The largest input, in bytes of canonical JSON.
pub const MAX_INPUT_BYTES: usize = 128 * 1024;

/// Where a proposal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ProposalStatus")]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It needs no approval.
    Draft,
    /// It waits for one.
    PendingApproval,
    /// A person approved.
    Approved,
    /// A person rejected.
    Rejected,
    /// It was dispatched.
    Executed,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Draft,
        Self::PendingApproval,
        Self::Approved,
        Self::Rejected,
        Self::Executed,
    ];

    /// The word in the database and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::PendingApproval => "pending_approval",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Executed => "executed",
        }
    }
}

/// A text that names no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a status is draft, pending_approval, approved, rejected or executed")]
pub struct InvalidStatus;

impl std::str::FromStr for Status {
    type Err = InvalidStatus;

    fn from_str(word: &str) -> Result<Self, InvalidStatus> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == word);
        found.ok_or(InvalidStatus)
    }
}

/// What a person sees before deciding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ProposalPreview")]
pub struct Preview {
    /// What is to happen, in a sentence of the one who asks.
    pub summary: String,
    /// The arguments.
    pub input: Value,
    /// What is expected to come of it.
    pub expected_effects: Vec<String>,
}

/// How an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ExecutionStatus")]
#[serde(rename_all = "snake_case")]
pub enum ExecutionStatus {
    /// It is under way.
    Dispatched,
    /// It was done.
    Succeeded,
    /// The other side says that it was not done.
    Failed,
    /// Nothing was sent, so nothing happened.
    Blocked,
    /// Nobody knows. It is never tried again by itself.
    Unknown,
}

impl ExecutionStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Dispatched,
        Self::Succeeded,
        Self::Failed,
        Self::Blocked,
        Self::Unknown,
    ];

    /// The word in the database and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dispatched => "dispatched",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Unknown => "unknown",
        }
    }

    fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// One execution, or one rollback.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// Its id, which a receiver sees too.
    pub execution_id: Uuid,
    /// To do, or to undo.
    pub kind: Kind,
    /// How it stands.
    pub status: ExecutionStatus,
    /// By what right.
    pub authority: Authority,
    /// By which exemption.
    pub exemption_id: Option<Uuid>,
    /// Who asked for it.
    pub principal: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When the first byte was about to leave.
    pub sent_at: Option<Timestamp>,
    /// When its outcome was known, or given up.
    pub finished_at: Option<Timestamp>,
    /// What the other side said.
    pub output: Option<Value>,
    /// Why it did not succeed.
    pub error: Option<String>,
}

/// A proposal as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Proposal")]
pub struct StoredProposal {
    /// Its id.
    pub proposal_id: Uuid,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What is to be used.
    pub capability_id: CapabilityId,
    /// The credential that asked.
    pub requested_by: String,
    /// Who that is.
    pub actor_id: ActorId,
    /// For whom.
    pub owner_id: ActorId,
    /// Through which delegation.
    pub delegation_id: Option<Uuid>,
    /// Why.
    pub rationale: String,
    /// The digest of the arguments in canonical form (RFC 8785).
    pub input_hash: Digest,
    /// What a person sees before deciding.
    pub preview: Preview,
    /// Where it stands.
    pub status: Status,
    /// The rule that wants a person to look at it.
    pub intake_rule: Option<String>,
    /// Why it does.
    pub intake_reason: Option<String>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// Why.
    pub decision_reason: Option<String>,
    /// Until when the approval holds.
    pub expires_at: Option<Timestamp>,
    /// The digest of the approval's envelope.
    pub envelope_digest: Option<Digest>,
    /// How the capability was defined when it was proposed, or approved.
    pub definition_digest: Digest,
    /// Under which policy.
    pub policy_version: Digest,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// What was dispatched of it.
    pub executions: Vec<Execution>,
    /// The arguments in canonical form: exactly what would be sent.
    #[serde(skip)]
    #[schemars(skip)]
    pub input: String,
}

impl StoredProposal {
    /// What it was approved as.
    pub(super) fn envelope(&self, expires_at: Timestamp) -> Envelope {
        Envelope {
            proposal_id: self.proposal_id,
            tenant_id: self.tenant_id.clone(),
            capability_id: self.capability_id.clone(),
            definition_digest: self.definition_digest,
            policy_version: self.policy_version,
            input_digest: self.input_hash,
            principal: self.requested_by.clone(),
            actor_id: self.actor_id.clone(),
            owner_id: self.owner_id.clone(),
            delegation_id: self.delegation_id,
            expires_at,
        }
    }

    /// What the decision needs of it.
    pub(super) fn proposed(&self) -> Proposed {
        let approval = self.expires_at.zip(self.envelope_digest);
        Proposed {
            capability_id: self.capability_id.clone(),
            tenant_id: self.tenant_id.clone(),
            owner_id: self.owner_id.clone(),
            status: self.status,
            intercepted: self.intake_rule.is_some(),
            approval: approval.map(|(expires_at, digest)| Approval {
                envelope: self.envelope(expires_at),
                digest,
            }),
        }
    }

    /// The execution of this kind that took place, or may have.
    #[must_use]
    pub fn execution(&self, kind: Kind) -> Option<&Execution> {
        self.executions
            .iter()
            .find(|one| one.kind == kind && one.status != ExecutionStatus::Blocked)
    }
}

/// A row that this version does not understand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a row of {0} holds what this version does not know")]
pub struct Unreadable(pub &'static str);

pub(super) fn read(row: &Row, executions: Vec<Execution>) -> Result<StoredProposal, Unreadable> {
    let odd = || Unreadable("brain_capability_proposals");
    let digest = |name: &str| row.get::<_, &str>(name).parse::<Digest>().map_err(|_| odd());
    let actor = |name: &str| ActorId::new(row.get::<_, &str>(name)).map_err(|_| odd());
    let envelope: Option<&str> = row.get("envelope_digest");
    Ok(StoredProposal {
        proposal_id: row.get("proposal_id"),
        tenant_id: TenantId::new(row.get::<_, &str>("tenant_id")).map_err(|_| odd())?,
        capability_id: row.get::<_, &str>("capability_id").parse().map_err(|_| odd())?,
        requested_by: row.get("requested_by"),
        actor_id: actor("actor_id")?,
        owner_id: actor("owner_id")?,
        delegation_id: row.get("delegation_id"),
        rationale: row.get("rationale"),
        input_hash: digest("input_hash")?,
        preview: serde_json::from_value(row.get("preview")).map_err(|_| odd())?,
        status: row.get::<_, &str>("status").parse().map_err(|_| odd())?,
        intake_rule: row.get("intake_rule"),
        intake_reason: row.get("intake_reason"),
        decided_by: row.get("decided_by"),
        decided_at: row.get("decided_at"),
        decision_reason: row.get("decision_reason"),
        expires_at: row.get("expires_at"),
        envelope_digest: envelope.map(|text| text.parse().map_err(|_| odd())).transpose()?,
        definition_digest: digest("definition_digest")?,
        policy_version: digest("policy_version")?,
        created_at: row.get("created_at"),
        updated_at: row.get("updated_at"),
        executions,
        input: row.get("input"),
    })
}

pub(super) fn read_execution(row: &Row) -> Result<Execution, Unreadable> {
    let odd = || Unreadable("brain_capability_executions");
    let output: Option<&str> = row.get("output");
    Ok(Execution {
        execution_id: row.get("execution_id"),
        kind: match row.get::<_, &str>("kind") {
            "execute" => Kind::Execute,
            "rollback" => Kind::Rollback,
            _ => return Err(odd()),
        },
        status: ExecutionStatus::read(row.get("status")).ok_or_else(odd)?,
        authority: match row.get::<_, &str>("authority") {
            "approval" => Authority::Approval,
            "exemption" => Authority::Exemption,
            "policy" => Authority::Policy,
            _ => return Err(odd()),
        },
        exemption_id: row.get("exemption_id"),
        principal: row.get("principal"),
        started_at: row.get("started_at"),
        sent_at: row.get("sent_at"),
        finished_at: row.get("finished_at"),
        output: output.map(|text| serde_json::from_str(text).unwrap_or_else(|_| text.into())),
        error: row.get("error"),
    })
}
