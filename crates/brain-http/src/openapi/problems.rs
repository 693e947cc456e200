//! Answers that are problems: one component for each set of kinds that share a status.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::problem::Kind;

/// The answers that operations refer to, by name.
#[derive(Default)]
pub(super) struct Answers(Map<String, Value>);

impl Answers {
    /// Refers to the answer that is one of these kinds, which have one status.
    pub(super) fn refer(&mut self, kinds: &[Kind]) -> Value {
        let slugs: Vec<&str> = kinds.iter().map(|kind| kind.slug()).collect();
        let name = slugs.join(".");
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        self.0.entry(name).or_insert_with(|| answer(kinds));
        reference
    }

    pub(super) fn into_components(self) -> Map<String, Value> {
        self.0
    }
}

fn answer(kinds: &[Kind]) -> Value {
    let lines: Vec<String> = kinds
        .iter()
        .map(|kind| format!("- `{}`:{}", kind.slug(), kind.meaning()))
        .collect();
    let urns: Vec<&str> = kinds.iter().map(|kind| kind.urn()).collect();
    let mut headers = identifying_headers();
    if kinds.iter().any(|kind| kind.retry_after().is_some()) {
        headers["retry-after"] = json!({ "$ref": "#/components/headers/RetryAfter" });
    }
    if kinds.contains(&Kind::Unauthorized) {
        headers["www-authenticate"] = json!({ "$ref": "#/components/headers/WwwAuthenticate" });
    }
    json!({
        "description": lines.join("\n"),
        "headers": headers,
        "content": { "application/problem+json": { "schema": {
            "allOf": [
                { "$ref": "#/components/schemas/Problem" },
                { "properties": { "type": { "enum": urns } } },
            ],
        } } },
    })
}

/// The headers by which every answer is found again.
pub(super) fn identifying_headers() -> Value {
    json!({
        "x-request-id": { "$ref": "#/components/headers/RequestId" },
        "x-trace-id": { "$ref": "#/components/headers/TraceId" },
    })
}

/// The headers that answers refer to.
pub(super) fn headers() -> Value {
    json!({
        "RequestId": {
            "description": "The id under which the log knows the request: the caller's own, where it sent one of 1 to 128 visible ASCII characters.",
            "required": true,
            "schema": { "type": "string", "minLength": 1, "maxLength": 128 },
        },
        "TraceId": {
            "description": "The W3C trace that the request belongs to: that of its `traceparent`, else a new one.",
            "required": true,
            "schema": { "type": "string", "pattern": "^[0-9a-f]{32}$" },
        },
        "RetryAfter": {
            "description": "After how many seconds the same request may succeed.",
            "schema": { "type": "integer", "minimum": 0 },
        },
        "WwwAuthenticate": {
            "description": "How to prove who you are (RFC 6750).",
            "schema": { "type": "string" },
        },
    })
}

/// Kinds that share a status.
pub(super) fn by_status(kinds: &BTreeSet<Kind>) -> BTreeMap<u16, Vec<Kind>> {
    let mut sorted: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in kinds {
        sorted.entry(kind.status().as_u16()).or_default().push(*kind);
    }
    sorted
}
