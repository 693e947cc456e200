//! What came of a proposal: succeeded, failed, blocked or unknown, and what to do about it.

use serde_json::Value;

use super::sheet::block;
use crate::commands::listing::{items, moment, pretty, text};
use crate::render::{escape::escaped, table::Grid};

/// How the last execution or rollback stands.
pub(super) fn last(it: &Value) -> String {
    let all = items(it, "executions");
    let Some(last) = all.last() else { return String::new() };
    match text(last, "kind").as_str() {
        "rollback" => format!("rollback {}", text(last, "status")),
        _ => text(last, "status"),
    }
}

/// The newest one of a kind.
pub(super) fn of<'a>(it: &'a Value, kind: &str) -> Option<&'a Value> {
    let all = it.get("executions").and_then(Value::as_array)?;
    all.iter().rev().find(|one| text(one, "kind") == kind)
}

/// What came of the execution that was asked for.
pub(super) fn executed(it: &Value) -> String {
    said(it, "execute")
}

/// What came of the rollback that was asked for.
pub(super) fn undone(it: &Value) -> String {
    said(it, "rollback")
}

fn said(it: &Value, kind: &str) -> String {
    let Some(one) = of(it, kind) else {
        return "nothing was dispatched".to_owned();
    };
    let (id, error) = (text(one, "executionId"), text(one, "error"));
    let error = escaped(&error);
    let id = escaped(&id);
    let (verdict, remedy) = match text(one, "status").as_str() {
        "succeeded" => (format!("succeeded: {id}"), None),
        "failed" => (
            format!("FAILED, the other side says that it was not done: {error}"),
            None,
        ),
        "blocked" => {
            let again = match (kind, text(it, "status").as_str()) {
                ("execute", "approved") => "the approval is as good as before",
                _ => "it may be asked for again",
            };
            (
                format!("BLOCKED, nothing was sent: {error}"),
                Some(format!("nothing happened, so {again}")),
            )
        }
        "unknown" => (
            format!("UNKNOWN, nobody knows whether it was done: {error}"),
            Some(format!(
                "look at the other side first, for the webhook-id {id}; it is not sent again, and a new proposal may do it twice"
            )),
        ),
        other => (format!("{} and not at its end: {id}", escaped(other)), None),
    };
    let mut parts = vec![verdict];
    parts.extend(remedy);
    let output = pretty(one, "output");
    if !output.is_empty() {
        parts.push(block("the other side says:", &output));
    }
    parts.join("\n")
}

/// A table of all, and the outputs below it, where there are some.
pub(super) fn all(it: &Value) -> Option<String> {
    let executions = items(it, "executions");
    if executions.is_empty() {
        return None;
    }
    let mut grid = Grid::new(&["EXECUTION", "KIND", "STATUS", "BY RIGHT OF", "BEGAN", "ENDED", "ERROR"]);
    for one in &executions {
        grid.whole_row([
            text(one, "executionId"),
            text(one, "kind"),
            text(one, "status"),
            text(one, "authority"),
            moment(one, "startedAt"),
            moment(one, "finishedAt"),
            text(one, "error"),
        ]);
    }
    let outputs = executions.iter().filter_map(|one| {
        let output = pretty(one, "output");
        let heading = format!("the other side says of the {}:", escaped(&text(one, "kind")));
        (!output.is_empty()).then(|| block(&heading, &output))
    });
    Some(
        [grid.finish()]
            .into_iter()
            .chain(outputs)
            .collect::<Vec<_>>()
            .join("\n\n"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_outcome_says_what_to_do() {
        let outcomes = [
            ("executed", json!({"status": "succeeded", "output": {"id": 7}})),
            (
                "executed",
                json!({"status": "failed", "error": "the webhook answered 500", "output": "no\u{1b}"}),
            ),
            (
                "approved",
                json!({"status": "blocked", "error": "the kill switch is on"}),
            ),
            ("draft", json!({"status": "blocked", "error": "nobody answers"})),
            (
                "executed",
                json!({"status": "unknown", "error": "its answer was not there in time"}),
            ),
            ("executed", json!({"status": "dispatched"})),
        ];
        let said = outcomes.map(|(status, mut one)| {
            one["executionId"] = "03".into();
            one["kind"] = "execute".into();
            executed(&json!({"status": status, "executions": [one]}))
        });
        insta::assert_snapshot!(said.join("\n\n"), @r#"
        succeeded: 03
        the other side says:
          {
            "id": 7
          }

        FAILED, the other side says that it was not done: the webhook answered 500
        the other side says:
          "no\u001b"

        BLOCKED, nothing was sent: the kill switch is on
        nothing happened, so the approval is as good as before

        BLOCKED, nothing was sent: nobody answers
        nothing happened, so it may be asked for again

        UNKNOWN, nobody knows whether it was done: its answer was not there in time
        look at the other side first, for the webhook-id 03; it is not sent again, and a new proposal may do it twice

        dispatched and not at its end: 03
        "#);
    }

    #[test]
    fn a_list_tells_a_rollback_from_an_execution() {
        let done = json!({"kind": "execute", "status": "succeeded"});
        let mut it = json!({ "executions": [done] });
        assert_eq!(last(&it), "succeeded");
        it["executions"] = json!([done, {"kind": "rollback", "status": "unknown"}]);
        assert_eq!(last(&it), "rollback unknown");
        assert!(undone(&it).starts_with("UNKNOWN"));
        assert_eq!(last(&json!({"executions": []})), "");
    }
}
