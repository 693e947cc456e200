//! The routes: one table that axum, the check of methods and the metrics are made from.
//!
//! Invariant: a path that [`find`] does not know never reaches axum, and one that it knows is routed there.

pub(crate) mod agents;
pub(crate) mod budgets;
pub(crate) mod dead_letters;
mod docs;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod messages;
pub(crate) mod runs;
pub(crate) mod schedules;
pub(crate) mod schemas;
pub(crate) mod status;
pub(crate) mod tasks;
pub(crate) mod tokens;

use std::{fmt::Display, str::FromStr, sync::Arc, time::Duration};

pub(crate) use self::events::HEARTBEAT;
use axum::{
    Router,
    extract::{Path, rejection::PathRejection},
    http::{Method, Uri},
    routing::{MethodRouter, get, post},
};
use brain_swarm::{
    calls,
    ids::{ActorId, RunId, SwarmId},
};
use serde::Deserialize;

use crate::{
    access::Caller,
    app::App,
    problem::Problem,
    query::{Query, invalid},
};

/// One path with all that it answers to.
pub(crate) struct Route {
    /// The path, with names in braces for what varies.
    template: &'static str,
    /// The methods, as the `Allow` header lists them.
    allow: &'static str,
    /// Each method but HEAD, with what it needs.
    operations: &'static [Operation],
    handlers: fn() -> MethodRouter<Arc<App>>,
}

/// What a method of a path needs.
#[derive(Debug)]
pub(crate) struct Operation {
    method: Method,
    need: Need,
}

impl Operation {
    const fn new(method: Method, need: Need) -> Self {
        Self { method, need }
    }
}

/// What is asked of the caller of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: nobody is asked who they are.
    Nothing,
    /// To be known, as whoever.
    Caller,
    /// To be allowed this: a resource, and what is done to it.
    Scope(&'static str, &'static str),
}

/// The path of the events.
const EVENTS: &str = "/api/swarm/events";
/// The path of the tokens.
const TOKENS: &str = "/api/tokens";
/// The path under which tasks are claimed.
const CLAIM: &str = "/api/swarm/tasks/claim";

/// All routes; those that are asked most often come first, and a fixed path before one that varies.
pub(crate) static TABLE: [Route; 51] = [
    Route {
        template: EVENTS,
        allow: "GET, HEAD, POST",
        operations: &[
            Operation::new(Method::GET, Need::Scope("events", "read")),
            Operation::new(Method::POST, Need::Scope("events", "write")),
        ],
        handlers: || get(events::list).post(events::publish),
    },
    Route {
        template: "/api/swarm/events/stream",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Scope("events", "read"))],
        handlers: || get(events::follow),
    },
    Route {
        template: CLAIM,
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::claim),
    },
    Route {
        template: "/api/swarm/tasks/finish",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::finish),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/complete",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::complete),
    },
    Route {
        template: "/api/swarm/agents/{agentId}/heartbeat",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("agents", "write"))],
        handlers: || post(agents::heartbeat),
    },
    Route {
        template: "/healthz",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Nothing)],
        handlers: || get(health::live),
    },
    Route {
        template: "/readyz",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Nothing)],
        handlers: || get(health::ready),
    },
    Route {
        template: "/health/dependencies",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Scope("status", "read"))],
        handlers: || get(health::dependencies),
    },
    Route {
        template: "/metrics",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Scope("status", "read"))],
        handlers: || get(status::metrics),
    },
    Route {
        template: "/api/metrics",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Scope("status", "read"))],
        handlers: || get(status::metrics),
    },
    Route {
        template: "/api/status",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Scope("status", "read"))],
        handlers: || get(status::status),
    },
    Route {
        template: "/api/swarm/schemas",
        allow: "GET, HEAD, POST",
        operations: &[
            Operation::new(Method::GET, Need::Scope("schemas", "read")),
            Operation::new(Method::POST, Need::Scope("schemas", "manage")),
        ],
        handlers: || get(schemas::list).post(schemas::register),
    },
    Route {
        template: "/api/swarm/schemas/check",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("schemas", "read"))],
        handlers: || post(schemas::check),
    },
    Route {
        template: "/api/swarm/schemas/validate",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("schemas", "read"))],
        handlers: || post(schemas::validate),
    },
    Route {
        template: "/api/swarm/schemas/{eventType}",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Scope("schemas", "read"))],
        handlers: || get(schemas::of_type),
    },
    Route {
        template: "/api/swarm/schemas/{eventType}/{version}",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Scope("schemas", "read"))],
        handlers: || get(schemas::show),
    },
    Route {
        template: "/api/swarm/tasks",
        allow: "GET, HEAD, POST",
        operations: &[
            Operation::new(Method::GET, Need::Scope("tasks", "read")),
            Operation::new(Method::POST, Need::Scope("tasks", "write")),
        ],
        handlers: || get(tasks::list).post(tasks::create),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Scope("tasks", "read"))],
        handlers: || get(tasks::show),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/fail",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::fail),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/release",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::release),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/progress",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::progress),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/emit",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::emit),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/cancel",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "manage"))],
        handlers: || post(tasks::cancel),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/reassign",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "manage"))],
        handlers: || post(tasks::reassign),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/retry",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "manage"))],
        handlers: || post(tasks::retry),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/reserve",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::reserve),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/settle",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::settle),
    },
    Route {
        template: "/api/swarm/agents",
        allow: "GET, HEAD, POST",
        operations: &[
            Operation::new(Method::GET, Need::Scope("agents", "read")),
            Operation::new(Method::POST, Need::Scope("agents", "write")),
        ],
        handlers: || get(agents::list).post(agents::register),
    },
    Route {
        template: "/api/swarm/agents/{agentId}/drain",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("agents", "manage"))],
        handlers: || post(agents::drain),
    },
    Route {
        template: "/api/swarm/agents/{agentId}/resume",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("agents", "manage"))],
        handlers: || post(agents::resume),
    },
    Route {
        template: "/api/swarm/agents/{agentId}/messages",
        allow: "GET, HEAD, POST",
        operations: &[
            Operation::new(Method::GET, Need::Scope("messages", "read")),
            Operation::new(Method::POST, Need::Scope("messages", "write")),
        ],
        handlers: || get(messages::of_agent).post(messages::to_agent),
    },
    Route {
        template: "/api/swarm/runs",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Scope("runs", "read"))],
        handlers: || get(runs::list),
    },
    Route {
        template: "/api/swarm/runs/{runId}",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Scope("runs", "read"))],
        handlers: || get(runs::show),
    },
    Route {
        template: "/api/swarm/runs/{runId}/cancel",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("runs", "manage"))],
        handlers: || post(runs::cancel),
    },
    Route {
        template: "/api/swarm/runs/{runId}/finish",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("runs", "manage"))],
        handlers: || post(runs::finish),
    },
    Route {
        template: "/api/swarm/runs/{runId}/messages",
        allow: "GET, HEAD, POST",
        operations: &[
            Operation::new(Method::GET, Need::Scope("messages", "read")),
            Operation::new(Method::POST, Need::Scope("messages", "write")),
        ],
        handlers: || get(messages::of_run).post(messages::to_run),
    },
    Route {
        template: "/api/swarm/budgets",
        allow: "GET, HEAD, POST",
        operations: &[
            Operation::new(Method::GET, Need::Scope("budgets", "read")),
            Operation::new(Method::POST, Need::Scope("budgets", "manage")),
        ],
        handlers: || get(budgets::list).post(budgets::create),
    },
    Route {
        template: "/api/swarm/budgets/{budgetId}",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Scope("budgets", "read"))],
        handlers: || get(budgets::show),
    },
    Route {
        template: "/api/swarm/budgets/{budgetId}/raise",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("budgets", "manage"))],
        handlers: || post(budgets::raise),
    },
    Route {
        template: "/api/swarm/budgets/{budgetId}/stop",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("budgets", "manage"))],
        handlers: || post(budgets::stop),
    },
    Route {
        template: "/api/swarm/dead-letters",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Scope("dead-letters", "read"))],
        handlers: || get(dead_letters::list),
    },
    Route {
        template: "/api/swarm/dead-letters/{deadLetterId}",
        allow: "DELETE, GET, HEAD",
        operations: &[
            Operation::new(Method::DELETE, Need::Scope("dead-letters", "manage")),
            Operation::new(Method::GET, Need::Scope("dead-letters", "read")),
        ],
        handlers: || get(dead_letters::show).delete(dead_letters::discard),
    },
    Route {
        template: "/api/swarm/dead-letters/{deadLetterId}/replay",
        allow: "POST",
        operations: &[Operation::new(Method::POST, Need::Scope("dead-letters", "manage"))],
        handlers: || post(dead_letters::replay),
    },
    Route {
        template: "/api/swarm/schedules",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Scope("schedules", "read"))],
        handlers: || get(schedules::list),
    },
    Route {
        template: "/api/swarm/schedules/{scheduleId}",
        allow: "DELETE, GET, HEAD, PUT",
        operations: &[
            Operation::new(Method::DELETE, Need::Scope("schedules", "manage")),
            Operation::new(Method::GET, Need::Scope("schedules", "read")),
            Operation::new(Method::PUT, Need::Scope("schedules", "manage")),
        ],
        handlers: || get(schedules::show).put(schedules::put).delete(schedules::remove),
    },
    Route {
        template: "/api/whoami",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Caller)],
        handlers: || get(tokens::whoami),
    },
    Route {
        template: TOKENS,
        allow: "GET, HEAD, POST",
        operations: &[
            Operation::new(Method::GET, Need::Scope("tokens", "read")),
            Operation::new(Method::POST, Need::Scope("tokens", "manage")),
        ],
        handlers: || get(tokens::list).post(tokens::create),
    },
    Route {
        template: "/api/tokens/{tokenId}",
        allow: "DELETE, GET, HEAD",
        operations: &[
            Operation::new(Method::DELETE, Need::Scope("tokens", "manage")),
            Operation::new(Method::GET, Need::Scope("tokens", "read")),
        ],
        handlers: || get(tokens::show).delete(tokens::revoke),
    },
    Route {
        template: "/openapi.json",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Nothing)],
        handlers: || get(docs::document),
    },
    Route {
        template: "/docs",
        allow: "GET, HEAD",
        operations: &[Operation::new(Method::GET, Need::Nothing)],
        handlers: || get(docs::page),
    },
];

/// Every operation: method, path with names in braces for what varies, and what it asks of its caller. A method HEAD is like GET.
pub fn operations() -> impl Iterator<Item = (&'static Method, &'static str, Need)> {
    TABLE.iter().flat_map(|route| {
        let operations = route.operations.iter();
        operations.map(|operation| (&operation.method, route.template, operation.need))
    })
}

/// A route of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RouteId(usize);

impl RouteId {
    /// Its place in the table.
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// The route that a path leads to.
pub(crate) fn find(path: &str) -> Option<RouteId> {
    TABLE
        .iter()
        .position(|route| matches(route.template, path))
        .map(RouteId)
}

/// The template of a route.
pub(crate) fn template(route: RouteId) -> &'static str {
    TABLE[route.0].template
}

/// The methods that a route answers to, as the `Allow` header lists them.
pub(crate) fn allow(route: RouteId) -> &'static str {
    TABLE[route.0].allow
}

/// What a route needs of those who call it by this method; nothing at all, where it does not answer to it.
pub(crate) fn need(route: RouteId, method: &Method) -> Option<Need> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let operations = TABLE[route.0].operations;
    let operation = operations.iter().find(|operation| operation.method == *method);
    operation.map(|operation| operation.need)
}

/// How much longer than others a route may take to answer, because its caller may ask it to wait.
pub(crate) fn patience(route: Option<RouteId>, method: &Method) -> Duration {
    match route.map(template) {
        Some(CLAIM) => tasks::MAX_WAIT,
        Some(EVENTS) if method == Method::GET => events::MAX_WAIT,
        _ => Duration::ZERO,
    }
}

/// The longest of them.
pub(crate) const MAX_PATIENCE: Duration = if tasks::MAX_WAIT.as_millis() > events::MAX_WAIT.as_millis() {
    tasks::MAX_WAIT
} else {
    events::MAX_WAIT
};

/// Whether the answer of an operation holds a secret, so that it is shown once and kept nowhere.
pub(crate) fn answers_with_a_secret(route: RouteId, method: &Method) -> bool {
    template(route) == TOKENS && method == Method::POST
}

/// All routes as axum serves them.
pub(crate) fn router(app: Arc<App>) -> Router {
    let routes = TABLE.iter().fold(Router::new(), |router, route| {
        router.route(route.template, (route.handlers)())
    });
    routes.with_state(app)
}

/// The one thing that varies in a path.
type Segment = Result<Path<String>, PathRejection>;

/// Reads what varies in a path as what the route calls it.
fn segment<T>(name: &'static str, segment: Segment) -> Result<T, Problem>
where
    T: FromStr,
    T::Err: Display,
{
    let Path(text) = segment.map_err(|_| invalid(name, "it is not UTF-8 once its escapes are decoded"))?;
    text.parse().map_err(|error: T::Err| invalid(name, &error.to_string()))
}

/// The swarm that a request asks about.
fn swarm(app: &App, query: &Query<'_>) -> Result<SwarmId, Problem> {
    match query.get("swarmId")? {
        Some(swarm) => Ok(swarm),
        None => app
            .services
            .defaults
            .swarm_id
            .clone()
            .ok_or_else(|| invalid("swarmId", "it is missing and there is no default")),
    }
}

/// Whose swarm a call is about, where its path takes no other parameter.
fn call_scope(app: &App, caller: &Caller, uri: &Uri) -> Result<calls::Scope, Problem> {
    scope_of(app, caller, &Query::parse(uri.query(), &["swarmId"])?)
}

/// Whose swarm a query is about.
fn scope_of(app: &App, caller: &Caller, query: &Query<'_>) -> Result<calls::Scope, Problem> {
    Ok(calls::Scope {
        tenant_id: caller.tenant_id.clone(),
        swarm_id: swarm(app, query)?,
    })
}

/// The run of what names none.
fn default_run(app: &App) -> Result<RunId, Problem> {
    app.services
        .defaults
        .run_id
        .clone()
        .ok_or_else(|| invalid("runId", "it is missing and there is no default"))
}

/// What people say when they call something off.
#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "Cancellation")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Order {
    actor_id: Option<ActorId>,
    #[schemars(length(max = 8192))]
    reason: Option<String>,
}

fn matches(template: &str, path: &str) -> bool {
    if template == path {
        return true;
    }
    if !template.contains('{') {
        return false;
    }
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == given || (wanted.starts_with('{') && !given.is_empty()) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn paths_lead_to_their_templates() {
        let cases = [
            ("/healthz", Some("/healthz")),
            ("/api/swarm/tasks/t%2F1", Some("/api/swarm/tasks/{taskId}")),
            (
                "/api/swarm/agents/a/heartbeat",
                Some("/api/swarm/agents/{agentId}/heartbeat"),
            ),
            (
                "/api/swarm/dead-letters/x/replay",
                Some("/api/swarm/dead-letters/{deadLetterId}/replay"),
            ),
            ("/api/swarm/tasks/claim", Some("/api/swarm/tasks/claim")),
            ("/api/swarm/events/stream", Some("/api/swarm/events/stream")),
            ("/api/swarm/tasks/finish", Some("/api/swarm/tasks/finish")),
            (
                "/api/swarm/tasks/claim/complete",
                Some("/api/swarm/tasks/{taskId}/complete"),
            ),
            ("/api/swarm/schemas/check", Some("/api/swarm/schemas/check")),
            ("/api/swarm/schemas/build.done", Some("/api/swarm/schemas/{eventType}")),
            (
                "/api/swarm/schemas/build.done/2",
                Some("/api/swarm/schemas/{eventType}/{version}"),
            ),
            ("/api/swarm/tasks/", None),
            ("/api/swarm/tasks/a/b", None),
            ("/api/swarm/agents/a", None),
            ("/api/swarm/agents//heartbeat", None),
            ("healthz", None),
            ("", None),
            ("*", None),
        ];
        for (path, expected) in cases {
            assert_eq!(find(path).map(template), expected, "{path}");
        }
    }

    #[test]
    fn every_route_is_found_by_its_own_path() {
        for route in &TABLE {
            let path = route.template.replace(['{', '}'], "");
            assert_eq!(find(&path).map(template), Some(route.template));
        }
    }

    #[test]
    fn only_those_who_ask_to_wait_may_take_longer() {
        let patient = |method| -> Vec<&str> {
            let routes = TABLE.iter().map(|route| route.template);
            routes.filter(|path| !patience(find(path), &method).is_zero()).collect()
        };
        assert_eq!(patient(Method::GET), [EVENTS, CLAIM]);
        assert_eq!(patient(Method::POST), [CLAIM]);
    }

    #[test]
    fn what_is_listed_is_sorted_and_a_get_always_answers_to_head() {
        for route in &TABLE {
            let methods: Vec<&str> = route.allow.split(", ").collect();
            assert!(methods.is_sorted(), "{}", route.template);
            let mut operations: Vec<&str> = route.operations.iter().map(|one| one.method.as_str()).collect();
            if operations.contains(&"GET") {
                operations.push("HEAD");
            }
            operations.sort_unstable();
            assert_eq!(methods, operations, "{}", route.template);
        }
        let events = find("/api/swarm/events").unwrap();
        assert_eq!(need(events, &Method::POST), Some(Need::Scope("events", "write")));
        assert_eq!(need(events, &Method::HEAD), Some(Need::Scope("events", "read")));
        assert_eq!(need(events, &Method::PUT), None);
    }
}
