//! Governance over HTTP: who may do what, which answers there are, and which code each refusal has.

use std::sync::Arc;

use async_trait::async_trait;
use brain_connectivity::postgres::Postgres;
use brain_http::access::Role;
use brain_swarm::governance::{
    Governance, Options,
    executor::{Executor, Fence, Order, Outcome},
    policy::Policy,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    access::{give, guarded, scopes, wish},
    brain::Brain,
};

pub(crate) const WHY: &str = "because it has to be done";

const POLICY: &str = r#"
    [[capability]]
    id = "mail.send"
    target = "mail"
    description = "Sends a mail."
    risk = "medium"
    input_schema = '{"type": "object", "properties": {"to": {"type": "string"}}}'
    executor = { type = "webhook", url = "https://mail.example/send", rollback_url = "https://mail.example/unsend" }

    [[capability]]
    id = "mail.read"
    target = "mail"
    read_only = true
    requires_approval = false
    owner = "post-office"
    risk = "low"
    rollback_plan = "Nothing is changed."
    escalation_path = "post-office on call"
    max_calls_per_hour = 2
    executor = { type = "webhook", url = "https://mail.example/read" }

    [[intake]]
    id = "secrets"
    pattern = "password"
    reason = "It may give a secret away."
"#;

/// Says yes to everything that passes the fence.
#[derive(Debug)]
struct Yes;

#[async_trait]
impl Executor for Yes {
    async fn carry_out(&self, order: &Order, fence: &dyn Fence) -> Outcome {
        match fence.pass().await {
            Ok(_passing) => Outcome::Succeeded {
                output: json!({"did": order.kind}).to_string(),
            },
            Err(reason) => Outcome::NotSent { reason },
        }
    }
}

pub(crate) fn of(_: &brain_config::Config, postgres: Postgres) -> Governance {
    Governance::new(Options {
        postgres,
        policy: Policy::parse(POLICY).unwrap(),
        executor: Box::new(|_| Arc::new(Yes)),
        notices: None,
        replica_id: "replica-1".to_owned(),
    })
}

/// A caller of the interface.
pub(crate) struct Someone<'a> {
    brain: &'a Brain,
    token: String,
}

impl<'a> Someone<'a> {
    async fn new(brain: &'a Brain, name: &str, role: Role) -> Self {
        let mut wish = wish("acme", role);
        wish.name = brain_swarm::ids::ActorId::new(name).unwrap();
        Self {
            brain,
            token: give(brain, &wish).await,
        }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self
            .brain
            .client
            .request(method, self.brain.url(&format!("/api/capabilities{path}")));
        let mut request = request.bearer_auth(&self.token);
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, body).await
    }

    async fn made(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.post(path, body).await;
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }

    async fn propose(&self, capability: &str) -> String {
        let made = self.made("/proposals", proposal(capability)).await;
        made["proposalId"].as_str().unwrap().to_owned()
    }

    async fn approve(&self, id: &str) {
        self.made(&format!("/proposals/{id}/approve"), json!({"reason": WHY}))
            .await;
    }
}

pub(crate) fn proposal(capability: &str) -> Value {
    json!({"capabilityId": capability, "input": {"to": "you"}, "rationale": WHY, "summary": "Tell them."})
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["reasonCode"].as_str().unwrap_or("none"))
}

#[tokio::test]
async fn a_proposal_from_the_idea_to_the_rollback() {
    let brain = guarded().await;
    let (robot, boss) = (
        Someone::new(&brain, "robot", Role::Agent).await,
        Someone::new(&brain, "boss", Role::Operator).await,
    );
    let made = robot.post("/proposals", proposal("mail.send")).await;
    assert_eq!(code(&made), (403, "DELEGATION_MISSING"));
    let scope = "capability:mail.send:execute";
    let given = json!({"agentId": "robot", "scopes": [scope], "expiresInMs": 60_000, "reason": WHY});
    let delegation = boss.made("/delegations", given).await;
    let mut with = proposal("mail.send");
    with["delegationId"] = delegation["delegationId"].clone();
    let made = robot.made("/proposals", with).await;
    assert_eq!(
        (&made["status"], &made["ownerId"]),
        (&json!("pending_approval"), &json!("boss"))
    );
    let id = made["proposalId"].as_str().unwrap();
    let path = |verb: &str| format!("/proposals/{id}/{verb}");
    let early = robot.post(&path("execute"), Value::Null).await;
    assert_eq!(code(&early), (403, "APPROVAL_REQUIRED"));
    let own = robot.post(&path("approve"), json!({"reason": WHY})).await;
    assert_eq!(own.0, 403, "an agent approves nothing");
    let brief = boss.post(&path("approve"), json!({"reason": "ok"})).await;
    assert_eq!(code(&brief), (422, "RATIONALE_REQUIRED"));
    let approved = boss.made(&path("approve"), json!({"reason": WHY})).await;
    assert_eq!(approved["status"], "approved");
    let dry = robot.made(&path("dry-run"), Value::Null).await;
    assert_eq!((&dry["allowed"], &dry["input"]), (&json!(true), &json!({"to": "you"})));
    let other = robot.post(&path("execute"), json!({"input": {"to": "them"}})).await;
    assert_eq!(code(&other), (403, "APPROVAL_INPUT_CHANGED"));
    let other = robot.post(&path("execute"), json!({"capabilityId": "mail.read"})).await;
    assert_eq!(code(&other), (403, "PROPOSAL_CAPABILITY_MISMATCH"));
    let other = boss.post(&path("execute"), Value::Null).await;
    assert_eq!(
        code(&other),
        (403, "APPROVAL_PRINCIPAL_CHANGED"),
        "it was approved for the robot"
    );
    let done = robot.made(&path("execute"), Value::Null).await;
    assert_eq!(done["status"], "executed");
    assert_eq!(done["executions"][0]["output"], json!({"did": "execute"}));
    let again = robot.post(&path("execute"), Value::Null).await;
    assert_eq!(code(&again), (409, "ALREADY_EXECUTED"));
    let undone = boss.made(&path("rollback"), json!({"reason": WHY})).await;
    assert_eq!(undone["executions"][1]["output"], json!({"did": "rollback"}));
    let again = boss.post(&path("rollback"), json!({"reason": WHY})).await;
    assert_eq!(code(&again), (409, "ALREADY_EXECUTED"));

    let trail = boss.get("/audit?limit=100").await;
    let records = trail["records"].as_array().unwrap().iter().rev();
    let actions: Vec<&str> = records
        .filter_map(|one| one["action"].as_str()?.strip_prefix("capability."))
        .collect();
    assert_eq!(
        actions,
        [
            "delegation.refused",
            "delegation.create",
            "propose",
            "execute.refused",
            "approve",
            "dry_run",
            "execute.refused",
            "execute.refused",
            "execute.refused",
            "execute",
            "outcome",
            "execute.refused",
            "rollback",
            "outcome",
            "rollback.refused",
        ]
    );
    let traces = boss.get("/delegation/traces").await;
    assert!(traces["records"].as_array().unwrap().len() >= 2);
}

#[tokio::test]
async fn what_is_decided_by_can_be_read() {
    let brain = guarded().await;
    let viewer = Someone::new(&brain, "viewer", Role::Viewer).await;
    let list = viewer.get("").await;
    assert_eq!(list["capabilities"].as_array().unwrap().len(), 2);
    assert_eq!(list["capabilities"][0]["id"], "mail.read");
    assert_eq!(list["capabilities"][0]["definitionDigest"].as_str().unwrap().len(), 64);
    let policy = viewer.get("/policy").await;
    assert_eq!(policy["rules"]["approvalValidMinutes"], 60);
    assert_eq!(policy["intake"][0]["id"], "secrets");
    assert_eq!(policy["killSwitches"][0]["enabled"], false);
    let lint = viewer.get("/policy-lint").await;
    let codes: Vec<&str> = lint["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["code"].as_str().unwrap())
        .collect();
    assert_eq!(
        codes,
        ["OWNER_MISSING", "ROLLBACK_PLAN_MISSING", "ESCALATION_PATH_MISSING"]
    );
}

#[tokio::test]
async fn quotas_answer_429_and_can_be_reset() {
    let brain = guarded().await;
    let boss = Someone::new(&brain, "boss", Role::Operator).await;
    let mut last = (0, Value::Null);
    for _ in 0..3 {
        let id = boss.propose("mail.read").await;
        last = boss.post(&format!("/proposals/{id}/execute"), Value::Null).await;
    }
    assert_eq!(code(&last), (429, "RATE_LIMITED"));
    assert!(
        last.1["retryAfterSeconds"]
            .as_u64()
            .is_some_and(|seconds| (1..=3600).contains(&seconds)),
        "{last:?}"
    );
    let quotas = boss.get("/quotas").await;
    let quota = &quotas["quotas"][0];
    assert_eq!((&quota["used"], &quota["limit"]), (&json!(2), &json!(2)));
    let bucket = quota["bucket"].as_str().unwrap();
    let reset = boss
        .made(&format!("/quotas/{bucket}/reset"), json!({"reason": WHY}))
        .await;
    assert_eq!(reset["used"], 0);
    let unknown = boss
        .post(&format!("/quotas/{}/reset", "0".repeat(64)), json!({"reason": WHY}))
        .await;
    assert_eq!(unknown.0, 404);

    for _ in 0..25 {
        last = boss.post("/proposals", proposal("mail.read")).await;
    }
    assert_eq!(code(&last), (429, "RATE_LIMITED"));
    let events = boss.get("/rate-limits/events").await;
    assert_eq!(events["records"][0]["action"], "capability.rate_limited");
}

#[tokio::test]
async fn switches_exemptions_and_delegations_belong_to_those_who_may() {
    let brain = guarded().await;
    let (boss, admin) = (
        Someone::new(&brain, "boss", Role::Operator).await,
        Someone::new(&brain, "admin", Role::Admin).await,
    );
    let id = boss.propose("mail.send").await;
    let exempt = json!({"capabilityId": "mail.send", "expiresInMs": 60_000, "reason": WHY});
    assert_eq!(boss.post("/policy/exemptions", exempt.clone()).await.0, 403);
    let exemption = admin.made("/policy/exemptions", exempt).await;
    assert_eq!(exemption["active"], true);
    let on = json!({"enabled": true, "reason": WHY});
    boss.made("/policy/kill-switch", on.clone()).await;
    let stopped = boss.post(&format!("/proposals/{id}/execute"), Value::Null).await;
    assert_eq!(code(&stopped), (403, "BLOCKED_BY_POLICY"));
    let all = json!({"enabled": true, "reach": "installation", "reason": WHY});
    assert_eq!(
        admin.post("/policy/kill-switch", all).await.0,
        403,
        "a tenant's administrator"
    );
    let switches = boss
        .made("/policy/kill-switch", json!({"enabled": false, "reason": WHY}))
        .await;
    assert_eq!(switches["killSwitches"][0]["enabled"], false);
    let done = boss.made(&format!("/proposals/{id}/execute"), Value::Null).await;
    assert_eq!(done["executions"][0]["authority"], "exemption");
    let revoked = exemption["exemptionId"].as_str().unwrap();
    let revoked = boss
        .made(&format!("/policy/exemptions/{revoked}/revoke"), json!({"reason": WHY}))
        .await;
    assert_eq!(revoked["active"], false);

    let other = json!({"ownerId": "admin", "agentId": "robot", "scopes": ["capability:*:execute"], "expiresInMs": 1000, "reason": WHY});
    assert_eq!(
        boss.post("/delegations", other.clone()).await.0,
        403,
        "an operator delegates for itself"
    );
    let made = admin.made("/delegations", other).await;
    let theirs = format!("/delegations/{}/revoke", made["delegationId"].as_str().unwrap());
    assert_eq!(boss.post(&theirs, json!({"reason": WHY})).await.0, 404);
    admin.made(&theirs, json!({"reason": WHY})).await;
    let wrong = json!({"agentId": "robot", "scopes": ["tasks:work"], "expiresInMs": 1000, "reason": WHY});
    assert_eq!(boss.post("/delegations", wrong).await.0, 422);
}

#[tokio::test]
async fn the_scopes_of_a_token_narrow_what_it_executes() {
    let brain = guarded().await;
    let mut narrow = wish("acme", Role::Operator);
    narrow.scopes = scopes(&["capabilities:*", "capability:mail.read:execute"]);
    let narrow = Someone {
        brain: &brain,
        token: give(&brain, &narrow).await,
    };
    let refused = narrow.post("/proposals", proposal("mail.send")).await;
    assert_eq!(code(&refused), (403, "DELEGATION_SCOPE_MISSING"));
    let id = narrow.propose("mail.read").await;
    narrow.made(&format!("/proposals/{id}/execute"), Value::Null).await;
    let boss = Someone::new(&brain, "boss", Role::Operator).await;
    let id = boss.propose("mail.send").await;
    boss.approve(&id).await;
    let wider = json!({"agentId": "robot", "scopes": ["capability:*:execute"], "expiresInMs": 1000, "reason": WHY});
    assert_eq!(
        narrow.post("/delegations", wider).await.0,
        403,
        "nobody gives what they do not have"
    );
}
