//! Audit lines and records: one for each action that manages something, with who did it, and none for what did not happen.

use brain_http::access::{Need, Role, operations};
use brain_testkit::eventually;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    access::{give, guarded, wish},
    brain::Brain,
    dead_letters,
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
            ("POST", "/api/tokens") => "token.create",
            ("DELETE", "/api/tokens/{tokenId}") => {
                let token = give(self.brain, &wish("acme", Role::Viewer)).await;
                return (token[6..22].to_owned(), "token.revoke");
            }
            _ => panic!("say here what {method} {path} needs to take effect, and call audit::done in its route"),
        };
        (id, action)
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
        } else {
            json!(id)
        };
        assert_eq!(line["object"], object, "{name}: {line}");
        let (_, page) = manager
            .call(&Method::GET, "/api/capabilities/audit?limit=1", None)
            .await;
        let record = &page["records"][0];
        assert_eq!(record["action"], action, "{name}: {record}");
        assert_eq!(record["target"], object, "{name}: {record}");
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
