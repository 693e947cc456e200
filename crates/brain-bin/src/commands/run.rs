//! `brain run`: lists, shows, cancels and finishes runs.

use brain_config::Config;
use serde_json::Value;

use super::listing::{self, Column, ago, moment, pretty, text};
use super::steering::{self, Body};
use crate::cli::RunCommand;
use crate::client::Client;
use crate::exit::Verdict;
use crate::render::{escape::escaped, table::fields};

const RUNS: [&str; 3] = ["api", "swarm", "runs"];

const COLUMNS: [Column; 8] = [
    ("RUN", |run| text(run, "runId")),
    ("STATE", |run| text(run, "state")),
    ("TASKS", |run| tasks(run, "created")),
    ("OPEN", |run| tasks(run, "open")),
    ("COMPLETED", |run| tasks(run, "completed")),
    ("FAILED", |run| tasks(run, "failed")),
    ("CANCELLED", |run| tasks(run, "cancelled")),
    ("UPDATED", |run| ago(run, "updatedAt")),
];

pub(super) async fn run(config: &Config, command: RunCommand) -> anyhow::Result<Verdict> {
    match command {
        RunCommand::List {
            swarm,
            state,
            list,
            server,
        } => {
            let client = Client::new(config, &server)?;
            let query = listing::query(&[("swarmId", &swarm), ("state", &state)]);
            let (runs, more) = client.list(&RUNS, "runs", &query, list.limit).await?;
            listing::print(list.output, "runs", &runs, more, &COLUMNS)?;
        }
        RunCommand::Show { run, show } => steering::show(config, &path(&run, None), &show, shown).await?,
        RunCommand::Cancel { run, reason, change } => {
            let body = Body::by(&change).with("reason", reason);
            steering::change(config, &path(&run, Some("cancel")), &change.show, body, shown).await?;
        }
        RunCommand::Finish { run, summary, change } => {
            let body = Body::by(&change).with_object("summary", "--summary", summary.as_deref())?;
            steering::change(config, &path(&run, Some("finish")), &change.show, body, shown).await?;
        }
    }
    Ok(Verdict::Ok)
}

fn path<'a>(run: &'a str, action: Option<&'a str>) -> Vec<&'a str> {
    RUNS.into_iter().chain([run]).chain(action).collect()
}

fn tasks(run: &Value, of: &str) -> String {
    run.get("tasks").map(|tasks| text(tasks, of)).unwrap_or_default()
}

fn shown(run: &Value) -> String {
    let head = fields([
        ("run", text(run, "runId")),
        ("swarm", text(run, "swarmId")),
        ("state", text(run, "state")),
        ("tasks", tasks(run, "created")),
        ("open", tasks(run, "open")),
        ("completed", tasks(run, "completed")),
        ("failed", tasks(run, "failed")),
        ("cancelled", tasks(run, "cancelled")),
        ("created", moment(run, "createdAt")),
        ("started", moment(run, "startedAt")),
        ("finished", moment(run, "finishedAt")),
    ]);
    let summary: Vec<String> = pretty(run, "summary")
        .lines()
        .map(|line| format!("  {}", escaped(line)))
        .collect();
    match summary.is_empty() {
        true => head,
        false => format!("{head}\n\nsummary:\n{}", summary.join("\n")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_is_shown_with_its_summary() {
        let run = json!({"runId": "r", "swarmId": "s", "state": "finished", "createdAt": "2026-01-01T00:00:00Z",
            "tasks": {"created": 3, "open": 0, "completed": 2, "failed": 1, "cancelled": 0},
            "finishedAt": "2026-01-01T00:05:00Z", "summary": {"pages": 12}});
        insta::assert_snapshot!(shown(&run), @r#"
        run        r
        swarm      s
        state      finished
        tasks      3
        open       0
        completed  2
        failed     1
        cancelled  0
        created    2026-01-01 00:00:00Z
        finished   2026-01-01 00:05:00Z

        summary:
          {
            "pages": 12
          }
        "#);
    }
}
