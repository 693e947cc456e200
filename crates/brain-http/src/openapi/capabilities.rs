//! `/api/capabilities`, but for the audit trail.

use axum::http::Method;
use brain_swarm::{
    digest::Digest,
    governance::{
        DryRun,
        capability::CapabilityId,
        delegations::StoredDelegation,
        exemptions::Exemption,
        proposal::{Status, StoredProposal},
        quotas::Quota,
    },
    ids::ActorId,
};
use serde_json::json;
use uuid::Uuid;

use super::{Described, described, operation::Operation};
use crate::{
    problem::Kind,
    routes::capabilities::{Reason, delegations, policy, proposals, trail},
};

/// Example ids, which lead to nothing.
const NO_ID: &str = "019ac000-0000-7000-8000-000000000000";
const RECORDED: &str =
    "What is decided is recorded in the audit trail in the same transaction, also where it is refused.";
const THROUGH_A_DELEGATION: &str = "A token of role `agent` acts through a delegation; others need the scope `capability:<id>:execute`, where they have scopes.";
const INSTALLATION: &str = "The switch of the installation is turned by its administrator alone.";
const OWN_DELEGATION: &str = "Whoever is no administrator delegates for itself alone, and revokes that alone.";

pub(super) const OPERATIONS: &[Described] = &[
    described(Method::GET, "/api/capabilities", |it| {
        it.named("listCapabilities", "Every capability")
            .says("They are defined in the file of STUDIO_BRAIN_CAPABILITIES_FILE.")
            .gives_thing::<policy::Capabilities>("All of them, by id.")
    }),
    described(Method::GET, "/api/capabilities/policy", |it| {
        it.named("getPolicy", "The policy, and how the kill switches stand")
            .gives_thing::<policy::Shown>("The policy.")
    }),
    described(Method::GET, "/api/capabilities/policy-lint", |it| {
        it.named(
            "lintPolicy",
            "What the policy says and should not, or does not say and should",
        )
        .gives::<policy::Lint>(200, "What was found.")
    }),
    described(Method::GET, "/api/capabilities/policy/kill-switch", |it| {
        it.named("getKillSwitches", "How the kill switches stand")
            .gives::<policy::Switches>(200, "Both.")
    }),
    described(Method::POST, "/api/capabilities/policy/kill-switch", |it| {
        it.named("turnKillSwitch", "Turn a kill switch on or off")
            .says("When this has answered, nothing is dispatched any more, on any replica.")
            .rule(INSTALLATION)
            .body::<policy::Turn>()
            .example(json!({ "enabled": true, "reason": "The mail server sends to everybody." }))
            .gives::<policy::Switches>(200, "Both.")
            .problems(&[Kind::InvalidRequest])
    }),
    described(Method::GET, "/api/capabilities/policy/exemptions", |it| {
        it.named("listExemptions", "Exemptions by id, by page")
            .paged()
            .gives::<policy::Exemptions>(200, "A page of exemptions.")
    }),
    described(Method::POST, "/api/capabilities/policy/exemptions", |it| {
        it.named("grantExemption", "Let a capability do without approval for a time")
            .says("What an intake rule has found still waits for a person.")
            .body::<policy::Exempt>()
            .example(json!({ "capabilityId": "mail.send", "expiresInMs": 3_600_000, "reason": "The night's batch of mails." }))
            .gives::<Exemption>(201, "The exemption.")
            .leads_to(201, "revokeExemption", "exemptionId", "/exemptionId")
            .problems(&[Kind::NotAllowed, Kind::InvalidRequest])
    }),
    described(
        Method::POST,
        "/api/capabilities/policy/exemptions/{exemptionId}/revoke",
        |it| {
            it.named("revokeExemption", "Revoke an exemption")
                .path::<Uuid>("exemptionId", NO_ID)
                .body::<Reason>()
                .example(json!({ "reason": "The batch is through." }))
                .gives::<Exemption>(200, "The exemption.")
                .problems(&[Kind::InvalidRequest])
        },
    ),
    described(Method::GET, "/api/capabilities/quotas", |it| {
        it.named("listQuotas", "The quotas that are used in this hour, by page")
            .paged()
            .gives::<policy::Quotas>(200, "A page of quotas.")
    }),
    described(Method::POST, "/api/capabilities/quotas/{bucket}/reset", |it| {
        it.named(
            "resetQuota",
            "Set what was used of a quota in this hour back to nothing",
        )
        .path::<Digest>(
            "bucket",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        )
        .body::<Reason>()
        .example(json!({ "reason": "The first attempts did not count." }))
        .gives::<Quota>(200, "The quota.")
        .problems(&[Kind::InvalidRequest])
    }),
    described(Method::GET, "/api/capabilities/delegations", |it| {
        it.named("listDelegations", "Delegations by id, by page")
            .rule("A token of role `agent` sees its own.")
            .query::<ActorId>("actorId", "Only those of this owner or agent.")
            .paged()
            .gives::<delegations::Page>(200, "A page of delegations.")
    }),
    described(Method::POST, "/api/capabilities/delegations", |it| {
        it.named(
            "delegate",
            "Let an agent act for an owner, within scopes and for a time",
        )
        .rule(OWN_DELEGATION)
        .body::<delegations::Given>()
        .example(json!({
            "agentId": "builder-1", "scopes": ["capability:mail.send:execute"], "expiresInMs": 86_400_000,
            "reason": "It sends the mails of today."
        }))
        .gives::<StoredDelegation>(201, "The delegation.")
        .leads_to(201, "revokeDelegation", "delegationId", "/delegationId")
        .problems(&[Kind::InvalidRequest])
    }),
    described(
        Method::POST,
        "/api/capabilities/delegations/{delegationId}/revoke",
        |it| {
            it.named("revokeDelegation", "Revoke a delegation")
                .rule(OWN_DELEGATION)
                .path::<Uuid>("delegationId", NO_ID)
                .body::<Reason>()
                .example(json!({ "reason": "The day is over." }))
                .gives::<StoredDelegation>(200, "The delegation.")
                .problems(&[Kind::InvalidRequest])
        },
    ),
    described(Method::GET, "/api/capabilities/delegation/traces", |it| {
        it.named(
            "listDelegationTraces",
            "Delegations given, revoked and refused, the newest first, by page",
        )
        .paged()
        .gives::<trail::Page>(200, "A page of records of the audit trail.")
    }),
    described(Method::GET, "/api/capabilities/rate-limits/events", |it| {
        it.named(
            "listRateLimitEvents",
            "Who asked more often than a minute allows, the newest first, by page",
        )
        .paged()
        .gives::<trail::Page>(200, "A page of records of the audit trail.")
    }),
    described(Method::GET, "/api/capabilities/proposals", |it| {
        it.named("listProposals", "Proposals, the newest first, by page")
            .query::<Status>("status", "Only those that stand there.")
            .query::<CapabilityId>("capabilityId", "Only those of this capability.")
            .paged()
            .gives::<proposals::Page>(200, "A page of proposals.")
    }),
    described(Method::POST, "/api/capabilities/proposals", |it| {
        it.named("propose", "Propose to use a capability")
            .says("It waits for a person where the capability wants one, or an intake rule finds something.")
            .says(RECORDED)
            .rule(THROUGH_A_DELEGATION)
            .body::<proposals::Given>()
            .example(json!({
                "capabilityId": "mail.send", "input": { "to": "you@example.org" }, "summary": "Tell them that it is done.",
                "rationale": "They asked to be told."
            }))
            .gives::<StoredProposal>(201, "The proposal.")
            .leads_to(201, "getProposal", "proposalId", "/proposalId")
            .leads_to(201, "approveProposal", "proposalId", "/proposalId")
            .leads_to(201, "dryRunProposal", "proposalId", "/proposalId")
            .leads_to(201, "executeProposal", "proposalId", "/proposalId")
            .problems(&[Kind::NotAllowed, Kind::InvalidRequest, Kind::RateLimited, Kind::Rejected])
    }),
    described(Method::GET, "/api/capabilities/proposals/{proposalId}", |it| {
        of_proposal(it.named("getProposal", "One proposal, with what was dispatched of it"))
            .gives_thing::<StoredProposal>("The proposal.")
    }),
    described(Method::POST, "/api/capabilities/proposals/{proposalId}/approve", |it| {
        of_proposal(it.named("approveProposal", "Approve a proposal"))
            .says("The approval is of exactly these arguments, for who asked, under the definition and the policy of now, for a time, and for one execution.")
            .body::<proposals::Approval>()
            .example(json!({ "reason": "I read what it does." }))
            .gives::<StoredProposal>(200, "The proposal.")
            .problems(&[Kind::NotAllowed, Kind::InvalidRequest, Kind::Refused])
    }),
    described(Method::POST, "/api/capabilities/proposals/{proposalId}/reject", |it| {
        decided(of_proposal(it.named("rejectProposal", "Reject a proposal")))
    }),
    described(Method::POST, "/api/capabilities/proposals/{proposalId}/reopen", |it| {
        decided(of_proposal(
            it.named("reopenProposal", "Take back what was decided about a proposal"),
        ))
    }),
    described(Method::POST, "/api/capabilities/proposals/{proposalId}/dry-run", |it| {
        of_proposal(it.named("dryRunProposal", "Say what would be decided, and what would be sent"))
            .says("Nothing is dispatched, and no quota used.")
            .body_if_any::<proposals::Execute>()
            .gives::<DryRun>(200, "What would be decided.")
            .problems(&[Kind::InvalidRequest])
    }),
    described(Method::POST, "/api/capabilities/proposals/{proposalId}/execute", |it| {
        of_proposal(it.named("executeProposal", "Execute a proposal, once"))
            .says("The answer comes when the outcome is known, or nobody can know it: `executions` says which.")
            .says(RECORDED)
            .rule(THROUGH_A_DELEGATION)
            .body_if_any::<proposals::Execute>()
            .gives::<StoredProposal>(200, "The proposal with its execution.")
            .problems(&[
                Kind::NotAllowed,
                Kind::AlreadyExecuted,
                Kind::InvalidRequest,
                Kind::RateLimited,
            ])
    }),
    described(
        Method::POST,
        "/api/capabilities/proposals/{proposalId}/rollback",
        |it| {
            of_proposal(it.named(
                "rollBackProposal",
                "Undo what was executed, once, where the capability can",
            ))
            .body::<Reason>()
            .example(json!({ "reason": "It went to the wrong people." }))
            .gives::<StoredProposal>(200, "The proposal with its rollback.")
            .problems(&[
                Kind::NotAllowed,
                Kind::AlreadyExecuted,
                Kind::InvalidRequest,
                Kind::Refused,
            ])
        },
    ),
];

fn of_proposal(it: Operation<'_>) -> Operation<'_> {
    it.path::<Uuid>("proposalId", NO_ID)
}

fn decided(it: Operation<'_>) -> Operation<'_> {
    it.body::<Reason>()
        .example(json!({ "reason": "It is not what was asked for." }))
        .gives::<StoredProposal>(200, "The proposal.")
        .problems(&[Kind::InvalidRequest, Kind::Refused])
}
