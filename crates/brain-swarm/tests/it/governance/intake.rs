//! What intake rules find, and when: also what JSON would hide, and also in what was proposed under other rules.

use brain_swarm::governance::{Error, Execute, Finding, Governance, decide::ReasonCode, proposal::Status};
use serde_json::json;

use super::desk::{Desk, POLICY, WHY, approve, code, new, person};

/// In JSON a line break is a backslash and an `n`, so that `\bpassword` once found no word after one.
#[tokio::test]
async fn a_word_is_found_behind_a_line_break() {
    let desk = Desk::under(&POLICY.replace("pattern = \"password\"", "pattern = '\\bpassword\\b'")).await;
    let who = person("builder");
    for input in [
        json!({"text": "hello\npassword: x"}),
        json!({"a": [{"my\tpassword": 1}]}),
    ] {
        let it = desk.propose(&who, "mail.read", input).await;
        assert_eq!(
            (it.status, it.intake_rule.as_deref()),
            (Status::PendingApproval, Some("secrets"))
        );
        assert_eq!(
            code(desk.execute(&who, it.proposal_id).await),
            ReasonCode::ApprovalRequired
        );
    }
    let it = desk.propose(&who, "mail.read", json!({"text": "passwordless"})).await;
    assert_eq!(it.status, Status::Draft);
}

/// A proposal that was made before a rule was there once went by it.
#[tokio::test]
async fn a_rule_finds_what_was_proposed_before_it_was_there() {
    let desk = Desk::new().await;
    let (who, boss) = (person("builder"), person("boss"));
    let it = desk.propose(&who, "mail.read", json!({"text": "a lawsuit"})).await;
    assert_eq!(it.status, Status::Draft);
    let stricter = desk.beside(&POLICY.replace("\"password\"", "\"lawsuit\""), None);
    let id = it.proposal_id;
    assert_eq!(
        code(stricter.execute(&who, id, &Execute::default()).await),
        ReasonCode::ApprovalRequired
    );
    assert!(desk.governance.findings(&it).is_empty());
    let found = Finding {
        rule: "secrets",
        reason: "It may give a secret away.",
    };
    assert_eq!(stricter.findings(&it), [found], "whoever approves is told before");
    let resolve = async |overrule| stricter.resolve(&boss, id, approve(overrule), WHY).await;
    assert_eq!(code(resolve(false).await), ReasonCode::BlockedByPolicy);
    resolve(true).await.unwrap();
    stricter.execute(&who, id, &Execute::default()).await.unwrap();
    assert_eq!(desk.sent.all().len(), 1);
}

#[tokio::test]
async fn another_rule_is_found_beside_the_one_that_was_found_before() {
    let desk = Desk::new().await;
    let it = desk
        .propose(
            &person("builder"),
            "mail.read",
            json!({"text": "a password, a lawsuit"}),
        )
        .await;
    let other = POLICY
        .replace("\"secrets\"", "\"legal\"")
        .replace("\"password\"", "\"lawsuit\"");
    let other = desk.beside(&other, None);
    let rules = |governance: &Governance| -> Vec<String> {
        let found = governance.findings(&it);
        found.iter().map(|one| one.rule.to_owned()).collect()
    };
    assert_eq!(rules(&desk.governance), ["secrets"], "the same is said once");
    assert_eq!(rules(&other), ["secrets", "legal"]);
}

/// Proposals of made-up capabilities once were recorded one and all, without a limit.
#[tokio::test]
async fn made_up_capabilities_count_together() {
    let desk = Desk::under(&POLICY.replace("proposals_per_minute = 10000", "proposals_per_minute = 3")).await;
    let who = person("builder");
    let mut unknown = 0;
    for number in 0..20 {
        match desk
            .governance
            .propose(&who, new(&format!("made.up.{number}"), json!({})))
            .await
        {
            Err(Error::Refused(refusal)) if refusal.code == ReasonCode::CapabilityUnknown => unknown += 1,
            other => assert_eq!(code(other), ReasonCode::RateLimited),
        }
    }
    // A minute may end in between.
    assert!((3..=6).contains(&unknown), "{unknown}");
}
