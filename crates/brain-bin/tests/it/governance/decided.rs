//! From the command line: proposed, told, approved at a terminal, executed once, undone, refused with a code.

use std::process::Stdio;

use brain_testkit::eventually;
use tokio::io::AsyncWriteExt as _;

use super::{WHY, done, id, propose, receiver::Receiver, refused, start, with_reason};
use crate::brain_process::{BrainProcess, Ended, migrated};

/// The arguments in no order, and as they must arrive.
const INPUT: &str = r#"{"to": "a@example.org", "n": 1.50e1, "body": "hé\n"}"#;
const CANONICAL: &str = r#"{"body":"hé\n","n":15,"to":"a@example.org"}"#;

/// Runs a command at a terminal at which somebody types this.
async fn at_terminal(brain: &BrainProcess, words: &[&str], typed: &str) -> Ended {
    let program = "import os, pty, sys\nsys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let mut python = tokio::process::Command::new("python3")
        .args(["-c", program, env!("CARGO_BIN_EXE_brain")])
        .args(words)
        .args(["--server", brain.url()])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .current_dir(brain_testkit::scratch_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(typed.as_bytes()).await.unwrap();
    let ended = python.wait_with_output().await.unwrap();
    Ended {
        code: ended.status.code(),
        stdout: String::from_utf8(ended.stdout).unwrap(),
        stderr: String::from_utf8(ended.stderr).unwrap(),
    }
}

#[tokio::test]
async fn a_proposal_is_told_of_approved_executed_once_and_undone() {
    let database = migrated().await;
    let receiver = Receiver::start();
    let brain = start(&database.config(), &receiver).await;
    let it = propose(&brain, "mail.send", INPUT).await;

    let notice = eventually("the notice arrives", async || receiver.at("/notices").pop()).await;
    notice.verify().await;
    let body = notice.json();
    assert_eq!(
        (&body["type"], &body["proposalId"]),
        (&"capability.proposal.pending".into(), &it.as_str().into())
    );
    assert_eq!(body["summary"], "Do it.");

    refused(&brain.cli(&["proposal", "execute", &it]).await, "APPROVAL_REQUIRED");
    let dry = brain.cli(&["proposal", "dry-run", &it]).await;
    assert_eq!(dry.code, Some(1), "{}", dry.stderr);
    assert!(
        dry.stdout.contains("APPROVAL_REQUIRED") && dry.stdout.contains(CANONICAL),
        "{}",
        dry.stdout
    );

    let approve = ["proposal", "approve", &it, "--reason", WHY];
    let asked = brain.cli(&approve).await;
    assert_eq!(asked.code, Some(2), "{}", asked.stdout);
    assert!(asked.stderr.contains("--yes"), "{}", asked.stderr);
    let no = at_terminal(&brain, &approve, "n\n").await;
    assert_eq!(no.code, Some(1), "{}", no.stdout);
    for shown in [CANONICAL, "mail.send", "high", "Do it.", WHY, "/do within 1 s", "[y/N]"] {
        assert!(no.stdout.contains(shown), "{shown}: {}", no.stdout);
    }
    refused(&brain.cli(&["proposal", "execute", &it]).await, "APPROVAL_REQUIRED");
    let yes = at_terminal(&brain, &approve, "y\n").await;
    assert_eq!(yes.code, Some(0), "{}", yes.stdout);

    let other = brain
        .cli(&["proposal", "execute", &it, "--input", r#"{"to":"b"}"#])
        .await;
    refused(&other, "APPROVAL_INPUT_CHANGED");
    let other = brain
        .cli(&["proposal", "execute", &it, "--capability", "mail.fail"])
        .await;
    refused(&other, "PROPOSAL_CAPABILITY_MISMATCH");
    assert!(receiver.at("/do").is_empty());

    done(&brain.cli(&["proposal", "dry-run", &it]).await);
    let executed = brain.cli(&["proposal", "execute", &it]).await;
    done(&executed);
    assert!(
        executed.stdout.contains("succeeded: ") && executed.stdout.contains("\"done\": true"),
        "{}",
        executed.stdout
    );
    let [order] = &receiver.at("/do")[..] else {
        panic!("it arrived once")
    };
    order.verify().await;
    let text = std::str::from_utf8(&order.body).unwrap();
    assert!(text.contains(&format!("\"input\":{CANONICAL}")), "{text}");
    let body = order.json();
    assert_eq!(
        (&body["type"], &body["proposalId"]),
        (&"capability.execute".into(), &it.as_str().into())
    );
    assert_eq!(order.headers["webhook-id"], body["executionId"]);
    refused(&brain.cli(&["proposal", "execute", &it]).await, "ALREADY_EXECUTED");
    assert_eq!(receiver.at("/do").len(), 1);

    done(&with_reason(&brain, &["proposal", "rollback", &it]).await);
    let [undo] = &receiver.at("/undo")[..] else {
        panic!("it was undone once")
    };
    undo.verify().await;
    assert_eq!(undo.json()["type"], "capability.rollback");
    refused(
        &with_reason(&brain, &["proposal", "rollback", &it]).await,
        "ALREADY_EXECUTED",
    );
}

#[tokio::test]
async fn outcomes_tables_and_refusals_are_what_people_read() {
    let database = migrated().await;
    let receiver = Receiver::start();
    let brain = start(&database.config(), &receiver).await;

    let failed = propose(&brain, "mail.fail", "{}").await;
    let ended = brain.cli(&["proposal", "execute", &failed]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stdout.starts_with("FAILED") && ended.stdout.contains("no such customer"),
        "{}",
        ended.stdout
    );
    let slow = propose(&brain, "mail.slow", "{}").await;
    let ended = brain.cli(&["proposal", "execute", &slow]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stdout.starts_with("UNKNOWN") && ended.stdout.contains("look at the other side first"),
        "{}",
        ended.stdout
    );

    let secret = propose(&brain, "mail.send", r#"{"to":"my password"}"#).await;
    let approve = ["proposal", "approve", &secret, "--yes"];
    refused(&with_reason(&brain, &approve).await, "BLOCKED_BY_POLICY");
    done(&with_reason(&brain, &[&approve[..], &["--overrule"]].concat()).await);
    done(&with_reason(&brain, &["proposal", "reject", &secret]).await);
    refused(&brain.cli(&["proposal", "execute", &secret]).await, "PROPOSAL_REJECTED");
    done(&with_reason(&brain, &["proposal", "reopen", &secret]).await);
    let brief = brain.cli(&["proposal", "reject", &secret, "--reason", "no"]).await;
    refused(&brief, "RATIONALE_REQUIRED");

    let words = [
        "exemption",
        "grant",
        "--capability",
        "mail.send",
        "--expires-in",
        "1h",
        "--reason",
        WHY,
    ];
    let exemption = id(&brain.json(&words).await, "exemptionId");
    let exempt = propose(&brain, "mail.send", r#"{"to":"a"}"#).await;
    done(&brain.cli(&["proposal", "execute", &exempt]).await);
    done(&with_reason(&brain, &["exemption", "revoke", &exemption]).await);
    assert!(brain.cli(&["exemption", "list"]).await.stdout.contains("revoked"));

    let on = with_reason(&brain, &["kill-switch", "on"]).await;
    done(&on);
    assert!(on.stdout.contains("STOPPED"), "{}", on.stdout);
    let load = propose(&brain, "mail.load", "{}").await;
    refused(&brain.cli(&["proposal", "execute", &load]).await, "BLOCKED_BY_POLICY");
    done(&with_reason(&brain, &["kill-switch", "off"]).await);

    let quotas = brain.json(&["capability", "quotas"]).await;
    let bucket = id(&quotas["quotas"][0], "bucket");
    assert!(
        brain.cli(&["capability", "quotas"]).await.stdout.contains(&bucket),
        "the name is whole"
    );
    done(&with_reason(&brain, &["capability", "reset-quota", &bucket]).await);
    let tables = [
        brain.cli(&["capability", "list"]).await.stdout,
        brain.cli(&["capability", "policy"]).await.stdout,
        brain.cli(&["capability", "lint", "--strict"]).await.stdout,
        brain.cli(&["proposal", "list"]).await.stdout,
        brain.cli(&["kill-switch", "status"]).await.stdout,
    ];
    let filters = vec![
        ("[0-9a-f]{64}", "[digest]"),
        ("[0-9a-f]{8}-[0-9a-f-]{27}", "[uuid]"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "[moment]"),
        (r"\d+ (s|ms|min)( \d+ s)? ago", "[ago]"),
    ];
    insta::with_settings!({filters => filters}, {
        insta::assert_snapshot!("tables", tables.join("\n"));
    });
}

#[tokio::test]
async fn an_agent_acts_through_a_delegation_and_no_longer_than_that() {
    let database = migrated().await;
    let receiver = Receiver::start();
    let brain = start(&database.config(), &receiver).await;
    let words = [
        "token",
        "create",
        "--name",
        "agent-1",
        "--role",
        "agent",
        "--scope",
        "capabilities:*",
    ];
    let token = id(
        &brain
            .json(&[&words[..], &["--scope", "capability:mail.load:execute"]].concat())
            .await,
        "token",
    );
    let as_agent = ["--token", &token];
    let create = [
        "proposal",
        "create",
        "--capability",
        "mail.load",
        "--summary",
        "Do it.",
        "--rationale",
        WHY,
    ];
    refused(
        &brain.cli(&[&create[..], &as_agent].concat()).await,
        "DELEGATION_MISSING",
    );

    let words = [
        "delegation",
        "create",
        "--agent",
        "agent-1",
        "--scope",
        "capability:mail.load:execute",
    ];
    let delegation = id(
        &brain
            .json(&[&words[..], &["--expires-in", "1h", "--reason", WHY]].concat())
            .await,
        "delegationId",
    );
    let through = ["--delegation", &delegation];
    let made = brain.json(&[&create[..], &through, &as_agent].concat()).await;
    let it = id(&made, "proposalId");
    // Whoever did not propose it does not execute it either.
    refused(
        &brain.cli(&["proposal", "execute", &it]).await,
        "APPROVAL_PRINCIPAL_CHANGED",
    );
    done(
        &brain
            .cli(&[&["proposal", "execute", &it][..], &as_agent].concat())
            .await,
    );
    assert_eq!(receiver.at("/load").pop().unwrap().json()["actorId"], "agent-1");

    let it = id(
        &brain.json(&[&create[..], &through, &as_agent].concat()).await,
        "proposalId",
    );
    assert!(
        brain
            .cli(&["delegation", "list", "--actor", "agent-1"])
            .await
            .stdout
            .contains(&delegation)
    );
    done(&with_reason(&brain, &["delegation", "revoke", &delegation]).await);
    refused(
        &brain
            .cli(&[&["proposal", "execute", &it][..], &as_agent].concat())
            .await,
        "DELEGATION_REVOKED",
    );
}
