//! Forms: what they do, and who may not send them.

use brain_http::access::Role;
use brain_testkit::eventually;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Browser, hidden, set_cookie};
use crate::{
    access::{give, guarded, scopes, wish},
    brain::Brain,
    dead_letters::park,
    governance,
};

const FINE: &[u8] =
    br#"{"id":"e-1","type":"build.finished","swarmId":"s","runId":"r","actorId":"a","payload":{},"createdAt":"2026-01-02T03:04:05Z"}"#;

/// A task of a tenant, made with a token of it.
async fn make_task(brain: &Brain, token: &str, task: &str) {
    let request = brain.post("/api/swarm/tasks?swarmId=s").bearer_auth(token);
    let answer = request
        .json(&json!({"taskId": task, "runId": "r"}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
}

async fn status_of(brain: &Brain, token: &str, task: &str) -> String {
    let request = brain
        .get(&format!("/api/swarm/tasks/{task}?swarmId=s"))
        .bearer_auth(token);
    let task: Value = request.send().await.unwrap().json().await.unwrap();
    task["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn are_refused_without_the_token_of_their_session() {
    let brain = guarded().await;
    let token = give(&brain, &wish("acme", Role::Operator)).await;
    make_task(&brain, &token, "t").await;
    let browser = Browser::with(&brain, &token).await;
    let own = browser.form_token().await;
    // Of the same token, but another session.
    let other = Browser::with(&brain, &token).await.form_token().await;
    assert_ne!(own, other);
    let path = "/dashboard/tasks/t/cancel?swarmId=s";
    let half = &own[..63];
    let many: [&[(&str, &str)]; 6] = [
        &[],
        &[("form", "")],
        &[("form", &other)],
        &[("form", half)],
        &[("token", &own)],
        &[("form", "x"), ("form", &own)],
    ];
    for fields in many {
        let answer = browser.ask(&Method::POST, path, fields).await;
        assert_eq!(answer.status(), 403, "{fields:?}");
        assert!(
            answer
                .text()
                .await
                .unwrap()
                .contains("this form belongs to another session")
        );
    }
    // As JSON, as a page of another site would have to send it, and from another site.
    let request = || {
        browser
            .client
            .post(brain.url(path))
            .header("cookie", browser.cookie.clone().unwrap())
    };
    let as_json = request().json(&json!({"form": own})).send().await.unwrap();
    assert_eq!(as_json.status(), 400);
    let foreign = request()
        .header("origin", "https://evil.example")
        .form(&[("form", &own)]);
    let foreign = foreign.send().await.unwrap();
    assert_eq!(foreign.status(), 403);
    assert!(foreign.text().await.unwrap().contains("STUDIO_BRAIN_ALLOWED_ORIGINS"));
    assert_eq!(
        status_of(&brain, &token, "t").await,
        "created",
        "nothing of it took effect"
    );

    let same = request()
        .header("origin", format!("http://{}", brain.address))
        .form(&[("form", &own)]);
    assert_eq!(same.send().await.unwrap().status(), 303);
    assert_eq!(status_of(&brain, &token, "t").await, "cancelled");
}

#[tokio::test]
async fn of_the_login_need_a_token_too() {
    let brain = guarded().await;
    let token = give(&brain, &wish("acme", Role::Viewer)).await;
    let browser = Browser::new(&brain);
    let form = hidden(&browser.page("/dashboard/login").await, "form");
    // The cookie that belongs to it is missing, as it is when another site sends the form.
    let fields = [("form", form.as_str()), ("token", token.as_str())];
    let answer = browser.ask(&Method::POST, "/dashboard/login", &fields).await;
    assert_eq!(answer.status(), 403);
    assert!(set_cookie(&answer, "brain_session").is_none());
}

#[tokio::test]
async fn without_a_login_belong_to_one_browser_and_one_process() {
    let brain = Brain::start().await;
    brain.call("tasks", json!({"taskId": "t"})).await;
    let mut browser = Browser::new(&brain);
    browser.cookie = set_cookie(&browser.get("/dashboard/tasks/t").await, "brain_visit");
    let form = hidden(&browser.page("/dashboard/tasks/t").await, "form");
    let path = "/dashboard/tasks/t/cancel";
    let other = Browser::new(&brain).ask(&Method::POST, path, &[("form", &form)]).await;
    assert_eq!(other.status(), 403, "without the cookie");
    let cookie = browser.cookie.clone();
    let brain = brain.restarted().await;
    let mut browser = Browser::new(&brain);
    browser.cookie = cookie;
    let old = browser.ask(&Method::POST, path, &[("form", &form)]).await;
    assert_eq!(old.status(), 403, "of the process before");
    let form = hidden(&browser.page("/dashboard/tasks/t").await, "form");
    let answer = browser
        .ask(&Method::POST, path, &[("form", &form), ("reason", "enough")])
        .await;
    assert_eq!(answer.headers()["location"], "/dashboard/tasks/t?done=task-cancelled");
    let page = browser.page("/dashboard/tasks/t?done=task-cancelled").await;
    assert!(
        page.contains("The task was called off.") && page.contains("enough"),
        "{page}"
    );
}

#[tokio::test]
async fn show_no_button_for_what_their_reader_may_not_do() {
    let brain = guarded().await;
    let admin = give(&brain, &wish("acme", Role::Admin)).await;
    make_task(&brain, &admin, "t").await;
    let budget = brain.post("/api/swarm/budgets?swarmId=s").bearer_auth(&admin);
    let budget = budget
        .json(&json!({"budgetId": "b", "maxUnits": 5}))
        .send()
        .await
        .unwrap();
    assert_eq!(budget.status(), 201);
    let letter = park(&brain, "1-0", "malformed", b"{").await;
    let client = brain.database.client().await;
    let of = "UPDATE swarm_dead_letters SET tenant_id = 'acme'";
    assert_eq!(client.execute(of, &[]).await.unwrap(), 1);
    let pages = [
        ("/dashboard/tasks/t?swarmId=s".to_owned(), "tasks:manage"),
        ("/dashboard/runs/r?swarmId=s".to_owned(), "runs:manage"),
        ("/dashboard/budgets?swarmId=s".to_owned(), "budgets:manage"),
        (format!("/dashboard/dead-letters/{letter}"), "dead-letters:manage"),
    ];
    let viewer = Browser::with(&brain, &give(&brain, &wish("acme", Role::Viewer)).await).await;
    let operator = Browser::with(&brain, &give(&brain, &wish("acme", Role::Operator)).await).await;
    for (path, scope) in &pages {
        let buttons = |page: &str| page.matches("method=\"post\"").count();
        assert_eq!(buttons(&viewer.page(path).await), 1, "{path}: only to log out");
        assert!(buttons(&operator.page(path).await) > 1, "{path}");
        let mut narrowed = wish("acme", Role::Operator);
        narrowed.scopes = scopes(&["*:read"]);
        let narrowed = Browser::with(&brain, &give(&brain, &narrowed).await).await;
        assert_eq!(buttons(&narrowed.page(path).await), 1, "{path} without {scope}");
    }
    // What one may not see is not in the navigation, and no live updates are offered without events.
    let mut tasks = wish("acme", Role::Viewer);
    tasks.scopes = scopes(&["tasks:read"]);
    let tasks = Browser::with(&brain, &give(&brain, &tasks).await).await;
    let page = tasks.page("/dashboard?swarmId=s").await;
    assert!(
        page.contains(">Tasks</a>") && !page.contains(">Budgets</a>") && !page.contains("data-live"),
        "{page}"
    );
    assert!(
        !page.contains("Dependencies") && !page.contains("The last hour"),
        "{page}"
    );
    let run = tasks.get("/dashboard/runs/r?swarmId=s").await;
    assert_eq!(run.status(), 403);
    assert!(run.text().await.unwrap().contains("runs:read is not among the scopes"));
}

#[tokio::test]
async fn decide_about_dead_letters() {
    let brain = guarded().await;
    let token = give(&brain, &wish("default", Role::Operator)).await;
    let fine = park(&brain, "1-0", "apply_failed", FINE).await;
    let broken = park(&brain, "2-0", "malformed", b"{\"id\": ").await;
    let useless = park(&brain, "3-0", "malformed", b"\xff\xfe").await;
    let browser = Browser::with(&brain, &token).await;
    let path = |id: &uuid::Uuid, verb: &str| format!("/dashboard/dead-letters/{id}{verb}");

    let answer = browser.post(&path(&fine, "/replay"), &[]).await;
    assert_eq!(
        answer.headers()["location"],
        path(&fine, "?done=letter-replayed").as_str()
    );
    assert!(browser.page(&path(&fine, "")).await.contains("badge replayed"));
    let twice = browser.post(&path(&fine, "/replay"), &[]).await;
    assert_eq!(twice.status(), 409);
    assert!(twice.text().await.unwrap().contains("replayed already"));

    let still = browser.post(&path(&broken, "/replay"), &[]).await;
    assert_eq!(still.status(), 422);
    let mended = String::from_utf8_lossy(FINE).replace("e-1", "e-2");
    let answer = browser.post(&path(&broken, "/replay"), &[("event", &mended)]).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(brain.stored("build.finished").await, 2);

    let page = browser.page(&path(&useless, "")).await;
    assert!(page.contains("\\xff\\xfe") && !page.contains("Mend it first"), "{page}");
    assert_eq!(browser.post(&path(&useless, "/drop"), &[]).await.status(), 303);
    assert!(browser.page(&path(&useless, "")).await.contains("badge dropped"));
}

#[tokio::test]
async fn steer_tasks_runs_and_budgets() {
    let brain = guarded().await;
    let token = give(&brain, &wish("acme", Role::Operator)).await;
    for task in ["t", "other", "with/slash?"] {
        make_task(&brain, &token, task).await;
    }
    let browser = Browser::with(&brain, &token).await;
    let done = async |path: &str, fields: &[(&str, &str)]| {
        let answer = browser.post(path, fields).await;
        let status = answer.status();
        let to = answer
            .headers()
            .get("location")
            .map(|to| to.to_str().unwrap().to_owned());
        let to = to.unwrap_or_default();
        assert_eq!(status, 303, "{path}: {}", answer.text().await.unwrap());
        browser.page(&to).await
    };
    let page = done(
        "/dashboard/tasks/with%2Fslash%3F/cancel?swarmId=s",
        &[("reason", "no need")],
    )
    .await;
    assert!(
        page.contains("The task was called off.") && page.contains("badge cancelled"),
        "{page}"
    );
    let page = done("/dashboard/tasks/with%2Fslash%3F/retry?swarmId=s", &[]).await;
    assert!(page.contains("The task is tried again."), "{page}");
    assert_eq!(
        browser.post("/dashboard/tasks/t/retry?swarmId=s", &[]).await.status(),
        409
    );

    let budget = brain.post("/api/swarm/budgets?swarmId=s").bearer_auth(&token);
    budget
        .json(&json!({"budgetId": "b", "maxUnits": 5}))
        .send()
        .await
        .unwrap();
    let page = done("/dashboard/budgets/b/raise?swarmId=s", &[("maxUnits", "77")]).await;
    assert!(page.contains(">77</td>"), "{page}");
    for wrong in ["", "-1", "1.5", "many"] {
        let answer = browser
            .post("/dashboard/budgets/b/raise?swarmId=s", &[("maxUnits", wrong)])
            .await;
        assert_eq!(answer.status(), 400, "{wrong}");
    }
    let page = done("/dashboard/budgets/b/stop?swarmId=s", &[]).await;
    assert!(page.contains("badge stopped"), "{page}");

    done("/dashboard/runs/r/cancel?swarmId=s", &[]).await;
    eventually("the tasks of the run are cancelled", async || {
        (status_of(&brain, &token, "other").await == "cancelled").then_some(())
    })
    .await;
}

#[tokio::test]
async fn decide_about_proposals_and_turn_the_kill_switch() {
    let brain = guarded().await;
    let operator = give(&brain, &wish("acme", Role::Operator)).await;
    let browser = Browser::with(&brain, &operator).await;
    let propose = async || {
        let request = brain.post("/api/capabilities/proposals").bearer_auth(&operator);
        let made = request.json(&governance::proposal("mail.send")).send().await.unwrap();
        let made: Value = made.json().await.unwrap();
        made["proposalId"].as_str().unwrap().to_owned()
    };
    let status = async |id: &str| {
        let request = brain
            .get(&format!("/api/capabilities/proposals/{id}"))
            .bearer_auth(&operator);
        let it: Value = request.send().await.unwrap().json().await.unwrap();
        it["status"].as_str().unwrap().to_owned()
    };
    let token = browser.form_token().await;
    let because = [("form", token.as_str()), ("reason", governance::WHY)];
    let id = propose().await;
    let page = browser.page(&format!("/dashboard/approvals/{id}")).await;
    assert!(
        page.contains("&#34;to&#34;: &#34;you&#34;"),
        "exactly what will happen: {page}"
    );
    assert!(!page.contains("unsend"), "{page}");
    let digest = hidden(&page, "definitionDigest");
    let shown = ("definitionDigest", digest.as_str());
    let brief = [("form", token.as_str()), ("reason", "ok"), shown];
    let answer = browser
        .ask(&Method::POST, &format!("/dashboard/approvals/{id}/approve"), &brief)
        .await;
    assert_eq!(answer.status(), 422);
    let good = [&because[..], &[shown]].concat();
    let answer = browser
        .ask(&Method::POST, &format!("/dashboard/approvals/{id}/approve"), &good)
        .await;
    assert_eq!(answer.status(), 303);
    assert_eq!(status(&id).await, "approved");
    let answer = browser
        .ask(&Method::POST, &format!("/dashboard/approvals/{id}/reject"), &because)
        .await;
    assert_eq!(answer.status(), 303);
    assert_eq!(status(&id).await, "rejected");
    let path = format!("/dashboard/approvals/{id}/reopen");
    assert_eq!(
        browser.ask(&Method::POST, &path, &because).await.status(),
        403,
        "an administrator's matter"
    );

    let mut turn = vec![("reach", "tenant"), ("enabled", "true")];
    turn.extend(because);
    let path = "/dashboard/capabilities/kill-switch";
    let answer = browser.ask(&Method::POST, path, &turn).await;
    let to = answer.headers()["location"].to_str().unwrap().to_owned();
    assert!(browser.page(&to).await.contains("Nothing is dispatched"));
    turn[0] = ("reach", "installation");
    assert_eq!(browser.ask(&Method::POST, path, &turn).await.status(), 403);
}
