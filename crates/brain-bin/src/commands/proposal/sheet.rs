//! A proposal as a person reads it: all of it, and what must be read before it is approved.
//!
//! Invariants: what is shown as that which would be sent has the digest that the approval is bound to; text of those who ask
//! controls no terminal.

use anyhow::bail;
use brain_swarm::digest::{Digest, canonical};
use serde_json::Value;

use super::{decided, outcome};
use crate::commands::{
    capability::{executor, indented},
    listing::{items, moment, text},
};
use crate::render::{escape::escaped, table::fields};

/// All of it.
pub(super) fn shown(it: &Value) -> String {
    let preview = it.get("preview").cloned().unwrap_or_default();
    let mut rows = vec![
        ("proposal", text(it, "proposalId")),
        ("status", text(it, "status")),
        ("capability", text(it, "capabilityId")),
        ("asks", asks(it)),
        ("delegation", text(it, "delegationId")),
        ("summary", text(&preview, "summary")),
        ("why", text(it, "rationale")),
    ];
    rows.extend(effects(&preview));
    rows.push(("intake rule", rule(it)));
    rows.extend(decided(it));
    rows.extend([
        ("made", moment(it, "createdAt")),
        ("changed", moment(it, "updatedAt")),
        ("input digest", text(it, "inputHash")),
    ]);
    let input = canonical_input(preview.get("input"));
    let mut parts = vec![fields(rows), format!("input:\n{input}")];
    parts.extend(outcome::all(it));
    parts.join("\n\n")
}

/// Everything that somebody who approves must know, and the digest of the definition in it.
pub(super) fn before_approval(
    it: &Value,
    definition: Option<&Value>,
    policy: &Value,
) -> anyhow::Result<(String, String)> {
    let preview = it.get("preview").cloned().unwrap_or_default();
    let input = preview.get("input").cloned().unwrap_or_default();
    if Digest::of_json(&input)?.to_string() != text(it, "inputHash") {
        bail!("the stored input is not what its digest says: do not approve it, and look into the audit trail");
    }
    let Some(definition) = definition else {
        bail!(
            "there is no capability {} any more, so nothing could be executed",
            text(it, "capabilityId")
        );
    };
    let minutes = policy.get("rules").map(|rules| text(rules, "approvalValidMinutes"));
    let risk = match text(definition, "risk") {
        none if none.is_empty() => "nobody said how bad it can get".to_owned(),
        risk => risk,
    };
    let mut rows = vec![
        ("proposal", text(it, "proposalId")),
        ("capability", text(it, "capabilityId")),
        ("does", text(definition, "description")),
        ("target", text(definition, "target")),
        ("risk", risk),
        ("rollback plan", text(definition, "rollbackPlan")),
        ("asks", asks(it)),
        ("delegation", text(it, "delegationId")),
        ("summary", text(&preview, "summary")),
        ("why", text(it, "rationale")),
    ];
    rows.extend(effects(&preview));
    rows.extend([
        ("intake rule", rule(it)),
        ("approval", text(definition, "approvalMode")),
        ("would hold for", format!("{} min", minutes.unwrap_or_default())),
        ("executor", executor(definition)),
        ("input digest", text(it, "inputHash")),
    ]);
    let sheet = format!(
        "{}\n\nexactly this would be sent, once:\n{}",
        fields(rows),
        canonical_input(Some(&input))
    );
    Ok((sheet, text(definition, "definitionDigest")))
}

/// An input as it would be sent, which is one line.
pub(super) fn canonical_input(input: Option<&Value>) -> String {
    let bytes = canonical(&input).unwrap_or_default();
    format!("  {}", escaped(&String::from_utf8_lossy(&bytes)))
}

fn asks(it: &Value) -> String {
    let (actor, owner) = (text(it, "actorId"), text(it, "ownerId"));
    let asks = format!("{actor} ({})", text(it, "requestedBy"));
    match owner == actor {
        true => asks,
        false => format!("{asks} for {owner}"),
    }
}

fn effects(preview: &Value) -> Vec<(&'static str, String)> {
    let texts = items(preview, "expectedEffects");
    texts
        .iter()
        .map(|effect| ("expects", effect.as_str().unwrap_or_default().to_owned()))
        .collect()
}

fn rule(it: &Value) -> String {
    match text(it, "intakeRule") {
        none if none.is_empty() => none,
        rule => format!("{rule}: {}", text(it, "intakeReason")),
    }
}

/// Foreign text of several lines under a heading.
pub(super) fn block(heading: &str, text: &str) -> String {
    format!("{heading}\n{}", indented(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    fn proposal() -> Value {
        let input = json!({"to": "a@example.org", "body": "hi\u{1b}[2J\u{202e}"});
        json!({
            "proposalId": "01", "status": "pending_approval", "capabilityId": "mail.send", "actorId": "agent-1",
            "ownerId": "alice", "requestedBy": "token:7", "delegationId": "02", "rationale": "the customer asked for it",
            "inputHash": Digest::of_json(&input).unwrap(),
            "preview": {"summary": "Send a mail.", "input": input, "expectedEffects": ["a mail", "an answer"]},
            "intakeRule": "secrets", "intakeReason": "It may give a secret away.", "createdAt": "2026-01-01T00:00:00Z",
        })
    }

    #[test]
    fn who_approves_sees_everything_and_the_exact_input() {
        let definition = json!({"description": "Sends a mail.", "target": "mail", "risk": "high", "approvalMode": "two_person",
            "rollbackPlan": "Send another.", "definitionDigest": "00ff", "executor": {"url": "https://mail.example/send", "timeLimitSeconds": 30}});
        let policy = json!({"rules": {"approvalValidMinutes": 60}});
        let (sheet, digest) = before_approval(&proposal(), Some(&definition), &policy).unwrap();
        assert_eq!(digest, "00ff", "what is approved is bound to what is shown");
        insta::assert_snapshot!(sheet, @r#"
        proposal        01
        capability      mail.send
        does            Sends a mail.
        target          mail
        risk            high
        rollback plan   Send another.
        asks            agent-1 (token:7) for alice
        delegation      02
        summary         Send a mail.
        why             the customer asked for it
        expects         a mail
        expects         an answer
        intake rule     secrets: It may give a secret away.
        approval        two_person
        would hold for  60 min
        executor        POST https://mail.example/send within 30 s
        input digest    933d9ed9d3039e17d2880cfdf6a4cc9775ff28b7c76a038dcd59f38e441da8d4

        exactly this would be sent, once:
          {"body":"hi\u001b[2J\u{202e}","to":"a@example.org"}
        "#);
        let mut forged = proposal();
        forged["preview"]["input"]["to"] = "b@example.org".into();
        let refused = before_approval(&forged, Some(&definition), &policy).unwrap_err();
        assert!(refused.to_string().contains("do not approve"), "{refused}");
        assert!(before_approval(&proposal(), None, &policy).is_err());
    }

    #[test]
    fn a_proposal_is_shown_with_what_came_of_it() {
        let mut it = proposal();
        it["executions"] = json!([{"executionId": "03", "kind": "execute", "status": "blocked", "authority": "approval",
            "principal": "token:7", "startedAt": "2026-01-01T00:00:01Z", "error": "the kill switch is on"}]);
        insta::assert_snapshot!(shown(&it), @r#"
        proposal      01
        status        pending_approval
        capability    mail.send
        asks          agent-1 (token:7) for alice
        delegation    02
        summary       Send a mail.
        why           the customer asked for it
        expects       a mail
        expects       an answer
        intake rule   secrets: It may give a secret away.
        made          2026-01-01 00:00:00Z
        input digest  933d9ed9d3039e17d2880cfdf6a4cc9775ff28b7c76a038dcd59f38e441da8d4

        input:
          {"body":"hi\u001b[2J\u{202e}","to":"a@example.org"}

        EXECUTION  KIND     STATUS   BY RIGHT OF  BEGAN                 ENDED  ERROR
        03         execute  blocked  approval     2026-01-01 00:00:01Z         the kill switch is on
        "#);
    }
}
