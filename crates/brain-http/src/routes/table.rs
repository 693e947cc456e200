//! The table of routes: every path with its methods, what they need, and who answers.
//!
//! Invariant: whoever adds a path says here what its callers must be allowed; without that it does not compile.

use axum::{
    http::Method,
    routing::{get, post},
};

use super::{
    Need, Operation, Route, agents, audit, budgets, dead_letters, docs, events, health, messages, runs, schedules,
    schemas, status, tasks, tokens,
};

/// The path of the events.
pub(super) const EVENTS: &str = "/api/swarm/events";
/// The path of the tokens.
pub(super) const TOKENS: &str = "/api/tokens";
/// The path under which tasks are claimed.
pub(super) const CLAIM: &str = "/api/swarm/tasks/claim";

mod capabilities;
mod skills;

pub(super) use self::{
    capabilities::{CAPABILITIES, EXECUTE, ROLLBACK},
    skills::{CALL, INSTALL, SKILLS},
};

/// All routes but those of capabilities; those that are asked most often come first, and a fixed path before one that varies.
pub(crate) static TABLE: [Route; 53] = [
    Route {
        template: EVENTS,
        operations: &[
            Operation::new(Method::GET, Need::Scope("events", "read")),
            Operation::new(Method::POST, Need::Scope("events", "write")),
        ],
        handlers: || get(events::list).post(events::publish),
    },
    Route {
        template: "/api/swarm/events/stream",
        operations: &[Operation::new(Method::GET, Need::Scope("events", "read"))],
        handlers: || get(events::follow),
    },
    Route {
        template: CLAIM,
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::claim),
    },
    Route {
        template: "/api/swarm/tasks/finish",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::finish),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/complete",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::complete),
    },
    Route {
        template: "/api/swarm/agents/{agentId}/heartbeat",
        operations: &[Operation::new(Method::POST, Need::Scope("agents", "write"))],
        handlers: || post(agents::heartbeat),
    },
    Route {
        template: "/healthz",
        operations: &[Operation::new(Method::GET, Need::Nothing)],
        handlers: || get(health::live),
    },
    Route {
        template: "/readyz",
        operations: &[Operation::new(Method::GET, Need::Nothing)],
        handlers: || get(health::ready),
    },
    Route {
        template: "/health/dependencies",
        operations: &[Operation::new(Method::GET, Need::Scope("status", "read"))],
        handlers: || get(health::dependencies),
    },
    Route {
        template: "/metrics",
        operations: &[Operation::new(Method::GET, Need::Scope("status", "read"))],
        handlers: || get(status::metrics),
    },
    Route {
        template: "/api/metrics",
        operations: &[Operation::new(Method::GET, Need::Scope("status", "read"))],
        handlers: || get(status::metrics),
    },
    Route {
        template: "/api/status",
        operations: &[Operation::new(Method::GET, Need::Scope("status", "read"))],
        handlers: || get(status::status),
    },
    Route {
        template: "/api/swarm/schemas",
        operations: &[
            Operation::new(Method::GET, Need::Scope("schemas", "read")),
            Operation::new(Method::POST, Need::Scope("schemas", "manage")),
        ],
        handlers: || get(schemas::list).post(schemas::register),
    },
    Route {
        template: "/api/swarm/schemas/check",
        operations: &[Operation::new(Method::POST, Need::Scope("schemas", "read"))],
        handlers: || post(schemas::check),
    },
    Route {
        template: "/api/swarm/schemas/validate",
        operations: &[Operation::new(Method::POST, Need::Scope("schemas", "read"))],
        handlers: || post(schemas::validate),
    },
    Route {
        template: "/api/swarm/schemas/{eventType}",
        operations: &[Operation::new(Method::GET, Need::Scope("schemas", "read"))],
        handlers: || get(schemas::of_type),
    },
    Route {
        template: "/api/swarm/schemas/{eventType}/{version}",
        operations: &[Operation::new(Method::GET, Need::Scope("schemas", "read"))],
        handlers: || get(schemas::show),
    },
    Route {
        template: "/api/swarm/tasks",
        operations: &[
            Operation::new(Method::GET, Need::Scope("tasks", "read")),
            Operation::new(Method::POST, Need::Scope("tasks", "write")),
        ],
        handlers: || get(tasks::list).post(tasks::create),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}",
        operations: &[Operation::new(Method::GET, Need::Scope("tasks", "read"))],
        handlers: || get(tasks::show),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/fail",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::fail),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/release",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::release),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/progress",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::progress),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/emit",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::emit),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/cancel",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "manage"))],
        handlers: || post(tasks::cancel),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/reassign",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "manage"))],
        handlers: || post(tasks::reassign),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/retry",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "manage"))],
        handlers: || post(tasks::retry),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/reserve",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::reserve),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}/settle",
        operations: &[Operation::new(Method::POST, Need::Scope("tasks", "work"))],
        handlers: || post(tasks::settle),
    },
    Route {
        template: "/api/swarm/agents",
        operations: &[
            Operation::new(Method::GET, Need::Scope("agents", "read")),
            Operation::new(Method::POST, Need::Scope("agents", "write")),
        ],
        handlers: || get(agents::list).post(agents::register),
    },
    Route {
        template: "/api/swarm/agents/{agentId}/drain",
        operations: &[Operation::new(Method::POST, Need::Scope("agents", "manage"))],
        handlers: || post(agents::drain),
    },
    Route {
        template: "/api/swarm/agents/{agentId}/resume",
        operations: &[Operation::new(Method::POST, Need::Scope("agents", "manage"))],
        handlers: || post(agents::resume),
    },
    Route {
        template: "/api/swarm/agents/{agentId}/messages",
        operations: &[
            Operation::new(Method::GET, Need::Scope("messages", "read")),
            Operation::new(Method::POST, Need::Scope("messages", "write")),
        ],
        handlers: || get(messages::of_agent).post(messages::to_agent),
    },
    Route {
        template: "/api/swarm/runs",
        operations: &[Operation::new(Method::GET, Need::Scope("runs", "read"))],
        handlers: || get(runs::list),
    },
    Route {
        template: "/api/swarm/runs/{runId}",
        operations: &[Operation::new(Method::GET, Need::Scope("runs", "read"))],
        handlers: || get(runs::show),
    },
    Route {
        template: "/api/swarm/runs/{runId}/cancel",
        operations: &[Operation::new(Method::POST, Need::Scope("runs", "manage"))],
        handlers: || post(runs::cancel),
    },
    Route {
        template: "/api/swarm/runs/{runId}/finish",
        operations: &[Operation::new(Method::POST, Need::Scope("runs", "manage"))],
        handlers: || post(runs::finish),
    },
    Route {
        template: "/api/swarm/runs/{runId}/messages",
        operations: &[
            Operation::new(Method::GET, Need::Scope("messages", "read")),
            Operation::new(Method::POST, Need::Scope("messages", "write")),
        ],
        handlers: || get(messages::of_run).post(messages::to_run),
    },
    Route {
        template: "/api/swarm/budgets",
        operations: &[
            Operation::new(Method::GET, Need::Scope("budgets", "read")),
            Operation::new(Method::POST, Need::Scope("budgets", "manage")),
        ],
        handlers: || get(budgets::list).post(budgets::create),
    },
    Route {
        template: "/api/swarm/budgets/{budgetId}",
        operations: &[Operation::new(Method::GET, Need::Scope("budgets", "read"))],
        handlers: || get(budgets::show),
    },
    Route {
        template: "/api/swarm/budgets/{budgetId}/raise",
        operations: &[Operation::new(Method::POST, Need::Scope("budgets", "manage"))],
        handlers: || post(budgets::raise),
    },
    Route {
        template: "/api/swarm/budgets/{budgetId}/stop",
        operations: &[Operation::new(Method::POST, Need::Scope("budgets", "manage"))],
        handlers: || post(budgets::stop),
    },
    Route {
        template: "/api/swarm/dead-letters",
        operations: &[Operation::new(Method::GET, Need::Scope("dead-letters", "read"))],
        handlers: || get(dead_letters::list),
    },
    Route {
        template: "/api/swarm/dead-letters/{deadLetterId}",
        operations: &[
            Operation::new(Method::DELETE, Need::Scope("dead-letters", "manage")),
            Operation::new(Method::GET, Need::Scope("dead-letters", "read")),
        ],
        handlers: || get(dead_letters::show).delete(dead_letters::discard),
    },
    Route {
        template: "/api/swarm/dead-letters/{deadLetterId}/replay",
        operations: &[Operation::new(Method::POST, Need::Scope("dead-letters", "manage"))],
        handlers: || post(dead_letters::replay),
    },
    Route {
        template: "/api/swarm/schedules",
        operations: &[Operation::new(Method::GET, Need::Scope("schedules", "read"))],
        handlers: || get(schedules::list),
    },
    Route {
        template: "/api/swarm/schedules/{scheduleId}",
        operations: &[
            Operation::new(Method::DELETE, Need::Scope("schedules", "manage")),
            Operation::new(Method::GET, Need::Scope("schedules", "read")),
            Operation::new(Method::PUT, Need::Scope("schedules", "manage")),
        ],
        handlers: || get(schedules::show).put(schedules::put).delete(schedules::remove),
    },
    Route {
        template: "/api/capabilities/audit",
        operations: &[Operation::new(Method::GET, Need::Scope("audit", "read"))],
        handlers: || get(audit::list),
    },
    Route {
        template: "/api/capabilities/audit/export",
        operations: &[Operation::new(Method::GET, Need::Scope("audit", "read"))],
        handlers: || get(audit::export),
    },
    Route {
        template: "/api/whoami",
        operations: &[Operation::new(Method::GET, Need::Caller)],
        handlers: || get(tokens::whoami),
    },
    Route {
        template: TOKENS,
        operations: &[
            Operation::new(Method::GET, Need::Scope("tokens", "read")),
            Operation::new(Method::POST, Need::Scope("tokens", "manage")),
        ],
        handlers: || get(tokens::list).post(tokens::create),
    },
    Route {
        template: "/api/tokens/{tokenId}",
        operations: &[
            Operation::new(Method::DELETE, Need::Scope("tokens", "manage")),
            Operation::new(Method::GET, Need::Scope("tokens", "read")),
        ],
        handlers: || get(tokens::show).delete(tokens::revoke),
    },
    Route {
        template: "/openapi.json",
        operations: &[Operation::new(Method::GET, Need::Nothing)],
        handlers: || get(docs::document),
    },
    Route {
        template: "/docs",
        operations: &[Operation::new(Method::GET, Need::Nothing)],
        handlers: || get(docs::page),
    },
];
