//! The routes: one table that axum, the check of methods and the metrics are made from.
//!
//! Invariant: a path that [`find`] does not know never reaches axum, and one that it knows is routed there.

pub(crate) mod agents;
pub(crate) mod audit;
pub(crate) mod budgets;
pub(crate) mod capabilities;
pub(crate) mod dead_letters;
mod docs;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod messages;
mod pages;
pub(crate) mod runs;
pub(crate) mod schedules;
pub(crate) mod schemas;
pub(crate) mod skills;
pub(crate) mod status;
mod table;
pub(crate) mod tasks;
pub(crate) mod tokens;

use std::{
    fmt::Display,
    str::FromStr,
    sync::{Arc, LazyLock},
    time::Duration,
};

pub(crate) use self::events::HEARTBEAT;
use self::{
    pages::PAGES,
    table::{CALL, CAPABILITIES, CLAIM, EVENTS, EXECUTE, INSTALL, ROLLBACK, SKILLS, TABLE, TOKENS},
};
use axum::{
    Router,
    extract::{Path, rejection::PathRejection},
    http::{Method, Uri},
    routing::MethodRouter,
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
    /// To have a session of the dashboard, as whoever.
    Visitor,
    /// To have a session of the dashboard, and to be allowed this.
    Session(&'static str, &'static str),
}

/// All routes in the order in which they are looked through: the interface for programs, then the pages for people.
fn all() -> impl Iterator<Item = &'static Route> {
    TABLES.iter().copied().flatten()
}

/// The tables, in the order in which they are looked through.
static TABLES: [&[Route]; 4] = [&TABLE, &CAPABILITIES, &SKILLS, &PAGES];

/// How many routes there are.
pub(crate) const COUNT: usize = TABLE.len() + CAPABILITIES.len() + SKILLS.len() + PAGES.len();

/// Every operation: method, path with names in braces for what varies, and what it asks of its caller. A method HEAD is like GET.
pub fn operations() -> impl Iterator<Item = (&'static Method, &'static str, Need)> {
    all().flat_map(|route| {
        let operations = route.operations.iter();
        operations.map(|operation| (&operation.method, route.template, operation.need))
    })
}

/// A route of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RouteId(usize);

impl RouteId {
    /// Its place among all, below [`COUNT`].
    pub(crate) fn index(self) -> usize {
        self.0
    }

    fn route(self) -> &'static Route {
        let mut place = self.0;
        let mut tables = TABLES.iter();
        loop {
            // What `find` gave is in one of them.
            let table = tables.next().unwrap_or(&TABLES[0]);
            match table.get(place) {
                Some(route) => return route,
                None => place -= table.len(),
            }
        }
    }
}

/// The route that a path leads to.
pub(crate) fn find(path: &str) -> Option<RouteId> {
    all().position(|route| matches(route.template, path)).map(RouteId)
}

/// The template of a route.
pub(crate) fn template(route: RouteId) -> &'static str {
    route.route().template
}

/// The methods that a route answers to, as the `Allow` header lists them.
pub(crate) fn allow(route: RouteId) -> &'static str {
    static LISTS: LazyLock<Vec<String>> = LazyLock::new(|| all().map(allowed).collect());
    &LISTS[route.0]
}

/// The methods of a route in their order; one that reads answers to HEAD too.
fn allowed(route: &Route) -> String {
    let mut methods: Vec<&str> = route.operations.iter().map(|one| one.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.sort_unstable();
    methods.join(", ")
}

/// What a route needs of those who call it by this method; nothing at all, where it does not answer to it.
pub(crate) fn need(route: RouteId, method: &Method) -> Option<Need> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let operations = route.route().operations;
    let operation = operations.iter().find(|operation| operation.method == *method);
    operation.map(|operation| operation.need)
}

/// How much longer than others a route may take to answer, because its caller may ask it to wait.
pub(crate) fn patience(route: Option<RouteId>, method: &Method) -> Duration {
    match route.map(template) {
        Some(CLAIM) => tasks::MAX_WAIT,
        Some(EVENTS) if method == Method::GET => events::MAX_WAIT,
        Some(EXECUTE | ROLLBACK) => MAX_EXECUTION,
        Some(CALL) => skills::MAX_CALL + CALL_GRACE,
        // A bundle is fetched, unpacked and verified.
        Some(INSTALL) if method == Method::POST => skills::MAX_CALL,
        _ => Duration::ZERO,
    }
}

/// What an execution may take, its outcome included.
const MAX_EXECUTION: Duration =
    brain_swarm::governance::capability::MAX_TIME_LIMIT.saturating_add(Duration::from_secs(10));

/// What a call of a skill may take beyond its own limit: its processes are ended.
const CALL_GRACE: Duration = Duration::from_secs(5);

/// The longest of them.
pub(crate) const MAX_PATIENCE: Duration = longest(
    longest(tasks::MAX_WAIT, events::MAX_WAIT),
    longest(MAX_EXECUTION, skills::MAX_CALL.saturating_add(CALL_GRACE)),
);

const fn longest(one: Duration, other: Duration) -> Duration {
    if one.as_millis() > other.as_millis() {
        one
    } else {
        other
    }
}

/// Whether the answer of an operation holds a secret, so that it is shown once and kept nowhere.
pub(crate) fn answers_with_a_secret(route: RouteId, method: &Method) -> bool {
    template(route) == TOKENS && method == Method::POST
}

/// All routes as axum serves them.
pub(crate) fn router(app: Arc<App>) -> Router {
    let routes = all().fold(Router::new(), |router, route| {
        router.route(route.template, (route.handlers)())
    });
    routes.with_state(app)
}

/// The one thing that varies in a path.
pub(crate) type Segment = Result<Path<String>, PathRejection>;

/// Reads what varies in a path as what the route calls it.
pub(crate) fn segment<T>(name: &'static str, segment: Segment) -> Result<T, Problem>
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
        None => default_swarm(app),
    }
}

/// The swarm of what names none.
pub(crate) fn default_swarm(app: &App) -> Result<SwarmId, Problem> {
    let swarm = app.services.defaults.swarm_id.clone();
    swarm.ok_or_else(|| invalid("swarmId", "it is missing and there is no default"))
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
pub(crate) fn default_run(app: &App) -> Result<RunId, Problem> {
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
        for route in all() {
            let path = route.template.replace(['{', '}'], "");
            assert_eq!(find(&path).map(template), Some(route.template));
        }
    }

    #[test]
    fn only_those_who_ask_to_wait_may_take_longer() {
        let patient = |method| -> Vec<&str> {
            let routes = all().map(|route| route.template);
            routes.filter(|path| !patience(find(path), &method).is_zero()).collect()
        };
        assert_eq!(patient(Method::GET), [EVENTS, CLAIM, EXECUTE, ROLLBACK, CALL]);
        assert_eq!(patient(Method::POST), [CLAIM, EXECUTE, ROLLBACK, CALL, INSTALL]);
    }

    #[test]
    fn methods_are_listed_in_their_order_with_head() {
        let listed = |path| allow(find(path).unwrap());
        assert_eq!(listed("/api/swarm/events"), "GET, HEAD, POST");
        assert_eq!(listed("/api/swarm/schedules/x"), "DELETE, GET, HEAD, PUT");
        assert_eq!(listed("/api/swarm/tasks/claim"), "POST");
        let events = find("/api/swarm/events").unwrap();
        assert_eq!(need(events, &Method::POST), Some(Need::Scope("events", "write")));
        assert_eq!(need(events, &Method::HEAD), Some(Need::Scope("events", "read")));
        assert_eq!(need(events, &Method::PUT), None);
    }
}
