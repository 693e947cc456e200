//! `brain task create`: one task from options, or all tasks of a file in one request.

use std::path::Path;

use anyhow::{Context as _, bail};
use brain_config::Config;
use serde_json::{Map, Value};

use super::TASKS;
use crate::cli::TaskCreateArgs;
use crate::commands::listing::{items, text};
use crate::commands::steering::{self, Body};
use crate::render::table::Grid;

pub(super) async fn run(config: &Config, args: &TaskCreateArgs) -> anyhow::Result<()> {
    let mut tasks = match &args.file {
        Some(file) => read(file)?,
        None => vec![one(args)?],
    };
    for task in &mut tasks {
        for (field, value) in [("actorId", Some(&args.change.actor)), ("runId", args.run.as_ref())] {
            if let Some(value) = value
                && task.get(field).is_none_or(Value::is_null)
            {
                task.insert(field.to_owned(), value.as_str().into());
            }
        }
    }
    let tasks: Vec<Value> = tasks.into_iter().map(Value::Object).collect();
    let body = Body::default().with("tasks", Some(tasks));
    steering::change(config, &TASKS, &args.change.show, body, created).await
}

fn one(args: &TaskCreateArgs) -> anyhow::Result<Map<String, Value>> {
    let task = Body::default()
        .with("taskId", args.id.as_deref())
        .with_object("inputs", "--inputs", args.inputs.as_deref())?
        .with("role", args.role.as_deref())
        .with("capability", args.capability.as_deref())
        .with("assignedAgentId", args.agent.as_deref())
        .with("priority", args.priority)
        .with("maxAttempts", args.max_attempts)
        .with("runAt", args.run_at.as_deref())
        .with("delayMs", args.delay_ms)
        .with("idempotencyKey", args.idempotency_key.as_deref())
        .with_all("dependsOn", &args.depends_on)
        .with("onDependencyFailure", args.on_dependency_failure.as_deref())
        .with("concurrencyKey", args.concurrency_key.as_deref())
        .with("concurrencyLimit", args.concurrency_limit)
        .with("parentTaskId", args.parent.as_deref())
        .with("budgetId", args.budget.as_deref());
    Ok(task.into_fields())
}

fn read(path: &Path) -> anyhow::Result<Vec<Map<String, Value>>> {
    let read = match path.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin().lock()),
        false => std::fs::read_to_string(path),
    };
    tasks(&read.with_context(|| format!("cannot read {}", path.display()))?)
}

/// The tasks of a text: one object, an array, `{"tasks": [...]}`, or one after the other as in JSON lines.
fn tasks(text: &str) -> anyhow::Result<Vec<Map<String, Value>>> {
    let mut tasks = Vec::new();
    for document in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        match document.context("the file is not JSON")? {
            Value::Array(items) => tasks.extend(items),
            Value::Object(mut fields) if fields.len() == 1 && fields.get("tasks").is_some_and(Value::is_array) => {
                if let Some(Value::Array(items)) = fields.remove("tasks") {
                    tasks.extend(items);
                }
            }
            other => tasks.push(other),
        }
    }
    let object = |task: Value| match task {
        Value::Object(fields) => Ok(fields),
        other => bail!("a task must be a JSON object, not {other}"),
    };
    tasks.into_iter().map(object).collect()
}

/// What became of the tasks.
fn created(answer: &Value) -> String {
    let mut grid = Grid::new(&["TASK", "STATUS", "WAITING FOR", "AGENT", "SEQ", "NOTE"]);
    for task in items(answer, "tasks") {
        let before = task.get("duplicate").and_then(Value::as_bool).unwrap_or(false);
        let note = match before {
            true => "created before".to_owned(),
            false => text(&task, "note"),
        };
        grid.row([
            text(&task, "taskId"),
            text(&task, "status"),
            text(&task, "waitingFor"),
            text(&task, "assignedAgentId"),
            text(&task, "seq"),
            note,
        ]);
    }
    grid.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_a_file_is_understood() {
        let ids = |text: &str| {
            let tasks = tasks(text).unwrap();
            tasks
                .iter()
                .map(|task| task["taskId"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(r#"{"taskId":"a"}"#), ["a"]);
        assert_eq!(ids(r#"[{"taskId":"a"},{"taskId":"b"}]"#), ["a", "b"]);
        assert_eq!(ids(r#"{"tasks":[{"taskId":"a"}]}"#), ["a"]);
        assert_eq!(ids("{\"taskId\":\"a\"}\n\n{\"taskId\":\"b\"}\n"), ["a", "b"]);
        assert!(tasks("[1]").unwrap_err().to_string().contains("not 1"));
        assert!(tasks("{\"taskId\":").is_err());
    }

    #[test]
    fn what_became_of_the_tasks_is_listed() {
        let answer = json!({"tasks": [
            {"taskId": "a", "status": "created", "seq": 4, "duplicate": false, "waitingFor": "time"},
            {"taskId": "b", "status": "assigned", "seq": 2, "duplicate": true, "assignedAgentId": "w"}]});
        insta::assert_snapshot!(created(&answer), @r"
        TASK  STATUS    WAITING FOR  AGENT  SEQ  NOTE
        a     created   time                4
        b     assigned               w      2    created before
        ");
    }
}
