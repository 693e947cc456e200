//! The table of routes: every path with its methods, what they need, and who answers.
//!
//! Invariant: whoever adds a path says here what its callers must be allowed; without that it does not compile.

use axum::{
    http::Method,
    routing::{get, post},
};

use super::{
    Need, Operation, Route, agents, budgets, dead_letters, docs, events, health, messages, runs, schedules, schemas,
    status, tasks, tokens,
};

/// The path of the events.
pub(super) const EVENTS: &str = "/api/swarm/events";
/// The path of the tokens.
pub(super) const TOKENS: &str = "/api/tokens";
/// The path under which tasks are claimed.
pub(super) const CLAIM: &str = "/api/swarm/tasks/claim";

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
