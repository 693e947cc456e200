//! Tests of the rules of admission, by the head of a request alone.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

const EVENTS: &str = "/api/swarm/events";

fn admission(token: Option<&str>) -> Admission {
    let mut config = brain_config::Config::defaults().server;
    config.allowed_origins = vec!["http://localhost:5173".to_owned()];
    config.admin_token = token.map(Into::into);
    Admission::new(&config)
}

fn admit(
    admission: &Admission,
    method: Method,
    target: &str,
    headers: &[(&'static str, &str)],
) -> Result<Admitted, Problem> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).unwrap();
    admission.admit(&Head::from(&request), routes::find(request.uri().path()))
}

fn kind(method: Method, target: &str, headers: &[(&'static str, &str)]) -> Option<Kind> {
    admit(&admission(None), method, target, headers)
        .err()
        .map(|problem| problem.kind())
}

const HERE: (&str, &str) = ("host", "127.0.0.1:8787");

#[test]
fn sizes_are_bounded() {
    let long = format!("/healthz?{}", "x".repeat(MAX_URI_BYTES));
    assert_eq!(kind(Method::GET, &long, &[HERE]), Some(Kind::UriTooLong));
    let large = "x".repeat(MAX_HEADER_BYTES);
    assert_eq!(
        kind(Method::GET, "/healthz", &[HERE, ("x-large", &large)]),
        Some(Kind::HeadersTooLarge)
    );
    let many: Vec<(&str, &str)> = std::iter::once(HERE)
        .chain((0..MAX_HEADERS).map(|_| ("x-many", "1")))
        .collect();
    assert_eq!(kind(Method::GET, "/healthz", &many), Some(Kind::HeadersTooLarge));
    assert_eq!(kind(Method::GET, "/healthz", &many[..MAX_HEADERS]), None);
}

#[test]
fn a_name_of_another_machine_is_refused_in_any_place() {
    assert_eq!(kind(Method::GET, "/healthz", &[]), Some(Kind::MalformedRequest));
    assert_eq!(
        kind(Method::GET, "/healthz", &[HERE, HERE]),
        Some(Kind::MalformedRequest)
    );
    assert_eq!(
        kind(Method::GET, "/healthz", &[("host", "evil.example")]),
        Some(Kind::ForbiddenHost)
    );
    assert_eq!(
        kind(Method::GET, "http://evil.example/healthz", &[HERE]),
        Some(Kind::ForbiddenHost)
    );
    assert_eq!(
        kind(Method::GET, "http://localhost/healthz", &[("host", "evil.example")]),
        Some(Kind::ForbiddenHost)
    );
    assert_eq!(kind(Method::GET, "http://localhost/healthz", &[]), None);
    let with_token = admission(Some("right-token"));
    assert!(admit(&with_token, Method::GET, "/healthz", &[("host", "brain.example")]).is_ok());
}

#[test]
fn pages_of_foreign_origins_change_nothing() {
    let foreign = ("origin", "http://evil.example");
    assert_eq!(
        kind(Method::POST, EVENTS, &[HERE, foreign]),
        Some(Kind::ForbiddenOrigin)
    );
    assert_eq!(
        kind(Method::POST, EVENTS, &[HERE, ("origin", "null")]),
        Some(Kind::ForbiddenOrigin)
    );
    assert_eq!(
        kind(Method::GET, EVENTS, &[HERE, foreign]),
        None,
        "the browser does not let the page read it"
    );
    assert_eq!(
        kind(Method::POST, EVENTS, &[HERE, ("origin", "http://localhost:5173")]),
        None
    );
    assert_eq!(
        kind(Method::POST, EVENTS, &[HERE, ("origin", "http://127.0.0.1:8787")]),
        None,
        "a page of this server"
    );
    assert_eq!(
        kind(Method::POST, EVENTS, &[HERE, ("origin", "http://127.0.0.1:8788")]),
        Some(Kind::ForbiddenOrigin)
    );
}

#[test]
fn a_preflight_is_answered_for_allowed_origins_alone() {
    let asks = ("access-control-request-method", "POST");
    let allowed = admit(
        &admission(None),
        Method::OPTIONS,
        EVENTS,
        &[HERE, ("origin", "http://localhost:5173"), asks],
    );
    let Ok(Admitted::Answered(response)) = allowed else {
        panic!("{allowed:?}")
    };
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        response.headers()[header::ACCESS_CONTROL_ALLOW_METHODS],
        routes::allow(routes::find(EVENTS).unwrap())
    );
    assert_eq!(
        kind(
            Method::OPTIONS,
            EVENTS,
            &[HERE, ("origin", "http://evil.example"), asks]
        ),
        Some(Kind::ForbiddenOrigin)
    );
    assert_eq!(kind(Method::OPTIONS, EVENTS, &[HERE]), Some(Kind::MethodNotAllowed));
}

#[test]
fn a_route_says_what_it_needs() {
    let need = |method| match admit(&admission(None), method, EVENTS, &[HERE]) {
        Ok(Admitted::ToRoute(need)) => need,
        other => panic!("{other:?}"),
    };
    assert_eq!(need(Method::POST), Need::Scope("events", "write"));
    assert_eq!(need(Method::HEAD), Need::Scope("events", "read"));
}

#[test]
fn paths_are_taken_as_they_are() {
    for path in [
        "/",
        "/healthz/",
        "//healthz",
        "/./healthz",
        "/x/../healthz",
        "/%68ealthz",
        "/HEALTHZ",
        "/api/swarm/tasks/",
        "/api/swarm/tasks/a/b",
    ] {
        assert_eq!(kind(Method::GET, path, &[HERE]), Some(Kind::NotFound), "{path}");
    }
    assert_eq!(kind(Method::DELETE, "/healthz", &[HERE]), Some(Kind::MethodNotAllowed));
}
