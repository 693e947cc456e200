//! Approving on a page: all of what would happen is on it, and what is approved is what was on it.

use brain_http::access::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Browser, hidden};
use crate::{
    access::{give, guarded, wish},
    brain::Brain,
    governance::WHY,
};

const BUTTON: &str = "id=\"approve\"";
const OVERRULE: &str = "name=\"overrule\"";

/// Somebody who decides, with a token for the interface too.
struct Desk<'a> {
    brain: &'a Brain,
    token: String,
    browser: Browser<'a>,
}

impl<'a> Desk<'a> {
    async fn new(brain: &'a Brain) -> Self {
        let token = give(brain, &wish("acme", Role::Operator)).await;
        Self {
            brain,
            browser: Browser::with(brain, &token).await,
            token,
        }
    }

    async fn propose(&self, input: Value) -> String {
        let body = json!({"capabilityId": "mail.send", "input": input, "rationale": WHY, "summary": "Tell them."});
        let (status, made) = self.call("proposals", body).await;
        assert_eq!(status, 201, "{made}");
        made["proposalId"].as_str().unwrap().to_owned()
    }

    async fn call(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.brain.post(&format!("/api/capabilities/{path}"));
        let answer = request.bearer_auth(&self.token).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn page(&self, id: &str) -> String {
        self.browser.page(&format!("/dashboard/approvals/{id}")).await
    }

    /// Sends the form of the page; gives the status and what the answer says.
    async fn approve(&self, id: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let token = self.browser.form_token().await;
        let fixed = [("form", token.as_str()), ("reason", WHY)];
        let fields = [&fixed[..], fields].concat();
        let path = format!("/dashboard/approvals/{id}/approve");
        let answer = self.browser.ask(&Method::POST, &path, &fields).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn sql(&self, statement: &str) {
        self.brain
            .database
            .client()
            .await
            .batch_execute(statement)
            .await
            .unwrap();
    }
}

/// What is harmful once could stand behind the place where the page was cut.
#[tokio::test]
async fn shows_the_whole_input_however_long_it_is() {
    let brain = guarded().await;
    let desk = Desk::new(&brain).await;
    let long = desk
        .propose(json!({"body": "x".repeat(100_000), "to": "you", "zz": {"and": "the harmful part"}}))
        .await;
    let page = desk.page(&long).await;
    assert!(page.contains("the harmful part"), "the last field is shown");
    assert!(!page.contains("Cut:") && page.contains(BUTTON));
    // Indented, this would be a hundred times as long.
    let mut deep = json!(vec![1; 40_000]);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let deep = desk.propose(json!({"body": deep, "to": "the end"})).await;
    let page = desk.page(&deep).await;
    assert!(page.contains("the end") && page.contains(BUTTON));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
}

#[tokio::test]
async fn offers_to_approve_only_what_can_be_approved() {
    let brain = guarded().await;
    let desk = Desk::new(&brain).await;
    for (change, says) in [
        ("input = '{\"to\":\"them\"}'", "not what their digest says"),
        ("capability_id = 'mail.burn'", "is not defined"),
    ] {
        let id = desk.propose(json!({"to": "you"})).await;
        assert!(desk.page(&id).await.contains(BUTTON));
        desk.sql(&format!(
            "UPDATE brain_capability_proposals SET {change} WHERE proposal_id = '{id}'"
        ))
        .await;
        let page = desk.page(&id).await;
        assert!(
            !page.contains(BUTTON) && page.contains("id=\"reject\""),
            "{change}: {page}"
        );
        assert!(page.contains(says), "{change}: {page}");
    }
}

#[tokio::test]
async fn approves_the_definition_that_was_shown() {
    let brain = guarded().await;
    let desk = Desk::new(&brain).await;
    let id = desk.propose(json!({"to": "you"})).await;
    let request = brain.get("/api/capabilities").bearer_auth(&desk.token);
    let defined: Value = request.send().await.unwrap().json().await.unwrap();
    let all = defined["capabilities"].as_array().unwrap();
    let mail = all.iter().find(|one| one["id"] == "mail.send").unwrap();
    let digest = hidden(&desk.page(&id).await, "definitionDigest");
    assert_eq!(mail["definitionDigest"], digest.as_str());

    let other = digest.chars().rev().collect::<String>();
    let (status, said) = desk.approve(&id, &[("definitionDigest", &other)]).await;
    assert_eq!(status, 409, "{said}");
    assert!(said.contains("the capability changed since it was shown"), "{said}");
    let (status, said) = desk.approve(&id, &[]).await;
    assert_eq!(status, 400, "{said}");
    let path = format!("proposals/{id}/approve");
    let (status, said) = desk
        .call(&path, json!({"reason": WHY, "definitionDigest": other}))
        .await;
    assert_eq!(status, 409, "{said}");
    assert!(said["detail"].as_str().unwrap().contains("read it again"), "{said}");
    let (status, said) = desk.call(&path, json!({"reason": WHY, "definitionDigest": "x"})).await;
    assert_eq!(status, 422, "{said}");

    let (status, said) = desk.approve(&id, &[("definitionDigest", &digest)]).await;
    assert_eq!(status, 303, "{said}");
    let another = desk.propose(json!({"to": "you"})).await;
    let approved = desk
        .call(
            &format!("proposals/{another}/approve"),
            json!({"reason": WHY, "definitionDigest": digest}),
        )
        .await;
    assert_eq!(approved.0, 200, "{}", approved.1);
    let third = desk.propose(json!({"to": "you"})).await;
    let unsaid = desk
        .call(&format!("proposals/{third}/approve"), json!({ "reason": WHY }))
        .await;
    assert_eq!(unsaid.0, 200, "a program may leave it out: {}", unsaid.1);
}

/// A rule that came after the proposal refused what the page offered no way to say.
#[tokio::test]
async fn asks_to_overrule_what_a_rule_finds_now() {
    let brain = guarded().await;
    let desk = Desk::new(&brain).await;
    let plain = desk.propose(json!({"to": "you"})).await;
    assert!(!desk.page(&plain).await.contains(OVERRULE));
    let id = desk.propose(json!({"to": "the password"})).await;
    let forget = "UPDATE brain_capability_proposals SET intake_rule = NULL, intake_reason = NULL";
    desk.sql(forget).await;
    let page = desk.page(&id).await;
    assert!(page.contains(OVERRULE), "{page}");
    assert!(
        page.contains("Rule secrets found something: It may give a secret away."),
        "{page}"
    );
    let digest = hidden(&page, "definitionDigest");
    let (status, said) = desk.approve(&id, &[("definitionDigest", &digest)]).await;
    assert_eq!(status, 403, "{said}");
    let fields = [("definitionDigest", digest.as_str()), ("overrule", "true")];
    let (status, said) = desk.approve(&id, &fields).await;
    assert_eq!(status, 303, "{said}");
}

#[tokio::test]
async fn says_where_an_answer_is_cut() {
    let brain = guarded().await;
    let desk = Desk::new(&brain).await;
    let id = desk.propose(json!({"to": "you"})).await;
    desk.sql(&format!(
        "INSERT INTO brain_capability_executions
             (execution_id, tenant_id, proposal_id, kind, status, authority, principal, replica_id, deadline, output)
         VALUES (gen_random_uuid(), 'acme', '{id}', 'execute', 'succeeded', 'approval', 'token:x', 'replica-1', now(),
             to_json(repeat('y', 70000))::text)"
    ))
    .await;
    let page = desk.page(&id).await;
    assert!(
        page.contains("yyyy") && page.contains("Cut: the first"),
        "{}",
        page.len()
    );
}
