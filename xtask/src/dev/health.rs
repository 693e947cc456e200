//! Health reports: asked of the running `brain`, shown as a table.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use brain_config::{ExposeSecret as _, SecretString};
use brain_connectivity::health::{Report, Status};
use comfy_table::{Table, presets};
use serde_json::Value;

/// How long one question may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// How long a consumer that has just started may take to show that it works.
const SETTLE_LIMIT: Duration = Duration::from_secs(15);

/// Names of the checks that failed outright.
pub(crate) fn failed(report: &Report) -> Vec<&str> {
    report
        .checks
        .iter()
        .filter(|check| check.status == Status::Error)
        .map(|check| check.name.as_ref())
        .collect()
}

/// Asks until nothing fails any more, for a moment; then the last report.
pub(super) async fn settled(base_url: &str, token: Option<&SecretString>) -> Result<Report> {
    let deadline = Instant::now() + SETTLE_LIMIT;
    loop {
        let (_, body) = get(&format!("{base_url}/health/dependencies"), token).await?;
        let report: Report = serde_json::from_str(&body).with_context(|| format!("not a health report: {body}"))?;
        if failed(&report).is_empty() || Instant::now() >= deadline {
            return Ok(report);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A GET request, with the administrator's token where there is one: status and body.
pub(super) async fn get(url: &str, token: Option<&SecretString>) -> Result<(u16, String)> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(ANSWER_LIMIT)
        .build()
        .context("no HTTP client")?;
    let mut request = client.get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token.expose_secret());
    }
    let answer = request.send().await.with_context(|| format!("no answer from {url}"))?;
    let status = answer.status().as_u16();
    Ok((
        status,
        answer
            .text()
            .await
            .with_context(|| format!("the answer of {url} broke off"))?,
    ))
}

/// The report as a plain table, one line a check, like that of `brain healthcheck`.
pub(crate) fn table(report: &Report) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(["CHECK", "STATUS", "LATENCY", "DETAILS"]);
    for check in &report.checks {
        let latency = check.latency_ms.map(|ms| format!("{ms:.1} ms")).unwrap_or_default();
        let details = check.error.clone().unwrap_or_else(|| one_line(check.details.as_ref()));
        table.add_row([check.name.to_string(), check.status.to_string(), latency, details]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// The plain facts; what is nested deeper is for programs.
fn one_line(details: Option<&Value>) -> String {
    let Some(Value::Object(fields)) = details else {
        return String::new();
    };
    let shown = fields.iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some(format!("{name} {text}")),
        Value::Number(number) => Some(format!("{name} {number}")),
        Value::Bool(flag) => Some(format!("{name} {flag}")),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_report_becomes_a_table_that_says_what_is_wrong() {
        let report: Report = serde_json::from_value(serde_json::json!({
            "at": "2026-01-02T03:04:05.678Z",
            "ok": false,
            "checks": [
                {"name": "postgres", "status": "ok", "latencyMs": 1.25, "details": {"version": "18.4", "pool": {"size": 2}}},
                {"name": "redis", "status": "error", "latencyMs": 5.0, "error": "no answer within 5 s"},
                {"name": "skill_registry", "status": "disabled", "latencyMs": null}
            ]
        }))
        .unwrap();
        assert_eq!(failed(&report), ["redis"]);
        insta::assert_snapshot!(table(&report), @r"
        CHECK           STATUS    LATENCY  DETAILS
        postgres        ok        1.2 ms   version 18.4
        redis           error     5.0 ms   no answer within 5 s
        skill_registry  disabled
        ");
    }
}
