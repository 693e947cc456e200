//! Skills over HTTP: installed, called, verified and removed by whoever may, each tenant its own.
//!
//! Programs run unconfined here, since a test is not its own launcher; `brain` is tried with the sandbox in its own tests.

use std::{os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Duration};

use brain_connectivity::postgres::Postgres;
use brain_http::{
    access::Role,
    skills::{Availability, Skills},
};
use brain_skills::{
    bundle::Bounds,
    calls,
    launch::Limits,
    plane::{Environment, Offers, Options, Plane},
    policy::{Maximum, Policy},
    registry::Unsigned,
    sandbox::Plain,
    store::Store,
};
use brain_swarm::publish::Publisher;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    access::{give, guarded, scopes, wish},
    brain::Brain,
};

/// Answers each request with what it was given, and whatever it is asked to do badly.
const ECHO: &str = r#"import json, os, sys, time
for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request:
        continue
    params = request.get("params", {})
    payload = params.get("payload", {})
    if payload.get("exit"):
        sys.stderr.write("out of order: " + os.environ.get("SECRET", "") + "\n")
        sys.exit(3)
    if payload.get("sleep"):
        time.sleep(60)
    result = {"said": payload, "command": params.get("command"), "secret": os.environ.get("SECRET"), "pid": os.getpid()}
    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)
"#;

/// A secret that a skill may be given.
const SECRET: &str = "s3cret-of-this-brain";

/// Writes a skill into a directory of skills.
fn offer(root: &Path, name: &str, version: &str, permissions: Value) {
    let folder = root.join(name).join(version);
    std::fs::create_dir_all(&folder).unwrap();
    let manifest = json!({"name": name, "version": version, "description": "Says it again.",
        "entrypoint": ["python3", "-I", "main.py"], "permissions": permissions});
    for (file, text) in [("manifest.json", manifest.to_string()), ("main.py", ECHO.to_owned())] {
        let path = folder.join(file);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
}

/// Skills of a brain with a directory of its own.
pub(crate) fn availability(postgres: &Postgres, publisher: &Publisher) -> Availability {
    let folder = brain_testkit::scratch_dir();
    let offered = folder.join("offered");
    offer(&offered, "thing", "1.0.0", json!({"commands": ["say"]}));
    offer(
        &offered,
        "echo",
        "1.0.0",
        json!({"commands": ["say"], "environment": ["SECRET"]}),
    );
    offer(&offered, "echo", "1.1.0", json!({"commands": ["say", "shout"]}));
    offer(
        &offered,
        "greedy",
        "1.0.0",
        json!({"allowedEgressHosts": ["example.org"]}),
    );
    offer(&offered, "denied", "1.0.0", json!({}));
    let any = || vec!["*".parse().unwrap()];
    let plane = Plane::new(Options {
        store: Store::open(&folder.join("installed"), Bounds::default()).unwrap(),
        offers: Offers::Unsigned(Unsigned::new(offered), "directory offered".to_owned()),
        policy: Policy {
            require_checksum: false,
            require_signature: false,
            allow: Vec::new(),
            deny: vec!["denied".parse().unwrap()],
            publishers: Vec::new(),
            maximum: Maximum {
                egress_hosts: Vec::new(),
                commands: any(),
                environment: any(),
                limits: Limits::default(),
            },
        },
        launch: Arc::new(Plain),
        mechanisms: Plain.enforced(),
        pool: calls::Settings::default(),
        environment: Environment::new([("SECRET".to_owned(), SECRET.to_owned())]),
    });
    let limit = Duration::from_secs(30);
    Availability::Served(Skills::new(plane, postgres.clone(), publisher.clone(), limit))
}

struct Caller<'a> {
    brain: &'a Brain,
    token: String,
}

impl<'a> Caller<'a> {
    async fn of(brain: &'a Brain, tenant: &str) -> Self {
        let token = give(brain, &wish(tenant, Role::Admin)).await;
        Self { brain, token }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = self.brain.url(&format!("/api/skills{path}"));
        let mut request = self.brain.client.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn install(&self, reference: &str) -> (u16, Value) {
        self.ask(Method::POST, "", Some(json!({ "reference": reference })))
            .await
    }

    async fn call(&self, reference: &str, command: &str, payload: Value) -> (u16, Value) {
        let body = json!({"command": command, "payload": payload});
        self.ask(Method::POST, &format!("/{reference}/call"), Some(body)).await
    }

    async fn page(&self, path: &str) -> Value {
        let request = self.brain.client.get(self.brain.url(path)).bearer_auth(&self.token);
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn actions(&self) -> Vec<String> {
        let page = self.page("/api/capabilities/audit?actionPrefix=skill.").await;
        let records = page["records"].as_array().unwrap().iter().rev();
        records
            .map(|record| format!("{} {}", record["action"], record["metadata"]["stage"]))
            .collect()
    }

    async fn told(&self) -> Vec<(String, Value)> {
        let page = self.page("/api/swarm/events").await;
        let events = page["events"].as_array().unwrap().iter();
        let told = events.map(|event| (event["type"].as_str().unwrap().to_owned(), event["payload"].clone()));
        told.filter(|(kind, _)| kind.starts_with("skill.")).collect()
    }
}

#[tokio::test]
async fn are_installed_called_verified_and_removed() {
    let brain = guarded().await;
    let acme = Caller::of(&brain, "acme").await;
    let (status, offered) = acme.ask(Method::GET, "/registry", None).await;
    assert_eq!(
        (status, &offered["signed"], &offered["expiresAt"]),
        (200, &json!(false), &Value::Null)
    );
    assert_eq!(offered["skills"].as_array().unwrap().len(), 5, "{offered}");
    let (status, installed) = acme.install("echo@1.0.0").await;
    assert_eq!(status, 201, "{installed}");
    assert_eq!(installed["granted"]["commands"], json!(["say"]));
    assert_eq!(installed["publisher"], Value::Null);
    assert_eq!(acme.install("echo@1.0.0").await.0, 201, "once more is no harm");

    let (status, first) = acme.call("echo@1.0.0", "say", json!({"a": [1, "ü"]})).await;
    assert_eq!(status, 200, "{first}");
    assert_eq!(first["result"]["said"], json!({"a": [1, "ü"]}));
    assert_eq!(
        (&first["warm"], &first["result"]["secret"]),
        (&json!(false), &json!("[redacted]"))
    );
    assert_eq!(
        first["enforced"][0]["enforced"], false,
        "nothing is claimed that is not so"
    );
    let (_, second) = acme.call("echo@1.0.0", "say", json!({})).await;
    assert_eq!(
        (&second["warm"], &second["result"]["pid"]),
        (&json!(true), &first["result"]["pid"])
    );

    let (status, verified) = acme.ask(Method::POST, "/echo@1.0.0/verify", None).await;
    assert_eq!((status, &verified["ok"]), (200, &json!(true)), "{verified}");
    let (status, page) = acme.ask(Method::GET, "?limit=1", None).await;
    assert_eq!((status, page["skills"].as_array().unwrap().len()), (200, 1));
    assert_eq!(acme.ask(Method::DELETE, "/echo@1.0.0", None).await.0, 204);
    assert_eq!(
        acme.call("echo@1.0.0", "say", json!({})).await.0,
        404,
        "a warm program is not asked either"
    );
    assert_eq!(acme.ask(Method::GET, "/echo@1.0.0", None).await.0, 404);
    let (status, swept) = acme.ask(Method::POST, "/gc", None).await;
    assert_eq!((status, &swept["removed"]), (200, &json!(1)));
    assert_eq!(
        acme.actions().await,
        [
            r#""skill.install" null"#,
            r#""skill.install" null"#,
            r#""skill.remove" null"#
        ]
    );
}

#[tokio::test]
async fn belong_to_their_tenant() {
    let brain = guarded().await;
    let (acme, beta) = (Caller::of(&brain, "acme").await, Caller::of(&brain, "beta").await);
    assert_eq!(acme.install("echo@1.0.0").await.0, 201);
    let (_, mine) = acme.call("echo@1.0.0", "say", json!({})).await;
    assert_eq!(beta.call("echo@1.0.0", "say", json!({})).await.0, 404);
    assert_eq!(beta.install("echo@1.0.0").await.0, 201);
    let (status, theirs) = beta.call("echo@1.0.0", "say", json!({})).await;
    assert_eq!((status, &theirs["warm"]), (200, &json!(false)));
    assert_ne!(
        mine["result"]["pid"], theirs["result"]["pid"],
        "no program serves two tenants"
    );
    assert_eq!(beta.ask(Method::DELETE, "/echo@1.0.0", None).await.0, 204);
    assert_eq!(acme.call("echo@1.0.0", "say", json!({})).await.0, 200);
    assert_eq!(
        acme.ask(Method::POST, "/gc", None).await.1["removed"],
        0,
        "somebody has it installed"
    );
}

#[tokio::test]
async fn are_refused_with_their_stage() {
    let brain = guarded().await;
    let acme = Caller::of(&brain, "acme").await;
    for (reference, stage, says) in [
        ("denied@1.0.0", "policy", "denied"),
        ("greedy@1.0.0", "policy", "the host example.org"),
        ("nothing@1.0.0", "resolve", "no nothing@1.0.0"),
    ] {
        let (status, refused) = acme.install(reference).await;
        assert_eq!(status, 409, "{refused}");
        assert_eq!(refused["type"], "urn:studio-brain:problem:skill-refused");
        let detail = refused["detail"].as_str().unwrap();
        assert!(
            detail.starts_with(&format!("{stage}: ")) && detail.contains(says),
            "{detail}"
        );
    }
    let told = acme.told().await;
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|(kind, _)| kind == "skill.install.blocked"));
    assert_eq!(told[0].1["stage"], "policy");
    assert_eq!(
        acme.actions().await,
        [
            r#""skill.install.refused" "policy""#,
            r#""skill.install.refused" "policy""#,
            r#""skill.install.refused" "resolve""#
        ]
    );
    let (status, wrong) = acme.install("echo@latest").await;
    assert_eq!(status, 422, "{wrong}");
    let body = json!({"reference": "echo@1.0.0", "digest": "0".repeat(64)});
    let (status, other) = acme.ask(Method::POST, "", Some(body)).await;
    assert_eq!(status, 409);
    assert!(other["detail"].as_str().unwrap().starts_with("checksum: "), "{other}");

    assert_eq!(acme.install("echo@1.1.0").await.0, 201);
    let (status, older) = acme.install("echo@1.0.0").await;
    assert_eq!(status, 409);
    assert!(older["detail"].as_str().unwrap().contains("newer"), "{older}");
    let body = json!({"reference": "echo@1.0.0", "allowDowngrade": true});
    assert_eq!(acme.ask(Method::POST, "", Some(body)).await.0, 201);
}

#[tokio::test]
async fn that_fail_say_how() {
    let brain = guarded().await;
    let acme = Caller::of(&brain, "acme").await;
    assert_eq!(acme.install("echo@1.0.0").await.0, 201);
    let (status, unknown) = acme.call("echo@1.0.0", "shout", json!({})).await;
    assert_eq!(
        (status, &unknown["type"]),
        (409, &json!("urn:studio-brain:problem:skill-refused"))
    );
    assert!(
        unknown["detail"].as_str().unwrap().contains("may be asked for say"),
        "{unknown}"
    );
    let (status, ended) = acme.call("echo@1.0.0", "say", json!({"exit": true})).await;
    assert_eq!(
        (status, &ended["type"]),
        (422, &json!("urn:studio-brain:problem:skill-failed"))
    );
    let detail = ended["detail"].as_str().unwrap();
    assert!(
        detail.contains("code 3") && detail.contains("out of order: [redacted]"),
        "{detail}"
    );
    let body = json!({"command": "say", "payload": {"sleep": true}, "timeoutMs": 700});
    let (status, late) = acme.ask(Method::POST, "/echo@1.0.0/call", Some(body)).await;
    assert_eq!(status, 422);
    assert!(late["detail"].as_str().unwrap().contains("deadline"), "{late}");
}

#[tokio::test]
async fn may_not_be_spoken_of_by_everybody() {
    let brain = guarded().await;
    let mut narrow = wish("acme", Role::Operator);
    narrow.scopes = scopes(&["events:write"]);
    let token = give(&brain, &narrow).await;
    let event = json!({"type": "skill.install.completed", "swarmId": "s", "actorId": "a-1"});
    let request = brain.post("/api/swarm/events").bearer_auth(&token).json(&event);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 403);
    let problem: Value = answer.json().await.unwrap();
    assert!(
        problem["detail"].as_str().unwrap().contains("skills:manage"),
        "{problem}"
    );
}
