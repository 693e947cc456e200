//! Executing what was allowed: dry run, execution, rollback.
//!
//! Invariants: the decision, the use of the quota, the row of the execution and its record are one transaction, so there is no
//! execution without its record and no second one; the order leaves after it, through the fence; its outcome is one transaction
//! too, and where that never comes the sweep calls it unknown.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Transaction;
use uuid::Uuid;

use super::{
    Governance, Who,
    capability::CapabilityId,
    decide::{Authority, Facts, ReasonCode, decide},
    delegations,
    envelope::Binding,
    error::{self, Error},
    executor::{Kind, NotSent, Order, Outcome},
    exemptions,
    fence::SwitchFence,
    intake, kill_switch,
    proposal::{ExecutionStatus, Status, StoredProposal},
    quotas::{self, Purpose},
    store,
    trail::{about, refuse},
};
use crate::{
    audit::{self, Actor, ApprovalState, Entry},
    digest::{Digest, canonical},
    ids::TenantId,
};

/// What an execution may take beyond the limit of its executor, before its outcome is called unknown.
const GRACE: Duration = Duration::from_secs(15);
/// The largest output that is kept, in characters.
const MAX_OUTPUT_CHARS: usize = 256 * 1024;
/// The longest error that is kept, in characters.
const MAX_ERROR_CHARS: usize = 2000;
/// How often the note of an outcome is tried while the database is away.
const NOTE_TRIES: u32 = 5;

/// What the caller of an execution says beside the proposal: each of them must be what was proposed.
#[derive(Debug, Clone, Default)]
pub struct Execute {
    /// The capability.
    pub capability_id: Option<CapabilityId>,
    /// The arguments.
    pub input: Option<Value>,
    /// The delegation; that of the proposal, where none is named.
    pub delegation_id: Option<Uuid>,
}

/// What would be decided.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// Whether it would be dispatched now.
    pub allowed: bool,
    /// Why, or why not.
    pub reason_code: ReasonCode,
    /// The same in words.
    pub detail: String,
    /// By what right.
    pub authority: Option<Authority>,
    /// Exactly what would be sent, in canonical form.
    pub input: Value,
    /// The digest of that.
    pub input_hash: Digest,
    /// How often the capability was used in this hour.
    pub quota_used: i32,
    /// How often it may be.
    pub quota_limit: i32,
    /// Whether the brain can undo it.
    pub can_roll_back: bool,
}

/// What was decided, with what it was decided by.
struct Judged {
    proposal: StoredProposal,
    verdict: Result<Authority, ReasonCode>,
    exemption: Option<Uuid>,
}

impl Governance {
    /// Says what would be decided now; nothing is dispatched, and no quota used.
    ///
    /// # Errors
    /// When there is no such proposal, or those of the database.
    pub async fn dry_run(&self, who: &Who, id: Uuid, given: &Execute) -> Result<DryRun, Error> {
        self.rate_of(who, id, Purpose::DryRun).await?;
        let mut client = self.postgres().client().await?;
        let transaction = client.transaction().await?;
        let stopped = kill_switch::glance(&*transaction, &who.tenant_id).await?;
        let proposal = store::get(&*transaction, &who.tenant_id, id).await?;
        let proposal = proposal.ok_or(Error::NotFound("proposal", id))?;
        let judged = self.judge(&transaction, who, proposal, given, stopped).await?;
        let it = &judged.proposal;
        let defined = self.policy().capability(&it.capability_id).map(|one| &one.definition);
        let limit = defined.map_or(0, |one| one.max_calls_per_hour.get());
        let bucket = Self::owner_bucket(&who.tenant_id, &it.owner_id, &it.actor_id, &it.capability_id, limit);
        let used = quotas::used(&*transaction, &bucket).await?;
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let code = match judged.verdict {
            Ok(_) if used >= limit => ReasonCode::RateLimited,
            Ok(_) => ReasonCode::Allowed,
            Err(code) => code,
        };
        let entry = Entry {
            approval_state: state(code, judged.verdict.ok()),
            input_hash: Some(it.input_hash),
            metadata: about(it).with("reasonCode", code.as_str()),
            ..Entry::new(who.actor(), "capability.dry_run", id.to_string())
        };
        audit::append(&transaction, &who.tenant_id, entry).await?;
        transaction.commit().await?;
        Ok(DryRun {
            allowed: code == ReasonCode::Allowed,
            reason_code: code,
            detail: code.says().to_owned(),
            authority: judged.verdict.ok(),
            input: serde_json::from_str(&it.input).unwrap_or_default(),
            input_hash: Digest::of(it.input.as_bytes()),
            quota_used: used,
            quota_limit: limit,
            can_roll_back: defined.is_some_and(|one| one.executor.can_roll_back()),
        })
    }

    /// Executes a proposal: once, and only what was allowed. Returns when the outcome is known, or nobody can know it.
    ///
    /// # Errors
    /// [`Error::Refused`], which is recorded; those of the database before anything was dispatched.
    pub async fn execute(&self, who: &Who, id: Uuid, given: &Execute) -> Result<StoredProposal, Error> {
        self.rate_of(who, id, Purpose::Execute).await?;
        let mut client = self.postgres().client().await?;
        let transaction = client.transaction().await?;
        let proposal = store::lock(&transaction, &who.tenant_id, id).await?;
        let stopped = kill_switch::is_on(&transaction, &who.tenant_id).await?;
        let judged = self.judge(&transaction, who, proposal, given, stopped).await?;
        let it = &judged.proposal;
        let allowed = match judged.verdict {
            Err(code) => Err(code.into()),
            Ok(authority) => {
                let limit = self.capability(&it.capability_id)?.definition.max_calls_per_hour.get();
                let bucket = Self::owner_bucket(&who.tenant_id, &it.owner_id, &it.actor_id, &it.capability_id, limit);
                let taken = quotas::take(&*transaction, &bucket).await?;
                taken.map(|()| authority)
            }
        };
        let authority = match allowed {
            Ok(authority) => authority,
            Err(refusal) => {
                let action = "capability.execute.refused";
                return Err(refuse(transaction, who, it, (action, refusal)).await?);
            }
        };
        let execution = self
            .begin(&transaction, who, it, Kind::Execute, authority, judged.exemption)
            .await?;
        let entry = Entry {
            approval_state: state(ReasonCode::Allowed, Some(authority)),
            input_hash: Some(it.input_hash),
            metadata: about(it)
                .with("reasonCode", ReasonCode::Allowed.as_str())
                .with("executionId", execution)
                .maybe("exemptionId", judged.exemption)
                .maybe("envelopeDigest", it.envelope_digest),
            ..Entry::new(who.actor(), "capability.execute", id.to_string())
        };
        audit::append(&transaction, &who.tenant_id, entry).await?;
        transaction.commit().await?;
        drop(client);
        self.carry_out(judged.proposal, execution, Kind::Execute).await
    }

    /// Undoes what was executed, once, where the capability can.
    ///
    /// # Errors
    /// As [`execute`](Self::execute); [`Error::Conflict`] where there is nothing that could be undone.
    pub async fn roll_back(&self, who: &Who, id: Uuid, reason: &str) -> Result<StoredProposal, Error> {
        let reason = error::reason(reason)?;
        let mut client = self.postgres().client().await?;
        let transaction = client.transaction().await?;
        let it = store::lock(&transaction, &who.tenant_id, id).await?;
        let stopped = kill_switch::is_on(&transaction, &who.tenant_id).await?;
        let capability = self.capability(&it.capability_id)?;
        let Some(done) = it.execution(Kind::Execute) else {
            return Err(Error::Conflict("the proposal was not executed".to_owned()));
        };
        if done.status == ExecutionStatus::Dispatched {
            return Err(Error::Conflict(
                "the execution is under way; wait for its outcome".to_owned(),
            ));
        }
        let wrong = if !(who.covers)(&it.capability_id) {
            Some(ReasonCode::DelegationScopeMissing)
        } else if stopped {
            Some(ReasonCode::BlockedByPolicy)
        } else if it.execution(Kind::Rollback).is_some() {
            Some(ReasonCode::AlreadyExecuted)
        } else {
            None
        };
        if let Some(code) = wrong {
            let action = "capability.rollback.refused";
            return Err(refuse(transaction, who, &it, (action, code.into())).await?);
        }
        if !capability.definition.executor.can_roll_back() {
            let plan = capability
                .definition
                .rollback_plan
                .as_deref()
                .unwrap_or("there is none");
            return Err(Error::Conflict(format!(
                "the capability has no rollback_url or rollback_command, so a person must do it; the plan: {plan}"
            )));
        }
        let (authority, exemption) = (done.authority, done.exemption_id);
        let execution = self
            .begin(&transaction, who, &it, Kind::Rollback, authority, exemption)
            .await?;
        let entry = Entry {
            rationale: reason.to_owned(),
            approval_state: state(ReasonCode::Allowed, Some(authority)),
            input_hash: Some(it.input_hash),
            metadata: about(&it).with("executionId", execution),
            ..Entry::new(who.actor(), "capability.rollback", id.to_string())
        };
        audit::append(&transaction, &who.tenant_id, entry).await?;
        transaction.commit().await?;
        drop(client);
        self.carry_out(it, execution, Kind::Rollback).await
    }

    /// Counts an attempt to execute a proposal, dry or not, against the rate of a minute.
    async fn rate_of(&self, who: &Who, id: Uuid, purpose: Purpose) -> Result<(), Error> {
        let known = self.proposal(&who.tenant_id, id).await?;
        let known = known.ok_or(Error::NotFound("proposal", id))?;
        let per_minute = self.policy().rules.executions_per_minute.get();
        self.rate(who, purpose, known.capability_id.as_str(), per_minute).await
    }

    /// Everything but the quota.
    async fn judge(
        &self,
        transaction: &Transaction<'_>,
        who: &Who,
        proposal: StoredProposal,
        given: &Execute,
        stopped: bool,
    ) -> Result<Judged, Error> {
        let capability = self.policy().capability(&proposal.capability_id);
        let delegation = given.delegation_id.or(proposal.delegation_id);
        let delegated = match delegation {
            Some(id) => delegations::find(transaction, &who.tenant_id, id, &proposal.capability_id).await?,
            None => None,
        };
        let exemption = exemptions::covering(transaction, &who.tenant_id, &proposal.capability_id).await?;
        // Made anew from what would be sent; what a row says of itself proves nothing.
        let input_digest = Digest::of(proposal.input.as_bytes());
        let asked = given
            .input
            .as_ref()
            .map(|input| canonical(input).map(|bytes| Digest::of(&bytes)));
        let binding = Binding {
            principal: who.principal.clone(),
            actor_id: who.actor_id.clone(),
            proposed_by: proposal.requested_by.clone(),
            definition_digest: capability.map_or(Digest::NONE, |one| one.digest),
            proposed_definition_digest: proposal.definition_digest,
            policy_version: self.policy().version(),
            input_digest,
            noted_input_digest: proposal.input_hash,
            asked_input_digest: asked.transpose()?.unwrap_or(input_digest),
        };
        let now: Timestamp = transaction.query_one("SELECT clock_timestamp()", &[]).await?.get(0);
        // What was proposed under other rules is looked at under those of now.
        let mut proposed = proposal.proposed();
        proposed.intercepted |= intake::in_stored(self.policy(), &proposal).is_some();
        let verdict = decide(&Facts {
            now,
            wanted: given.capability_id.as_ref(),
            requires_approval: capability.map(|one| one.definition.requires_approval),
            actor_id: &who.actor_id,
            standing: &who.standing(&proposal.capability_id, delegated),
            tenant_id: &who.tenant_id,
            stopped,
            proposal: &proposed,
            binding: &binding,
            exempt: exemption.is_some(),
        });
        Ok(Judged {
            exemption: exemption.filter(|_| verdict == Ok(Authority::Exemption)),
            proposal,
            verdict,
        })
    }

    /// The row of an execution, and the proposal used up.
    async fn begin(
        &self,
        transaction: &Transaction<'_>,
        who: &Who,
        it: &StoredProposal,
        kind: Kind,
        authority: Authority,
        exemption: Option<Uuid>,
    ) -> Result<Uuid, Error> {
        let id = Uuid::now_v7();
        let limit = self.capability(&it.capability_id)?.definition.executor.time_limit() + GRACE;
        let limit_ms = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
        transaction
            .execute(
                include_str!("../sql/insert_execution.sql"),
                &[
                    &id,
                    &who.tenant_id.as_str(),
                    &it.proposal_id,
                    &kind.as_str(),
                    &authority.as_str(),
                    &exemption,
                    &who.principal,
                    &self.0.replica_id,
                    &limit_ms,
                ],
            )
            .await?;
        Ok(id)
    }

    async fn carry_out(&self, it: StoredProposal, execution: Uuid, kind: Kind) -> Result<StoredProposal, Error> {
        let (tenant, id) = (it.tenant_id.clone(), it.proposal_id);
        let before = it.status;
        let outcome = match self.0.executors.get(&it.capability_id) {
            None => Outcome::NotSent {
                reason: NotSent::Refused("the capability has no executor".to_owned()),
            },
            Some(executor) => {
                let time_limit = self.capability(&it.capability_id)?.definition.executor.time_limit();
                let order = Order {
                    execution_id: execution,
                    proposal_id: id,
                    tenant_id: it.tenant_id.clone(),
                    capability_id: it.capability_id.to_string(),
                    kind,
                    actor_id: it.actor_id,
                    input: it.input,
                    time_limit,
                };
                let fence = SwitchFence {
                    postgres: self.postgres().clone(),
                    tenant_id: it.tenant_id,
                    execution_id: execution,
                };
                // An executor that does not keep its own time is left, and so is what came of it.
                let limit = time_limit + GRACE / 2;
                match tokio::time::timeout(limit, executor.carry_out(&order, &fence)).await {
                    Ok(outcome) => outcome,
                    Err(_) => Outcome::Unknown {
                        reason: "the executor did not come back in time".to_owned(),
                    },
                }
            }
        };
        let mut tries = 0;
        loop {
            match self.finish(&tenant, id, execution, before, kind, &outcome).await {
                Ok(()) => break,
                Err(error) if tries < NOTE_TRIES && is_of_database(&error) => {
                    tries += 1;
                    tracing::warn!(execution.id = %execution, error = %error, "the outcome of an execution could not be noted; trying again");
                    tokio::time::sleep(Duration::from_millis(200) * 2u32.pow(tries)).await;
                }
                Err(error) => {
                    tracing::error!(execution.id = %execution, error = %error, "the outcome of an execution could not be noted; it will be called unknown");
                    return Err(error);
                }
            }
        }
        let stored = self.proposal(&tenant, id).await?;
        stored.ok_or(Error::NotFound("proposal", id))
    }

    /// Notes the outcome of an execution.
    async fn finish(
        &self,
        tenant: &TenantId,
        proposal: Uuid,
        execution: Uuid,
        before: Status,
        kind: Kind,
        outcome: &Outcome,
    ) -> Result<(), Error> {
        let (status, output, error) = told(outcome);
        let output: Option<String> = output.map(|text| cut(text, MAX_OUTPUT_CHARS));
        let output_hash = output.as_ref().map(|text| Digest::of(text.as_bytes()));
        let error = error.map(|text| cut(&text, MAX_ERROR_CHARS));
        let mut client = self.postgres().client().await?;
        let transaction = client.transaction().await?;
        let it = store::lock(&transaction, tenant, proposal).await?;
        let changed = transaction
            .execute(
                include_str!("../sql/finish_execution.sql"),
                &[
                    &execution,
                    &tenant.as_str(),
                    &status.as_str(),
                    &output,
                    &output_hash.map(|hash| hash.to_string()),
                    &error,
                ],
            )
            .await?;
        if changed == 0 {
            return Ok(());
        }
        if status == ExecutionStatus::Blocked && kind == Kind::Execute {
            // Nothing left, so the approval is as good as before.
            transaction
                .execute(
                    "UPDATE brain_capability_proposals SET status = $3, updated_at = clock_timestamp()
                     WHERE proposal_id = $1 AND tenant_id = $2 AND status = 'executed'",
                    &[&proposal, &tenant.as_str(), &before.as_str()],
                )
                .await?;
        }
        let entry = Entry {
            approval_state: ApprovalState::NotRequired,
            input_hash: Some(it.input_hash),
            output_hash,
            metadata: about(&it)
                .with("executionId", execution)
                .with("kind", kind.as_str())
                .with("status", status.as_str())
                .maybe("error", error),
            ..Entry::new(
                Actor::system(self.0.replica_id.as_str()),
                "capability.outcome",
                proposal.to_string(),
            )
        };
        audit::append(&transaction, tenant, entry).await?;
        transaction.commit().await?;
        Ok(())
    }
}

fn state(code: ReasonCode, authority: Option<Authority>) -> ApprovalState {
    match (code, authority) {
        (ReasonCode::Allowed, Some(Authority::Approval)) => ApprovalState::Approved,
        (ReasonCode::Allowed, Some(Authority::Exemption)) => ApprovalState::Exempt,
        (ReasonCode::Allowed, _) => ApprovalState::NotRequired,
        _ => ApprovalState::Denied,
    }
}

fn told(outcome: &Outcome) -> (ExecutionStatus, Option<&str>, Option<String>) {
    match outcome {
        Outcome::Succeeded { output } => (ExecutionStatus::Succeeded, Some(output), None),
        Outcome::Failed { error, output } => (ExecutionStatus::Failed, output.as_deref(), Some(error.clone())),
        Outcome::NotSent { reason } => (ExecutionStatus::Blocked, None, Some(reason.to_string())),
        Outcome::Unknown { reason } => (ExecutionStatus::Unknown, None, Some(reason.clone())),
    }
}

/// Whether the database is at fault, be it that it does not take the outcome or not its record.
fn is_of_database(error: &Error) -> bool {
    matches!(error, Error::Database(_) | Error::Audit(audit::Error::Database(_)))
}

fn cut(text: &str, most: usize) -> String {
    text.chars().filter(|c| *c != '\0').take(most).collect()
}
