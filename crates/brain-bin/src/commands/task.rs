//! `brain task`: lists tasks and shows one.

use brain_config::Config;
use serde_json::Value;

use super::listing::{self, Column, ago, moment, pretty, text};
use crate::cli::{Format, TaskCommand};
use crate::client::Client;
use crate::exit::Verdict;
use crate::render::{self, escape::escaped, table::fields};

const TASKS: [&str; 3] = ["api", "swarm", "tasks"];

const COLUMNS: [Column; 6] = [
    ("TASK", |task| text(task, "taskId")),
    ("STATUS", |task| text(task, "status")),
    ("AGENT", |task| text(task, "assignedAgentId")),
    ("ATTEMPT", attempts),
    ("PRIORITY", |task| text(task, "priority")),
    ("UPDATED", |task| ago(task, "updatedAt")),
];

pub(super) async fn run(config: &Config, command: TaskCommand) -> anyhow::Result<Verdict> {
    match command {
        TaskCommand::List {
            swarm,
            run,
            status,
            agent,
            list,
            server,
        } => {
            let client = Client::new(config, &server)?;
            let query = listing::query(&[
                ("swarmId", &swarm),
                ("runId", &run),
                ("status", &status),
                ("agentId", &agent),
            ]);
            let (tasks, more) = client.list(&TASKS, "tasks", &query, list.limit).await?;
            listing::print(list.output, "tasks", &tasks, more, &COLUMNS)?;
        }
        TaskCommand::Show {
            task,
            swarm,
            output,
            server,
        } => {
            let client = Client::new(config, &server)?;
            let path = [&TASKS[..], &[&task]].concat();
            let task = client.get(&path, &listing::query(&[("swarmId", &swarm)])).await?;
            match output {
                Format::Json => render::print_json(&task)?,
                Format::Table => render::print(&shown(&task))?,
            }
        }
    }
    Ok(Verdict::Ok)
}

fn attempts(task: &Value) -> String {
    format!("{}/{}", text(task, "attempt"), text(task, "maxAttempts"))
}

fn shown(task: &Value) -> String {
    let head = fields([
        ("task", text(task, "taskId")),
        ("swarm", text(task, "swarmId")),
        ("run", text(task, "runId")),
        ("status", text(task, "status")),
        ("agent", text(task, "assignedAgentId")),
        ("wanted role", text(task, "role")),
        ("wanted capability", text(task, "capability")),
        ("priority", text(task, "priority")),
        ("attempt", attempts(task)),
        ("error", text(task, "error")),
        (
            "created",
            format!(
                "{} by event {}",
                moment(task, "createdAt"),
                text(task, "createdEventId")
            ),
        ),
        ("updated", moment(task, "updatedAt")),
        ("ended by event", text(task, "terminalEventId")),
    ]);
    let bodies = ["inputs", "outputs"].into_iter().filter_map(|name| {
        let body = pretty(task, name);
        (!body.is_empty()).then(|| format!("\n\n{name}:\n{}", lines(&body)))
    });
    head + &bodies.collect::<String>()
}

/// Indented JSON, its own line breaks kept.
fn lines(json: &str) -> String {
    json.lines()
        .map(|line| format!("  {}", escaped(line)))
        .collect::<Vec<_>>()
        .join("\n")
}
