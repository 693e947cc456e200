//! `brain agent`: lists agents.

use brain_config::Config;
use serde_json::Value;

use super::listing::{self, Column, ago, text};
use crate::cli::AgentCommand;
use crate::client::Client;
use crate::exit::Verdict;

const COLUMNS: [Column; 6] = [
    ("AGENT", |agent| text(agent, "agentId")),
    ("ROLE", |agent| text(agent, "role")),
    ("STATUS", |agent| text(agent, "status")),
    ("LOAD", load),
    ("CAPABILITIES", capabilities),
    ("LAST SEEN", |agent| ago(agent, "lastSeenAt")),
];

pub(super) async fn run(config: &Config, command: AgentCommand) -> anyhow::Result<Verdict> {
    let AgentCommand::List {
        swarm,
        status,
        list,
        server,
    } = command;
    let client = Client::new(config, &server)?;
    let query = listing::query(&[("swarmId", &swarm), ("status", &status)]);
    let (agents, more) = client
        .list(&["api", "swarm", "agents"], "agents", &query, list.limit)
        .await?;
    listing::print(list.output, "agents", &agents, more, &COLUMNS)?;
    Ok(Verdict::Ok)
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
