//! `brain capability`: what agents may do to the world outside, under which rules, and whether a file says so well.
//!
//! Invariant: checking a file needs no settings, no server and no database.

use std::path::Path;

use anyhow::Context as _;
use brain_config::Config;
use brain_swarm::governance::{
    lint::{self, Finding},
    policy::{self, Policy},
};
use serde_json::{Value, json};

use super::listing::{self, Column, moment, pretty, text, words};
use super::steering::{self, Body};
use crate::cli::{CapabilityCommand, Format, ListFormat, SettingsArgs};
use crate::client::Client;
use crate::exit::Verdict;
use crate::render::{self, escape::escaped, table::Grid, table::fields};

const CAPABILITIES: [&str; 2] = ["api", "capabilities"];
const POLICY: [&str; 3] = ["api", "capabilities", "policy"];
const LINT: [&str; 3] = ["api", "capabilities", "policy-lint"];
const QUOTAS: [&str; 3] = ["api", "capabilities", "quotas"];

const COLUMNS: [Column; 6] = [
    ("CAPABILITY", |it| text(it, "id")),
    ("TARGET", |it| text(it, "target")),
    ("RISK", |it| text(it, "risk")),
    ("APPROVAL", |it| text(it, "approvalMode")),
    ("PER HOUR", |it| text(it, "maxCallsPerHour")),
    ("DESCRIPTION", |it| text(it, "description")),
];

const FINDINGS: [Column; 3] = [
    ("CAPABILITY", |it| text(it, "capabilityId")),
    ("FINDING", |it| text(it, "code")),
    ("REMEDY", |it| text(it, "detail")),
];

const USED: [Column; 6] = [
    ("QUOTA", |it| text(it, "bucket").chars().take(64).collect()),
    ("CAPABILITY", |it| text(it, "capabilityId")),
    ("OWNER", |it| text(it, "ownerId")),
    ("ACTOR", |it| text(it, "actorId")),
    ("USED", |it| format!("{} of {}", text(it, "used"), text(it, "limit"))),
    ("SINCE", |it| moment(it, "windowStart")),
];

pub(super) fn run(settings: &SettingsArgs, command: CapabilityCommand) -> anyhow::Result<Verdict> {
    match command {
        CapabilityCommand::Check { file, strict, output } => check(&file, strict, output),
        other => super::once(settings, async |config| ask(&config, other).await),
    }
}

async fn ask(config: &Config, command: CapabilityCommand) -> anyhow::Result<Verdict> {
    match command {
        CapabilityCommand::List { output, server } => {
            let document = Client::new(config, &server)?.get(&CAPABILITIES, &[]).await?;
            let all = listing::items(&document, "capabilities");
            listing::print(output, "capabilities", &all, false, &COLUMNS)?;
        }
        CapabilityCommand::Show { id, one } => {
            let found = defined(&Client::new(config, &one.server)?, &id).await?;
            let found =
                found.with_context(|| format!("there is no capability {id}; `brain capability list` shows all"))?;
            steering::print(&found, one.output, shown)?;
        }
        CapabilityCommand::Policy { one } => {
            let policy = Client::new(config, &one.server)?.get(&POLICY, &[]).await?;
            steering::print(&policy, one.output, ruled)?;
        }
        CapabilityCommand::Lint { strict, output, server } => {
            let document = Client::new(config, &server)?.get(&LINT, &[]).await?;
            let findings = listing::items(&document, "findings");
            listing::print(output, "findings", &findings, false, &FINDINGS)?;
            return Ok(Verdict::from(!strict || findings.is_empty()));
        }
        CapabilityCommand::Quotas { list, server } => {
            let client = Client::new(config, &server)?;
            let (quotas, more) = client.list(&QUOTAS, "quotas", &[], list.limit).await?;
            match list.output {
                // The name of a quota is needed whole.
                ListFormat::Table if !quotas.is_empty() => render::print(&used(&quotas, more))?,
                format => listing::print(format, "quotas", &quotas, more, &USED)?,
            }
        }
        CapabilityCommand::ResetQuota { bucket, reason, one } => {
            let path = [&QUOTAS[..], &[&bucket, "reset"]].concat();
            let body = Body::default().with("reason", Some(reason));
            steering::alter(config, &path, &one, body, quota).await?;
        }
        // It was answered without settings.
        CapabilityCommand::Check { .. } => {}
    }
    Ok(Verdict::Ok)
}

/// How a capability is defined, where it is.
pub(super) async fn defined(client: &Client, id: &str) -> anyhow::Result<Option<Value>> {
    let document = client.get(&CAPABILITIES, &[]).await?;
    let mut all = listing::items(&document, "capabilities");
    let place = all.iter().position(|one| text(one, "id") == id);
    Ok(place.map(|place| all.swap_remove(place)))
}

/// What carries it out, in a line.
pub(super) fn executor(definition: &Value) -> String {
    let Some(executor) = definition.get("executor") else {
        return String::new();
    };
    let limit = text(executor, "timeLimitSeconds");
    match executor.get("skill") {
        Some(_) => format!(
            "command {} of the skill {} within {limit} s",
            text(executor, "command"),
            text(executor, "skill")
        ),
        None => format!("POST {} within {limit} s", text(executor, "url")),
    }
}

fn shown(it: &Value) -> String {
    let undone = it.get("executor").map(|executor| text(executor, "rollbackUrl"));
    let head = fields([
        ("capability", text(it, "id")),
        ("target", text(it, "target")),
        ("description", text(it, "description")),
        ("read only", text(it, "readOnly")),
        ("approval", text(it, "approvalMode")),
        ("risk", text(it, "risk")),
        ("per hour", text(it, "maxCallsPerHour")),
        ("owner", text(it, "owner")),
        ("rollback plan", text(it, "rollbackPlan")),
        ("escalation", text(it, "escalationPath")),
        ("executor", executor(it)),
        ("undone by", undone.unwrap_or_default()),
        ("digest", text(it, "definitionDigest")),
    ]);
    format!("{head}\n\ninput schema:\n{}", indented(&pretty(it, "inputSchema")))
}

/// Foreign text of several lines, indented and made harmless.
pub(super) fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {}", escaped(line))).collect();
    lines.join("\n")
}

fn ruled(policy: &Value) -> String {
    let rules = policy.get("rules").cloned().unwrap_or_default();
    let rules = fields([
        ("version", text(policy, "version")),
        (
            "approvals hold for",
            format!("{} min", text(&rules, "approvalValidMinutes")),
        ),
        ("proposals a minute", text(&rules, "proposalsPerMinute")),
        ("executions a minute", text(&rules, "executionsPerMinute")),
    ]);
    let intake = listing::items(policy, "intake");
    let mut grid = Grid::new(&["INTAKE RULE", "PATTERN", "REASON", "CAPABILITIES"]);
    for rule in &intake {
        let only = words(rule, "capabilities");
        let only = if only.is_empty() { "all".to_owned() } else { only };
        grid.row([text(rule, "id"), text(rule, "pattern"), text(rule, "reason"), only]);
    }
    let switches = super::kill_switch::shown(policy);
    match intake.is_empty() {
        true => format!("{rules}\n\nno intake rules\n\n{switches}"),
        false => format!("{rules}\n\n{}\n\n{switches}", grid.finish()),
    }
}

fn used(quotas: &[Value], more: bool) -> String {
    let mut grid = Grid::new(&USED.map(|(heading, _)| heading));
    for one in quotas {
        grid.whole_row(USED.map(|(_, fill)| fill(one)));
    }
    let table = grid.finish();
    match more {
        true => format!("{table}\n\nthe first {}; there are more, see --limit", quotas.len()),
        false => table,
    }
}

fn quota(it: &Value) -> String {
    fields(USED.map(|(heading, fill)| (heading, fill(it))))
}

fn check(file: &Path, strict: bool, output: Format) -> anyhow::Result<Verdict> {
    let (problems, findings, count) = match Policy::load(file) {
        Ok(policy) => (Vec::new(), lint::lint(&policy), policy.capabilities().count()),
        Err(policy::Error::Invalid { problems, .. }) => (problems, Vec::new(), 0),
        Err(policy::Error::Unreadable { path, source }) => {
            return Err(source).with_context(|| format!("cannot read {path}"));
        }
        Err(error) => return Err(error.into()),
    };
    let ok = problems.is_empty() && (!strict || findings.is_empty());
    match output {
        Format::Json => render::print_json(&json!({
            "ok": ok, "problems": problems, "findings": findings, "capabilities": count,
        }))?,
        Format::Table => render::print(&told(&problems, &findings, count))?,
    }
    Ok(Verdict::from(ok))
}

fn told(problems: &[String], findings: &[Finding], count: usize) -> String {
    if !problems.is_empty() {
        let problems: Vec<String> = problems.iter().map(|problem| indented(problem)).collect();
        return format!("NOT USABLE:\n{}", problems.join("\n"));
    }
    let capabilities = match count {
        1 => "usable: 1 capability".to_owned(),
        count => format!("usable: {count} capabilities"),
    };
    if findings.is_empty() {
        return format!("{capabilities}, no findings");
    }
    let mut grid = Grid::new(&FINDINGS.map(|(heading, _)| heading));
    for finding in findings {
        let code = text(&json!(finding), "code");
        grid.whole_row([finding.capability_id.as_str(), &code, finding.detail]);
    }
    format!("{}\n\n{capabilities}", grid.finish())
}
