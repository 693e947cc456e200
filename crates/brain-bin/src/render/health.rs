//! The health report as a table.

use brain_connectivity::health::{Check, Report};
use serde_json::Value;

use super::{quantity::moment, table::Grid};

/// The table of a report, with one line below it that sums it up.
pub(crate) fn report(report: &Report) -> String {
    let mut grid = Grid::new(&["CHECK", "STATUS", "LATENCY", "DETAILS"]);
    for check in &report.checks {
        let latency = check
            .latency_ms
            .map(|millis| format!("{millis:.1} ms"))
            .unwrap_or_default();
        grid.whole_row([check.name.clone(), check.status.to_string(), latency, remarks(check)]);
    }
    let failed: Vec<&str> = report
        .checks
        .iter()
        .filter(|check| !check.is_ok())
        .map(|check| check.name.as_str())
        .collect();
    let verdict = match failed.as_slice() {
        [] => "ok".to_owned(),
        names => format!("not ok: {}", names.join(", ")),
    };
    format!("{}\n\n{verdict} at {}", grid.finish(), moment(report.at))
}

/// What is wrong comes first, facts after it.
fn remarks(check: &Check) -> String {
    let facts = check.details.as_ref().map(facts).unwrap_or_default();
    match &check.error {
        Some(error) if facts.is_empty() => error.clone(),
        Some(error) => format!("{error} ({facts})"),
        None => facts,
    }
}

/// The plain values of the details; `--output json` has the nested ones.
fn facts(details: &Value) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    match details {
        Value::Object(fields) => {
            let named = fields.iter().filter_map(|(name, value)| {
                let value = plain(value)?;
                // A reason speaks for itself.
                Some(if name == "reason" {
                    value
                } else {
                    format!("{name} {value}")
                })
            });
            named.collect::<Vec<_>>().join(", ")
        }
        other => plain(other).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_table_names_what_is_wrong() {
        let json = r#"{"at":"2026-01-02T03:04:05.678Z","ok":false,"checks":[
            {"name":"postgres","status":"ok","latencyMs":1.26,"details":{"version":"18.1","nested":{"a":1}}},
            {"name":"redis","status":"error","latencyMs":5000.0,"error":"no answer within 5000 ms"},
            {"name":"vector_store","status":"degraded","latencyMs":2.0,"error":"pgvector is missing","details":{"mode":"exact"}},
            {"name":"skill_registry","status":"disabled","latencyMs":null,"details":{"reason":"not served"}}]}"#;
        let parsed: Report = serde_json::from_str(json).unwrap();
        insta::assert_snapshot!(report(&parsed), @r"
        CHECK           STATUS    LATENCY    DETAILS
        postgres        ok        1.3 ms     version 18.1
        redis           error     5000.0 ms  no answer within 5000 ms
        vector_store    degraded  2.0 ms     pgvector is missing (mode exact)
        skill_registry  disabled             not served

        not ok: redis, vector_store at 2026-01-02 03:04:05Z
        ");
    }
}
