//! Tokens: made, listed, narrowed, expired, revoked; tenants, limits, and who is let in at all.

use brain_config::ExposeSecret as _;
use brain_connectivity::postgres::Postgres;
use brain_http::access::{
    Role, Scope,
    tokens::{self, NewToken},
};
use brain_swarm::ids::{ActorId, TenantId};
use jiff::{SignedDuration, Timestamp};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::{
    brain::{Brain, Setup},
    shown::{brief, check, whole},
};

/// A server that asks every caller who they are.
pub(crate) async fn guarded() -> Brain {
    let mut setup = Setup::new().await;
    setup.config.server.auth_required = true;
    setup.start()
}

/// What a token of a test is to be: of this tenant and role, and not narrowed.
pub(crate) fn wish(tenant: &str, role: Role) -> NewToken {
    NewToken {
        tenant_id: TenantId::new(tenant).unwrap(),
        name: ActorId::new(format!("{tenant}-{role}")).unwrap(),
        role,
        scopes: Default::default(),
        bound: false,
        expires_at: None,
        requests_per_second: None,
        max_streams: None,
        max_body_bytes: None,
        created_by: "test".to_owned(),
    }
}

/// Makes a token as `brain token create --database` does.
pub(crate) async fn give(brain: &Brain, wish: &NewToken) -> String {
    let postgres = Postgres::open(&brain.config.postgres).unwrap();
    let (_, token) = tokens::create(&postgres, wish).await.unwrap();
    token.reveal().expose_secret().to_owned()
}

pub(crate) fn scopes(texts: &[&str]) -> brain_http::access::Scopes {
    let scopes: Vec<Scope> = texts.iter().map(|text| text.parse().unwrap()).collect();
    scopes.try_into().unwrap()
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

async fn json_of(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_token_is_shown_once_and_lives_until_it_is_revoked() {
    let brain = guarded().await;
    let admin = give(&brain, &wish("acme", Role::Admin)).await;
    let body = json!({"name": "builder", "role": "agent", "scopes": ["tasks:work", "*:read"], "bound": true,
        "requestsPerSecond": 500, "maxStreams": 3, "maxBodyBytes": 4096});
    let (code, made) = json_of(brain.post("/api/tokens").bearer_auth(&admin).json(&body)).await;
    assert_eq!(code, 201);
    let token = made["token"].as_str().unwrap().to_owned();
    let id = made["tokenId"].as_str().unwrap().to_owned();
    let mut shown = made.clone();
    shown["token"] = json!("[token]");
    shown["tokenId"] = json!("[id]");
    shown["createdBy"] = json!("[by]");
    check("token_made", &serde_json::to_string_pretty(&shown).unwrap());

    let one = format!("/api/tokens/{id}");
    let (_, read) = json_of(brain.get(&one).bearer_auth(&admin)).await;
    assert!(read.get("token").is_none() && !read.to_string().contains(&token[24..]));
    let (_, list) = json_of(brain.get("/api/tokens?limit=1").bearer_auth(&admin)).await;
    assert_eq!(list["tokens"].as_array().unwrap().len(), 1);
    let cursor = list["nextCursor"].as_str().unwrap();
    let (_, rest) = json_of(
        brain
            .get(&format!("/api/tokens?limit=1&cursor={cursor}"))
            .bearer_auth(&admin),
    )
    .await;
    assert_eq!(
        (rest["tokens"].as_array().unwrap().len(), &rest["nextCursor"]),
        (1, &Value::Null)
    );

    let (_, mut who) = json_of(brain.get("/api/whoami").bearer_auth(&token)).await;
    who["id"] = json!("[id]");
    check("whoami", &serde_json::to_string_pretty(&who).unwrap());

    let (code, revoked) = json_of(brain.delete(&one).bearer_auth(&admin)).await;
    assert_eq!((code.as_u16(), &revoked["state"]), (200, &json!("revoked")));
    let refused = brain
        .get("/api/whoami")
        .bearer_auth(&token)
        .header("x-request-id", "r-1");
    check("token_revoked", &whole(refused.send().await.unwrap()).await);
    let (_, again) = json_of(brain.delete(&one).bearer_auth(&admin)).await;
    assert_eq!(again["revokedAt"], revoked["revokedAt"], "once");

    // What is stored lets nobody in.
    let client = brain.database.client().await;
    let row = client
        .query_one(
            "SELECT encode(secret_sha256, 'hex') FROM brain_api_tokens WHERE token_id = $1",
            &[&id],
        )
        .await
        .unwrap();
    let forged = format!("brain_{id}_{}", row.get::<_, String>(0));
    assert_eq!(status(brain.get("/api/whoami").bearer_auth(forged)).await, 401);
}

#[tokio::test]
async fn a_token_that_another_replica_revokes_is_refused_once_what_is_known_of_it_is_old() {
    let brain = guarded().await;
    let token = give(&brain, &wish("acme", Role::Viewer)).await;
    assert_eq!(status(brain.get("/api/whoami").bearer_auth(&token)).await, 200);
    let postgres = Postgres::open(&brain.config.postgres).unwrap();
    let id = token[6..22].parse().unwrap();
    tokens::revoke(&postgres, None, id, "test").await.unwrap().unwrap();
    brain_testkit::eventually("the token is refused", async || {
        (status(brain.get("/api/whoami").bearer_auth(&token)).await == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_token_ends_at_its_time_also_while_it_is_remembered() {
    let brain = guarded().await;
    let mut wish = wish("acme", Role::Viewer);
    wish.expires_at = Some(Timestamp::now() + SignedDuration::from_millis(800));
    let token = give(&brain, &wish).await;
    assert_eq!(status(brain.get("/api/whoami").bearer_auth(&token)).await, 200);
    brain_testkit::eventually("the token has expired", async || {
        (status(brain.get("/api/whoami").bearer_auth(&token)).await == 401).then_some(())
    })
    .await;
    let body = json!({"name": "x", "role": "viewer", "expiresInMs": 0});
    let admin = give(&brain, &self::wish("acme", Role::Admin)).await;
    assert_eq!(
        status(brain.post("/api/tokens").bearer_auth(&admin).json(&body)).await,
        422
    );
}

#[tokio::test]
async fn the_use_of_a_token_is_noted() {
    let brain = guarded().await;
    let admin = give(&brain, &wish("acme", Role::Admin)).await;
    let path = format!("/api/tokens/{}", &admin[6..22]);
    brain_testkit::eventually("the use is noted", async || {
        let (_, token) = json_of(brain.get(&path).bearer_auth(&admin)).await;
        token["lastUsedAt"].is_string().then_some(())
    })
    .await;
}

#[tokio::test]
async fn nobody_gives_what_they_do_not_have() {
    let brain = guarded().await;
    let mut narrow = wish("acme", Role::Admin);
    narrow.scopes = scopes(&["tokens:*", "events:read"]);
    let narrow = give(&brain, &narrow).await;
    let make = async |body: Value| json_of(brain.post("/api/tokens").bearer_auth(&narrow).json(&body)).await;
    let (code, _) = make(json!({"name": "a", "role": "viewer", "scopes": ["events:read"]})).await;
    assert_eq!(code, 201);
    let beyond = [
        json!({"name": "a", "role": "viewer"}),
        json!({"name": "a", "role": "viewer", "scopes": ["tasks:read"]}),
        json!({"name": "a", "role": "viewer", "scopes": ["events:read"], "tenantId": "other"}),
    ];
    for body in beyond {
        let (code, problem) = make(body.clone()).await;
        assert_eq!(
            (code.as_u16(), &problem["type"]),
            (403, &json!("urn:studio-brain:problem:forbidden")),
            "{body}"
        );
    }
    let mut limited = wish("acme", Role::Admin);
    limited.expires_at = Some(Timestamp::now() + SignedDuration::from_hours(1));
    (limited.bound, limited.requests_per_second, limited.max_streams) = (true, Some(50), Some(2));
    let limited = give(&brain, &limited).await;
    let make = async |body: Value| json_of(brain.post("/api/tokens").bearer_auth(&limited).json(&body)).await;
    let fitting = json!({"name": "acme-admin", "role": "agent", "bound": true});
    let (code, made) = make(fitting.clone()).await;
    assert_eq!(code, 201, "{made}");
    assert!(
        made["expiresAt"].is_string(),
        "what is left out is as the caller has it: {made}"
    );
    assert_eq!(
        (&made["requestsPerSecond"], &made["maxStreams"]),
        (&json!(50), &json!(2))
    );
    for (field, value) in [
        ("bound", json!(false)),
        ("name", json!("other")),
        ("expiresInMs", json!(7_200_000)),
        ("requestsPerSecond", json!(51)),
        ("maxStreams", json!(3)),
    ] {
        let mut body = fitting.clone();
        body[field] = value;
        let (code, problem) = make(body).await;
        assert_eq!(code, 403, "{field}: {problem}");
    }
    // The installation's administrator gives tokens to every tenant.
    let mut setup = Setup::new().await;
    setup.config.server.admin_token = Some("a-long-enough-token".into());
    let brain = setup.start();
    let request = brain
        .post("/api/tokens")
        .header("x-studio-brain-admin-token", "a-long-enough-token");
    let (code, made) = json_of(request.json(&json!({"name": "a", "role": "admin", "tenantId": "other"}))).await;
    assert_eq!((code.as_u16(), &made["tenantId"]), (201, &json!("other")));
}

#[tokio::test]
async fn tokens_of_another_tenant_are_like_unknown_ones() {
    let brain = guarded().await;
    let (one, other) = (
        give(&brain, &wish("one", Role::Admin)).await,
        give(&brain, &wish("other", Role::Admin)).await,
    );
    let path = format!("/api/tokens/{}", &one[6..22]);
    for request in [brain.get(&path), brain.delete(&path)] {
        assert_eq!(status(request.bearer_auth(&other)).await, 404);
    }
    let (_, list) = json_of(brain.get("/api/tokens").bearer_auth(&other)).await;
    assert_eq!(list["tokens"].as_array().unwrap().len(), 1);
    assert_eq!(status(brain.get("/api/whoami").bearer_auth(&one)).await, 200);
}

#[tokio::test]
async fn a_bound_token_speaks_for_nobody_else() {
    let brain = guarded().await;
    let mut wish = wish("acme", Role::Agent);
    wish.bound = true;
    let token = give(&brain, &wish).await;
    let post = |path: &str, body: Value| {
        brain
            .post(&format!("/api/swarm/{path}"))
            .bearer_auth(&token)
            .json(&body)
    };
    let foreign = [
        post("events", json!({"type": "a.b", "actorId": "other"})),
        post(
            "events",
            json!([{"type": "a.b", "actorId": "acme-agent"}, {"type": "a.b", "actorId": "other"}]),
        ),
        post("agents", json!({"agentId": "other"})),
        post("agents/other/heartbeat", json!({})),
        post("tasks/claim", json!({"agentId": "other"})),
        post("tasks/finish", json!({"agentId": "other", "results": []})),
        post("tasks/t/complete", json!({"agentId": "other", "fencingToken": 1})),
        post(
            "tasks/t/reserve",
            json!({"agentId": "other", "fencingToken": 1, "units": 1}),
        ),
        post("agents/a/messages", json!({"actorId": "other", "message": "hello"})),
    ];
    for request in foreign {
        let (code, problem) = json_of(request).await;
        assert_eq!(code, 403, "{problem}");
    }
    assert_eq!(status(post("agents", json!({"agentId": "acme-agent"}))).await, 200);
    assert_eq!(
        status(post("events", json!({"type": "a.b", "actorId": "acme-agent"}))).await,
        201
    );
    assert_eq!(status(post("tasks", json!({"taskId": "t"}))).await, 201);
    let (_, events) = json_of(brain.get("/api/swarm/events?type=task.created").bearer_auth(&token)).await;
    assert_eq!(events["events"][0]["actorId"], "acme-agent");
}

#[tokio::test]
async fn each_caller_has_limits_of_its_own() {
    let brain = guarded().await;
    let mut wish = wish("acme", Role::Agent);
    (wish.requests_per_second, wish.max_streams, wish.max_body_bytes) = (Some(20), Some(2), Some(1024));
    let token = give(&brain, &wish).await;
    let large = json!({"type": "a.b", "actorId": "a", "payload": {"x": "x".repeat(2000)}});
    assert_eq!(
        status(brain.post("/api/swarm/events").bearer_auth(&token).json(&large)).await,
        413
    );

    let stream = || brain.get("/api/swarm/events/stream").bearer_auth(&token);
    let open = [stream().send().await.unwrap(), stream().send().await.unwrap()];
    assert!(open.iter().all(|response| response.status() == 200));
    check(
        "too_many_streams",
        &brief(stream().header("x-request-id", "r-1").send().await.unwrap()).await,
    );
    drop(open);
    brain_testkit::eventually("a place is free again", async || {
        (status(stream()).await == 200).then_some(())
    })
    .await;

    let other = give(&brain, &self::wish("acme", Role::Agent)).await;
    let mut refused = None;
    for _ in 0..200 {
        let response = brain
            .get("/api/whoami")
            .bearer_auth(&token)
            .header("x-request-id", "r-1")
            .send()
            .await
            .unwrap();
        if response.status() == 429 {
            refused = Some(response);
            break;
        }
    }
    check("too_many_requests", &whole(refused.unwrap()).await);
    assert_eq!(
        status(brain.get("/api/whoami").bearer_auth(&other)).await,
        200,
        "nobody else is slowed down"
    );
}

#[tokio::test]
async fn guesses_do_not_take_the_connections_away() {
    let brain = guarded().await;
    let good = give(&brain, &wish("acme", Role::Viewer)).await;
    let guesses = (0..300_u64).map(|n| {
        let guess = format!("brain_{n:016x}_{}", "0".repeat(64));
        status(brain.get("/api/whoami").bearer_auth(guess))
    });
    let (guessed, known) = tokio::join!(
        futures_util::future::join_all(guesses),
        status(brain.get("/api/whoami").bearer_auth(&good))
    );
    assert_eq!(known, 200);
    assert!(guessed.iter().all(|code| matches!(code, 401 | 429)), "{guessed:?}");
}

/// Publishing is no way round what the routes ask for.
#[tokio::test]
async fn an_event_that_does_what_a_call_does_needs_what_the_call_needs() {
    let brain = guarded().await;
    let agent = give(&brain, &wish("acme", Role::Agent)).await;
    let operator = give(&brain, &wish("acme", Role::Operator)).await;
    let mut writer = wish("acme", Role::Operator);
    writer.scopes = scopes(&["events:write"]);
    let writer = give(&brain, &writer).await;
    let publish = async |token: &str, kind: &str, payload: Value| {
        let event = json!({"type": kind, "swarmId": "s", "actorId": "a", "payload": payload});
        json_of(brain.post("/api/swarm/events").bearer_auth(token).json(&event)).await
    };
    let task = || json!({"taskId": "t-1"});
    assert_eq!(publish(&agent, "task.created", task()).await.0, 201);
    let refused_to_agents = [
        ("task.cancelled", task()),
        ("task.retrying", task()),
        ("task.assigned", json!({"taskId": "t-1", "agentId": "a"})),
        ("agent.draining", json!({"agentId": "a"})),
        ("run.cancelled", json!({})),
        ("run.finished", json!({})),
        ("budget.created", json!({"budgetId": "b", "maxUnits": 5})),
        ("budget.raised", json!({"budgetId": "b", "maxUnits": 5})),
        ("budget.stopped", json!({"budgetId": "b"})),
    ];
    for (kind, payload) in &refused_to_agents {
        let (code, problem) = publish(&agent, kind, payload.clone()).await;
        assert_eq!(code, 403, "{kind}: {problem}");
        let (code, problem) = publish(&operator, kind, payload.clone()).await;
        assert_ne!(code, 403, "{kind}: {problem}");
    }
    let narrow = [
        ("task.created", task()),
        ("agent.message", json!({"taskId": "t-1", "state": "completed"})),
        ("agent.message", json!({"text": "hello"})),
        ("run.started", json!({})),
    ];
    for (kind, payload) in narrow {
        assert_eq!(publish(&writer, kind, payload).await.0, 403, "{kind}");
    }
    assert_eq!(publish(&writer, "note.taken", json!({})).await.0, 201);
}

#[tokio::test]
async fn a_stream_ends_with_the_token_that_opened_it() {
    let brain = guarded().await;
    let admin = give(&brain, &wish("acme", Role::Admin)).await;
    let reader = give(&brain, &wish("acme", Role::Viewer)).await;
    let stream = brain
        .get("/api/swarm/events/stream?swarmId=s&after=0")
        .bearer_auth(&reader);
    let mut stream = stream.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let publish = async |n: u32| {
        let event = json!({"type": "note.taken", "swarmId": "s", "actorId": "a", "payload": {"n": n}});
        assert_eq!(
            status(brain.post("/api/swarm/events").bearer_auth(&admin).json(&event)).await,
            201
        );
    };
    publish(1).await;
    let mut text = String::new();
    while !text.contains("note.taken") {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    let revoke = brain
        .delete(&format!("/api/tokens/{}", &reader[6..22]))
        .bearer_auth(&admin);
    assert_eq!(status(revoke).await, 200);
    publish(2).await;
    let mut rest = String::new();
    while let Some(chunk) = stream.chunk().await.unwrap() {
        rest.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(rest.contains("event: end") && !rest.contains("note.taken"), "{rest}");
}
