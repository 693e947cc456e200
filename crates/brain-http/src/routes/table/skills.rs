//! The routes of `/api/skills`.

use axum::{
    http::Method,
    routing::{get, post},
};

use super::{Need, Operation, Route};
use crate::routes::skills;

/// The path under which a skill is called.
pub(in crate::routes) const CALL: &str = "/api/skills/{reference}/call";
/// The path under which one is installed.
pub(in crate::routes) const INSTALL: &str = "/api/skills";

/// All of them; a fixed path comes before one that varies.
pub(in crate::routes) static SKILLS: [Route; 8] = [
    Route {
        template: CALL,
        operations: &[Operation::new(Method::POST, Need::Scope("skills", "work"))],
        handlers: || post(skills::call),
    },
    Route {
        template: INSTALL,
        operations: &[
            Operation::new(Method::GET, Need::Scope("skills", "read")),
            Operation::new(Method::POST, Need::Scope("skills", "manage")),
        ],
        handlers: || get(skills::list).post(skills::install),
    },
    Route {
        template: "/api/skills/registry",
        operations: &[Operation::new(Method::GET, Need::Scope("skills", "read"))],
        handlers: || get(skills::offered),
    },
    Route {
        template: "/api/skills/registry/refresh",
        operations: &[Operation::new(Method::POST, Need::Scope("skills", "work"))],
        handlers: || post(skills::refresh),
    },
    Route {
        template: "/api/skills/sandbox",
        operations: &[Operation::new(Method::GET, Need::Scope("skills", "read"))],
        handlers: || get(skills::sandbox),
    },
    Route {
        template: "/api/skills/gc",
        operations: &[Operation::new(Method::POST, Need::Scope("skills", "administer"))],
        handlers: || post(skills::collect),
    },
    Route {
        template: "/api/skills/{reference}",
        operations: &[
            Operation::new(Method::DELETE, Need::Scope("skills", "manage")),
            Operation::new(Method::GET, Need::Scope("skills", "read")),
        ],
        handlers: || get(skills::show).delete(skills::remove),
    },
    Route {
        template: "/api/skills/{reference}/verify",
        operations: &[Operation::new(Method::POST, Need::Scope("skills", "work"))],
        handlers: || post(skills::verify),
    },
];
