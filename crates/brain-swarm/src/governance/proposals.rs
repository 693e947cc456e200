//! Making proposals, and deciding about them.
//!
//! Invariants: what a person decided is recorded with the reason in the same transaction; an approval is bound to the capability
//! and the policy as they are when it is given.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio_postgres::Transaction;
use uuid::Uuid;

use super::{
    Governance, Who,
    capability::{ApprovalMode, Capability, CapabilityId},
    decide::ReasonCode,
    delegations,
    error::{self, Error, Refusal},
    intake,
    proposal::{self, MAX_INPUT_BYTES, Preview, Status, StoredProposal},
    quotas::{self, Purpose},
    store,
    trail::{about, refuse, refused},
};
use crate::{
    audit::{self, ApprovalState, Entry, Metadata},
    digest::{Digest, canonical},
    ids::TenantId,
};

/// The longest summary, in characters.
const MAX_SUMMARY_CHARS: usize = 500;
/// About how many bytes of input a page of proposals holds.
const PAGE_BYTES: i64 = 2 * 1024 * 1024;
/// The most expected effects.
const MAX_EFFECTS: usize = 20;

/// What is proposed.
#[derive(Debug, Clone)]
pub struct NewProposal {
    /// What is to be used.
    pub capability_id: CapabilityId,
    /// With which arguments.
    pub input: Value,
    /// Why.
    pub rationale: String,
    /// What is to happen, in a sentence.
    pub summary: String,
    /// What is expected to come of it.
    pub expected_effects: Vec<String>,
    /// Through which delegation, where an agent asks.
    pub delegation_id: Option<Uuid>,
}

/// What a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may be done.
    Approve {
        /// Whether the rule that found something was read and is overruled.
        overrule: bool,
        /// The digest of the definition that was read: another one is not approved.
        definition_digest: Option<Digest>,
    },
    /// It must not be done.
    Reject,
    /// What was decided is taken back.
    Reopen,
}

/// What an intake rule found in a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding<'a> {
    /// The rule.
    pub rule: &'a str,
    /// Why it looks for that.
    pub reason: &'a str,
}

/// Which proposals are wanted, newest first.
#[derive(Debug, Clone)]
pub struct Query {
    /// Whose.
    pub tenant_id: TenantId,
    /// Where they stand.
    pub status: Option<Status>,
    /// Of which capability.
    pub capability_id: Option<CapabilityId>,
    /// Older than this one.
    pub before: Option<Uuid>,
    /// How many.
    pub limit: usize,
}

/// Some proposals, and after which one the next page goes on.
#[derive(Debug)]
pub struct Page {
    /// Newest first.
    pub proposals: Vec<StoredProposal>,
    /// The last one, where there are more.
    pub next: Option<Uuid>,
}

impl Governance {
    /// Makes a proposal. It waits for a person where the capability wants one, or a rule does.
    ///
    /// # Errors
    /// [`Error::Refused`] is recorded; what cannot be read at all is not.
    pub async fn propose(&self, who: &Who, new: NewProposal) -> Result<StoredProposal, Error> {
        let per_minute = self.policy().rules.proposals_per_minute.get();
        // Whatever is not there counts together: names that somebody makes up must fill neither the trail nor the table.
        let defined = self.policy().capability(&new.capability_id);
        let counted = defined.map_or(quotas::UNDEFINED, |one| one.definition.id.as_str());
        self.rate(who, Purpose::Propose, counted, per_minute).await?;
        let input = canonical(&new.input)?;
        checked(&new, &input)?;
        let input_hash = Digest::of(&input);
        let mut client = self.postgres().client().await?;
        let transaction = client.transaction().await?;
        match self.store(&transaction, who, &new, &input, input_hash).await {
            Ok(stored) => {
                transaction.commit().await?;
                if let Some(ring) = self
                    .0
                    .notices
                    .as_ref()
                    .filter(|_| stored.status == Status::PendingApproval)
                {
                    ring();
                }
                Ok(stored)
            }
            Err(Error::Refused(refusal)) => {
                let entry = Entry {
                    rationale: new.rationale.clone(),
                    approval_state: ApprovalState::Denied,
                    input_hash: Some(input_hash),
                    metadata: Metadata::default()
                        .with("reasonCode", refusal.code.as_str())
                        .with("actorId", who.actor_id.as_str())
                        .maybe("delegationId", new.delegation_id),
                    ..Entry::new(
                        who.actor(),
                        refused(refusal.code, "capability.propose.refused"),
                        new.capability_id.as_str(),
                    )
                };
                audit::append(&transaction, &who.tenant_id, entry).await?;
                transaction.commit().await?;
                Err(refusal.into())
            }
            Err(error) => Err(error),
        }
    }

    async fn store(
        &self,
        transaction: &Transaction<'_>,
        who: &Who,
        new: &NewProposal,
        input: &[u8],
        input_hash: Digest,
    ) -> Result<StoredProposal, Error> {
        let capability = self.capability(&new.capability_id)?;
        let delegated = match new.delegation_id {
            Some(id) => delegations::find(transaction, &who.tenant_id, id, &new.capability_id).await?,
            None => None,
        };
        let owner = delegated.as_ref().filter(|_| who.agent).map(|it| it.owner_id.clone());
        let standing = who.standing(&new.capability_id, delegated);
        if let Some(code) = standing.refusal(&who.actor_id, None, Timestamp::now()) {
            return Err(code.into());
        }
        let rationale = error::reason(&new.rationale)?;
        fits(capability, &new.input)?;
        let text = String::from_utf8_lossy(input);
        let rule = intake::in_new(self.policy(), new, &text);
        let waits = capability.definition.requires_approval || rule.is_some();
        let status = if waits { Status::PendingApproval } else { Status::Draft };
        let preview = Preview {
            summary: new.summary.clone(),
            input: new.input.clone(),
            expected_effects: new.expected_effects.clone(),
        };
        let id = Uuid::now_v7();
        let owner = owner.unwrap_or_else(|| who.actor_id.clone());
        transaction
            .execute(
                include_str!("../sql/insert_proposal.sql"),
                &[
                    &id,
                    &who.tenant_id.as_str(),
                    &new.capability_id.as_str(),
                    &who.principal,
                    &who.actor_id.as_str(),
                    &owner.as_str(),
                    &new.delegation_id.filter(|_| who.agent),
                    &rationale,
                    &input_hash.to_string(),
                    &text,
                    &json!(preview),
                    &status.as_str(),
                    &rule.map(|rule| rule.id.as_str()),
                    &rule.map(|rule| rule.reason.as_str()),
                    &capability.digest.to_string(),
                    &self.policy().version().to_string(),
                ],
            )
            .await?;
        let stored = store::get(transaction, &who.tenant_id, id).await?;
        let stored = stored.ok_or(Error::NotFound("proposal", id))?;
        if waits && self.0.notices.is_some() {
            self.tell(transaction, &stored).await?;
        }
        let entry = Entry {
            rationale: rationale.to_owned(),
            approval_state: if waits {
                ApprovalState::Pending
            } else {
                ApprovalState::NotRequired
            },
            input_hash: Some(input_hash),
            metadata: about(&stored).maybe("intakeRule", rule.map(|rule| rule.id.as_str())),
            ..Entry::new(who.actor(), "capability.propose", id.to_string())
        };
        audit::append(transaction, &who.tenant_id, entry).await?;
        Ok(stored)
    }

    /// Decides about a proposal.
    ///
    /// # Errors
    /// [`Error::Refused`] where this person may not, [`Error::Conflict`] where it stands otherwise.
    pub async fn resolve(
        &self,
        who: &Who,
        id: Uuid,
        decision: Decision,
        reason: &str,
    ) -> Result<StoredProposal, Error> {
        let reason = error::reason(reason)?;
        let mut client = self.postgres().client().await?;
        let transaction = client.transaction().await?;
        let before = store::lock(&transaction, &who.tenant_id, id).await?;
        let changed = match decision {
            Decision::Approve {
                overrule,
                definition_digest,
            } => {
                let shown = (overrule, definition_digest);
                match self.approve(&transaction, who, &before, shown, reason).await {
                    Err(Error::Refused(refusal)) => {
                        let action = "capability.approve.refused";
                        return Err(refuse(transaction, who, &before, (action, refusal)).await?);
                    }
                    approved => approved?,
                }
            }
            Decision::Reject => {
                stands(&before, &[Status::Draft, Status::PendingApproval, Status::Approved])?;
                let sql = include_str!("../sql/reject_proposal.sql");
                transaction
                    .execute(sql, &[&id, &who.tenant_id.as_str(), &who.principal, &reason])
                    .await?;
                ("capability.reject", ApprovalState::Rejected)
            }
            Decision::Reopen => {
                stands(&before, &[Status::Rejected, Status::Approved])?;
                let sql = include_str!("../sql/reopen_proposal.sql");
                transaction.execute(sql, &[&id, &who.tenant_id.as_str()]).await?;
                ("capability.reopen", ApprovalState::Pending)
            }
        };
        let (action, approval_state) = changed;
        let after = store::get(&*transaction, &who.tenant_id, id).await?;
        let after = after.ok_or(Error::NotFound("proposal", id))?;
        let entry = Entry {
            rationale: reason.to_owned(),
            approval_state,
            input_hash: Some(after.input_hash),
            metadata: about(&after)
                .maybe("envelopeDigest", after.envelope_digest)
                .maybe("expiresAt", after.expires_at)
                .maybe("intakeRule", after.intake_rule.as_deref()),
            ..Entry::new(who.actor(), action, id.to_string())
        };
        audit::append(&transaction, &who.tenant_id, entry).await?;
        transaction.commit().await?;
        Ok(after)
    }

    async fn approve(
        &self,
        transaction: &Transaction<'_>,
        who: &Who,
        before: &StoredProposal,
        (overrule, definition_digest): (bool, Option<Digest>),
        reason: &str,
    ) -> Result<(&'static str, ApprovalState), Error> {
        stands(before, &[Status::Draft, Status::PendingApproval])?;
        let capability = self.capability(&before.capability_id)?;
        // An agent acts for its owner, so the owner is one who asks too.
        let same =
            before.requested_by == who.principal || [&before.actor_id, &before.owner_id].contains(&&who.actor_id);
        if capability.definition.approval_mode == ApprovalMode::TwoPerson && same {
            return Err(blocked("another person than the one who asked must approve"));
        }
        if definition_digest.is_some_and(|shown| shown != capability.digest) {
            let detail = "the capability changed since it was shown; read it again";
            return Err(Error::Conflict(detail.to_owned()));
        }
        if let Some(Finding { rule, reason: why }) = self.findings(before).first().filter(|_| !overrule) {
            return Err(blocked(&format!(
                "rule {rule} found something ({why}); whoever approves it all the same sets overrule"
            )));
        }
        // The definition may be another one than when it was proposed.
        let input: Value = serde_json::from_str(&before.input)
            .map_err(|_| Error::Conflict("the stored arguments cannot be read; propose again".to_owned()))?;
        let digests = [
            Digest::of(before.input.as_bytes()),
            Digest::of_json(&before.preview.input)?,
        ];
        if digests.iter().any(|digest| *digest != before.input_hash) {
            return Err(ReasonCode::ApprovalInputChanged.into());
        }
        fits(capability, &input)?;
        let valid = self.policy().rules.approval_valid();
        let valid = SignedDuration::try_from(valid).unwrap_or(SignedDuration::ZERO);
        let now: Timestamp = transaction.query_one("SELECT clock_timestamp()", &[]).await?.get(0);
        let expires_at = now + valid;
        let bound = StoredProposal {
            definition_digest: capability.digest,
            policy_version: self.policy().version(),
            ..before.clone()
        };
        let envelope = Digest::of_json(&bound.envelope(expires_at))?;
        transaction
            .execute(
                include_str!("../sql/approve_proposal.sql"),
                &[
                    &before.proposal_id,
                    &who.tenant_id.as_str(),
                    &who.principal,
                    &reason,
                    &bound.definition_digest.to_string(),
                    &bound.policy_version.to_string(),
                    &envelope.to_string(),
                    &expires_at,
                ],
            )
            .await?;
        Ok(("capability.approve", ApprovalState::Approved))
    }

    /// What somebody must read and overrule who approves: what a rule found when it was proposed, and what one finds now, because
    /// the rules may be others than they were.
    #[must_use]
    pub fn findings<'a>(&'a self, it: &'a StoredProposal) -> Vec<Finding<'a>> {
        let stored = it.intake_rule.as_deref().map(|rule| Finding {
            rule,
            reason: it.intake_reason.as_deref().unwrap_or_default(),
        });
        let now = intake::in_stored(self.policy(), it).map(|rule| Finding {
            rule: &rule.id,
            reason: &rule.reason,
        });
        let now = now.filter(|now| stored.as_ref() != Some(now));
        stored.into_iter().chain(now).collect()
    }

    /// One proposal.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn proposal(&self, tenant: &TenantId, id: Uuid) -> Result<Option<StoredProposal>, Error> {
        let client = self.postgres().client().await?;
        store::get(&**client, tenant, id).await
    }

    /// Proposals, newest first. What the other side said is left out; [`proposal`](Self::proposal) has it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn proposals(&self, query: &Query) -> Result<Page, Error> {
        let client = self.postgres().client().await?;
        // One more than asked for says whether there are more. Large inputs make a page shorter.
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX).saturating_add(1);
        let rows = client
            .query(
                include_str!("../sql/select_proposals.sql"),
                &[
                    &query.tenant_id.as_str(),
                    &query.status.map(Status::as_str),
                    &query.capability_id.as_ref().map(CapabilityId::as_str),
                    &query.before.unwrap_or(Uuid::max()),
                    &limit,
                    &PAGE_BYTES,
                ],
            )
            .await?;
        let ids: Vec<Uuid> = rows
            .iter()
            .take(query.limit)
            .map(|row| row.get("proposal_id"))
            .collect();
        let found: i64 = rows.first().map_or(0, |row| row.get("found"));
        let is_last = i64::try_from(ids.len()).is_ok_and(|shown| shown == found);
        let next = ids.last().copied().filter(|_| !is_last);
        let mut executions = store::executions(&**client, &query.tenant_id, &ids, false).await?;
        let mut proposals = Vec::with_capacity(ids.len());
        for (row, id) in rows.iter().zip(&ids) {
            proposals.push(proposal::read(row, executions.remove(id).unwrap_or_default())?);
        }
        Ok(Page { proposals, next })
    }

    pub(super) fn capability(&self, id: &CapabilityId) -> Result<&Capability, Error> {
        let found = self.policy().capability(id);
        found.ok_or_else(|| ReasonCode::CapabilityUnknown.into())
    }

    /// Queues the notice of a proposal that waits for a person.
    async fn tell(&self, transaction: &Transaction<'_>, stored: &StoredProposal) -> Result<(), Error> {
        let body = json!({
            "type": "capability.proposal.pending",
            "proposalId": stored.proposal_id,
            "tenantId": stored.tenant_id,
            "capabilityId": stored.capability_id,
            "actorId": stored.actor_id,
            "ownerId": stored.owner_id,
            "summary": stored.preview.summary,
            "rationale": stored.rationale,
            "inputHash": stored.input_hash,
            "intakeRule": stored.intake_rule,
            "createdAt": stored.created_at,
        });
        transaction
            .execute(
                "INSERT INTO brain_webhook_deliveries (delivery_id, tenant_id, body) VALUES ($1, $2, $3)",
                &[&Uuid::now_v7(), &stored.tenant_id.as_str(), &body.to_string()],
            )
            .await?;
        Ok(())
    }
}

fn blocked(detail: &str) -> Error {
    Refusal {
        code: ReasonCode::BlockedByPolicy,
        detail: Some(detail.to_owned()),
        retry_after_seconds: None,
    }
    .into()
}

fn stands(it: &StoredProposal, wanted: &[Status]) -> Result<(), Error> {
    if wanted.contains(&it.status) {
        return Ok(());
    }
    Err(Error::Conflict(format!("the proposal is {}", it.status.as_str())))
}

fn fits(capability: &Capability, input: &Value) -> Result<(), Error> {
    let misfits = capability.misfits(input);
    if misfits.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "input does not fit the capability: {}",
        misfits.join("; ")
    )))
}

fn checked(new: &NewProposal, input: &[u8]) -> Result<(), Error> {
    let wrong = |text: String| Err(Error::Invalid(text));
    if input.len() > MAX_INPUT_BYTES {
        return wrong(format!(
            "input is {} bytes long, at most {MAX_INPUT_BYTES} are allowed",
            input.len()
        ));
    }
    if crate::event::has_nul(&new.input) || new.summary.contains('\0') || new.rationale.contains('\0') {
        return wrong("the character U+0000 cannot be stored".to_owned());
    }
    let texts = std::iter::once(&new.summary).chain(&new.expected_effects);
    if texts
        .into_iter()
        .any(|text| text.chars().count() > MAX_SUMMARY_CHARS || text.contains('\0'))
    {
        return wrong(format!(
            "summary and each expected effect have at most {MAX_SUMMARY_CHARS} characters"
        ));
    }
    if new.summary.trim().is_empty() {
        return wrong("summary is empty: say in a sentence what is to happen".to_owned());
    }
    if new.expected_effects.len() > MAX_EFFECTS {
        return wrong(format!("at most {MAX_EFFECTS} expected effects"));
    }
    Ok(())
}
