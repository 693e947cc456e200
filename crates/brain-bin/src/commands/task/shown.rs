//! One task for people: where it stands and why, what went in and out, and how its attempts ended.

use serde_json::Value;

use super::attempts;
use crate::commands::listing::{items, moment, pretty, text};
use crate::render::{
    escape::escaped,
    table::{Grid, fields},
};

pub(super) fn shown(task: &Value) -> String {
    let head = fields([
        ("task", text(task, "taskId")),
        ("swarm", text(task, "swarmId")),
        ("run", text(task, "runId")),
        ("status", text(task, "status")),
        ("waiting for", text(task, "waitingFor")),
        ("not before", moment(task, "runAt")),
        ("depends on", names(task, "dependsOn")),
        ("not done of them", text(task, "unmetDependencies")),
        ("if one fails", text(task, "onDependencyFailure")),
        ("agent", text(task, "assignedAgentId")),
        ("lease until", moment(task, "leaseExpiresAt")),
        ("wanted agent", text(task, "wantedAgentId")),
        ("wanted role", text(task, "role")),
        ("wanted capability", text(task, "capability")),
        ("concurrency key", text(task, "concurrencyKey")),
        ("parent", text(task, "parentTaskId")),
        ("budget", text(task, "budgetId")),
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
        ("started", moment(task, "startedAt")),
        ("updated", moment(task, "updatedAt")),
        ("ended by event", text(task, "terminalEventId")),
    ]);
    let bodies = ["inputs", "progress", "outputs"].into_iter().filter_map(|name| {
        let body = pretty(task, name);
        (!body.is_empty()).then(|| format!("\n\n{name}:\n{}", indented(&body, true)))
    });
    head + &bodies.collect::<String>() + &history(task)
}

/// The attempts that ended without success.
fn history(task: &Value) -> String {
    let attempts = items(task, "history");
    if attempts.is_empty() {
        return String::new();
    }
    let mut grid = Grid::new(&["ATTEMPT", "AGENT", "OUTCOME", "STARTED", "ENDED", "ERROR"]);
    for attempt in &attempts {
        grid.row([
            text(attempt, "attempt"),
            text(attempt, "agentId"),
            text(attempt, "outcome"),
            moment(attempt, "startedAt"),
            moment(attempt, "endedAt"),
            text(attempt, "error"),
        ]);
    }
    format!("\n\nhistory:\n{}", indented(&grid.finish(), false))
}

fn names(task: &Value, field: &str) -> String {
    let names = items(task, field);
    names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// Several lines, their own line breaks kept; `foreign`: not made harmless yet.
fn indented(text: &str, foreign: bool) -> String {
    let line = |line: &str| match foreign {
        true => format!("  {}", escaped(line)),
        false => format!("  {line}"),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_task_is_shown_with_all_that_explains_it() {
        let task = json!({"taskId": "t\u{7}", "swarmId": "s", "runId": "r", "status": "created", "waitingFor": "time",
            "runAt": "2026-01-01T00:05:00Z", "dependsOn": ["a", "b"], "attempt": 1, "maxAttempts": 3, "priority": 0,
            "inputs": {"n": 1}, "progress": {"page": 3}, "createdAt": "2026-01-01T00:00:00Z", "createdEventId": "e-1",
            "updatedAt": "2026-01-01T00:04:00Z", "history": [{"attempt": 1, "agentId": "a-1", "outcome": "failed",
            "startedAt": "2026-01-01T00:03:00Z", "endedAt": "2026-01-01T00:04:00Z", "error": "the disk\nis full"}]});
        insta::assert_snapshot!(shown(&task), @r#"
        task         t\u{7}
        swarm        s
        run          r
        status       created
        waiting for  time
        not before   2026-01-01 00:05:00Z
        depends on   a, b
        priority     0
        attempt      1/3
        created      2026-01-01 00:00:00Z by event e-1
        updated      2026-01-01 00:04:00Z

        inputs:
          {
            "n": 1
          }

        progress:
          {
            "page": 3
          }

        history:
          ATTEMPT  AGENT  OUTCOME  STARTED               ENDED                 ERROR
          1        a-1    failed   2026-01-01 00:03:00Z  2026-01-01 00:04:00Z  the disk\nis full
        "#);
    }
}
