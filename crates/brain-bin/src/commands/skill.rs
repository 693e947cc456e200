//! `brain skill`: installs, lists, shows, verifies, calls and removes skills, and keeps registries of them.

mod check;
mod registry;

use anyhow::bail;
use brain_config::Config;
use serde_json::Value;

use super::given::{object, object_in};
use super::listing::{self, Column, moment, pretty, text};
use super::steering::{Body, print};
use crate::cli::{SettingsArgs, SkillCallArgs, SkillCommand, SkillInstallArgs};
use crate::client::Client;
use crate::exit::Verdict;
use crate::render::{self, escape::escaped, table::fields};

const SKILLS: [&str; 2] = ["api", "skills"];

const COLUMNS: [Column; 5] = [
    ("SKILL", reference),
    ("PUBLISHER", publisher),
    ("DIGEST", |skill| text(skill, "digest").chars().take(16).collect()),
    ("INSTALLED", |skill| moment(skill, "installedAt")),
    ("DESCRIPTION", |skill| text(skill, "description")),
];

/// Runs what needs a server, and what needs none.
pub(super) fn run(settings: &SettingsArgs, command: SkillCommand) -> anyhow::Result<Verdict> {
    match command {
        SkillCommand::Check { directory, output } => check::run(&directory, output),
        SkillCommand::Registry(command) => registry::run(command),
        command => super::once(settings, async |config| ask(&config, command).await),
    }
}

async fn ask(config: &Config, command: SkillCommand) -> anyhow::Result<Verdict> {
    match command {
        SkillCommand::Install(args) => install(config, &args).await?,
        SkillCommand::List { list, server } => {
            let client = Client::new(config, &server)?;
            let (skills, more) = client.list(&SKILLS, "skills", &[], list.limit).await?;
            listing::print(list.output, "skills", &skills, more, &COLUMNS)?;
        }
        SkillCommand::Search { refresh, one } => {
            let client = Client::new(config, &one.server)?;
            let offered = match refresh {
                true => client.post(&path(&["registry", "refresh"]), None).await?,
                false => client.get(&path(&["registry"]), &[]).await?,
            };
            print(&offered, one.output, offer)?;
        }
        SkillCommand::Show(args) => {
            let client = Client::new(config, &args.one.server)?;
            let skill = client.get(&path(&[&args.skill]), &[]).await?;
            print(&skill, args.one.output, shown)?;
        }
        SkillCommand::Verify(args) => {
            let client = Client::new(config, &args.one.server)?;
            let verified = client.post(&path(&[&args.skill, "verify"]), None).await?;
            print(&verified, args.one.output, |verified| match text(verified, "problem") {
                none if none.is_empty() => "ok".to_owned(),
                problem => escaped(&problem).into_owned(),
            })?;
            if verified.get("ok") != Some(&Value::Bool(true)) {
                return Ok(Verdict::NotOk);
            }
        }
        SkillCommand::Remove { skill, server } => {
            Client::new(config, &server)?.delete(&path(&[&skill])).await?;
            render::print(&format!("removed {}", escaped(&skill)))?;
        }
        SkillCommand::Gc { one } => {
            let swept = Client::new(config, &one.server)?.post(&path(&["gc"]), None).await?;
            print(&swept, one.output, |swept| {
                format!("removed {} trees", text(swept, "removed"))
            })?;
        }
        SkillCommand::Call(args) => call(config, &args).await?,
        SkillCommand::Check { .. } | SkillCommand::Registry(_) => bail!("this command asks no server"),
    }
    Ok(Verdict::Ok)
}

fn path<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SKILLS[..], more].concat()
}

async fn install(config: &Config, args: &SkillInstallArgs) -> anyhow::Result<()> {
    let body = Body::default()
        .with("reference", Some(args.skill.as_str()))
        .with("digest", args.digest.as_deref())
        .with("allowDowngrade", args.allow_downgrade.then_some(true));
    let query = listing::query(&[("swarmId", &args.swarm)]);
    let body = serde_json::to_vec(&body.into_fields())?;
    let client = Client::new(config, &args.one.server)?;
    let skill = client.post_and_wait(&SKILLS, &query, body).await?;
    print(&skill, args.one.output, shown)
}

async fn call(config: &Config, args: &SkillCallArgs) -> anyhow::Result<()> {
    let payload = match &args.file {
        Some(file) => object_in(file)?,
        None => object(&args.payload, "--payload")?,
    };
    let body = Body::default()
        .with("command", Some(args.command.as_str()))
        .with("payload", Some(payload))
        .with("timeoutMs", args.timeout_ms);
    let body = serde_json::to_vec(&body.into_fields())?;
    let client = Client::new(config, &args.one.server)?;
    let answer = client.post_and_wait(&path(&[&args.skill, "call"]), &[], body).await?;
    print(&answer, args.one.output, |answer| {
        let lines: Vec<String> = pretty(answer, "result")
            .lines()
            .map(|line| escaped(line).into_owned())
            .collect();
        lines.join("\n")
    })
}

fn reference(skill: &Value) -> String {
    format!("{}@{}", text(skill, "name"), text(skill, "version"))
}

fn publisher(skill: &Value) -> String {
    match text(skill, "publisher") {
        none if none.is_empty() => "unsigned".to_owned(),
        publisher => publisher,
    }
}

fn shown(skill: &Value) -> String {
    let head = fields([
        ("skill", reference(skill)),
        ("description", text(skill, "description")),
        ("publisher", publisher(skill)),
        ("digest", text(skill, "digest")),
        ("installed by", text(skill, "installedBy")),
        ("installed", moment(skill, "installedAt")),
    ]);
    let lines: Vec<String> = pretty(skill, "granted")
        .lines()
        .map(|line| format!("  {}", escaped(line)))
        .collect();
    format!("{head}\n\nit may:\n{}", lines.join("\n"))
}

/// What a registry offers, and how long what it says holds.
fn offer(offered: &Value) -> String {
    let skills = listing::items(offered, "skills");
    let mut grid = render::table::Grid::new(&["SKILL", "PUBLISHER", "DIGEST"]);
    for skill in &skills {
        let digest = text(skill, "digest").chars().take(16).collect();
        grid.row([text(skill, "reference"), publisher(skill), digest]);
    }
    let list = if skills.is_empty() {
        "none".to_owned()
    } else {
        grid.finish()
    };
    let holds = match moment(offered, "expiresAt") {
        never if never.is_empty() => "unsigned: whoever can write there decides what is offered".to_owned(),
        moment => format!("signed; what it says holds until {moment}"),
    };
    format!("{list}\n\n{}: {holds}", escaped(&text(offered, "source")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_skill_is_shown_with_what_it_may_do() {
        let skill = json!({"name": "mailer", "version": "1.0.0", "description": "Sends\u{7}", "publisher": null, "digest": "ab",
            "installedBy": "token:1", "installedAt": "2026-01-01T00:00:00Z", "granted": {"egress": ["mail.example\u{202e}"]}});
        insta::assert_snapshot!(shown(&skill), @r#"
        skill         mailer@1.0.0
        description   Sends\u{7}
        publisher     unsigned
        digest        ab
        installed by  token:1
        installed     2026-01-01 00:00:00Z

        it may:
          {
            "egress": [
              "mail.example\u{202e}"
            ]
          }
        "#);
        let offered = json!({"source": "skills", "expiresAt": "2026-01-01T00:00:00Z",
            "skills": [{"reference": "a@1.0.0", "publisher": "acme", "digest": "abc"}]});
        insta::assert_snapshot!(offer(&offered), @r"
        SKILL    PUBLISHER  DIGEST
        a@1.0.0  acme       abc

        skills: signed; what it says holds until 2026-01-01 00:00:00Z
        ");
        insta::assert_snapshot!(offer(&json!({"source": "s", "skills": []})), @r"
        none

        s: unsigned: whoever can write there decides what is offered
        ");
    }
}
