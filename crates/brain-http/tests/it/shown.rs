//! Answers as text for snapshots, without what differs from run to run.

use std::fmt::Write as _;

use reqwest::Response;
use serde_json::Value;

/// What differs from run to run, and what stands for it.
const FILTERS: [(&str, &str); 11] = [
    (
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[uuid]",
    ),
    (r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", "[traceparent]"),
    (r"swarm-[0-9a-f]{32}", "[swarm]"),
    (r"test[-_][0-9a-f]{32}", "[name]"),
    (r"[0-9a-f]{32}", "[trace]"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "[time]"),
    (r#""nextCursor": "[\w-]+""#, r#""nextCursor": "[cursor]""#),
    (r"127\.0\.0\.1:\d+", "[address]"),
    (r#""(latencyMs|uptimeSeconds|idleMs)": [\d.]+"#, r#""$1": "[number]""#),
    (r#""version": "1[0-9.]+""#, r#""version": "[version]""#),
    (r#""(applied|fencingToken)": \d+"#, r#""$1": "[number]""#),
];

/// Compares with the snapshot of that name.
pub(crate) fn check(name: &str, text: &str) {
    insta::with_settings!({filters => FILTERS, prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, text);
    });
}

/// The whole answer: status, headers in order, body.
pub(crate) async fn whole(response: Response) -> String {
    let mut text = status_line(&response);
    let mut headers: Vec<String> = response
        .headers()
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "content-length"))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    let _ = write!(text, "\n{}\n\n{}", headers.join("\n"), body(response).await);
    text.trim_end().to_owned()
}

/// Status and body.
pub(crate) async fn brief(response: Response) -> String {
    format!("{}\n{}", status_line(&response), body(response).await)
        .trim_end()
        .to_owned()
}

fn status_line(response: &Response) -> String {
    response.status().to_string()
}

async fn body(response: Response) -> String {
    let text = response.text().await.unwrap();
    match serde_json::from_str::<Value>(&text) {
        Ok(json) => serde_json::to_string_pretty(&json).unwrap(),
        Err(_) => text,
    }
}
