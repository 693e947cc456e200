//! Every operation of the route table with every kind of credential: the documented answer.
//!
//! The table itself gives the operations, so that none is forgotten: one that is new and has no case here fails the test.

mod governed;

use brain_http::access::{Need, Role, operations, tokens};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use self::governed::{Governed, capabilities};
use crate::{
    access::{give, guarded, scopes, wish},
    brain::Brain,
    dashboard::Browser,
    dead_letters, governance,
};

const SWARM: &str = "swarmId=s";
/// What people look at is asked for with a session instead.
const PAGES: &str = "/dashboard";
/// What stands for an id in a path that leads to something of the other tenant, and to nothing.
const UNKNOWN: &str = "0000000000000000";
const NO_LETTER: &str = "00000000-0000-7000-8000-000000000000";

/// How an operation is called so that only its caller can be what is wrong: the query, and a body where it takes one.
pub(crate) fn case(method: &Method, path: &str) -> Option<(&'static str, Option<Value>)> {
    let held = json!({"agentId": "a-1", "fencingToken": 1});
    let with = |more: Value| {
        let mut body = held.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Some(body)
    };
    let body = match (method.as_str(), path) {
        (
            _,
            "/healthz"
            | "/openapi.json"
            | "/docs"
            | "/readyz"
            | "/health/dependencies"
            | "/metrics"
            | "/api/metrics"
            | "/api/status"
            | "/api/whoami",
        ) => {
            return Some(("", None));
        }
        (_, "/api/tokens/{tokenId}") | ("GET", "/api/tokens" | "/api/swarm/schemas") => return Some(("", None)),
        ("GET", "/api/swarm/dead-letters") | (_, "/api/swarm/dead-letters/{deadLetterId}") => return Some(("", None)),
        ("POST", "/api/swarm/dead-letters/{deadLetterId}/replay") => return Some(("", None)),
        ("GET", "/api/capabilities/audit" | "/api/capabilities/audit/export") => return Some(("", None)),
        ("POST", "/api/tokens") => {
            return Some((
                "",
                Some(json!({"name": "n", "role": "viewer", "scopes": ["tokens:read"]})),
            ));
        }
        ("POST", "/api/swarm/events") => {
            return Some(("", Some(json!({"type": "a.b", "swarmId": "s", "actorId": "a-1"}))));
        }
        ("GET", "/api/swarm/schemas/{eventType}" | "/api/swarm/schemas/{eventType}/{version}") => {
            return Some(("", None));
        }
        ("POST", "/api/swarm/schemas" | "/api/swarm/schemas/check") => {
            return Some(("", Some(json!({"type": "thing.done", "schema": {"type": "object"}}))));
        }
        ("POST", "/api/swarm/schemas/validate") => {
            return Some(("", Some(json!({"type": "thing.done", "payload": {}}))));
        }
        ("GET", path) if path.starts_with("/api/capabilities") => return Some(("", None)),
        ("POST", path) if path.starts_with("/api/capabilities") => return Some(("", capabilities(path)?)),
        ("GET" | "DELETE", path) if path.starts_with("/api/skills") => return Some(("", None)),
        ("POST", "/api/skills") => return Some((SWARM, Some(json!({"reference": "thing@1.0.0"})))),
        ("POST", "/api/skills/{reference}/call") => return Some(("", Some(json!({"command": "none"})))),
        ("POST", path) if path.starts_with("/api/skills") => return Some(("", None)),
        ("GET" | "DELETE", _) => None,
        ("PUT", "/api/swarm/schedules/{scheduleId}") => Some(json!({"cron": "0 3 * * *", "task": {}})),
        ("POST", "/api/swarm/tasks/claim" | "/api/swarm/agents") => Some(json!({"agentId": "a-2"})),
        ("POST", "/api/swarm/tasks/finish") => Some(json!({"agentId": "a-1", "results": []})),
        ("POST", "/api/swarm/tasks") => Some(json!({"inputs": {}})),
        ("POST", "/api/swarm/tasks/{taskId}/complete" | "/api/swarm/tasks/{taskId}/release") => Some(held),
        ("POST", "/api/swarm/tasks/{taskId}/fail") => with(json!({"error": "no"})),
        ("POST", "/api/swarm/tasks/{taskId}/progress") => with(json!({"progress": {}})),
        ("POST", "/api/swarm/tasks/{taskId}/emit") => with(json!({"events": [{"type": "a.b"}]})),
        ("POST", "/api/swarm/tasks/{taskId}/reserve") => with(json!({"units": 1})),
        ("POST", "/api/swarm/tasks/{taskId}/settle") => with(json!({"units": 1, "reservationId": "r"})),
        ("POST", "/api/swarm/tasks/{taskId}/reassign") => Some(json!({"agentId": "a-1"})),
        ("POST", "/api/swarm/tasks/{taskId}/cancel" | "/api/swarm/tasks/{taskId}/retry") => Some(json!({})),
        ("POST", "/api/swarm/agents/{agentId}/messages" | "/api/swarm/runs/{runId}/messages") => {
            Some(json!({"message": "hello"}))
        }
        (
            "POST",
            "/api/swarm/agents/{agentId}/heartbeat"
            | "/api/swarm/agents/{agentId}/drain"
            | "/api/swarm/agents/{agentId}/resume",
        ) => Some(json!({})),
        ("POST", "/api/swarm/runs/{runId}/cancel" | "/api/swarm/runs/{runId}/finish") => Some(json!({})),
        ("POST", "/api/swarm/budgets") => Some(json!({"maxUnits": 5})),
        ("POST", "/api/swarm/budgets/{budgetId}/raise") => Some(json!({"maxUnits": 50})),
        ("POST", "/api/swarm/budgets/{budgetId}/stop") => Some(json!({})),
        _ => return None,
    };
    Some((SWARM, body))
}

/// What exists in the tenant whose things are asked for, by the name in the path.
struct Things {
    letter: String,
    token: String,
    governed: Governed,
}

impl Things {
    /// One of everything.
    async fn of(brain: &Brain, tenant: &str) -> Self {
        let token = give(brain, &wish(tenant, Role::Admin)).await;
        let call = async |path: &str, body: Value| {
            let request = brain
                .post(&format!("/api/swarm/{path}?{SWARM}"))
                .bearer_auth(&token)
                .json(&body);
            let response = request.send().await.unwrap();
            assert!(
                response.status().is_success(),
                "{path}: {}",
                response.text().await.unwrap()
            );
        };
        let schema = json!({"type": "thing.done", "schema": {"type": "object"}});
        let register = brain.post("/api/swarm/schemas").bearer_auth(&token).json(&schema);
        assert_eq!(register.send().await.unwrap().status(), 201);
        call("agents", json!({"agentId": "thing"})).await;
        call("budgets", json!({"budgetId": "thing", "maxUnits": 10})).await;
        call("tasks", json!({"taskId": "thing", "runId": "thing"})).await;
        let install = brain.post("/api/skills").bearer_auth(&token);
        let install = install.json(&json!({"reference": "thing@1.0.0"})).send().await.unwrap();
        assert_eq!(install.status(), 201);
        let put = brain
            .client
            .put(brain.url(&format!("/api/swarm/schedules/thing?{SWARM}")));
        let put = put.bearer_auth(&token).json(&json!({"cron": "0 3 * * *", "task": {}}));
        assert_eq!(put.send().await.unwrap().status(), 200);
        let letter = dead_letters::park(brain, "1-0", "malformed", b"{").await;
        let client = brain.database.client().await;
        let of = "UPDATE swarm_dead_letters SET tenant_id = $2 WHERE dead_letter_id = $1";
        assert_eq!(client.execute(of, &[&letter, &tenant]).await.unwrap(), 1);
        Self {
            letter: letter.to_string(),
            governed: Governed::of(brain, &token).await,
            token: token[6..22].to_owned(),
        }
    }

    /// The path to a thing, and one like it that leads to nothing.
    fn paths(&self, template: &str) -> (String, String) {
        let fill = |letter: &str, token: &str, rest: &str| {
            let text = template.replace("{deadLetterId}", letter).replace("{tokenId}", token);
            let ids = if rest == "thing" {
                &self.governed
            } else {
                &Governed::nothing()
            };
            let text = ids.fill(&text);
            let text = text
                .replace("{reference}", &format!("{rest}@1.0.0"))
                .replace("{eventType}", &format!("{rest}.done"))
                .replace("{version}", "1");
            match (text.find('{'), text.find('}')) {
                (Some(from), Some(to)) => format!("{}{rest}{}", &text[..from], &text[to + 1..]),
                _ => text,
            }
        };

        (
            fill(&self.letter, &self.token, "thing"),
            fill(NO_LETTER, UNKNOWN, "nothing"),
        )
    }
}

/// Calls it, and gives the status with the document, without what differs from call to call.
async fn ask(brain: &Brain, method: &Method, path: &str, token: Option<&str>) -> (u16, Value) {
    let template = path;
    ask_at(brain, method, template, path, token).await
}

async fn ask_at(brain: &Brain, method: &Method, template: &str, path: &str, token: Option<&str>) -> (u16, Value) {
    let (query, body) = case(method, template).unwrap();
    let mut request = brain
        .client
        .request(method.clone(), brain.url(&format!("{path}?{query}")));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = &body {
        request = request.json(body);
    }
    let response = request.header("x-request-id", "r-1").send().await.unwrap();
    let status = response.status().as_u16();
    // A stream does not end.
    if template.ends_with("/stream") && status == 200 {
        return (status, Value::Null);
    }
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test]
async fn every_operation_has_a_case() {
    let missing: Vec<String> = operations()
        .filter(|(method, path, _)| !path.starts_with(PAGES) && case(method, path).is_none())
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    assert!(missing.is_empty(), "write a case for {missing:?}");
    let unprotected: Vec<&str> = operations()
        .filter(|(_, _, need)| *need == Need::Nothing)
        .map(|(_, path, _)| path)
        .collect();
    assert_eq!(
        unprotected,
        [
            "/healthz",
            "/readyz",
            "/openapi.json",
            "/docs",
            "/dashboard/login",
            "/dashboard/login",
            "/dashboard/app.js",
            "/dashboard/app.css",
            "/dashboard/icon.svg"
        ],
        "who adds to these has thought about it"
    );
}

#[tokio::test]
async fn every_credential_gets_the_documented_answer() {
    let brain = guarded().await;
    let things = Things::of(&brain, "acme").await;
    let mut expired = wish("acme", Role::Admin);
    expired.expires_at = Some(Timestamp::now() - SignedDuration::from_secs(1));
    let expired = give(&brain, &expired).await;
    let revoked = give(&brain, &wish("acme", Role::Admin)).await;
    let postgres = brain_connectivity::postgres::Postgres::open(&brain.config.postgres).unwrap();
    let id = revoked[6..22].parse().unwrap();
    tokens::revoke(&postgres, None, id, "test").await.unwrap().unwrap();
    let wrong = format!("{}{}", &revoked[..23], "0".repeat(64));
    let mut elsewhere = wish("acme", Role::Admin);
    elsewhere.scopes = scopes(&["nothing:at-all"]);
    let elsewhere = give(&brain, &elsewhere).await;
    let mut by_role = Vec::new();
    for role in Role::ALL {
        by_role.push((role, give(&brain, &wish("acme", role)).await));
    }

    let of = |document: &Value| document["detail"].as_str().unwrap_or_default().to_owned();
    for (method, template, need) in operations().filter(|(_, path, _)| !path.starts_with(PAGES)) {
        // Nothing of what the right credential does may stand in the way of the next case.
        let (_, path) = things.paths(template);
        let name = format!("{method} {template}");
        let asked = async |token: Option<&str>| ask_at(&brain, method, template, &path, token).await;
        if need == Need::Nothing {
            for token in [None, Some(wrong.as_str()), Some(&expired), Some(&revoked)] {
                assert_eq!(asked(token).await.0, 200, "{name}");
            }
            continue;
        }
        for (what, token, detail) in [
            ("no token", None, "this needs a token"),
            ("no token of ours", Some("nonsense"), "not known"),
            ("a wrong secret", Some(wrong.as_str()), "not known"),
            ("an expired token", Some(&expired), "expired"),
            ("a revoked token", Some(&revoked), "revoked"),
        ] {
            let (status, document) = asked(token).await;
            assert_eq!(status, 401, "{name} with {what}: {document}");
            assert!(of(&document).contains(detail), "{name} with {what}: {document}");
        }
        let Need::Scope(resource, action) = need else {
            assert_eq!(asked(Some(&elsewhere)).await.0, 200, "{name}");
            continue;
        };
        let (status, document) = asked(Some(&elsewhere)).await;
        assert_eq!(status, 403, "{name} with a wrong scope: {document}");
        assert!(
            of(&document).contains(&format!("{resource}:{action}")),
            "{name}: {document}"
        );
        for (role, token) in &by_role {
            let (status, document) = asked(Some(token)).await;
            let allowed = *role >= Role::least(resource, action);
            assert_eq!(
                allowed,
                !matches!(status, 401 | 403),
                "{name} as {role}: {status} {document}"
            );
            if !allowed {
                assert!(of(&document).contains("needs the role"), "{name} as {role}: {document}");
            }
        }
    }
}

#[tokio::test]
async fn what_another_tenant_has_is_like_what_nobody_has() {
    let brain = guarded().await;
    let things = Things::of(&brain, "acme").await;
    let stranger = give(&brain, &wish("stranger", Role::Admin)).await;
    let owner = give(&brain, &wish("acme", Role::Admin)).await;
    for (method, template, need) in operations().filter(|(_, path, _)| !path.starts_with(PAGES)) {
        if need == Need::Nothing
            || matches!(
                template,
                "/health/dependencies" | "/metrics" | "/api/metrics" | "/api/status"
            )
        {
            continue;
        }
        let name = format!("{method} {template}");
        if template.contains('{') {
            // A thing of its own is made by this one, whoever has another of that name.
            if *method == Method::PUT {
                continue;
            }
            let (known, unknown) = things.paths(template);
            let at_known = ask_at(&brain, method, template, &known, Some(&stranger)).await;
            let at_unknown = ask_at(&brain, method, template, &unknown, Some(&stranger)).await;
            let text = at_known.1.to_string();
            let text = text
                .replace("thing", "nothing")
                .replace(&things.token, UNKNOWN)
                .replace(&things.letter, NO_LETTER);
            let text = things.governed.hide(&text);
            assert_eq!((at_known.0, text), (at_unknown.0, at_unknown.1.to_string()), "{name}");
            assert!(at_known.0 >= 400, "{name}: {at_known:?}");
        } else if *method == Method::GET && !template.ends_with("/stream") && template.starts_with("/api/swarm/") {
            let lists_something = |document: &Value| {
                let lists = document.as_object().unwrap().values().filter_map(Value::as_array);
                lists.map(Vec::len).sum::<usize>()
            };
            let theirs = ask(&brain, method, template, Some(&stranger)).await;
            let own = ask(&brain, method, template, Some(&owner)).await;
            if template == "/api/swarm/schemas" {
                continue;
            }
            assert_eq!(lists_something(&theirs.1), 0, "{name}: {theirs:?}");
            assert!(lists_something(&own.1) > 0, "{name}: {own:?}");
        }
    }
    // Nothing of what the stranger tried has changed anything.
    let (status, task) = ask_at(
        &brain,
        &Method::GET,
        "/api/swarm/tasks/{taskId}",
        "/api/swarm/tasks/thing",
        Some(&owner),
    )
    .await;
    assert_eq!((status, &task["status"]), (200, &json!("created")));
}

/// Every page and every action: without a session, without a form token, and with a session of every role.
#[tokio::test]
async fn every_page_needs_a_session_and_what_the_interface_needs() {
    let brain = guarded().await;
    let things = Things::of(&brain, "acme").await;
    let mut elsewhere = wish("acme", Role::Admin);
    elsewhere.scopes = scopes(&["nothing:at-all"]);
    let elsewhere = Browser::with(&brain, &give(&brain, &elsewhere).await).await;
    let mut by_role = Vec::new();
    for role in Role::ALL {
        by_role.push((
            role,
            Browser::with(&brain, &give(&brain, &wish("acme", role)).await).await,
        ));
    }
    let nobody = Browser::new(&brain);
    let digest = "0".repeat(64);
    let pages = operations().filter(|(_, path, need)| path.starts_with(PAGES) && *need != Need::Nothing);
    let mut asked = 0;
    for (method, template, need) in pages {
        let (_, path) = things.paths(template);
        let (name, path) = (format!("{method} {template}"), format!("{path}?{SWARM}"));
        // Ending the session is the last thing that a session does.
        if template.ends_with("/logout") {
            continue;
        }
        asked += 1;
        let answer = nobody.ask(method, &path, &[]).await;
        assert_eq!(answer.status(), 303, "{name} without a session");
        let to = answer.headers()["location"].to_str().unwrap();
        assert!(to.starts_with("/dashboard/login"), "{name} without a session: {to}");
        let Need::Session(resource, action) = need else {
            assert_eq!(elsewhere.ask(method, &path, &[]).await.status(), 200, "{name}");
            continue;
        };
        assert_eq!(
            elsewhere.ask(method, &path, &[]).await.status(),
            403,
            "{name} with a wrong scope"
        );
        for (role, browser) in &by_role {
            let allowed = *role >= Role::least(resource, action);
            let token = browser.form_token().await;
            let fields = match template {
                _ if *method == Method::GET => Vec::new(),
                "/dashboard/budgets/{budgetId}/raise" => vec![("form", token.as_str()), ("maxUnits", "5")],
                "/dashboard/capabilities/kill-switch" => vec![
                    ("form", token.as_str()),
                    ("reach", "tenant"),
                    ("enabled", "false"),
                    ("reason", governance::WHY),
                ],
                "/dashboard/approvals/{proposalId}/approve" => vec![
                    ("form", token.as_str()),
                    ("reason", governance::WHY),
                    ("definitionDigest", &digest),
                ],
                path if path.starts_with("/dashboard/approvals/") => {
                    vec![("form", token.as_str()), ("reason", governance::WHY)]
                }
                _ => vec![("form", token.as_str())],
            };
            let status = browser.ask(method, &path, &fields).await.status().as_u16();
            assert_eq!(allowed, status != 403, "{name} as {role}: {status}");
            if allowed && *method == Method::POST {
                // A switch is always there.
                let expected = if template.contains('{') { 404 } else { 303 };
                assert_eq!(status, expected, "{name} as {role}: there is no such thing");
                let status = browser.ask(method, &path, &[]).await.status();
                assert_eq!(status, 403, "{name} as {role} without the token of the form");
            }
        }
    }
    assert!(asked > 15, "{asked}");
}
