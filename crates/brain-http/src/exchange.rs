//! One request and its answer: identity, time limit, headers, log line, metrics.
//!
//! Invariants: every request is answered, also when its handler panics or hangs; every answer carries the same security
//! headers and the ids under which the log knows the request; every request gives exactly one log line, also when its
//! caller went away.

mod record;
mod streaming;

use std::{
    any::Any,
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, response::Parts},
    response::IntoResponse as _,
};
use futures_util::FutureExt as _;
use hyper::body::{Body as _, Incoming};
use tower::Service as _;

pub(crate) use self::streaming::Streaming;
use self::{record::Record, streaming::Held};
use crate::{
    access::Caller,
    admission::{self, Admitted, Head},
    app::App,
    connection::Peer,
    dashboard::{Asked, Visitor},
    idempotency::{self, Key},
    identity::Identities,
    problem::{Kind, Problem},
    reply,
    routes::{self, Need, RouteId},
    trace::Trace,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
/// The longest request id that a caller may choose, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// The headers of every answer, whoever makes it.
const SECURITY: [(HeaderName, HeaderValue); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Answers requests.
pub(crate) struct Exchange {
    app: Arc<App>,
    router: Router,
}

impl Exchange {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self {
            router: routes::router(Arc::clone(&app)),
            app,
        }
    }

    pub(crate) fn app(&self) -> &App {
        &self.app
    }

    /// Answers one request of a connection.
    pub(crate) async fn answer(&self, peer: &Arc<Peer>, mut request: Request<Incoming>) -> Response<Body> {
        let app = &self.app;
        let request_id = request_id(request.headers(), &app.identities);
        let trace = Trace::of(request.headers(), &app.identities, &app.services.tracer);
        let route = routes::find(request.uri().path());
        let readable_by = app.admission.readable_by(request.headers());
        let has_body = !request.body().is_end_stream();
        let known: Vec<HeaderValue> = match *request.method() {
            Method::GET | Method::HEAD => request
                .headers()
                .get_all(header::IF_NONE_MATCH)
                .iter()
                .cloned()
                .collect(),
            _ => Vec::new(),
        };
        let page = Asked::of(&request);
        let mut record = Record::begin(app, peer, &request, request_id, trace, route);

        let response = match app.admission.admit(&Head::from(&request), route) {
            Ok(Admitted::ToRoute(need)) => match self.let_in(&mut request, need, &mut record).await {
                Ok(caller) => {
                    let request = request.map(Body::new);
                    let handling = self.handling(route, request.method(), trace, has_body);
                    match self.key(route, &request, caller) {
                        Ok(None) => handling.answer(request).await,
                        Ok(Some(keyed)) => self.once(keyed, record.request_id().clone(), request, handling).await,
                        Err(problem) => problem.into_response(),
                    }
                }
                Err(problem) => problem.into_response(),
            },
            Ok(Admitted::Answered(response)) => response,
            Err(problem) => problem.into_response(),
        };

        let (mut parts, mut body) = response.into_parts();
        if let Some(problem) = parts.extensions.remove::<Problem>() {
            record.caused(&problem);
            body = match &page {
                Some(page) => page.refused(&problem, record.request_id(), &mut parts),
                None => document(&problem, record.request_id(), &mut parts),
            };
        }
        if parts.status == StatusCode::OK && reply::is_known(&known, &parts.headers) {
            parts.status = StatusCode::NOT_MODIFIED;
            parts.headers.remove(header::CONTENT_TYPE);
            parts.headers.remove(header::CONTENT_LENGTH);
            body = Body::empty();
        }
        let streams = parts.extensions.remove::<Streaming>().is_some();
        if record.method() == Method::HEAD {
            body = without_content(body, &mut parts.headers);
        } else if streams {
            body = Held::body(body, peer);
        }
        identify(&mut parts.headers, record.request_id().clone(), trace);
        if let Some(origin) = readable_by {
            admission::expose(&mut parts.headers, origin);
        }
        // The caller may be sending still what nobody is going to read.
        if has_body && !parts.status.is_success() {
            peer.lingers();
        }
        record.answered(parts.status);
        Response::from_parts(parts, body)
    }

    /// Finds out who calls, and whether that is allowed.
    async fn let_in(
        &self,
        request: &mut Request<Incoming>,
        need: Need,
        record: &mut Record<'_>,
    ) -> Result<Option<Caller>, Problem> {
        let (caller, visitor) = match need {
            Need::Nothing => return Ok(None),
            Need::Caller | Need::Scope(..) => (Caller(self.app.gate.authenticate(request.headers()).await?), None),
            Need::Visitor | Need::Session(..) => {
                let visitor = Visitor::of(&self.app, request.headers()).await?;
                (visitor.caller().clone(), Some(visitor))
            }
        };
        // The log says who it was also of what is refused next.
        record.by(caller.clone());
        self.app.usage.request(&caller, Instant::now())?;
        if let Need::Scope(resource, action) | Need::Session(resource, action) = need {
            caller.must(resource, action)?;
        }
        request.extensions_mut().insert(caller.clone());
        // What a form asks for has no idempotency key: a browser sends none.
        let keeps_answers = visitor.is_none();
        if let Some(visitor) = visitor {
            request.extensions_mut().insert(visitor);
        }
        Ok(keeps_answers.then_some(caller))
    }

    /// The idempotency key of a request, with who sends it.
    fn key(
        &self,
        route: Option<RouteId>,
        request: &Request<Body>,
        caller: Option<Caller>,
    ) -> Result<Option<(Key, Caller)>, Problem> {
        let key = idempotency::key_of(request.method(), request.headers())?;
        let (Some(key), Some(caller)) = (key, caller) else {
            return Ok(None);
        };
        if route.is_some_and(|route| routes::answers_with_a_secret(route, request.method())) {
            let detail = "parameter Idempotency-Key: this route takes none, because its answer holds a secret that is kept nowhere";
            return Err(Problem::new(Kind::InvalidParameter, detail));
        }
        Ok(Some((key, caller)))
    }

    /// Answers a request with a key. The work goes on when its caller hangs up, and when the caller's time is over: its answer is
    /// kept, and whoever sends the request again gets that one.
    async fn once(
        &self,
        (key, caller): (Key, Caller),
        request_id: HeaderValue,
        request: Request<Body>,
        handling: Handling,
    ) -> Response<Body> {
        let (app, limit) = (Arc::clone(&self.app), handling.limit);
        let answering = self.app.detached.spawn(async move {
            let by = (&caller, request_id.to_str().unwrap_or_default());
            idempotency::once(&app, by, key, request, |request| handling.work(request)).await
        });
        match tokio::time::timeout(limit, answering).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => Problem::internal(error).into_response(),
            Err(_) => late(limit).into_response(),
        }
    }

    fn handling(&self, route: Option<RouteId>, method: &Method, trace: Trace, has_body: bool) -> Handling {
        // Reading a body has its own limit, and so has waiting where the caller asks for it; the time for the answer comes on top.
        let body = if has_body {
            self.app.body_limits.time
        } else {
            Duration::ZERO
        };
        Handling {
            router: self.router.clone(),
            trace,
            limit: self.app.request_timeout + routes::patience(route, method) + body,
        }
    }

    /// The whole answer to what hyper refused by itself, in place of its own that has neither headers nor a body.
    pub(crate) fn refusal(&self, status: u16) -> Vec<u8> {
        let app = &self.app;
        let kind = Kind::of_refusal(status);
        let detail = match kind {
            Kind::UriTooLong => "the URL is too long",
            Kind::HeadersTooLarge => "there are too many header fields, or they are too large",
            _ => "this is not a request of HTTP/1.1 or HTTP/2",
        };
        let request_id = fresh_id(&app.identities);
        let trace = Trace::start(&app.identities);
        let problem = Problem::new(kind, detail);
        let mut response = Response::new(()).into_parts().0;
        let document = problem.document(request_id.to_str().unwrap_or_default());
        problem.headers(&mut response.headers);
        identify(&mut response.headers, request_id.clone(), trace);
        record::refused(app, &request_id, trace, kind.status());

        let mut bytes = format!(
            "HTTP/1.1 {} {}\r\nconnection: close\r\ncontent-length: {}\r\n",
            kind.status().as_u16(),
            kind.status().canonical_reason().unwrap_or_default(),
            document.len()
        )
        .into_bytes();
        for (name, value) in &response.headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&document);
        bytes
    }
}

/// How a request is to be handled.
struct Handling {
    router: Router,
    trace: Trace,
    limit: Duration,
}

impl Handling {
    /// Lets the handler answer, for a limited time.
    async fn answer(self, request: Request<Body>) -> Response<Body> {
        let limit = self.limit;
        match tokio::time::timeout(limit, self.work(request)).await {
            Ok(response) => response,
            Err(_) => late(limit).into_response(),
        }
    }

    /// Lets the handler answer, and catches it when it falls.
    async fn work(mut self, mut request: Request<Body>) -> Response<Body> {
        request.extensions_mut().insert(self.trace);
        match AssertUnwindSafe(self.router.call(request)).catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(panic) => {
                let problem = format!("the handler panicked: {}", panic_text(panic.as_ref()));
                Problem::internal(problem).into_response()
            }
        }
    }
}

fn late(limit: Duration) -> Problem {
    let ms = limit.as_millis();
    Problem::new(
        Kind::Timeout,
        format!("no answer within {ms} ms (STUDIO_BRAIN_HTTP_REQUEST_TIMEOUT_MS); what was asked for may still happen"),
    )
}

/// The id that the caller chose, if it is one, or a new one.
fn request_id(headers: &HeaderMap, identities: &Identities) -> HeaderValue {
    let given = headers.get(&REQUEST_ID).filter(|id| {
        !id.is_empty() && id.len() <= MAX_REQUEST_ID_BYTES && id.as_bytes().iter().all(u8::is_ascii_graphic)
    });
    given.cloned().unwrap_or_else(|| fresh_id(identities))
}

fn fresh_id(identities: &Identities) -> HeaderValue {
    let mut buffer = uuid::Uuid::encode_buffer();
    let text = identities.request_id().as_hyphenated().encode_lower(&mut buffer);
    // Digits and hyphens are a header value.
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unknown"))
}

/// The headers that every answer has.
fn identify(headers: &mut HeaderMap, request_id: HeaderValue, trace: Trace) {
    for (name, value) in SECURITY {
        headers.insert(name, value);
    }
    headers.insert(REQUEST_ID, request_id);
    if let Ok(id) = HeaderValue::from_str(trace.id().as_str()) {
        headers.insert(TRACE_ID, id);
    }
}

fn document(problem: &Problem, request_id: &HeaderValue, parts: &mut Parts) -> Body {
    let document = problem.document(request_id.to_str().unwrap_or_default());
    problem.headers(&mut parts.headers);
    // What axum counted was the empty body before.
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(document.len()));
    Body::from(document)
}

/// An answer to HEAD: the length of the body, and no body.
fn without_content(body: Body, headers: &mut HeaderMap) -> Body {
    if let Some(length) = body
        .size_hint()
        .exact()
        .filter(|_| !headers.contains_key(header::CONTENT_LENGTH))
    {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Body::empty()
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// hyper wants a result; there is always an answer.
pub(crate) type Answer = Result<Response<Body>, Infallible>;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn id(given: &[u8]) -> HeaderValue {
        let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_bytes(given).unwrap())]);
        request_id(&headers, &Identities::new())
    }

    #[test]
    fn a_callers_id_is_kept_if_it_can_go_into_a_log() {
        assert_eq!(id(b"my-id.1/2"), "my-id.1/2");
        let long = [b'x'; MAX_REQUEST_ID_BYTES + 1];
        assert_eq!(id(&long[1..]).as_bytes(), &long[1..]);
        for wrong in [b"".as_slice(), b"two words", b"tab\there", b"\xc3\xa4", &long] {
            assert_ne!(id(wrong).as_bytes(), wrong);
        }
    }
}
