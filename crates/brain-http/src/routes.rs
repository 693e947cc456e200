//! The routes: one table that axum, the check of methods and the metrics are made from.
//!
//! Invariant: a path that [`find`] does not know never reaches axum, and one that it knows is routed there.

mod agents;
mod dead_letters;
mod events;
mod health;
mod schedules;
mod schemas;
mod status;
mod tasks;

use std::{fmt::Display, str::FromStr, sync::Arc};

use axum::{
    Router,
    extract::{Path, rejection::PathRejection},
    http::Method,
    routing::{MethodRouter, get, post},
};
use brain_swarm::ids::SwarmId;

use crate::{
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
    handlers: fn() -> MethodRouter<Arc<App>>,
}

/// All routes; those that are asked most often come first.
pub(crate) const TABLE: [Route; 17] = [
    Route {
        template: "/api/swarm/events",
        allow: "GET, HEAD, POST",
        handlers: || get(events::list).post(events::publish),
    },
    Route {
        template: "/healthz",
        allow: "GET, HEAD",
        handlers: || get(health::live),
    },
    Route {
        template: "/readyz",
        allow: "GET, HEAD",
        handlers: || get(health::ready),
    },
    Route {
        template: "/health/dependencies",
        allow: "GET, HEAD",
        handlers: || get(health::dependencies),
    },
    Route {
        template: "/metrics",
        allow: "GET, HEAD",
        handlers: || get(status::metrics),
    },
    Route {
        template: "/api/metrics",
        allow: "GET, HEAD",
        handlers: || get(status::metrics),
    },
    Route {
        template: "/api/status",
        allow: "GET, HEAD",
        handlers: || get(status::status),
    },
    Route {
        template: "/api/swarm/schemas",
        allow: "GET, HEAD",
        handlers: || get(schemas::list),
    },
    Route {
        template: "/api/swarm/tasks",
        allow: "GET, HEAD",
        handlers: || get(tasks::list),
    },
    Route {
        template: "/api/swarm/tasks/{taskId}",
        allow: "GET, HEAD",
        handlers: || get(tasks::show),
    },
    Route {
        template: "/api/swarm/agents",
        allow: "GET, HEAD",
        handlers: || get(agents::list),
    },
    Route {
        template: "/api/swarm/agents/{agentId}/heartbeat",
        allow: "POST",
        handlers: || post(agents::heartbeat),
    },
    Route {
        template: "/api/swarm/dead-letters",
        allow: "GET, HEAD",
        handlers: || get(dead_letters::list),
    },
    Route {
        template: "/api/swarm/dead-letters/{deadLetterId}",
        allow: "DELETE, GET, HEAD",
        handlers: || get(dead_letters::show).delete(dead_letters::discard),
    },
    Route {
        template: "/api/swarm/dead-letters/{deadLetterId}/replay",
        allow: "POST",
        handlers: || post(dead_letters::replay),
    },
    Route {
        template: "/api/swarm/schedules",
        allow: "GET, HEAD",
        handlers: || get(schedules::list),
    },
    Route {
        template: "/api/swarm/schedules/{scheduleId}",
        allow: "DELETE, GET, HEAD, PUT",
        handlers: || get(schedules::show).put(schedules::put).delete(schedules::remove),
    },
];

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

/// Whether a route answers to a method.
pub(crate) fn allows(route: RouteId, method: &Method) -> bool {
    allow(route).split(", ").any(|allowed| allowed == method.as_str())
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
    fn what_is_listed_is_sorted_and_a_get_always_answers_to_head() {
        for route in TABLE {
            let methods: Vec<&str> = route.allow.split(", ").collect();
            assert!(methods.is_sorted(), "{}", route.template);
            assert_eq!(
                methods.contains(&"GET"),
                methods.contains(&"HEAD"),
                "{}",
                route.template
            );
        }
        let events = find("/api/swarm/events").unwrap();
        assert!(allows(events, &Method::POST) && allows(events, &Method::HEAD));
        assert!(!allows(events, &Method::PUT));
    }
}
