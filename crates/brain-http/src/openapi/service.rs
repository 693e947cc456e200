//! What the service says of itself: whether it lives, how it is, what its interface looks like.

use axum::http::Method;
use brain_connectivity::health::Report;
use serde_json::json;

use super::{Described, described};
use crate::{
    problem::Kind,
    routes::{health, status},
};

const PROMETHEUS: &str = "text/plain";

pub(super) const OPERATIONS: &[Described] = &[
    described(Method::GET, "/healthz", |it| {
        it.named("live", "Whether the process answers")
            .says("It asks no dependency.")
            .gives::<health::Live>(200, "It does.")
    }),
    described(Method::GET, "/readyz", |it| {
        it.named("ready", "Whether requests may come")
            .says("It asks what must work before requests may come: the database and its schema.")
            .gives::<Report>(200, "They may.")
            .gives::<Report>(503, "They may not; the report says why.")
    }),
    described(Method::GET, "/health/dependencies", |it| {
        it.named("dependencies", "How every dependency is")
            .gives::<Report>(200, "All of them work, or are switched off.")
            .gives::<Report>(503, "At least one does not; the report says which, and how to mend it.")
    }),
    described(Method::GET, "/metrics", |it| {
        it.named("metrics", "All metrics in the Prometheus text format")
            .gives_as(200, "The metrics.", PROMETHEUS, json!({ "type": "string" }))
    }),
    described(Method::GET, "/api/metrics", |it| {
        it.named("apiMetrics", "The same metrics, beside the rest of the API")
            .gives_as(200, "The metrics.", PROMETHEUS, json!({ "type": "string" }))
    }),
    described(Method::GET, "/api/status", |it| {
        it.named("status", "What this process is and does")
            .gives::<status::Status<'_>>(200, "Its version, its replica, its streams.")
    }),
    described(Method::GET, "/openapi.json", |it| {
        it.named("openapi", "This document")
            .says("It comes with a strong `etag`; who sends it back as `if-none-match` is told when nothing changed.")
            .header(
                "if-none-match",
                "The `etag` of the document that the caller has.",
                json!({ "type": "string" }),
            )
            .gives_as(
                200,
                "The document.",
                "application/json",
                json!({ "type": "object", "required": ["openapi", "info", "paths"] }),
            )
            .with_header(200, "etag", "Changes with the document.", json!({ "type": "string" }))
            .gives_nothing(304, "It is the one that the caller has.")
            .with_header(304, "etag", "Changes with the document.", json!({ "type": "string" }))
    }),
    described(Method::GET, "/docs", |it| {
        it.named("docs", "This document as a page to read")
            .gives_as(
                200,
                "A page that needs nothing from elsewhere.",
                "text/html",
                json!({ "type": "string" }),
            )
            .problems(&[Kind::InvalidParameter])
    }),
];
