//! `brain proposal`: proposes, decides, executes and undoes.
//!
//! Invariant: nobody approves at a terminal what was not shown there, and an outcome that is not a success is no exit code 0.

mod outcome;
mod sheet;

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
use brain_config::Config;
use serde_json::Value;

use super::listing::{self, Column, ago, moment, text};
use super::steering::{self, Body};
use crate::cli::{OneArgs, ProposalApproveArgs, ProposalCommand, ProposalExecuteArgs, ProposalReasonArgs};
use crate::client::{self, Client};
use crate::exit::{Usage, Verdict};
use crate::render::table::fields;

const PROPOSALS: [&str; 3] = ["api", "capabilities", "proposals"];
const POLICY: [&str; 3] = ["api", "capabilities", "policy"];

const COLUMNS: [Column; 7] = [
    ("PROPOSAL", |it| text(it, "proposalId")),
    ("STATUS", |it| text(it, "status")),
    ("CAPABILITY", |it| text(it, "capabilityId")),
    ("ACTOR", |it| text(it, "actorId")),
    ("OUTCOME", outcome::last),
    ("SUMMARY", |it| {
        it.get("preview")
            .map_or_else(String::new, |preview| text(preview, "summary"))
    }),
    ("MADE", |it| ago(it, "createdAt")),
];

pub(super) async fn run(config: &Config, command: ProposalCommand) -> anyhow::Result<Verdict> {
    match command {
        ProposalCommand::Create(args) => {
            let body = Body::default()
                .with("capabilityId", Some(args.capability.as_str()))
                .with("input", Some(arguments(&args.input)?))
                .with("summary", Some(args.summary.as_str()))
                .with("rationale", Some(args.rationale.as_str()))
                .with_all("expectedEffects", &args.effects)
                .with("delegationId", args.delegation.as_deref());
            steering::alter(config, &PROPOSALS, &args.one, body, sheet::shown).await?;
        }
        ProposalCommand::List {
            status,
            capability,
            list,
            server,
        } => {
            let query = listing::query(&[("status", &status), ("capabilityId", &capability)]);
            let client = Client::new(config, &server)?;
            let (proposals, more) = client.list(&PROPOSALS, "proposals", &query, list.limit).await?;
            listing::print(list.output, "proposals", &proposals, more, &COLUMNS)?;
        }
        ProposalCommand::Show { proposal, one } => {
            let it = Client::new(config, &one.server)?
                .get(&path(&proposal, None), &[])
                .await?;
            steering::print(&it, one.output, sheet::shown)?;
        }
        ProposalCommand::Approve(args) => return approve(config, &args).await,
        ProposalCommand::Reject(args) => decide(config, &args, "reject").await?,
        ProposalCommand::Reopen(args) => decide(config, &args, "reopen").await?,
        ProposalCommand::DryRun(args) => {
            let body = execution(&args)?;
            let client = Client::new(config, &args.one.server)?;
            let said = client.post(&path(&args.proposal, Some("dry-run")), Some(body)).await?;
            steering::print(&said, args.one.output, would)?;
            return Ok(Verdict::from(said.get("allowed") == Some(&Value::Bool(true))));
        }
        ProposalCommand::Execute(args) => {
            let body = execution(&args)?;
            return dispatch(config, &args.one, &args.proposal, "execute", body).await;
        }
        ProposalCommand::Rollback(args) => {
            let body = serde_json::to_vec(&because(&args.reason).into_fields())?;
            return dispatch(config, &args.one, &args.proposal, "rollback", body).await;
        }
    }
    Ok(Verdict::Ok)
}

fn path<'a>(proposal: &'a str, action: Option<&'a str>) -> Vec<&'a str> {
    PROPOSALS.into_iter().chain([proposal]).chain(action).collect()
}

fn because(reason: &str) -> Body {
    Body::default().with("reason", Some(reason))
}

async fn decide(config: &Config, args: &ProposalReasonArgs, action: &'static str) -> anyhow::Result<()> {
    let path = path(&args.proposal, Some(action));
    steering::alter(config, &path, &args.one, because(&args.reason), sheet::shown).await
}

async fn approve(config: &Config, args: &ProposalApproveArgs) -> anyhow::Result<Verdict> {
    let shown = match args.yes {
        true => None,
        false => Some(confirmed(config, args).await?),
    };
    let body = because(&args.reason)
        .with("overrule", args.overrule.then_some(true))
        .with("definitionDigest", shown);
    let path = path(&args.proposal, Some("approve"));
    steering::alter(config, &path, &args.one, body, sheet::shown).await?;
    Ok(Verdict::Ok)
}

/// Shows what would be approved, and asks; gives the digest of the definition that was shown. What is approved is what was
/// shown: arguments never change once they are proposed, and another definition is refused.
async fn confirmed(config: &Config, args: &ProposalApproveArgs) -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        return Err(
            Usage("there is no terminal to ask at: read `brain proposal show`, then say --yes".to_owned()).into(),
        );
    }
    let client = Client::new(config, &args.one.server)?;
    let it = client.get(&path(&args.proposal, None), &[]).await?;
    let definition = super::capability::defined(&client, &text(&it, "capabilityId")).await?;
    let policy = client.get(&POLICY, &[]).await?;
    let (sheet, shown) = sheet::before_approval(&it, definition.as_ref(), &policy)?;
    eprintln!("{sheet}\n");
    let rule = text(&it, "intakeRule");
    if !rule.is_empty() && !args.overrule {
        bail!("intake rule {rule} found something: whoever approves it all the same says --overrule");
    }
    eprint!("approve exactly this? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .context("cannot read the answer")?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(shown),
        _ => bail!("not approved"),
    }
}

/// The arguments that an option gives: a JSON object, one in a file, or one on standard input.
fn arguments(option: &str) -> anyhow::Result<Value> {
    let text = match (option, option.strip_prefix('@')) {
        ("-", _) => std::io::read_to_string(std::io::stdin().lock()).context("cannot read standard input")?,
        (_, Some(file)) => std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?,
        (json, None) => json.to_owned(),
    };
    let value: Value = serde_json::from_str(&text).context("--input is not JSON")?;
    if !value.is_object() {
        bail!("--input must be a JSON object, such as '{{\"n\":1}}'");
    }
    Ok(value)
}

fn execution(args: &ProposalExecuteArgs) -> anyhow::Result<Vec<u8>> {
    let input = args.input.as_deref().map(arguments).transpose()?;
    let body = Body::default()
        .with("capabilityId", args.capability.as_deref())
        .with("input", input)
        .with("delegationId", args.delegation.as_deref());
    Ok(serde_json::to_vec(&body.into_fields())?)
}

/// Has something done, and says what came of it.
async fn dispatch(
    config: &Config,
    one: &OneArgs,
    proposal: &str,
    action: &'static str,
    body: Vec<u8>,
) -> anyhow::Result<Verdict> {
    let client = Client::new(config, &one.server)?;
    let answer = client.post_and_wait(&path(proposal, Some(action)), &[], body).await;
    let it = answer.map_err(|error| match error {
        // It may have been dispatched all the same.
        client::Error::Unanswered { .. } | client::Error::Busy { .. } => anyhow::Error::from(error).context(format!(
            "what came of it is not known here, `brain proposal show {proposal}` says it"
        )),
        refused => refused.into(),
    })?;
    let kind = if action == "rollback" { "rollback" } else { "execute" };
    let done = outcome::of(&it, kind);
    steering::print(
        &it,
        one.output,
        if kind == "rollback" {
            outcome::undone
        } else {
            outcome::executed
        },
    )?;
    Ok(Verdict::from(
        done.is_some_and(|one| text(one, "status") == "succeeded"),
    ))
}

fn would(said: &Value) -> String {
    let allowed = said.get("allowed") == Some(&Value::Bool(true));
    let head = fields([
        ("allowed", if allowed { "yes" } else { "no" }.to_owned()),
        (
            "reason",
            format!("{}: {}", text(said, "reasonCode"), text(said, "detail")),
        ),
        ("by right of", text(said, "authority")),
        (
            "quota",
            format!(
                "{} of {} used in this hour",
                text(said, "quotaUsed"),
                text(said, "quotaLimit")
            ),
        ),
        ("can be undone", text(said, "canRollBack")),
        ("input digest", text(said, "inputHash")),
    ]);
    format!(
        "{head}\n\nwould be sent:\n{}",
        sheet::canonical_input(said.get("input"))
    )
}

/// The fields of a decision, where there is one.
fn decided(it: &Value) -> [(&'static str, String); 4] {
    [
        ("decided by", text(it, "decidedBy")),
        ("decided", moment(it, "decidedAt")),
        ("for", text(it, "decisionReason")),
        ("holds until", moment(it, "expiresAt")),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_an_object_from_the_option_or_a_file() {
        assert_eq!(arguments(r#"{"n":1}"#).unwrap(), json!({"n": 1}));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("input.json");
        std::fs::write(&file, r#"{"n":2}"#).unwrap();
        assert_eq!(arguments(&format!("@{}", file.display())).unwrap(), json!({"n": 2}));
        for wrong in ["", "[]", "1", "@nowhere.json"] {
            assert!(arguments(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_dry_run_says_what_would_be_sent() {
        let said = json!({"allowed": false, "reasonCode": "APPROVAL_REQUIRED", "detail": "a person must approve it first",
            "authority": null, "input": {"b": 1, "a": "x"}, "inputHash": "00ff", "quotaUsed": 1, "quotaLimit": 3, "canRollBack": true});
        insta::assert_snapshot!(would(&said), @r#"
        allowed        no
        reason         APPROVAL_REQUIRED: a person must approve it first
        quota          1 of 3 used in this hour
        can be undone  true
        input digest   00ff

        would be sent:
          {"a":"x","b":1}
        "#);
    }
}
