//! What the log, the metrics and the trace say about a request: one line, one count and one span, however it ends.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use axum::http::{HeaderValue, Method, Request, StatusCode, Version, uri::PathAndQuery};
use brain_swarm::trace::{Kind, Span, Value};

use crate::{
    access::Caller,
    app::App,
    connection::Peer,
    metrics::{CLIENT_CLOSED, METHODS},
    problem::Problem,
    routes::{self, RouteId},
    trace::Trace,
};

/// Where the lines go; a subscriber can tell them by it.
const TARGET: &str = "brain_http::request";
/// The longest path in a log line, in characters.
const MAX_PATH_CHARS: usize = 256;

/// A request that is being answered. Dropped without an answer, it says that the caller went away.
pub(super) struct Record<'a> {
    app: &'a App,
    peer: &'a Arc<Peer>,
    request_id: HeaderValue,
    trace: Trace,
    method: Method,
    version: Version,
    path: Option<PathAndQuery>,
    route: Option<RouteId>,
    caller: Option<Caller>,
    begun: Instant,
    status: u16,
}

impl<'a> Record<'a> {
    pub(super) fn begin<B>(
        app: &'a App,
        peer: &'a Arc<Peer>,
        request: &Request<B>,
        request_id: HeaderValue,
        trace: Trace,
        route: Option<RouteId>,
    ) -> Self {
        peer.begin(request.version());
        app.metrics.in_flight.increment(1);
        Self {
            app,
            peer,
            request_id,
            trace,
            method: request.method().clone(),
            version: request.version(),
            path: request.uri().path_and_query().cloned(),
            route,
            caller: None,
            begun: Instant::now(),
            status: CLIENT_CLOSED,
        }
    }

    pub(super) fn request_id(&self) -> &HeaderValue {
        &self.request_id
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    /// It is known who calls.
    pub(super) fn by(&mut self, caller: Caller) {
        self.caller = Some(caller);
    }

    /// Counts a problem, and says what is behind it, where it is more than the caller's mistake.
    pub(super) fn caused(&self, problem: &Problem) {
        self.app.metrics.problem(problem.kind());
        let Some(cause) = problem.cause() else { return };
        let (request, trace) = (text(&self.request_id), self.trace.id());
        let kind = problem.kind();
        if kind.status() == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(
                request.id = request,
                trace.id = trace.as_str(),
                problem = kind.urn(),
                error = cause,
                "request failed"
            );
        } else {
            tracing::warn!(
                request.id = request,
                trace.id = trace.as_str(),
                problem = kind.urn(),
                error = cause,
                "request failed"
            );
        }
    }

    /// The span of the request. It ends when the answer begins, also where that goes on for long.
    fn span(&self, took: Duration) -> Span {
        // What a caller makes up must not become a name.
        let method = METHODS.iter().find(|known| **known == self.method.as_str());
        let route = self.route.map(routes::template);
        let name = match (method, route) {
            (Some(method), Some(route)) => format!("{method} {route}").into(),
            (Some(method), None) => (*method).into(),
            (None, _) => "HTTP".into(),
        };
        let mut attributes: Vec<(&'static str, Value)> = vec![
            ("http.request.method", method.map_or("_OTHER", |method| *method).into()),
            ("url.path", self.shown_path().to_owned().into()),
            ("url.scheme", "http".into()),
            (
                "network.protocol.version",
                if self.version == Version::HTTP_2 { "2" } else { "1.1" }.into(),
            ),
            ("studio_brain.request.id", text(&self.request_id).to_owned().into()),
        ];
        attributes.extend(route.map(|route| ("http.route", route.into())));
        let tenant = self.caller.as_ref().map(|caller| caller.tenant_id.to_string());
        attributes.extend(tenant.map(|tenant| ("studio_brain.tenant.id", tenant.into())));
        if self.status == CLIENT_CLOSED {
            attributes.push(("error.type", "client_closed".into()));
        } else {
            attributes.push(("http.response.status_code", i64::from(self.status).into()));
        }
        if self.status >= 500 {
            attributes.push(("error.type", self.status.to_string().into()));
        }
        let ended = SystemTime::now();
        Span {
            name,
            kind: Kind::Server,
            place: self.trace.here(),
            parent: self.trace.parent(),
            started: ended - took,
            ended,
            attributes,
            failed: self.status >= 500,
        }
    }

    fn shown_path(&self) -> &str {
        self.path.as_ref().map_or("", |path| shown(path.path()))
    }

    /// The answer is ready.
    pub(super) fn answered(mut self, status: StatusCode) {
        self.status = status.as_u16();
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        self.peer.end();
        self.app.metrics.in_flight.decrement(1);
        self.app
            .metrics
            .request(self.route, Some(&self.method), self.status, took);
        self.app.services.tracer.tell(self.trace.here(), || self.span(took));
        tracing::info!(
            target: TARGET,
            {
                request.id = text(&self.request_id),
                trace.id = self.trace.id().as_str(),
                method = self.method.as_str(),
                path = self.shown_path(),
                principal.id = self.caller.as_ref().map(|caller| &*caller.id),
                tenant.id = self.caller.as_ref().map(|caller| caller.tenant_id.as_str()),
                status = self.status,
                duration_ms = took.as_micros() as f64 / 1000.0,
            },
            "request answered"
        );
    }
}

/// The line of a request that hyper could not read.
pub(super) fn refused(app: &App, request_id: &HeaderValue, trace: Trace, status: StatusCode) {
    app.metrics.request(None, None, status.as_u16(), Duration::ZERO);
    tracing::info!(
        target: TARGET,
        {
            request.id = text(request_id),
            trace.id = trace.id().as_str(),
            method = "",
            path = "",
            status = status.as_u16(),
            duration_ms = 0.0,
        },
        "request answered"
    );
}

fn text(id: &HeaderValue) -> &str {
    id.to_str().unwrap_or_default()
}

/// The path without the query, which may hold what does not belong in a log, and not at any length.
fn shown(path: &str) -> &str {
    path.char_indices()
        .nth(MAX_PATH_CHARS)
        .map_or(path, |(end, _)| &path[..end])
}
