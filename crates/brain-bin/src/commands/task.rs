//! `brain task`: creates, lists, shows and steers tasks.

mod create;
mod shown;

use brain_config::Config;
use serde_json::Value;

use super::listing::{self, Column, ago, text};
use super::steering::{self, Body};
use crate::cli::TaskCommand;
use crate::client::Client;
use crate::exit::Verdict;
use crate::render::table::fields;

const TASKS: [&str; 3] = ["api", "swarm", "tasks"];

const COLUMNS: [Column; 7] = [
    ("TASK", |task| text(task, "taskId")),
    ("STATUS", |task| text(task, "status")),
    ("WAITING FOR", |task| text(task, "waitingFor")),
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
        TaskCommand::Show { task, show } => {
            steering::show(config, &path(&task, None), &show, shown::shown).await?;
        }
        TaskCommand::Create(args) => create::run(config, &args).await?,
        TaskCommand::Cancel { task, reason, change } => {
            let body = Body::by(&change).with("reason", reason);
            steering::change(config, &path(&task, Some("cancel")), &change.show, body, changed).await?;
        }
        TaskCommand::Retry { task, change } => {
            let body = Body::by(&change);
            steering::change(config, &path(&task, Some("retry")), &change.show, body, changed).await?;
        }
        TaskCommand::Reassign { task, to, change } => {
            let body = Body::by(&change).with("agentId", Some(to));
            steering::change(config, &path(&task, Some("reassign")), &change.show, body, changed).await?;
        }
    }
    Ok(Verdict::Ok)
}

fn path<'a>(task: &'a str, action: Option<&'a str>) -> Vec<&'a str> {
    TASKS.into_iter().chain([task]).chain(action).collect()
}

fn attempts(task: &Value) -> String {
    format!("{}/{}", text(task, "attempt"), text(task, "maxAttempts"))
}

/// How a task stands after a change.
fn changed(answer: &Value) -> String {
    let before = answer.get("duplicate").and_then(Value::as_bool).unwrap_or(false);
    fields([
        ("task", text(answer, "taskId")),
        ("status", text(answer, "status")),
        ("seq", text(answer, "seq")),
        ("note", if before { "it was so before" } else { "" }.to_owned()),
    ])
}
