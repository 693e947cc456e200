//! Audit lines and records: one for each action that manages something, with who did it, and none for what did not happen.

use brain_http::access::{Need, Role, operations};
use brain_testkit::eventually;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    access::{give, guarded, wish},
    brain::Brain,
    dead_letters, governance,
    log::Lines,
    matrix::case,
};

/// Somebody who may do all of it, in a tenant of its own.
struct Manager<'a> {
    brain: &'a Brain,
    token: String,
}

impl Manager<'_> {
    async fn call(&self, method: &Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let request = self.brain.client.request(method.clone(), self.brain.url(path));
        let mut request = request.bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn make(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self
            .call(&Method::POST, &format!("/api/swarm/{path}?swarmId=s"), Some(&body))
            .await;
        assert!(status < 300, "{path}: {answer}");
        answer
    }

    /// Makes what an operation needs to take effect; gives what stands for the braces in its path, and its action.
    async fn prepare(&self, method: &Method, path: &str, number: usize) -> (String, &'static str) {
        let id = format!("thing-{number}");
        let task = json!({"taskId": id, "runId": id});
        let budget = json!({"budgetId": id, "maxUnits": 10});
        let action = match (method.as_str(), path) {
            ("POST", "/api/swarm/tasks/{taskId}/cancel") => {
                self.make("tasks", task).await;
                "task.cancel"
            }
            ("POST", "/api/swarm/tasks/{taskId}/reassign") => {
                self.make("agents", json!({"agentId": "a-1"})).await;
                self.make("tasks", task).await;
                "task.reassign"
            }
            ("POST", "/api/swarm/tasks/{taskId}/retry") => {
                self.make("tasks", task).await;
                self.make(&format!("tasks/{id}/cancel"), json!({})).await;
                "task.retry"
            }
            ("POST", "/api/swarm/agents/{agentId}/drain") => {
                self.make("agents", json!({"agentId": id})).await;
                "agent.drain"
            }
            ("POST", "/api/swarm/agents/{agentId}/resume") => {
                self.make("agents", json!({"agentId": id})).await;
                "agent.resume"
            }
            ("POST", "/api/swarm/runs/{runId}/cancel") => {
                self.make("tasks", task).await;
                "run.cancel"
            }
            ("POST", "/api/swarm/runs/{runId}/finish") => {
                self.make("tasks", task).await;
                "run.finish"
            }
            ("POST", "/api/swarm/budgets") => "budget.create",
            ("POST", "/api/swarm/budgets/{budgetId}/raise") => {
                self.make("budgets", budget).await;
                "budget.raise"
            }
            ("POST", "/api/swarm/budgets/{budgetId}/stop") => {
                self.make("budgets", budget).await;
                "budget.stop"
            }
            ("DELETE", "/api/swarm/dead-letters/{deadLetterId}") => {
                return (self.letter(number).await, "dead-letter.drop");
            }
            ("POST", "/api/swarm/dead-letters/{deadLetterId}/replay") => {
                return (self.letter(number).await, "dead-letter.replay");
            }
            ("PUT", "/api/swarm/schedules/{scheduleId}") => "schedule.put",
            ("DELETE", "/api/swarm/schedules/{scheduleId}") => {
                let body = json!({"cron": "0 3 * * *", "task": {}});
                let path = format!("/api/swarm/schedules/{id}?swarmId=s");
                assert_eq!(self.call(&Method::PUT, &path, Some(&body)).await.0, 200);
                "schedule.remove"
            }
            ("POST", "/api/swarm/schemas") => return ("thing.done/1".to_owned(), "schema.register"),
            ("POST", path) if path.starts_with("/api/capabilities") => return self.govern(path).await,
            ("POST", "/api/skills") => return ("thing@1.0.0".to_owned(), "skill.install"),
            ("DELETE", "/api/skills/{reference}") => {
                let skill = json!({"reference": "echo@1.0.0"});
                assert_eq!(self.call(&Method::POST, "/api/skills", Some(&skill)).await.0, 201);
                return ("echo@1.0.0".to_owned(), "skill.remove");
            }
            ("POST", "/api/tokens") => "token.create",
            ("DELETE", "/api/tokens/{tokenId}") => {
                let token = give(self.brain, &wish("acme", Role::Viewer)).await;
                return (token[6..22].to_owned(), "token.revoke");
            }
            _ => panic!("say here what {method} {path} needs to take effect, and call audit::done in its route"),
        };
        (id, action)
    }

    /// The same, of capabilities.
    async fn govern(&self, path: &str) -> (String, &'static str) {
        let made = async |path: &str, body: Value, id: &str| {
            let path = format!("/api/capabilities{path}");
            let (status, answer) = self.call(&Method::POST, &path, Some(&body)).await;
            assert!(status < 300, "{path}: {answer}");
            answer[id].as_str().unwrap_or_default().to_owned()
        };
        let (proposed, proposal) = (governance::proposal("mail.send"), "proposalId");
        let reason = json!({"reason": governance::WHY});
        match path.strip_prefix("/api/capabilities").unwrap() {
            "/policy/kill-switch" => ("off".to_owned(), "capability.kill_switch"),
            "/policy/exemptions/{exemptionId}/revoke" => {
                let body = json!({"capabilityId": "mail.send", "expiresInMs": 1000, "reason": governance::WHY});
                let id = made("/policy/exemptions", body, "exemptionId").await;
                (id, "capability.exemption.revoke")
            }
            "/quotas/{bucket}/reset" => {
                let id = made("/proposals", governance::proposal("mail.read"), proposal).await;
                made(&format!("/proposals/{id}/execute"), json!({}), proposal).await;
                let (_, quotas) = self.call(&Method::GET, "/api/capabilities/quotas", None).await;
                let bucket = quotas["quotas"][0]["bucket"].as_str().unwrap().to_owned();
                (bucket, "capability.quota.reset")
            }
            "/delegations" => (String::new(), "capability.delegation.create"),
            "/delegations/{delegationId}/revoke" => {
                let body = case(&Method::POST, "/api/capabilities/delegations").unwrap().1.unwrap();
                let id = made("/delegations", body, "delegationId").await;
                (id, "capability.delegation.revoke")
            }
            "/proposals/{proposalId}/approve" => (made("/proposals", proposed, proposal).await, "capability.approve"),
            "/proposals/{proposalId}/reject" => (made("/proposals", proposed, proposal).await, "capability.reject"),
            "/proposals/{proposalId}/rollback" => {
                let id = made("/proposals", proposed, proposal).await;
                made(&format!("/proposals/{id}/approve"), reason, proposal).await;
                made(&format!("/proposals/{id}/execute"), json!({}), proposal).await;
                (id, "capability.rollback")
            }
            other => panic!("say here what {other} needs to take effect, and call audit::recorded in its route"),
        }
    }

    async fn letter(&self, number: usize) -> String {
        let event = json!({"id": format!("e-{number}"), "type": "build.finished", "swarmId": "s", "runId": "r", "actorId": "a",
            "payload": {}, "createdAt": "2026-01-02T03:04:05Z"});
        let raw = event.to_string();
        let letter = dead_letters::park(self.brain, &format!("{number}-0"), "malformed", raw.as_bytes()).await;
        let of = "UPDATE swarm_dead_letters SET tenant_id = 'acme' WHERE dead_letter_id = $1";
        let client = self.brain.database.client().await;
        assert_eq!(client.execute(of, &[&letter]).await.unwrap(), 1);
        letter.to_string()
    }
}

fn filled(template: &str, id: &str) -> String {
    match (template.find('{'), template.find('}')) {
        (Some(from), Some(to)) => format!("{}{id}{}", &template[..from], &template[to + 1..]),
        _ => template.to_owned(),
    }
}

/// The runtime of this test is this thread, so a subscriber of this thread sees the server too.
#[tokio::test]
async fn each_action_that_manages_something_leaves_one_line_and_one_record() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().json().with_writer(lines.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let brain = guarded().await;
    let token = give(&brain, &wish("acme", Role::Admin)).await;
    let principal = format!("token:{}", &token[6..22]);
    let manager = Manager { brain: &brain, token };
    let mut actions = Vec::new();
    for (number, (method, template, need)) in operations().enumerate() {
        if !matches!(need, Need::Scope(_, "manage")) {
            continue;
        }
        let name = format!("{method} {template}");
        let (id, action) = manager.prepare(method, template, number).await;
        let (query, body) = case(method, template).unwrap();
        let path = format!("{}?{query}", filled(template, &id));

        let before = lines.audited().len();
        let (status, answer) = manager.call(method, &path, body.as_ref()).await;
        assert!(status < 300, "{name}: {status} {answer}");
        let new = lines.audited().split_off(before);
        let [line] = new.as_slice() else {
            panic!("{name} leaves one line: {new:?}")
        };
        assert_eq!(line["action"], action, "{name}: {line}");
        assert_eq!(line["by"], principal.as_str(), "{name}: {line}");
        assert_eq!(line["tenant.id"], "acme", "{name}: {line}");
        let object = if template.contains('{') {
            json!(id)
        } else if answer["tokenId"].is_string() {
            answer["tokenId"].clone()
        } else if answer["budgetId"].is_string() {
            answer["budgetId"].clone()
        } else if answer["delegationId"].is_string() {
            answer["delegationId"].clone()
        } else {
            json!(id)
        };
        assert_eq!(line["object"], object, "{name}: {line}");
        let (_, page) = manager
            .call(
                &Method::GET,
                &format!("/api/capabilities/audit?limit=1&actionPrefix={action}"),
                None,
            )
            .await;
        let record = &page["records"][0];
        assert_eq!(record["action"], action, "{name}: {record}");
        // A switch has the name of its tenant.
        let target = if action == "capability.kill_switch" {
            json!("acme")
        } else {
            object
        };
        assert_eq!(record["target"], target, "{name}: {record}");
        assert_eq!(record["actorId"], principal.as_str(), "{name}: {record}");
        assert_eq!(record["tenantId"], "acme", "{name}: {record}");
        assert_eq!(
            line["swarm.id"].is_string(),
            query.contains("swarmId"),
            "{name}: {line}"
        );
        actions.push(action);
    }
    assert!(actions.len() >= 16, "{actions:?}");
    assert!(!lines.text().contains(&manager.token), "a token is in no line");

    // Who was refused is in the line of the request.
    let viewer = give(&brain, &wish("acme", Role::Viewer)).await;
    let refused = brain
        .post("/api/swarm/tasks/none/cancel")
        .bearer_auth(&viewer)
        .header("x-request-id", "refused");
    assert_eq!(refused.send().await.unwrap().status(), 403);
    let line = lines.request("refused").await;
    assert_eq!(
        line["fields"]["principal.id"],
        format!("token:{}", &viewer[6..22]),
        "{line}"
    );

    let before = lines.audited().len();
    for path in ["/api/swarm/tasks/none/cancel", "/api/swarm/budgets/none/stop"] {
        let (status, _) = manager
            .call(&Method::POST, &format!("{path}?swarmId=s"), Some(&json!({})))
            .await;
        assert!(status >= 400);
    }
    assert_eq!(lines.audited().len(), before, "what did not happen leaves none");
}

/// The answer is the same each time, also to those who come at once.
#[tokio::test]
async fn a_token_that_is_revoked_again_leaves_no_other_line_and_no_other_record() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().json().with_writer(lines.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let brain = guarded().await;
    let token = give(&brain, &wish("acme", Role::Admin)).await;
    let manager = Manager { brain: &brain, token };
    let other = give(&brain, &wish("acme", Role::Viewer)).await;
    let path = format!("/api/tokens/{}", &other[6..22]);
    let before = lines.audited().len();
    let revoking = (0..4).map(|_| manager.call(&Method::DELETE, &path, None));
    let mut answers = futures_util::future::join_all(revoking).await;
    answers.push(manager.call(&Method::DELETE, &path, None).await);
    for answer in &answers {
        assert_eq!(answer.0, 200, "{answer:?}");
        assert_eq!(answer.1["revokedAt"], answers[0].1["revokedAt"], "{answers:?}");
    }
    let new = lines.audited().split_off(before);
    assert_eq!(new.len(), 1, "{new:?}");
    let path = "/api/capabilities/audit?actionPrefix=token.revoke";
    let (_, page) = manager.call(&Method::GET, path, None).await;
    assert_eq!(page["records"].as_array().unwrap().len(), 1, "{page}");
}

/// A caller that hangs up changes nothing of what happened, nor of what is said about it.
#[tokio::test]
async fn an_action_whose_caller_went_away_leaves_its_line() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().json().with_writer(lines.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let brain = Brain::start().await;
    brain.call("tasks", json!({"taskId": "t"})).await;
    let held = brain.hold_commits().await;
    let impatient = brain
        .post("/api/swarm/tasks/t/cancel")
        .json(&json!({}))
        .timeout(std::time::Duration::from_millis(300));
    assert!(impatient.send().await.is_err());
    brain.commit_waits().await;
    held.release().await;
    let line = eventually("the line is written", async || lines.audited().pop()).await;
    assert_eq!((&line["action"], &line["object"]), (&json!("task.cancel"), &json!("t")));
    assert_eq!(line["by"], "local");
}
