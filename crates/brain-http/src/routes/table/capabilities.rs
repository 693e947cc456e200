//! The routes of `/api/capabilities`, but for the audit trail.

use axum::{
    http::Method,
    routing::{get, post},
};

use super::{Need, Operation, Route};
use crate::routes::capabilities::{delegations, policy, proposals, trail};

/// The path under which a proposal is executed.
pub(in crate::routes) const EXECUTE: &str = "/api/capabilities/proposals/{proposalId}/execute";
/// The path under which it is undone.
pub(in crate::routes) const ROLLBACK: &str = "/api/capabilities/proposals/{proposalId}/rollback";

/// All of them.
pub(in crate::routes) static CAPABILITIES: [Route; 20] = [
    Route {
        template: "/api/capabilities",
        operations: &[Operation::new(Method::GET, Need::Scope("capabilities", "read"))],
        handlers: || get(policy::list),
    },
    Route {
        template: "/api/capabilities/policy",
        operations: &[Operation::new(Method::GET, Need::Scope("capabilities", "read"))],
        handlers: || get(policy::show),
    },
    Route {
        template: "/api/capabilities/policy-lint",
        operations: &[Operation::new(Method::GET, Need::Scope("capabilities", "read"))],
        handlers: || get(policy::linted),
    },
    Route {
        template: "/api/capabilities/policy/kill-switch",
        operations: &[
            Operation::new(Method::GET, Need::Scope("capabilities", "read")),
            Operation::new(Method::POST, Need::Scope("capabilities", "manage")),
        ],
        handlers: || get(policy::switches).post(policy::turn),
    },
    Route {
        template: "/api/capabilities/policy/exemptions",
        operations: &[
            Operation::new(Method::GET, Need::Scope("capabilities", "read")),
            Operation::new(Method::POST, Need::Scope("capabilities", "administer")),
        ],
        handlers: || get(policy::exemptions).post(policy::exempt),
    },
    Route {
        template: "/api/capabilities/policy/exemptions/{exemptionId}/revoke",
        operations: &[Operation::new(Method::POST, Need::Scope("capabilities", "manage"))],
        handlers: || post(policy::revoke),
    },
    Route {
        template: "/api/capabilities/quotas",
        operations: &[Operation::new(Method::GET, Need::Scope("capabilities", "read"))],
        handlers: || get(policy::quotas),
    },
    Route {
        template: "/api/capabilities/quotas/{bucket}/reset",
        operations: &[Operation::new(Method::POST, Need::Scope("capabilities", "manage"))],
        handlers: || post(policy::reset),
    },
    Route {
        template: "/api/capabilities/delegations",
        operations: &[
            Operation::new(Method::GET, Need::Scope("capabilities", "read")),
            Operation::new(Method::POST, Need::Scope("capabilities", "manage")),
        ],
        handlers: || get(delegations::list).post(delegations::create),
    },
    Route {
        template: "/api/capabilities/delegations/{delegationId}/revoke",
        operations: &[Operation::new(Method::POST, Need::Scope("capabilities", "manage"))],
        handlers: || post(delegations::revoke),
    },
    Route {
        template: "/api/capabilities/delegation/traces",
        operations: &[Operation::new(Method::GET, Need::Scope("audit", "read"))],
        handlers: || get(trail::delegations),
    },
    Route {
        template: "/api/capabilities/rate-limits/events",
        operations: &[Operation::new(Method::GET, Need::Scope("audit", "read"))],
        handlers: || get(trail::rate_limits),
    },
    Route {
        template: "/api/capabilities/proposals",
        operations: &[
            Operation::new(Method::GET, Need::Scope("capabilities", "read")),
            Operation::new(Method::POST, Need::Scope("capabilities", "write")),
        ],
        handlers: || get(proposals::list).post(proposals::create),
    },
    Route {
        template: "/api/capabilities/proposals/{proposalId}",
        operations: &[Operation::new(Method::GET, Need::Scope("capabilities", "read"))],
        handlers: || get(proposals::show),
    },
    Route {
        template: "/api/capabilities/proposals/{proposalId}/approve",
        operations: &[Operation::new(Method::POST, Need::Scope("capabilities", "manage"))],
        handlers: || post(proposals::approve),
    },
    Route {
        template: "/api/capabilities/proposals/{proposalId}/reject",
        operations: &[Operation::new(Method::POST, Need::Scope("capabilities", "manage"))],
        handlers: || post(proposals::reject),
    },
    Route {
        template: "/api/capabilities/proposals/{proposalId}/reopen",
        operations: &[Operation::new(Method::POST, Need::Scope("capabilities", "administer"))],
        handlers: || post(proposals::reopen),
    },
    Route {
        template: "/api/capabilities/proposals/{proposalId}/dry-run",
        operations: &[Operation::new(Method::POST, Need::Scope("capabilities", "work"))],
        handlers: || post(proposals::dry_run),
    },
    Route {
        template: EXECUTE,
        operations: &[Operation::new(Method::POST, Need::Scope("capabilities", "work"))],
        handlers: || post(proposals::execute),
    },
    Route {
        template: ROLLBACK,
        operations: &[Operation::new(Method::POST, Need::Scope("capabilities", "manage"))],
        handlers: || post(proposals::roll_back),
    },
];
