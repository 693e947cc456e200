//! The OpenAPI document and its page, as clients and browsers get them, and what the document says against what the server does.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::brain::Brain;

/// What keeps the parameters of the document from drifting away from those that the handlers read.
#[tokio::test]
async fn the_document_names_the_query_parameters_that_each_route_knows() {
    let brain = Brain::start().await;
    let document: Value = brain.get("/openapi.json").send().await.unwrap().json().await.unwrap();
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
            let mut url = path.clone();
            let mut named = Vec::new();
            for parameter in parameters {
                let name = parameter["name"].as_str().unwrap();
                match parameter["in"].as_str().unwrap() {
                    "path" => url = url.replace(&format!("{{{name}}}"), parameter["example"].as_str().unwrap()),
                    "query" => named.push(name),
                    _ => {}
                }
            }
            let method: Method = method.to_ascii_uppercase().parse().unwrap();
            let request = brain
                .client
                .request(method.clone(), brain.url(&format!("{url}?nobody-knows=1")));
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{method} {path}");
            let problem: Value = answer.json().await.unwrap();
            let detail = problem["detail"].as_str().unwrap();
            let mut known: Vec<&str> = match detail.split_once("it knows ") {
                Some((_, known)) => known.split(", ").collect(),
                None => {
                    assert!(detail.ends_with("it takes none"), "{method} {path}: {detail}");
                    Vec::new()
                }
            };
            known.sort_unstable();
            named.sort_unstable();
            assert_eq!(named, known, "{method} {path}");
            asked += 1;
        }
    }
    assert!(asked > 50, "{asked}");
}

#[tokio::test]
async fn the_document_is_sent_once_to_whoever_keeps_it() {
    let brain = Brain::start().await;
    let first = brain.get("/openapi.json").send().await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(first.headers()["content-type"], "application/json");
    assert_eq!(first.headers()["cache-control"], "no-store");
    let etag = first.headers()["etag"].clone();
    let document: Value = first.json().await.unwrap();
    assert_eq!(document["openapi"], "3.1.0");

    let again = brain.get("/openapi.json").header("if-none-match", &etag);
    let again = again.send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(again.headers()["etag"], etag);
    assert_eq!(again.headers()["x-content-type-options"], "nosniff");
    assert!(again.bytes().await.unwrap().is_empty());

    let other = brain.get("/openapi.json").header("if-none-match", "\"other\"");
    assert_eq!(other.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let brain = Brain::start().await;
    let answer = brain.get("/docs").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let page = answer.text().await.unwrap();
    for foreign in [
        "<script",
        "src=",
        "href=\"http",
        "@import",
        "url(",
        " style=",
        " onclick",
    ] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for wanted in [
        "id=\"claimTasks\"",
        "/api/swarm/tasks/{taskId}/complete",
        "id=\"schema-Task\"",
        "prefers-color-scheme:dark",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
    // Every link on the page leads to a place on it, or to the document.
    for link in page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        let place = link.strip_prefix('#').map(|anchor| format!("id=\"{anchor}\""));
        assert!(
            link == "/openapi.json" || place.is_some_and(|place| page.contains(&place)),
            "{link}"
        );
    }
}

/// Both are public: whoever writes a client needs them before there is a token.
#[tokio::test]
async fn both_are_there_without_a_credential() {
    let mut setup = crate::brain::Setup::new().await;
    setup.config.server.admin_token = Some("right-token-of-this-test".into());
    let brain = setup.start();
    for path in ["/openapi.json", "/docs"] {
        assert_eq!(brain.get(path).send().await.unwrap().status(), StatusCode::OK, "{path}");
    }
    assert_eq!(
        brain.get("/api/status").send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
}

/// What schemathesis found to be taken although the document forbids it.
#[tokio::test]
async fn what_the_document_forbids_is_refused() {
    let brain = Brain::start().await;
    brain.call("agents", json!({ "agentId": "a" })).await;
    let cases = [
        (
            "agents/a/heartbeat",
            json!({ "tasks": [{ "taskId": "t", "fencingToken": -1 }] }),
        ),
        (
            "tasks/finish",
            json!({ "agentId": "a", "results": [{ "taskId": "t", "fencingToken": 1, "error": "e", "retryAfterMs": 2_592_000_001_u64 }] }),
        ),
        (
            "tasks/finish",
            json!({ "agentId": "a", "results": [{ "taskId": "t", "fencingToken": 1, "error": "e".repeat(8193) }] }),
        ),
    ];
    for (path, body) in cases {
        let request = brain.post(&format!("/api/swarm/{path}")).json(&body);
        assert_eq!(request.send().await.unwrap().status(), 422, "{path}");
    }
    let schedule = json!({ "cron": "@daily", "task": { "runbookId": null } });
    let put = brain.client.put(brain.url("/api/swarm/schedules/s")).json(&schedule);
    assert_eq!(put.send().await.unwrap().status(), 422);
    let follow = brain
        .get("/api/swarm/events/stream?after=AAA")
        .header("last-event-id", "0");
    assert_eq!(follow.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
}
