//! Pages: what they show, and what foreign text in them does, which is nothing.

use brain_http::access::Role;
use brain_testkit::eventually;
use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::Browser;
use crate::{
    access::{give, guarded, scopes, wish},
    brain::Brain,
    dead_letters::park,
};

/// Script, quotes, comments, a template, and what turns text round.
const HOSTILE: &str = "\"'><script>window.pwned=1</script><img src=x onerror=alert(1)>{{7*7}}<!--\u{202e}\u{2066}]]>";

/// What differs from run to run, and what stands for it.
const FILTERS: [(&str, &str); 11] = [
    (r"[0-9a-f]{64}(&#34;)", "[digest]$1"),
    (
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[uuid]",
    ),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "[time]"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[time]"),
    (r"[\d.]+ ms", "[number] ms"),
    (r"cursor=[\w-]+", "cursor=[cursor]"),
    (r"swarm-[0-9a-f]{32}", "[swarm]"),
    (r#"name="form" value="[0-9a-f]{64}""#, r#"name="form" value="[token]""#),
    (
        r"at most [\d.]+( s)?, in this minute [\d.]+( s)?",
        "at most [number]$1, in this minute [number]$2",
    ),
    (r": [\d.]+ s at most", ": [latency] at most"),
    (r#"<rect x="\d+" y="[\d.]+" width="3" height="[\d.]+"/>\n"#, ""),
];

/// Compares a page, tag by tag, with the snapshot of that name.
fn check(name: &str, page: &str) {
    let lines = page.replace("><", ">\n<");
    let lines: Vec<&str> = lines.lines().filter(|line| !line.trim().is_empty()).collect();
    insta::with_settings!({filters => FILTERS, prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, lines.join("\n"));
    });
}

/// A little of everything in the swarm of the configuration.
async fn furnish(brain: &Brain) -> String {
    brain
        .call("budgets", json!({"budgetId": "b-1", "maxUnits": 100, "unit": "tokens"}))
        .await;
    for (task, more) in [
        (
            "t-1",
            json!({"inputs": {"question": "why?"}, "priority": 5, "budgetId": "b-1"}),
        ),
        ("t-2", json!({"dependsOn": ["t-1"]})),
        ("t-3", json!({"runId": "run-2", "maxAttempts": 1})),
    ] {
        let mut body = json!({"taskId": task});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        brain.call("tasks", body).await;
    }
    let token = brain.claim("worker-1", "t-1").await;
    let done = json!({"agentId": "worker-1", "fencingToken": token, "outputs": {"answer": 42}});
    brain.call("tasks/t-1/complete", done).await;
    let claimed = brain.call("tasks/claim", json!({"agentId": "worker-1"})).await;
    let (task, token) = (&claimed["tasks"][0]["taskId"], &claimed["tasks"][0]["fencingToken"]);
    let failed = json!({"agentId": "worker-1", "fencingToken": token, "error": "it broke"});
    brain
        .call(&format!("tasks/{}/fail", task.as_str().unwrap()), failed)
        .await;
    park(brain, "1-0", "malformed", b"{\"id\": ").await.to_string()
}

/// A proposal that waits for a person.
async fn propose(brain: &Brain, words: &str) -> String {
    let proposal = json!({"capabilityId": "mail.send", "input": {"to": words}, "summary": words, "expectedEffects": [words],
        "rationale": format!("because of this: {words}")});
    let answer = brain
        .post("/api/capabilities/proposals")
        .json(&proposal)
        .send()
        .await
        .unwrap();
    let made: Value = answer.json().await.unwrap();
    made["proposalId"]
        .as_str()
        .unwrap_or_else(|| panic!("{made}"))
        .to_owned()
}

#[tokio::test]
async fn show_what_is_there() {
    let brain = Brain::start().await;
    let browser = Browser::new(&brain);
    check("dashboard_nothing_there", &browser.page("/dashboard").await);
    let letter = furnish(&brain).await;
    for (name, path) in [
        ("overview", "/dashboard".to_owned()),
        ("runs", "/dashboard/runs".to_owned()),
        ("run", "/dashboard/runs/run-1".to_owned()),
        ("tasks", "/dashboard/tasks".to_owned()),
        ("task", "/dashboard/tasks/t-1".to_owned()),
        ("agents", "/dashboard/agents".to_owned()),
        ("events", "/dashboard/events".to_owned()),
        ("dead_letters", "/dashboard/dead-letters".to_owned()),
        ("dead_letter", format!("/dashboard/dead-letters/{letter}")),
        ("budgets", "/dashboard/budgets".to_owned()),
        ("audit", "/dashboard/audit?actionPrefix=budget.".to_owned()),
        ("approvals", "/dashboard/approvals".to_owned()),
        (
            "approval",
            format!("/dashboard/approvals/{}", propose(&brain, "Tell them.").await),
        ),
        ("capabilities", "/dashboard/capabilities".to_owned()),
    ] {
        let page = browser.page(&path).await;
        let is_handler = |rest: &str| {
            let name = rest.split_once('=').map(|(name, _)| name);
            name.is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()))
        };
        let inline = page.contains("style=") || page.split(" on").skip(1).any(is_handler);
        assert!(!inline, "{path}: no inline style or handler");
        check(&format!("dashboard_{name}"), &page);
    }
    let failed = browser.page("/dashboard/tasks/t-3").await;
    assert!(failed.contains("it broke") || browser.page("/dashboard/tasks/t-2").await.contains("it broke"));
    let guarded = guarded().await;
    check(
        "dashboard_login",
        &Browser::new(&guarded).page("/dashboard/login").await,
    );
}

#[tokio::test]
async fn go_on_page_by_page() {
    let brain = Brain::start().await;
    let browser = Browser::new(&brain);
    let tasks: Vec<Value> = (0..60)
        .map(|n| json!({"taskId": format!("t-{n:02}"), "runId": "r"}))
        .collect();
    for task in tasks {
        brain.call("tasks", task).await;
    }
    let link = |page: &str, before: &str| {
        let link = page.split(before).next().unwrap().rsplit("href=\"").next().unwrap();
        link.split('"').next().unwrap().replace("&#38;", "&")
    };
    for (path, first, last, again, label) in [
        (
            "/dashboard/tasks?status=created&runId=&agentId=",
            "t-00",
            "t-59",
            "/dashboard/tasks?status=created",
            ">First page<",
        ),
        ("/dashboard/runs/r", "t-00", "t-59", "/dashboard/runs/r", ">First page<"),
        (
            "/dashboard/events?type=task.created&runId=&actorId=",
            "t-59",
            "t-00",
            "/dashboard/events?type=task.created",
            ">Newest<",
        ),
    ] {
        let page = browser.page(path).await;
        assert!(page.contains(first) && !page.contains(last), "{path}");
        assert!(!page.contains(label), "{path} is the first one");
        let next = link(&page, "rel=\"next\"");
        let rest = browser.page(&next).await;
        assert!(rest.contains(last) && !rest.contains("rel=\"next\""), "{next}: {rest}");
        assert_eq!(link(&rest, label), again, "under the same filters");
    }
    let answer = browser.get("/dashboard/runs?cursor=nonsense").await;
    assert_eq!(answer.status(), 400);
    assert_eq!(browser.get("/dashboard/tasks?status=gone").await.status(), 400);
    assert_eq!(browser.get("/dashboard/tasks?unknown=1").await.status(), 400);
    assert_eq!(browser.get("/dashboard/nothing").await.status(), 404);
}

/// Governance and dead letters have no events by which a page would know that something happened.
#[tokio::test]
async fn are_looked_at_again_where_no_event_says_that_something_happened() {
    let brain = Brain::start().await;
    let browser = Browser::new(&brain);
    let letter = park(&brain, "1-0", "malformed", b"{").await;
    for path in [
        "/dashboard/approvals".to_owned(),
        format!("/dashboard/approvals/{}", propose(&brain, "Tell them.").await),
        "/dashboard/capabilities".to_owned(),
        "/dashboard/audit".to_owned(),
        "/dashboard/dead-letters".to_owned(),
        format!("/dashboard/dead-letters/{letter}"),
    ] {
        let page = browser.page(&path).await;
        assert!(page.contains("data-pace=\"1\" data-poll=\"15\""), "{path}");
    }
    assert!(!browser.page("/dashboard/tasks").await.contains("data-poll"));
    let page = browser.page("/dashboard/capabilities").await;
    let switches = page.split("<div id=\"switches\" data-part>").nth(1);
    let switches = switches.unwrap().split("</section>").next().unwrap();
    assert!(
        switches.contains("What is allowed is dispatched.") && switches.contains("the installation"),
        "they change together: {switches}"
    );
}

#[tokio::test]
async fn of_the_overview_show_what_their_reader_may_see() {
    let brain = guarded().await;
    let admin = give(&brain, &wish("acme", Role::Admin)).await;
    let made = brain.post("/api/swarm/tasks?swarmId=writers").bearer_auth(&admin);
    let made = made.json(&json!({"taskId": "t", "runId": "r"})).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let with = async |scope: &str| {
        let mut narrowed = wish("acme", Role::Operator);
        narrowed.scopes = scopes(&[scope]);
        Browser::with(&brain, &give(&brain, &narrowed).await).await
    };
    for (scope, status, swarms) in [
        ("status:read", true, false),
        ("tasks:read", false, true),
        ("events:read", false, true),
        ("budgets:read", false, false),
    ] {
        let page = with(scope).await.page("/dashboard").await;
        assert_eq!(
            page.contains("replica-1") && page.contains("0.0.0-test"),
            status,
            "{scope}"
        );
        assert_eq!(
            page.contains("replica") || page.contains("0.0.0-test"),
            status,
            "{scope}"
        );
        assert_eq!(page.contains("swarmId=writers"), swarms, "{scope}: {page}");
    }
    let (some, none) = (with("dead-letters:read").await, with("budgets:read").await);
    let client = brain.database.client().await;
    let away = "ALTER TABLE swarm_dead_letters RENAME TO away";
    client.batch_execute(away).await.unwrap();
    assert_eq!(some.get("/dashboard").await.status(), 500, "it is counted");
    assert_eq!(none.get("/dashboard").await.status(), 200, "nothing is counted");
}

#[tokio::test]
async fn obey_nothing_that_somebody_else_wrote() {
    let brain = Brain::start().await;
    let id = |kind: &str| format!("{kind}{}", &HOSTILE[..40]);
    let long = "y".repeat(200_000);
    let event = json!({"type": "note.<b>taken", "swarmId": HOSTILE, "runId": HOSTILE, "actorId": HOSTILE, "id": id("e"),
        "payload": {HOSTILE: HOSTILE, "long": long}, "correlationId": id("c"), "createdAt": "2026-01-02T03:04:05Z"});
    let answer = brain.post("/api/swarm/events").json(&event).send().await.unwrap();
    let stored = answer.status() == 201;
    let swarm = percent_encoding::utf8_percent_encode(HOSTILE, percent_encoding::NON_ALPHANUMERIC).to_string();
    let call = async |path: &str, body: Value| {
        let answer = brain
            .post(&format!("/api/swarm/{path}?swarmId={swarm}"))
            .json(&body)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {answer}");
        answer
    };
    call(
        "budgets",
        json!({"budgetId": HOSTILE, "maxUnits": 5, "unit": &HOSTILE[..48]}),
    )
    .await;
    call(
        "tasks",
        json!({"taskId": HOSTILE, "runId": HOSTILE, "inputs": {HOSTILE: HOSTILE, "long": long}, "budgetId": HOSTILE}),
    )
    .await;
    call(
        "agents",
        json!({"agentId": HOSTILE, "role": "worker", "capabilities": [HOSTILE]}),
    )
    .await;
    let claimed = call("tasks/claim", json!({"agentId": HOSTILE})).await;
    let token = &claimed["tasks"][0]["fencingToken"];
    let progress = json!({"agentId": HOSTILE, "fencingToken": token, "progress": {HOSTILE: HOSTILE}});
    call(&format!("tasks/{swarm}/progress"), progress).await;
    let failed = json!({"agentId": HOSTILE, "fencingToken": token, "error": format!("{HOSTILE}{}", &long[..7000])});
    call(&format!("tasks/{swarm}/fail"), failed).await;
    let letter = park(&brain, HOSTILE, "malformed", format!("{HOSTILE}\u{7}").as_bytes()).await;
    let client = brain.database.client().await;
    let says =
        "UPDATE swarm_dead_letters SET detail = $1, swarm_id = $1, event_id = $1, event_type = $1, stream_name = $1";
    client.execute(says, &[&HOSTILE]).await.unwrap();

    let browser = Browser::new(&brain);
    let mut seen = 0;
    for path in [
        format!("/dashboard?swarmId={swarm}"),
        format!("/dashboard/runs?swarmId={swarm}"),
        format!("/dashboard/runs/{swarm}?swarmId={swarm}"),
        format!("/dashboard/tasks?swarmId={swarm}&runId={swarm}"),
        format!("/dashboard/tasks/{swarm}?swarmId={swarm}"),
        format!("/dashboard/agents?swarmId={swarm}"),
        format!("/dashboard/events?swarmId={swarm}&runId={swarm}&actorId={swarm}"),
        format!("/dashboard/events?swarmId={swarm}"),
        format!("/dashboard/budgets?swarmId={swarm}"),
        "/dashboard/approvals".to_owned(),
        format!("/dashboard/approvals/{}", propose(&brain, HOSTILE).await),
        "/dashboard/audit".to_owned(),
        "/dashboard/dead-letters".to_owned(),
        format!("/dashboard/dead-letters/{letter}"),
        format!("/dashboard/tasks/{swarm}"),
    ] {
        let answer = browser.get(&path).await;
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        let page = answer.text().await.unwrap();
        for active in [
            "<script>",
            "<img",
            "</script><",
            "\u{202e}",
            "\u{2066}",
            "\u{7}",
            "<!--",
            "<b>",
        ] {
            assert!(!page.contains(active), "{path}: {active:?} in {page}");
        }
        assert!(page.len() < 500_000, "{path}: {} bytes", page.len());
        seen += usize::from(page.contains("window.pwned=1"));
    }
    assert!(seen >= 10, "it was shown: {seen}, {stored}");
    let page = browser.page(&format!("/dashboard/tasks/{swarm}?swarmId={swarm}")).await;
    assert!(page.contains("Cut: the first"), "{page}");
}

#[tokio::test]
async fn of_another_tenant_are_pages_that_do_not_exist() {
    let brain = guarded().await;
    let owner = give(&brain, &wish("acme", Role::Admin)).await;
    let made = brain.post("/api/swarm/tasks?swarmId=s").bearer_auth(&owner);
    let made = made
        .json(&json!({"taskId": "secret", "runId": "secret"}))
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), 201);
    let letter = park(&brain, "1-0", "malformed", b"secret").await;
    let client = brain.database.client().await;
    client
        .execute("UPDATE swarm_dead_letters SET tenant_id = 'acme'", &[])
        .await
        .unwrap();
    let stranger = Browser::with(&brain, &give(&brain, &wish("stranger", Role::Admin)).await).await;
    for (known, unknown) in [
        (
            "/dashboard/tasks/secret?swarmId=s".to_owned(),
            "/dashboard/tasks/nothing?swarmId=s".to_owned(),
        ),
        (
            "/dashboard/runs/secret?swarmId=s".to_owned(),
            "/dashboard/runs/nothing?swarmId=s".to_owned(),
        ),
        (
            format!("/dashboard/dead-letters/{letter}"),
            format!("/dashboard/dead-letters/{}", uuid::Uuid::nil()),
        ),
    ] {
        let page = async |path: &str| {
            let answer = stranger.get(path).await;
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        let (status, text) = page(&known).await;
        assert_eq!(status, 404, "{known}");
        assert_eq!(text.replace("secret", "nothing"), page(&unknown).await.1);
    }
    for path in [
        "/dashboard?swarmId=s",
        "/dashboard/tasks?swarmId=s",
        "/dashboard/events?swarmId=s",
        "/dashboard/dead-letters",
    ] {
        assert!(!stranger.page(path).await.contains("secret"), "{path}");
    }
    let letters = format!("/dashboard/dead-letters/{letter}/drop");
    assert_eq!(stranger.post(&letters, &[]).await.status(), 404);
}

#[tokio::test]
async fn have_the_headers_that_keep_them_apart() {
    let brain = guarded().await;
    let browser = Browser::with(&brain, &give(&brain, &wish("acme", Role::Viewer)).await).await;
    for (path, kind) in [
        ("/dashboard", "text/html; charset=utf-8"),
        ("/dashboard/login", ""),
        ("/dashboard/nothing", "text/html; charset=utf-8"),
        ("/dashboard/tasks/none", "text/html; charset=utf-8"),
        ("/dashboard/app.js", "text/javascript; charset=utf-8"),
        ("/dashboard/app.css", "text/css; charset=utf-8"),
        ("/dashboard/icon.svg", "image/svg+xml"),
    ] {
        for method in [Method::GET, Method::HEAD, Method::PUT] {
            let answer = browser.ask(&method, path, &[]).await;
            let header = |name: &str| answer.headers().get(name).map_or("", |value| value.to_str().unwrap());
            if method != Method::PUT {
                assert_eq!(header("content-type"), kind, "{path}");
            }
            assert_eq!(
                header("content-security-policy"),
                "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                 form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
                "{path}"
            );
            assert_eq!(header("referrer-policy"), "same-origin", "{path}");
            assert_eq!(header("x-frame-options"), "DENY", "{path}");
            assert_eq!(header("cache-control"), "no-store", "{path}");
            assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        }
    }
    let page = browser.page("/dashboard").await;
    let files: Vec<&str> = page
        .split("src=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(files, ["/dashboard/app.js"], "nothing from elsewhere");
}

#[tokio::test]
async fn are_told_when_something_happened_for_as_long_as_the_session_lasts() {
    let brain = guarded().await;
    let token = give(&brain, &wish("acme", Role::Agent)).await;
    let browser = Browser::with(&brain, &token).await;
    let answer = browser.get("/dashboard/events/live?swarmId=s").await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut stream = answer.bytes_stream();
    let mut text = String::new();
    let publish = async |id: &str| {
        let event = json!({"id": id, "type": "note.taken", "swarmId": "s", "actorId": "a", "payload": {"secret": 1}});
        brain
            .post("/api/swarm/events")
            .bearer_auth(&token)
            .json(&event)
            .send()
            .await
            .unwrap()
    };
    let first = stream.next().await.unwrap().unwrap();
    text.push_str(std::str::from_utf8(&first).unwrap());
    assert_eq!(publish("e-1").await.status(), 201);
    while !text.contains("data: 1\n") {
        text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
    }
    assert!(!text.contains("secret"), "{text}");
    let form = browser.form_token().await;
    let out = browser
        .ask(&Method::POST, "/dashboard/logout", &[("form", &form)])
        .await;
    assert_eq!(out.status(), 303);
    publish("e-2").await;
    let rest = async {
        while let Some(chunk) = stream.next().await {
            text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), rest)
        .await
        .expect("the stream ends");
    assert!(text.contains("event: end") && !text.contains("data: 2\n"), "{text}");
    let gone = browser.get("/dashboard/events/live?swarmId=s").await;
    assert_eq!(gone.status(), 303);
    eventually("nobody is there any more", async || Some(())).await;
}
