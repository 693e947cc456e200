//! `brain agent`: lists, registers and steers agents.

use brain_config::Config;
use serde_json::Value;

use super::listing::{self, Column, ago, moment, text};
use super::steering::{self, Body};
use crate::cli::{AgentCommand, AgentRegisterArgs};
use crate::client::Client;
use crate::exit::Verdict;
use crate::render::table::fields;

const AGENTS: [&str; 3] = ["api", "swarm", "agents"];

const COLUMNS: [Column; 7] = [
    ("AGENT", |agent| text(agent, "agentId")),
    ("ROLE", |agent| text(agent, "role")),
    ("STATUS", status),
    ("ASSIGNMENT", |agent| text(agent, "assignment")),
    ("LOAD", load),
    ("CAPABILITIES", capabilities),
    ("LAST SEEN", |agent| ago(agent, "lastSeenAt")),
];

pub(super) async fn run(config: &Config, command: AgentCommand) -> anyhow::Result<Verdict> {
    match command {
        AgentCommand::List {
            swarm,
            status,
            list,
            server,
        } => {
            let client = Client::new(config, &server)?;
            let query = listing::query(&[("swarmId", &swarm), ("status", &status)]);
            let (agents, more) = client.list(&AGENTS, "agents", &query, list.limit).await?;
            listing::print(list.output, "agents", &agents, more, &COLUMNS)?;
        }
        AgentCommand::Register(args) => {
            steering::change(config, &AGENTS, &args.show, registration(&args), shown).await?;
        }
        AgentCommand::Drain { agent, change } => {
            let body = Body::by(&change);
            steering::change(config, &path(&agent, "drain"), &change.show, body, shown).await?;
        }
        AgentCommand::Resume { agent, change } => {
            let body = Body::by(&change);
            steering::change(config, &path(&agent, "resume"), &change.show, body, shown).await?;
        }
        AgentCommand::Message {
            agent,
            message,
            data,
            task,
            change,
        } => {
            let body = Body::by(&change)
                .with("message", Some(message))
                .with_json("data", "--data", data.as_deref())?
                .with("taskId", task);
            steering::change(config, &path(&agent, "messages"), &change.show, body, said).await?;
        }
    }
    Ok(Verdict::Ok)
}

fn path<'a>(agent: &'a str, action: &'a str) -> Vec<&'a str> {
    AGENTS.into_iter().chain([agent, action]).collect()
}

fn registration(args: &AgentRegisterArgs) -> Body {
    Body::default()
        .with("agentId", Some(args.agent.as_str()))
        .with("runId", args.run.as_deref())
        .with("role", args.role.as_deref())
        .with_all("capabilities", &args.capability)
        .with("capacity", args.capacity)
        .with("assignment", args.assignment.as_deref())
}

fn status(agent: &Value) -> String {
    let status = text(agent, "status");
    match agent.get("draining").and_then(Value::as_bool) {
        Some(true) => format!("{status}, draining"),
        _ => status,
    }
}

/// The tasks it holds, of those it may hold where there is a limit.
fn load(agent: &Value) -> String {
    match text(agent, "capacity").as_str() {
        "" => text(agent, "load"),
        capacity => format!("{}/{capacity}", text(agent, "load")),
    }
}

fn capabilities(agent: &Value) -> String {
    let names = agent
        .get("capabilities")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    names.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

fn shown(agent: &Value) -> String {
    fields([
        ("agent", text(agent, "agentId")),
        ("swarm", text(agent, "swarmId")),
        ("run", text(agent, "runId")),
        ("role", text(agent, "role")),
        ("status", status(agent)),
        ("assignment", text(agent, "assignment")),
        ("load", load(agent)),
        ("capabilities", capabilities(agent)),
        ("last seen", moment(agent, "lastSeenAt")),
    ])
}

fn said(message: &Value) -> String {
    format!(
        "stored as number {} with id {}",
        text(message, "seq"),
        text(message, "id")
    )
}
