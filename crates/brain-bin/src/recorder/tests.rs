//! The lists of metrics, the page that documents them and the dashboard that draws them speak of the same names.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

const PAGE: &str = include_str!("../../../../docs/METRICS.md");
const DASHBOARD: &str = include_str!("../../../../compose/grafana/studio-brain.json");
const PREFIX: &str = "studio_brain_";

fn all() -> impl Iterator<Item = &'static Metric> {
    let lists = [
        brain_http::metric_names::ALL,
        metric_names::ALL,
        brain_connectivity::metric_names::ALL,
        traces::METRICS,
        OWN,
    ];
    lists.into_iter().flatten()
}

fn row(metric: &Metric) -> String {
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    format!(
        "| `{}` | {} | {} | {} | {} |",
        metric.name,
        metric.kind.as_str(),
        labels.join(", "),
        metric.unit,
        metric.meaning
    )
    .replace("|  |", "| |")
}

#[test]
fn the_page_has_every_metric_and_no_other() {
    let documented: BTreeSet<String> = PAGE
        .lines()
        .filter(|line| line.starts_with("| `studio_brain_"))
        .map(str::to_owned)
        .collect();
    let expected: BTreeSet<String> = all().map(row).collect();
    let missing: Vec<&String> = expected.difference(&documented).collect();
    let unknown: Vec<&String> = documented.difference(&expected).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "docs/METRICS.md lacks\n{missing:#?}\nand has what is not in the lists\n{unknown:#?}"
    );
}

#[test]
fn names_say_their_kind_and_unit() {
    let names: BTreeSet<&str> = all().map(|metric| metric.name).collect();
    assert_eq!(names.len(), all().count(), "a name is there twice");
    for metric in all() {
        let name = metric.name;
        assert!(name.starts_with(PREFIX), "{name}");
        assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
        assert_eq!(name.ends_with("_seconds"), metric.unit == "seconds", "{name}");
        assert!(metric.meaning.ends_with('.') && !metric.meaning.contains('|'), "{name}");
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut queries = Vec::new();
    collect(&dashboard, &mut queries);
    assert!(queries.len() > 20, "{queries:?}");
    for query in queries {
        let named = names(&query);
        assert!(!named.is_empty(), "{query}");
        for name in named {
            assert!(all().any(|metric| series(metric).contains(&name)), "{name} in {query}");
        }
    }
}

#[test]
fn counters_that_alerts_look_at_begin_at_zero() {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, describe);
    let shown = recorder.handle().render();
    for series in [
        "studio_brain_postgres_pool_failures_total{reason=\"timeout\"} 0",
        "studio_brain_postgres_pool_failures_total{reason=\"refused\"} 0",
        "studio_brain_trace_spans_exported_total 0",
        "studio_brain_trace_spans_dropped_total{reason=\"queue_full\"} 0",
        "studio_brain_trace_spans_dropped_total{reason=\"refused\"} 0",
        "studio_brain_trace_spans_dropped_total{reason=\"ended\"} 0",
        "studio_brain_dead_letters_total{reason=\"malformed\"} 0",
    ] {
        assert!(shown.lines().any(|line| line == series), "{series} is not in\n{shown}");
    }
}

/// The names under which Prometheus keeps a metric.
fn series(metric: &Metric) -> Vec<String> {
    match metric.kind {
        Kind::Histogram => ["_bucket", "_sum", "_count"]
            .map(|end| format!("{}{end}", metric.name))
            .to_vec(),
        Kind::Counter | Kind::Gauge => vec![metric.name.to_owned()],
    }
}

fn collect(value: &Value, queries: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str().filter(|_| name == "expr" || name == "query") {
                    Some(query) if query.contains(PREFIX) || name == "expr" => queries.push(query.to_owned()),
                    _ => collect(value, queries),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, queries)),
        _ => {}
    }
}

fn names(query: &str) -> Vec<String> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with(PREFIX))
        .map(str::to_owned)
        .collect()
}
