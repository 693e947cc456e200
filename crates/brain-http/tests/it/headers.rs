//! Request and trace ids, Host, origin and token.

use reqwest::RequestBuilder;

use crate::{
    brain::{Brain, Setup},
    raw::Raw,
    shown::{brief, check, whole},
};

const EVENTS: &str = "/api/swarm/events";
const EVENT: &str = r#"{"type": "build.finished", "actorId": "a"}"#;

async fn header(request: RequestBuilder, name: &str) -> String {
    let response = request.send().await.unwrap();
    response.headers()[name].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn ids_are_taken_from_the_caller_or_made() {
    let brain = Brain::start().await;
    let healthz = || brain.get("/healthz");
    assert_eq!(
        header(healthz().header("x-request-id", "my-id/1"), "x-request-id").await,
        "my-id/1"
    );
    for unfit in ["two words", &"x".repeat(129), ""] {
        assert_eq!(
            header(healthz().header("x-request-id", unfit), "x-request-id")
                .await
                .len(),
            36,
            "{unfit}"
        );
    }
    assert_ne!(
        header(healthz(), "x-request-id").await,
        header(healthz(), "x-request-id").await
    );

    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    assert_eq!(
        header(healthz().header("traceparent", traceparent), "x-trace-id").await,
        trace
    );
    assert_ne!(
        header(healthz(), "x-trace-id").await,
        header(healthz(), "x-trace-id").await
    );
}

#[tokio::test]
async fn a_name_of_another_machine_is_refused() {
    let brain = Brain::start().await;
    let rebound = brain
        .get(EVENTS)
        .header("host", "attacker.example")
        .header("x-request-id", "r-1");
    check("forbidden_host", &whole(rebound.send().await.unwrap()).await);
    for host in ["localhost", "LOCALHOST:8787", "127.0.0.1:1", "[::1]:8787"] {
        assert_eq!(
            brain
                .get("/healthz")
                .header("host", host)
                .send()
                .await
                .unwrap()
                .status(),
            200,
            "{host}"
        );
    }
    let mut raw = Raw::connect(brain.address).await;
    raw.send("GET http://attacker.example/healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert!(
        raw.answer().await.starts_with("HTTP/1.1 403 "),
        "the target counts, not only the header"
    );
    raw.send("GET /healthz HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(
        raw.answer().await.starts_with("HTTP/1.1 400 "),
        "HTTP/1.1 without a Host"
    );
    raw.send("GET /healthz HTTP/1.0\r\n\r\n").await.unwrap();
    assert!(raw.answer().await.starts_with("HTTP/1.0 200 "), "HTTP/1.0 has none");
}

#[tokio::test]
async fn pages_may_call_from_allowed_origins_alone() {
    let mut setup = Setup::new().await;
    setup.config.server.allowed_origins = vec!["http://localhost:5173".to_owned()];
    let brain = setup.start();
    let preflight = |origin: &'static str| {
        let request = brain
            .client
            .request(reqwest::Method::OPTIONS, brain.url(EVENTS))
            .header("origin", origin);
        request
            .header("access-control-request-method", "POST")
            .header("x-request-id", "r-1")
            .send()
    };
    check(
        "preflight_allowed",
        &whole(preflight("http://localhost:5173").await.unwrap()).await,
    );
    check(
        "preflight_foreign",
        &whole(preflight("http://attacker.example").await.unwrap()).await,
    );

    let allowed = brain
        .post(EVENTS)
        .header("origin", "http://localhost:5173")
        .body(EVENT)
        .send()
        .await
        .unwrap();
    assert_eq!(allowed.status(), 201);
    assert_eq!(
        allowed.headers()["access-control-allow-origin"],
        "http://localhost:5173"
    );
    assert_eq!(allowed.headers()["vary"], "origin");
    // A form or a text/plain request is sent without a preflight.
    let foreign = brain
        .post(EVENTS)
        .header("origin", "http://attacker.example")
        .header("x-request-id", "r-1")
        .body(EVENT);
    check(
        "change_from_a_foreign_origin",
        &brief(foreign.send().await.unwrap()).await,
    );
    let read = brain
        .get("/healthz")
        .header("origin", "http://attacker.example")
        .send()
        .await
        .unwrap();
    assert!(
        !read.headers().contains_key("access-control-allow-origin"),
        "the browser keeps it from the page"
    );
    assert_eq!(brain.stored("build.finished").await, 1);
}

#[tokio::test]
async fn every_request_needs_the_token_where_one_is_set() {
    let mut setup = Setup::new().await;
    setup.config.server.admin_token = Some("a-long-enough-token".into());
    let brain = setup.start();
    let publish = || brain.post(EVENTS).header("x-request-id", "r-1").body(EVENT);
    check("token_missing", &whole(publish().send().await.unwrap()).await);
    check(
        "token_wrong",
        &brief(
            publish()
                .header("x-studio-brain-admin-token", "a-long-enough-tokem")
                .send()
                .await
                .unwrap(),
        )
        .await,
    );
    let changes = [
        brain.post("/api/swarm/agents/a/heartbeat"),
        brain.post("/api/swarm/dead-letters/00000000-0000-0000-0000-000000000000/replay"),
        brain.delete("/api/swarm/dead-letters/00000000-0000-0000-0000-000000000000"),
    ];
    for change in changes {
        assert_eq!(change.send().await.unwrap().status(), 401);
    }
    assert_eq!(brain.stored("build.finished").await, 0);
    let own = publish().header("x-studio-brain-admin-token", "a-long-enough-token");
    assert_eq!(own.send().await.unwrap().status(), 201);
    assert_eq!(
        publish()
            .bearer_auth("a-long-enough-token")
            .send()
            .await
            .unwrap()
            .status(),
        201
    );
    assert_eq!(brain.get(EVENTS).send().await.unwrap().status(), 401, "a reader too");
    let read = brain.get(EVENTS).header("host", "brain.example");
    let read = read.bearer_auth("a-long-enough-token").send().await.unwrap();
    assert_eq!(read.status(), 200, "any Host");
    assert_eq!(
        brain.get("/healthz").send().await.unwrap().status(),
        200,
        "probes have no token"
    );
}
