//! What holds for every answer: security headers, ids, problem documents, HEAD.

use reqwest::{Method, Response};

use crate::{
    brain::Brain,
    raw::Raw,
    shown::{check, whole},
};

const GETS: [&str; 14] = [
    "/healthz",
    "/readyz",
    "/health/dependencies",
    "/api/status",
    "/metrics",
    "/api/metrics",
    "/api/swarm/events",
    "/api/swarm/tasks",
    "/api/swarm/agents",
    "/api/swarm/runs",
    "/api/swarm/budgets",
    "/api/swarm/dead-letters",
    "/api/swarm/schedules",
    "/api/swarm/schemas",
];

fn must_be_protected(response: &Response) {
    let headers = response.headers();
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    assert_eq!(header("x-content-type-options"), "nosniff", "{response:?}");
    assert_eq!(header("x-frame-options"), "DENY", "{response:?}");
    assert_eq!(header("cache-control"), "no-store", "{response:?}");
    assert_eq!(header("x-request-id").len(), 36, "{response:?}");
    assert_eq!(header("x-trace-id").len(), 32, "{response:?}");
}

#[tokio::test]
async fn is_protected_and_a_problem_where_it_is_no_success() {
    let brain = Brain::start().await;
    let unknown = "/api/swarm/tasks/unknown";
    let missing = [
        "/api/swarm/tasks/claim",
        "/api/swarm/tasks/finish",
        "/api/swarm/tasks/unknown/complete",
        "/api/swarm/tasks/unknown/cancel",
        "/api/swarm/agents/unknown/heartbeat",
        "/api/swarm/agents/unknown/messages",
        "/api/swarm/runs/unknown",
        "/api/swarm/runs/unknown/cancel",
        "/api/swarm/budgets/unknown",
        "/api/swarm/budgets/unknown/stop",
        "/",
        "/healthz/",
        "//healthz",
        "/api/swarm/tasks/",
        "/api/../healthz",
        "/%2e%2e/etc/passwd",
        unknown,
    ];
    for path in GETS.into_iter().chain(missing) {
        for method in [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::OPTIONS,
            Method::TRACE,
        ] {
            let response = brain
                .client
                .request(method.clone(), brain.url(path))
                .send()
                .await
                .unwrap();
            must_be_protected(&response);
            let problem = response
                .headers()
                .get("content-type")
                .is_some_and(|kind| kind == "application/problem+json");
            assert_eq!(
                problem,
                !response.status().is_success(),
                "{method} {path}: {response:?}"
            );
        }
    }
    check(
        "not_found",
        &whole(
            brain
                .get("/no/such/path")
                .header("x-request-id", "r-1")
                .send()
                .await
                .unwrap(),
        )
        .await,
    );
    let put = brain
        .client
        .put(brain.url("/api/swarm/events"))
        .header("x-request-id", "r-1");
    check("method_not_allowed", &whole(put.send().await.unwrap()).await);
}

/// What a client must be able to rely on even when the request never became one.
#[tokio::test]
async fn is_protected_even_when_the_request_cannot_be_read() {
    let brain = Brain::start().await;
    let long = "x".repeat(70_000);
    let cases = [
        ("not_http", "nonsense\r\n\r\n".to_owned()),
        (
            "two_lengths",
            "GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".to_owned(),
        ),
        (
            "header_injection",
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-a: b\rx-c: d\r\n\r\n".to_owned(),
        ),
        ("uri_of_64k", format!("GET /{long} HTTP/1.1\r\nhost: localhost\r\n\r\n")),
        (
            "header_of_64k",
            format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-long: {long}\r\n\r\n"),
        ),
        (
            "101_headers",
            format!(
                "GET /healthz HTTP/1.1\r\nhost: localhost\r\n{}\r\n",
                "x-many: 1\r\n".repeat(101)
            ),
        ),
        (
            "after_a_good_one",
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\nnonsense\r\n\r\n".to_owned(),
        ),
    ];
    for (name, bytes) in cases {
        let mut raw = Raw::connect(brain.address).await;
        // The server may close before it has read everything.
        let _ = raw.send(bytes).await;
        let mut answer = raw.answer().await;
        if name == "after_a_good_one" {
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            answer = raw.answer().await;
        }
        for header in [
            "x-content-type-options: nosniff",
            "x-frame-options: DENY",
            "cache-control: no-store",
            "x-request-id: ",
            "x-trace-id: ",
        ] {
            assert!(answer.contains(header), "{name}: {answer}");
        }
        assert!(answer.contains("application/problem+json"), "{name}: {answer}");
        let status = answer.lines().next().unwrap().to_owned();
        let detail = answer.lines().last().unwrap().to_owned();
        check(&format!("unreadable_{name}"), &format!("{status}\n{detail}"));
    }
}

#[tokio::test]
async fn to_head_is_the_head_of_the_answer_to_get() {
    let brain = Brain::start().await;
    for path in GETS.into_iter().chain(["/api/swarm/tasks/unknown"]) {
        let get = brain.get(path).send().await.unwrap();
        let head = brain.client.head(brain.url(path)).send().await.unwrap();
        assert_eq!(head.status(), get.status(), "{path}");
        assert_eq!(head.headers()["content-type"], get.headers()["content-type"], "{path}");
        assert!(head.headers().contains_key("content-length"), "{path}");
        assert_eq!(head.bytes().await.unwrap().len(), 0, "{path}");
    }
    // On one connection, so that a body too much would be taken for the next answer.
    let mut raw = Raw::connect(brain.address).await;
    raw.send("HEAD /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let head = raw.until(|bytes| bytes.ends_with(b"\r\n\r\n")).await;
    assert!(head.starts_with(b"HTTP/1.1 404 "));
    raw.get("/healthz").await;
    assert!(raw.answer().await.starts_with("HTTP/1.1 200 "));
}
