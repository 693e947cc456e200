//! An approval is of exactly what was approved: whatever changes voids it, and says so by its code.

use brain_swarm::governance::{
    Decision, Error, Execute, Governance, NewProposal, decide::ReasonCode, proposal::Status,
};
use serde_json::json;

use super::desk::{Desk, POLICY, WHY, approve, code, new, person};

#[tokio::test]
async fn whatever_changes_voids_an_approval() {
    let desk = Desk::new().await;
    let who = person("builder");

    let id = desk.approved(&who).await;
    let other = Execute {
        input: Some(json!({"to": "b"})),
        ..Execute::default()
    };
    let named = desk.governance.execute(&who, id, &other).await;
    assert_eq!(
        code(named),
        ReasonCode::ApprovalInputChanged,
        "the caller names other arguments"
    );
    desk.sql("UPDATE brain_capability_proposals SET input = '{\"to\":\"b\"}'")
        .await;
    assert_eq!(
        code(desk.execute(&who, id).await),
        ReasonCode::ApprovalInputChanged,
        "the row was changed"
    );
    let b = brain_swarm::digest::Digest::of(b"{\"to\":\"b\"}");
    desk.sql(&format!("UPDATE brain_capability_proposals SET input_hash = '{b}'"))
        .await;
    assert_eq!(
        code(desk.execute(&who, id).await),
        ReasonCode::ApprovalVoid,
        "with its digest"
    );

    let id = desk.approved(&who).await;
    assert_eq!(
        code(desk.execute(&person("painter"), id).await),
        ReasonCode::ApprovalPrincipalChanged
    );

    let definition = desk.beside(&POLICY.replace("target = \"mail\"", "target = \"post\""), None);
    let refused = definition.execute(&who, id, &Execute::default()).await;
    assert_eq!(code(refused), ReasonCode::ApprovalDefinitionChanged);

    let policy = desk.beside(&POLICY.replace("pattern = \"password\"", "pattern = \"token\""), None);
    let refused = policy.execute(&who, id, &Execute::default()).await;
    assert_eq!(code(refused), ReasonCode::ApprovalPolicyChanged);

    let gone = desk.beside("", None);
    let refused = gone.execute(&who, id, &Execute::default()).await;
    assert_eq!(code(refused), ReasonCode::CapabilityUnknown);

    desk.sql("UPDATE brain_capability_proposals SET expires_at = now() - interval '1 second'")
        .await;
    assert_eq!(code(desk.execute(&who, id).await), ReasonCode::ApprovalExpired);
    desk.sql("UPDATE brain_capability_proposals SET expires_at = now() + interval '1 day'")
        .await;
    assert_eq!(
        code(desk.execute(&who, id).await),
        ReasonCode::ApprovalVoid,
        "a later end was not approved either"
    );
    assert!(desk.sent.all().is_empty());
}

/// An approval was bound to whatever the definition had become while somebody read.
#[tokio::test]
async fn another_definition_than_the_one_that_was_shown_is_not_approved() {
    let desk = Desk::new().await;
    let it = desk.propose(&person("builder"), "mail.send", json!({"to": "a"})).await;
    let digest = |governance: &Governance| {
        let capability = governance.policy().capability(&it.capability_id);
        capability.map(|one| one.digest)
    };
    let boss = person("boss");
    let changed = desk.beside(&POLICY.replace("target = \"mail\"", "target = \"post\""), None);
    let (shown, now) = (digest(&desk.governance), digest(&changed));
    assert_ne!(shown, now);
    let approve = |definition_digest| {
        let decision = Decision::Approve {
            overrule: false,
            definition_digest,
        };
        changed.resolve(&boss, it.proposal_id, decision, WHY)
    };
    let refused = approve(shown).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict(_)), "{refused}");
    assert!(refused.to_string().contains("read it again"), "{refused}");
    let approved = approve(now).await.unwrap();
    assert_eq!(
        (approved.status, Some(approved.definition_digest)),
        (Status::Approved, now)
    );
}

#[tokio::test]
async fn the_same_arguments_written_otherwise_are_the_same() {
    let desk = Desk::new().await;
    let who = person("builder");
    let it = desk
        .propose(&who, "mail.send", json!({"to": "a", "n": 1.0, "z": [1e3, "\u{e9}"]}))
        .await;
    desk.approve(it.proposal_id).await.unwrap();
    let same = Execute {
        input: Some(serde_json::from_str(r#"{"z": [1000, "\u00e9"], "n": 1, "to": "a"}"#).unwrap()),
        capability_id: Some("mail.send".parse().unwrap()),
        ..Execute::default()
    };
    desk.governance.execute(&who, it.proposal_id, &same).await.unwrap();
    assert_eq!(desk.sent.all()[0].0.input, r#"{"n":1,"to":"a","z":[1000,"é"]}"#);
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_does_nothing() {
    let desk = Desk::new().await;
    let who = person("builder");
    let it = desk.propose(&who, "mail.send", json!({"to": "a"})).await;
    let dry = desk
        .governance
        .dry_run(&who, it.proposal_id, &Execute::default())
        .await
        .unwrap();
    assert_eq!((dry.allowed, dry.reason_code), (false, ReasonCode::ApprovalRequired));
    desk.approve(it.proposal_id).await.unwrap();
    let dry = desk
        .governance
        .dry_run(&who, it.proposal_id, &Execute::default())
        .await
        .unwrap();
    assert!(dry.allowed && dry.can_roll_back, "{dry:?}");
    assert_eq!((dry.input, dry.quota_used), (json!({"to": "a"}), 0));
    assert!(desk.sent.all().is_empty());
    let it = desk
        .governance
        .proposal(&who.tenant_id, it.proposal_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(it.status, Status::Approved);
}

#[tokio::test]
async fn a_rule_wants_a_person_who_overrules_it() {
    let desk = Desk::new().await;
    let who = person("builder");
    let it = desk
        .propose(&who, "mail.read", json!({"body": "my PASSWORD is x"}))
        .await;
    assert_eq!(
        (it.status, it.intake_rule.as_deref()),
        (Status::PendingApproval, Some("secrets"))
    );
    assert_eq!(
        code(desk.execute(&who, it.proposal_id).await),
        ReasonCode::ApprovalRequired
    );
    let id = "mail.read".parse().unwrap();
    desk.governance.exempt(&person("boss"), &id, 60_000, WHY).await.unwrap();
    assert_eq!(
        code(desk.execute(&who, it.proposal_id).await),
        ReasonCode::ApprovalRequired,
        "no exemption helps"
    );
    assert_eq!(code(desk.approve(it.proposal_id).await), ReasonCode::BlockedByPolicy);
    desk.governance
        .resolve(&person("boss"), it.proposal_id, approve(true), WHY)
        .await
        .unwrap();
    desk.execute(&who, it.proposal_id).await.unwrap();
    assert_eq!(desk.count("SELECT count(*) FROM brain_webhook_deliveries").await, 1);
}

#[tokio::test]
async fn two_persons_are_two() {
    let desk = Desk::new().await;
    let who = person("boss");
    let it = desk.propose(&who, "money.pay", json!({})).await;
    assert_eq!(code(desk.approve(it.proposal_id).await), ReasonCode::BlockedByPolicy);
    let refusals = "SELECT count(*) FROM brain_event_log WHERE action = 'capability.approve.refused'";
    assert_eq!(desk.count(refusals).await, 1, "the attempt is recorded");
    desk.governance
        .resolve(&person("other"), it.proposal_id, approve(false), WHY)
        .await
        .unwrap();
    desk.execute(&who, it.proposal_id).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_is_refused_when_it_is_proposed() {
    let desk = Desk::new().await;
    let who = person("builder");
    let propose = |new: NewProposal| desk.governance.propose(&who, new);
    assert_eq!(
        code(propose(new("nothing", json!({}))).await),
        ReasonCode::CapabilityUnknown
    );
    let brief = NewProposal {
        rationale: "why not".to_owned(),
        ..new("mail.send", json!({"to": "a"}))
    };
    assert_eq!(code(propose(brief).await), ReasonCode::RationaleRequired);
    let misfit = propose(new("mail.send", json!({"to": 1}))).await.unwrap_err();
    assert!(misfit.to_string().contains("/to: 1 is not of type"), "{misfit}");
    let nul = propose(new("mail.send", json!({"to": "\0"}))).await.unwrap_err();
    assert!(nul.to_string().contains("U+0000"), "{nul}");
    let large = propose(new("mail.send", json!({"to": "x".repeat(200_000)})))
        .await
        .unwrap_err();
    assert!(large.to_string().contains("at most"), "{large}");
    let records = "SELECT count(*) FROM brain_event_log WHERE action = 'capability.propose.refused'";
    assert_eq!(desk.count(records).await, 2);
    assert_eq!(desk.count("SELECT count(*) FROM brain_capability_proposals").await, 0);
}

/// What needed no approval went out although its arguments had been held against another schema.
#[tokio::test]
async fn what_needs_no_approval_is_bound_to_its_definition_too() {
    let desk = Desk::new().await;
    let who = person("builder");
    let it = desk.propose(&who, "mail.read", json!({"folder": "all"})).await;
    let narrowed = POLICY.replace(
        "max_calls_per_hour = 7",
        "max_calls_per_hour = 7\n    input_schema = '{\"type\": \"object\", \"additionalProperties\": false}'",
    );
    let narrowed = desk.beside(&narrowed, None);
    let refused = narrowed.execute(&who, it.proposal_id, &Execute::default()).await;
    assert_eq!(code(refused), ReasonCode::ApprovalDefinitionChanged);
    assert!(desk.sent.all().is_empty());
    desk.execute(&who, it.proposal_id).await.unwrap();
}

#[tokio::test]
async fn a_page_of_proposals_is_bounded_in_bytes_and_nothing_is_passed_over() {
    let desk = Desk::new().await;
    let who = person("builder");
    let large = json!({"to": "x".repeat(120_000)});
    for _ in 0..25 {
        desk.propose(&who, "mail.send", large.clone()).await;
    }
    let mut query = brain_swarm::governance::Query {
        tenant_id: who.tenant_id.clone(),
        status: None,
        capability_id: None,
        before: None,
        limit: 100,
    };
    let mut pages = Vec::new();
    loop {
        let page = desk.governance.proposals(&query).await.unwrap();
        pages.push(page.proposals.len());
        query.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!((pages.len(), pages.iter().sum::<usize>()), (2, 25), "{pages:?}");
    query.limit = 25;
    query.before = None;
    query.status = Some(Status::Draft);
    assert!(desk.governance.proposals(&query).await.unwrap().next.is_none());
}
