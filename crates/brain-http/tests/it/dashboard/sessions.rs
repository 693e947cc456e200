//! Sessions: how they begin, what they stand for, how they end.

use brain_connectivity::postgres::Postgres;
use brain_http::access::{Role, tokens};
use brain_testkit::eventually;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;

use super::{Browser, hidden, set_cookie};
use crate::{
    access::{give, guarded, wish},
    brain::{Brain, Setup},
};

async fn revoke(brain: &Brain, token: &str) {
    let postgres = Postgres::open(&brain.config.postgres).unwrap();
    let id = token[6..22].parse().unwrap();
    tokens::revoke(&postgres, None, id, "test").await.unwrap().unwrap();
}

#[tokio::test]
async fn begin_with_a_token_and_end_with_a_click() {
    let brain = guarded().await;
    let token = give(&brain, &wish("acme", Role::Viewer)).await;
    let mut browser = Browser::new(&brain);
    let answer = browser.log_in(&token).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["location"]),
        (303, &"/dashboard".parse().unwrap())
    );
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let (secret, flags) = cookie.split_once(';').unwrap();
    assert_eq!(secret.len(), "brain_session=".len() + 64);
    assert_eq!(flags, " Path=/dashboard; Max-Age=43200; HttpOnly; SameSite=Strict");
    let page = browser.page("/dashboard").await;
    assert!(page.contains("acme-viewer (viewer, tenant acme)"), "{page}");

    // Neither the token nor the secret is in the database.
    let client = brain.database.client().await;
    let row = client
        .query_one("SELECT s::text FROM brain_sessions s", &[])
        .await
        .unwrap();
    let row: String = row.get(0);
    assert!(
        !row.contains(&token[24..]) && !row.contains(&secret["brain_session=".len()..]),
        "{row}"
    );

    let form = hidden(&page, "form");
    let out = browser
        .ask(&Method::POST, "/dashboard/logout", &[("form", &form)])
        .await;
    assert_eq!(
        (out.status().as_u16(), &out.headers()["location"]),
        (303, &"/dashboard/login".parse().unwrap())
    );
    assert!(out.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(
        browser.get("/dashboard").await.status(),
        303,
        "the cookie is worth nothing now"
    );
    let rows = client
        .query_one("SELECT count(*) FROM brain_sessions", &[])
        .await
        .unwrap();
    assert_eq!(rows.get::<_, i64>(0), 0);
}

#[tokio::test]
async fn begin_with_nothing_but_a_good_token() {
    let mut setup = Setup::new().await;
    setup.config.server.admin_token = Some("the-administrators-token-of-a-test".into());
    let brain = setup.start();
    let mut expired = wish("acme", Role::Admin);
    expired.expires_at = Some(Timestamp::now() - SignedDuration::from_secs(1));
    let expired = give(&brain, &expired).await;
    let revoked = give(&brain, &wish("acme", Role::Admin)).await;
    revoke(&brain, &revoked).await;
    let wrong = format!("{}{}", &revoked[..23], "0".repeat(64));
    for (token, says) in [
        ("", "not known"),
        ("nonsense", "not known"),
        (wrong.as_str(), "not known"),
        (&expired, "expired"),
        (&revoked, "revoked"),
        ("the-administrators-token-of-a-tesT", "not known"),
        ("eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "OpenID Connect"),
    ] {
        let answer = Browser::new(&brain).log_in(token).await;
        assert_eq!(answer.status(), 401, "{token}");
        assert!(set_cookie(&answer, "brain_session").is_none(), "{token}");
        assert!(
            answer.headers().get("www-authenticate").is_none(),
            "no dialog of the browser"
        );
        let page = answer.text().await.unwrap();
        assert!(
            page.contains("role=\"alert\"") && page.contains(says),
            "{token}: {page}"
        );
        assert!(
            token.is_empty() || !page.contains(token),
            "what was typed is not sent back"
        );
    }
    let admin = Browser::with(&brain, " the-administrators-token-of-a-test\n").await;
    assert!(admin.page("/dashboard").await.contains("api (admin, tenant default)"));
}

#[tokio::test]
async fn end_with_their_token() {
    let brain = guarded().await;
    let token = give(&brain, &wish("acme", Role::Viewer)).await;
    let browser = Browser::with(&brain, &token).await;
    browser.page("/dashboard").await;
    // By another replica, so this one learns it from the database.
    revoke(&brain, &token).await;
    let ended = async || (browser.get("/dashboard").await.status() == 303).then_some(());
    eventually("the session ends", ended).await;

    let mut short = wish("acme", Role::Viewer);
    short.expires_at = Some(Timestamp::now() + SignedDuration::from_secs(3));
    let short = give(&brain, &short).await;
    let mut browser = Browser::new(&brain);
    let answer = browser.log_in(&short).await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let age: u64 = cookie
        .split("Max-Age=")
        .nth(1)
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(age <= 3, "{cookie}");
    browser.page("/dashboard").await;
    let ended = async || (browser.get("/dashboard").await.status() == 303).then_some(());
    eventually("the session ends", ended).await;
}

#[tokio::test]
async fn of_the_administrator_end_when_the_token_is_another_one() {
    let mut setup = Setup::new().await;
    setup.config.server.admin_token = Some("the-administrators-first-token".into());
    let brain = setup.start();
    let cookie = Browser::with(&brain, "the-administrators-first-token").await.cookie;
    let mut brain = brain.restarted().await;
    let mut again = Browser::new(&brain);
    again.cookie.clone_from(&cookie);
    again.page("/dashboard").await;
    brain.config.server.admin_token = Some("the-administrators-second-token".into());
    let brain = brain.restarted().await;
    let mut other = Browser::new(&brain);
    other.cookie = cookie;
    assert_eq!(other.get("/dashboard").await.status(), 303);
}

#[tokio::test]
async fn are_limited_in_number_and_over_after_their_time() {
    let brain = guarded().await;
    let token = give(&brain, &wish("acme", Role::Viewer)).await;
    let first = Browser::with(&brain, &token).await;
    for _ in 0..20 {
        Browser::with(&brain, &token).await;
    }
    let client = brain.database.client().await;
    let count = "SELECT count(*) FROM brain_sessions";
    assert_eq!(client.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 20);
    let ended = async || (first.get("/dashboard").await.status() == 303).then_some(());
    eventually("the oldest session ends", ended).await;

    let last = Browser::with(&brain, &token).await;
    last.page("/dashboard").await;
    let over = "UPDATE brain_sessions SET expires_at = now() - interval '1 second'";
    client.execute(over, &[]).await.unwrap();
    let ended = async || (last.get("/dashboard").await.status() == 303).then_some(());
    eventually("the session is over", ended).await;
    Browser::with(&brain, &token).await;
    assert_eq!(
        client.query_one(count, &[]).await.unwrap().get::<_, i64>(0),
        1,
        "what is over goes"
    );
}

#[tokio::test]
async fn lead_from_the_login_to_where_somebody_wanted_to_go() {
    let brain = guarded().await;
    let token = give(&brain, &wish("acme", Role::Viewer)).await;
    let mut browser = Browser::new(&brain);
    let answer = browser.get("/dashboard/tasks?status=failed&swarmId=a%20b").await;
    let to = answer.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(
        to,
        "/dashboard/login?next=%2Fdashboard%2Ftasks%3Fstatus%3Dfailed%26swarmId%3Da%2520b"
    );
    let form = browser.page(&to).await;
    assert_eq!(
        hidden(&form, "next"),
        "/dashboard/tasks?status=failed&#38;swarmId=a%20b"
    );
    let evil = browser
        .page("/dashboard/login?next=https%3A%2F%2Fevil.example%2Fdashboard")
        .await;
    assert_eq!(hidden(&evil, "next"), "/dashboard");
    // A change that was asked for without a session is not done after the login.
    let change = browser.ask(&Method::POST, "/dashboard/tasks/t/cancel", &[]).await;
    assert_eq!(change.headers()["location"], "/dashboard/login");
    browser.log_in(&token).await;
    let known = browser.get(&to).await;
    assert_eq!(
        known.headers()["location"],
        "/dashboard/tasks?status=failed&swarmId=a%20b"
    );
}

#[tokio::test]
async fn have_a_cookie_that_is_secure_behind_https() {
    let brain = guarded().await;
    let token = give(&brain, &wish("acme", Role::Viewer)).await;
    let form = brain.get("/dashboard/login").header("x-forwarded-proto", "https");
    let form = form.send().await.unwrap();
    assert!(form.headers()["set-cookie"].to_str().unwrap().ends_with("; Secure"));
    let visit = set_cookie(&form, "brain_visit").unwrap();
    let fields = [("form", hidden(&form.text().await.unwrap(), "form")), ("token", token)];
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    let post = client.build().unwrap().post(brain.url("/dashboard/login"));
    let post = post
        .header("x-forwarded-proto", "https")
        .header("cookie", visit)
        .form(&fields);
    let answer = post.send().await.unwrap();
    assert_eq!(answer.status(), 303);
    assert!(
        answer.headers()["set-cookie"]
            .to_str()
            .unwrap()
            .ends_with("; HttpOnly; SameSite=Strict; Secure")
    );
}

#[tokio::test]
async fn are_no_credential_of_the_interface() {
    let brain = guarded().await;
    let token = give(&brain, &wish("acme", Role::Admin)).await;
    let browser = Browser::with(&brain, &token).await;
    assert_eq!(
        browser.get("/api/swarm/tasks").await.status(),
        401,
        "a cookie opens the pages alone"
    );
    let bearer = browser.client.get(brain.url("/dashboard")).bearer_auth(&token);
    assert_eq!(bearer.send().await.unwrap().status(), 303, "and a token the interface");
}

#[tokio::test]
async fn are_not_needed_where_nobody_needs_a_credential() {
    let brain = Brain::start().await;
    let browser = Browser::new(&brain);
    let answer = browser.get("/dashboard").await;
    assert_eq!(answer.status(), 200);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("brain_visit=") && cookie.ends_with("; Path=/dashboard; HttpOnly; SameSite=Strict"));
    assert!(!answer.text().await.unwrap().contains("Log out"));
    assert_eq!(
        browser.get("/dashboard/login").await.headers()["location"],
        "/dashboard"
    );
    let rebound = brain.get("/dashboard").header("host", "attacker.example");
    assert_eq!(rebound.send().await.unwrap().status(), 403);
}
