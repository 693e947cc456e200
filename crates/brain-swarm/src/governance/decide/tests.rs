//! The order of the checks, and every code: what is wrong is named by the first check that fails.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn actor(name: &str) -> ActorId {
    ActorId::new(name).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

const NOW: i64 = 1000;

/// Everything that a decision depends on, owned. As it is made, the answer is yes, by approval.
#[derive(Clone)]
struct Case {
    wanted: Option<CapabilityId>,
    requires_approval: Option<bool>,
    standing: Standing,
    tenant_id: TenantId,
    stopped: bool,
    proposal: Proposed,
    binding: Binding,
    exempt: bool,
}

fn case() -> Case {
    let binding = Binding {
        principal: "token:1".to_owned(),
        actor_id: actor("builder"),
        proposed_by: "token:1".to_owned(),
        proposed_definition_digest: Digest::of(b"definition"),
        definition_digest: Digest::of(b"definition"),
        policy_version: Digest::of(b"policy"),
        input_digest: Digest::of(b"input"),
        noted_input_digest: Digest::of(b"input"),
        asked_input_digest: Digest::of(b"input"),
    };
    let envelope = Envelope {
        proposal_id: uuid::Uuid::nil(),
        tenant_id: TenantId::single(),
        capability_id: "mail.send".parse().unwrap(),
        definition_digest: binding.definition_digest,
        policy_version: binding.policy_version,
        input_digest: binding.input_digest,
        principal: binding.principal.clone(),
        actor_id: binding.actor_id.clone(),
        owner_id: actor("owner"),
        delegation_id: None,
        expires_at: at(NOW + 1),
    };
    Case {
        wanted: None,
        requires_approval: Some(true),
        standing: Standing::Delegated(Some(Delegated {
            owner_id: actor("owner"),
            agent_id: actor("builder"),
            scope: true,
            expires_at: at(NOW + 1),
            revoked: false,
        })),
        tenant_id: TenantId::single(),
        stopped: false,
        proposal: Proposed {
            capability_id: "mail.send".parse().unwrap(),
            tenant_id: TenantId::single(),
            owner_id: actor("owner"),
            status: Status::Approved,
            intercepted: false,
            approval: Some(Approval {
                digest: envelope.digest().unwrap(),
                envelope,
            }),
        },
        binding,
        exempt: false,
    }
}

impl Case {
    fn decide(&self) -> Result<Authority, ReasonCode> {
        decide(&Facts {
            now: at(NOW),
            wanted: self.wanted.as_ref(),
            requires_approval: self.requires_approval,
            actor_id: &self.binding.actor_id,
            standing: &self.standing,
            tenant_id: &self.tenant_id,
            stopped: self.stopped,
            proposal: &self.proposal,
            binding: &self.binding,
            exempt: self.exempt,
        })
    }

    fn delegated(&mut self) -> &mut Delegated {
        match &mut self.standing {
            Standing::Delegated(Some(delegated)) => delegated,
            other => panic!("{other:?}"),
        }
    }

    fn approval(&mut self) -> &mut Approval {
        self.proposal.approval.as_mut().unwrap()
    }

    /// Approves again whatever the envelope now says.
    fn sealed(&mut self) {
        let digest = self.approval().envelope.digest().unwrap();
        self.approval().digest = digest;
    }
}

type Spoil = fn(&mut Case);

/// In the order of the specification: each is spoilt together with everything after it, and is the one that is named.
const CHECKS: [(ReasonCode, Spoil); 19] = [
    (ReasonCode::CapabilityUnknown, |it| it.requires_approval = None),
    (ReasonCode::DelegationMissing, |it| {
        it.standing = Standing::Delegated(None)
    }),
    (ReasonCode::DelegationRevoked, |it| it.delegated().revoked = true),
    (ReasonCode::DelegationExpired, |it| it.delegated().expires_at = at(NOW)),
    (ReasonCode::DelegationOwnerMismatch, |it| {
        it.delegated().owner_id = actor("other")
    }),
    (ReasonCode::DelegationAgentMismatch, |it| {
        it.delegated().agent_id = actor("other")
    }),
    (ReasonCode::DelegationScopeMissing, |it| it.delegated().scope = false),
    (ReasonCode::BlockedByPolicy, |it| it.stopped = true),
    (ReasonCode::ProposalCapabilityMismatch, |it| {
        it.wanted = Some("other".parse().unwrap())
    }),
    (ReasonCode::TenantMismatch, |it| {
        it.tenant_id = TenantId::new("other").unwrap()
    }),
    (ReasonCode::ProposalRejected, |it| it.proposal.status = Status::Rejected),
    (ReasonCode::AlreadyExecuted, |it| it.proposal.status = Status::Executed),
    (ReasonCode::ApprovalRequired, |it| {
        it.proposal.status = Status::PendingApproval
    }),
    (ReasonCode::ApprovalExpired, |it| {
        it.approval().envelope.expires_at = at(NOW);
        it.sealed();
    }),
    (ReasonCode::ApprovalPrincipalChanged, |it| {
        it.binding.principal = "token:2".to_owned()
    }),
    (ReasonCode::ApprovalDefinitionChanged, |it| {
        it.binding.definition_digest = Digest::of(b"other")
    }),
    (ReasonCode::ApprovalPolicyChanged, |it| {
        it.binding.policy_version = Digest::of(b"other")
    }),
    (ReasonCode::ApprovalInputChanged, |it| {
        it.binding.input_digest = Digest::of(b"other")
    }),
    (ReasonCode::ApprovalVoid, |it| {
        it.approval().digest = Digest::of(b"other")
    }),
];

#[test]
fn what_is_as_it_was_approved_is_allowed() {
    assert_eq!(case().decide(), Ok(Authority::Approval));
}

#[test]
fn each_thing_that_is_wrong_has_its_code() {
    for (code, spoil) in CHECKS {
        let mut case = case();
        spoil(&mut case);
        assert_eq!(case.decide(), Err(code));
    }
}

#[test]
fn of_two_things_that_are_wrong_the_first_is_named() {
    for (first, (code, spoil)) in CHECKS.iter().enumerate() {
        for (later, spoil_too) in &CHECKS[first + 1..] {
            let mut case = case();
            // What replaces something else comes first, so that both are wrong.
            if !matches!(code, ReasonCode::DelegationMissing) || !later.as_str().starts_with("DELEGATION") {
                spoil_too(&mut case);
            }
            spoil(&mut case);
            assert_eq!(case.decide(), Err(*code), "with {later:?}");
        }
    }
}

#[test]
fn an_exemption_stands_for_an_approval_and_for_nothing_else() {
    let mut free = case();
    free.proposal.status = Status::PendingApproval;
    free.exempt = true;
    assert_eq!(free.decide(), Ok(Authority::Exemption));
    for (code, spoil) in &CHECKS[..12] {
        let mut case = free.clone();
        spoil(&mut case);
        assert_eq!(case.decide(), Err(*code));
    }
    let mut intercepted = free.clone();
    intercepted.proposal.intercepted = true;
    assert_eq!(intercepted.decide(), Err(ReasonCode::ApprovalRequired));
    let mut other_input = free.clone();
    other_input.binding.asked_input_digest = Digest::of(b"other");
    assert_eq!(other_input.decide(), Err(ReasonCode::ApprovalInputChanged));
    let mut other_principal = free;
    other_principal.binding.principal = "token:2".to_owned();
    assert_eq!(other_principal.decide(), Err(ReasonCode::ApprovalPrincipalChanged));
    let mut expired = case();
    expired.exempt = true;
    expired.approval().envelope.expires_at = at(NOW);
    assert_eq!(
        expired.decide(),
        Ok(Authority::Exemption),
        "an old approval takes nothing away"
    );
}

#[test]
fn what_needs_no_approval_is_free_but_for_a_rule() {
    let mut free = case();
    free.requires_approval = Some(false);
    free.proposal.status = Status::Draft;
    free.proposal.approval = None;
    assert_eq!(free.decide(), Ok(Authority::Policy));
    free.proposal.intercepted = true;
    assert_eq!(free.decide(), Err(ReasonCode::ApprovalRequired));
}

#[test]
fn people_need_the_scope_and_no_delegation() {
    let mut own = case();
    own.standing = Standing::Own { scope: true };
    assert_eq!(own.decide(), Ok(Authority::Approval));
    own.standing = Standing::Own { scope: false };
    assert_eq!(own.decide(), Err(ReasonCode::DelegationScopeMissing));
}

#[test]
fn the_arguments_that_the_caller_names_are_those_that_were_approved() {
    let mut case = case();
    case.binding.asked_input_digest = Digest::of(b"other");
    assert_eq!(case.decide(), Err(ReasonCode::ApprovalInputChanged));
}

#[test]
fn codes_are_stable() {
    let codes: Vec<String> = ReasonCode::ALL
        .iter()
        .map(|code| {
            let wire = serde_json::to_value(code).unwrap();
            assert_eq!(wire, code.as_str());
            format!("{} {}", code.as_str(), code.says())
        })
        .collect();
    insta::assert_snapshot!(codes.join("\n"));
}

#[test]
fn the_document_says_of_every_code_what_to_do() {
    let document = include_str!("../../../../../docs/CAPABILITIES.md");
    let (_, table) = document.split_once("## Reason codes").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let written: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert_eq!(written, ReasonCode::ALL.map(ReasonCode::as_str));
}
