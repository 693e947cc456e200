//! The table of the pages: every path of the dashboard with its methods, what they need, and who answers.
//!
//! Invariant: a page or an action needs what the same thing needs in the table of the interface for programs.

use axum::{
    http::Method,
    routing::{get, post},
};

use super::{Need, Operation, Route};
use crate::dashboard::{
    agents, approvals, assets, audit, budgets, capabilities, dead_letters, events, login, overview, runs, tasks,
};

const fn reads(resource: &'static str) -> Operation {
    Operation::new(Method::GET, Need::Session(resource, "read"))
}

const fn manages(resource: &'static str) -> Operation {
    Operation::new(Method::POST, Need::Session(resource, "manage"))
}

/// All of them, a fixed path before one that varies.
pub(super) static PAGES: [Route; 31] = [
    Route {
        template: "/dashboard",
        operations: &[Operation::new(Method::GET, Need::Visitor)],
        handlers: || get(overview::show),
    },
    Route {
        template: "/dashboard/login",
        operations: &[
            Operation::new(Method::GET, Need::Nothing),
            Operation::new(Method::POST, Need::Nothing),
        ],
        handlers: || get(login::show).post(login::log_in),
    },
    Route {
        template: "/dashboard/logout",
        operations: &[Operation::new(Method::POST, Need::Visitor)],
        handlers: || post(login::log_out),
    },
    Route {
        template: "/dashboard/app.js",
        operations: &[Operation::new(Method::GET, Need::Nothing)],
        handlers: || get(assets::script),
    },
    Route {
        template: "/dashboard/app.css",
        operations: &[Operation::new(Method::GET, Need::Nothing)],
        handlers: || get(assets::style),
    },
    Route {
        template: "/dashboard/icon.svg",
        operations: &[Operation::new(Method::GET, Need::Nothing)],
        handlers: || get(assets::icon),
    },
    Route {
        template: "/dashboard/runs",
        operations: &[reads("runs")],
        handlers: || get(runs::list),
    },
    Route {
        template: "/dashboard/runs/{runId}",
        operations: &[reads("runs")],
        handlers: || get(runs::show),
    },
    Route {
        template: "/dashboard/runs/{runId}/cancel",
        operations: &[manages("runs")],
        handlers: || post(runs::cancel),
    },
    Route {
        template: "/dashboard/tasks",
        operations: &[reads("tasks")],
        handlers: || get(tasks::list),
    },
    Route {
        template: "/dashboard/tasks/{taskId}",
        operations: &[reads("tasks")],
        handlers: || get(tasks::show),
    },
    Route {
        template: "/dashboard/tasks/{taskId}/cancel",
        operations: &[manages("tasks")],
        handlers: || post(tasks::cancel),
    },
    Route {
        template: "/dashboard/tasks/{taskId}/retry",
        operations: &[manages("tasks")],
        handlers: || post(tasks::retry),
    },
    Route {
        template: "/dashboard/agents",
        operations: &[reads("agents")],
        handlers: || get(agents::list),
    },
    Route {
        template: "/dashboard/events",
        operations: &[reads("events")],
        handlers: || get(events::list),
    },
    Route {
        template: "/dashboard/events/live",
        operations: &[reads("events")],
        handlers: || get(events::live),
    },
    Route {
        template: "/dashboard/dead-letters",
        operations: &[reads("dead-letters")],
        handlers: || get(dead_letters::list),
    },
    Route {
        template: "/dashboard/dead-letters/{deadLetterId}",
        operations: &[reads("dead-letters")],
        handlers: || get(dead_letters::show),
    },
    Route {
        template: "/dashboard/dead-letters/{deadLetterId}/replay",
        operations: &[manages("dead-letters")],
        handlers: || post(dead_letters::replay),
    },
    Route {
        template: "/dashboard/dead-letters/{deadLetterId}/drop",
        operations: &[manages("dead-letters")],
        handlers: || post(dead_letters::drop),
    },
    Route {
        template: "/dashboard/approvals",
        operations: &[reads("capabilities")],
        handlers: || get(approvals::list),
    },
    Route {
        template: "/dashboard/approvals/{proposalId}",
        operations: &[reads("capabilities")],
        handlers: || get(approvals::show),
    },
    Route {
        template: "/dashboard/approvals/{proposalId}/approve",
        operations: &[manages("capabilities")],
        handlers: || post(approvals::approve),
    },
    Route {
        template: "/dashboard/approvals/{proposalId}/reject",
        operations: &[manages("capabilities")],
        handlers: || post(approvals::reject),
    },
    Route {
        template: "/dashboard/approvals/{proposalId}/reopen",
        operations: &[Operation::new(
            Method::POST,
            Need::Session("capabilities", "administer"),
        )],
        handlers: || post(approvals::reopen),
    },
    Route {
        template: "/dashboard/capabilities",
        operations: &[reads("capabilities")],
        handlers: || get(capabilities::show),
    },
    Route {
        template: "/dashboard/capabilities/kill-switch",
        operations: &[manages("capabilities")],
        handlers: || post(capabilities::turn),
    },
    Route {
        template: "/dashboard/budgets",
        operations: &[reads("budgets")],
        handlers: || get(budgets::list),
    },
    Route {
        template: "/dashboard/budgets/{budgetId}/raise",
        operations: &[manages("budgets")],
        handlers: || post(budgets::raise),
    },
    Route {
        template: "/dashboard/budgets/{budgetId}/stop",
        operations: &[manages("budgets")],
        handlers: || post(budgets::stop),
    },
    Route {
        template: "/dashboard/audit",
        operations: &[reads("audit")],
        handlers: || get(audit::list),
    },
];
