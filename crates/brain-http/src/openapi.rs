//! The OpenAPI 3.1 document, made of the route table and of what is said of each operation beside it.
//!
//! Invariants: every operation of the table is described, and nothing else is (a test says so); the document is made once and
//! its bytes never change while the process runs.

mod audit;
mod budgets;
mod capabilities;
mod dead_letters;
mod events;
mod operation;
mod page;
mod problems;
mod schedules;
mod schemas;
mod service;
mod skills;
mod swarm;
mod tasks;
mod tokens;
mod types;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use axum::http::Method;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use self::{operation::Operation, problems::Answers, types::Types};
use crate::{
    problem,
    routes::{self, Need},
};

/// What is said of one operation of the table.
struct Described {
    method: Method,
    path: &'static str,
    describe: fn(Operation<'_>) -> Operation<'_>,
}

const fn described(method: Method, path: &'static str, describe: fn(Operation<'_>) -> Operation<'_>) -> Described {
    Described { method, path, describe }
}

/// What belongs together: its name, what it is, its operations.
type Group = (&'static str, &'static str, &'static [Described]);

static GROUPS: [Group; 13] = [
    (
        "events",
        "What happened in a swarm: publish, read, follow.",
        events::OPERATIONS,
    ),
    ("tasks", "Work: create, claim, report, steer.", tasks::OPERATIONS),
    ("agents", "Those who work.", swarm::AGENTS),
    ("runs", "What belongs to one piece of work.", swarm::RUNS),
    ("budgets", "What may be spent.", budgets::OPERATIONS),
    ("schedules", "Tasks that come again and again.", schedules::OPERATIONS),
    ("schemas", "What events of a type must look like.", schemas::OPERATIONS),
    ("dead letters", "What could not be stored.", dead_letters::OPERATIONS),
    ("tokens", "Who may do what.", tokens::OPERATIONS),
    (
        "capabilities",
        "What agents may do to the world outside, and who decides.",
        capabilities::OPERATIONS,
    ),
    (
        "skills",
        "Programs that others wrote, run confined.",
        skills::OPERATIONS,
    ),
    ("audit", "Who did what, and why.", audit::OPERATIONS),
    (
        "service",
        "How the service is, and what its interface looks like.",
        service::OPERATIONS,
    ),
];

/// A document as it is served.
pub(crate) struct Served {
    pub(crate) bytes: Bytes,
    /// A strong entity tag, in its quotes.
    pub(crate) etag: String,
}

impl Served {
    fn of(bytes: Vec<u8>) -> Self {
        let digest = Sha256::digest(&bytes);
        let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            bytes: bytes.into(),
            etag: format!("\"{hex}\""),
        }
    }
}

/// The document in JSON.
pub(crate) fn json() -> &'static Served {
    static SERVED: LazyLock<Served> = LazyLock::new(|| Served::of(document().0.to_string().into_bytes()));
    &SERVED
}

/// The document as a page, and the policy under which browsers show it.
pub(crate) fn html() -> &'static (Served, String) {
    static SERVED: LazyLock<(Served, String)> = LazyLock::new(|| {
        let page = page::render(&document().0, &GROUPS.map(|(name, what, _)| (name, what)));
        (Served::of(page.into_bytes()), page::policy())
    });
    &SERVED
}

/// The document, and what is wrong with it: names that stand for two schemas.
fn document() -> (Value, Vec<String>) {
    let mut types = Types::new();
    types.written::<problem::Document<'_>>();
    let mut answers = Answers::default();
    let mut paths: Map<String, Value> = Map::new();
    for (tag, _, operations) in &GROUPS {
        for one in *operations {
            let route = routes::find(one.path);
            let keeps_answer = !route.is_some_and(|route| routes::answers_with_a_secret(route, &one.method));
            let follows = (&one.method, need(one), keeps_answer);
            let operation = (one.describe)(Operation::new(&mut types)).finish(tag, follows, &mut answers);
            let path = paths.entry(one.path).or_insert_with(|| json!({}));
            path[one.method.as_str().to_ascii_lowercase()] = operation;
        }
    }
    let (schemas, twice) = types.into_schemas();
    let tags: Vec<Value> = GROUPS
        .iter()
        .map(|(name, what, _)| json!({ "name": name, "description": what }))
        .collect();
    let document = json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Studio Brain",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Events, tasks and agents of swarms.",
            "description": include_str!("openapi/introduction.md"),
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/", "description": "The server that gave this document." }],
        "security": [{ "bearer": [] }, { "adminToken": [] }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": answers.into_components(),
            "headers": problems::headers(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token `brain_<id>_<secret>`, made by `POST /api/tokens` or `brain token create`; a JSON Web Token of an issuer in STUDIO_BRAIN_OIDC_ISSUERS; or the token of STUDIO_BRAIN_ADMIN_TOKEN.",
                },
                "adminToken": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "x-studio-brain-admin-token",
                    "description": "The token of STUDIO_BRAIN_ADMIN_TOKEN.",
                },
            },
        },
    });
    (document, twice)
}

/// What the table asks of the callers of an operation; where it does not know it, a test fails.
fn need(one: &Described) -> Need {
    let route = routes::find(one.path);
    route
        .and_then(|route| routes::need(route, &one.method))
        .unwrap_or(Need::Caller)
}
