//! Callers with JSON Web Tokens of an issuer, which is a server of this test.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    brain::{Brain, Setup},
    shown::{brief, check},
};

/// A key pair of the issuer.
struct Pair {
    id: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Pair {
    fn new(id: &'static str, algorithm: Algorithm) -> Self {
        let key = match algorithm {
            Algorithm::ES256 => {
                let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
                EncodingKey::from_ec_der(&pair.serialize_der())
            }
            // PKCS #8, version 1: the header of an Ed25519 key, and its seed.
            _ => {
                let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
                der.extend_from_slice(uuid::Uuid::new_v4().as_bytes());
                der.extend_from_slice(uuid::Uuid::new_v4().as_bytes());
                EncodingKey::from_ed_der(&der)
            }
        };
        Self { id, algorithm, key }
    }

    fn published(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.to_owned());
        encode(&header, claims, &self.key).unwrap()
    }
}

/// What the issuer publishes, and how often it was asked.
#[derive(Default)]
struct Published {
    url: String,
    keys: Mutex<Vec<Value>>,
    asked: AtomicUsize,
    away: AtomicBool,
}

struct Issuer(Arc<Published>);

impl Issuer {
    async fn start(keys: &[&Pair]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let published = Arc::new(Published {
            url: format!("http://{}/realm", listener.local_addr().unwrap()),
            ..Published::default()
        });
        let discovery = async |State(published): State<Arc<Published>>| {
            published.asked.fetch_add(1, Ordering::SeqCst);
            if published.away.load(Ordering::SeqCst) {
                return Err(StatusCode::BAD_GATEWAY);
            }
            let url = &published.url;
            Ok(Json(
                json!({"issuer": url, "jwks_uri": format!("{url}/keys"), "more": true}),
            ))
        };
        let keys_now =
            async |State(published): State<Arc<Published>>| Json(json!({"keys": *published.keys.lock().unwrap()}));
        let router = Router::new()
            .route("/realm/.well-known/openid-configuration", get(discovery))
            .route("/realm/keys", get(keys_now))
            .with_state(Arc::clone(&published));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let issuer = Self(published);
        issuer.publish(keys);
        issuer
    }

    fn publish(&self, keys: &[&Pair]) {
        *self.0.keys.lock().unwrap() = keys.iter().map(|key| key.published()).collect();
    }

    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    fn claims(&self, subject: &str) -> Value {
        let now = Timestamp::now().as_second();
        json!({"iss": self.0.url, "sub": subject, "aud": ["studio-brain"], "exp": now + 600, "iat": now,
            "roles": ["agent"], "tenant": "acme"})
    }

    async fn brain(&self) -> Brain {
        let mut setup = Setup::new().await;
        let oidc = &mut setup.config.server.oidc;
        oidc.issuers = vec![self.0.url.clone()];
        oidc.audience = Some("studio-brain".to_owned());
        (oidc.role_claim, oidc.tenant_claim) = ("roles".to_owned(), "tenant".to_owned());
        setup.start()
    }
}

async fn ask(brain: &Brain, token: &str) -> (u16, Value) {
    let response = brain.get("/api/whoami").bearer_auth(token).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_token_of_the_issuer_is_who_it_says() {
    let (one, other) = (Pair::new("one", Algorithm::EdDSA), Pair::new("other", Algorithm::ES256));
    let issuer = Issuer::start(&[&one, &other]).await;
    let brain = issuer.brain().await;
    assert_eq!(issuer.asked(), 0, "nobody asks while nobody comes");
    for pair in [&one, &other] {
        let (status, who) = ask(&brain, &pair.sign(&issuer.claims("ada"))).await;
        assert_eq!(status, 200, "{who}");
        let found = (&who["tenantId"], &who["role"], &who["actorId"]);
        assert_eq!(found, (&json!("acme"), &json!("agent"), &json!("ada")));
        assert_eq!(who["id"], format!("oidc:{}#ada", issuer.0.url));
    }
    assert_eq!(issuer.asked(), 1, "the keys are kept");
    let token = one.sign(&issuer.claims("ada"));
    let created = brain
        .post("/api/swarm/tasks")
        .bearer_auth(&token)
        .json(&json!({"taskId": "t"}));
    assert_eq!(created.send().await.unwrap().status(), 201);
    let cancelled = brain
        .post("/api/swarm/tasks/t/cancel")
        .bearer_auth(&token)
        .json(&json!({}));
    let cancelled = cancelled.header("x-request-id", "r-1").send().await.unwrap();
    check("oidc_role_is_not_enough", &brief(cancelled).await);
    assert_eq!(
        brain.get("/api/whoami").send().await.unwrap().status(),
        401,
        "and nobody else comes in"
    );
}

#[tokio::test]
async fn forged_and_foreign_tokens_are_refused() {
    let (own, stranger) = (Pair::new("own", Algorithm::EdDSA), Pair::new("own", Algorithm::EdDSA));
    let issuer = Issuer::start(&[&own]).await;
    let brain = issuer.brain().await;
    let good = own.sign(&issuer.claims("ada"));
    let parts: Vec<&str> = good.split('.').collect();
    let changed = |claim: &str, value: Value| {
        let mut claims = issuer.claims("ada");
        claims[claim] = value;
        own.sign(&claims)
    };
    let unsigned = |header: &Value| {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        format!("{header}.{}.{}", parts[1], parts[2])
    };
    let secret = encode(
        &Header::new(Algorithm::HS256),
        &issuer.claims("ada"),
        &EncodingKey::from_secret(b"x"),
    )
    .unwrap();
    let cases = [
        ("another key under the same id", stranger.sign(&issuer.claims("ada"))),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        (
            "a signature of other claims",
            format!(
                "{}.{}.{}",
                parts[0],
                changed("sub", json!("eve")).split('.').nth(1).unwrap(),
                parts[2]
            ),
        ),
        ("no algorithm", unsigned(&json!({"alg": "none"}))),
        ("another algorithm", unsigned(&json!({"alg": "RS256", "kid": "own"}))),
        (
            "a critical extension",
            unsigned(&json!({"alg": "EdDSA", "kid": "own", "crit": ["b64"], "b64": false})),
        ),
        ("a shared secret", secret),
        ("another issuer", changed("iss", json!("https://other.example"))),
        ("another audience", changed("aud", json!("other"))),
        ("expired", changed("exp", json!(1_000))),
        (
            "not yet valid",
            changed("nbf", json!(Timestamp::now().as_second() + 3600)),
        ),
        ("a subject that is no actor", changed("sub", json!("a\u{7}"))),
        ("too long", changed("padding", json!("x".repeat(9000)))),
        ("not base64", "a.b.c".to_owned()),
    ];
    for (what, token) in cases {
        let (status, problem) = ask(&brain, &token).await;
        assert_eq!(status, 401, "{what}: {problem}");
    }
    for (claim, value) in [("roles", json!([])), ("tenant", Value::Null)] {
        let (status, problem) = ask(&brain, &changed(claim, value)).await;
        assert_eq!(status, 403, "{claim}: {problem}");
    }
    assert_eq!(ask(&brain, &good).await.0, 200);
}

#[tokio::test]
async fn keys_are_rotated_without_a_restart_and_strangers_cannot_make_it_ask() {
    let (old, new) = (Pair::new("old", Algorithm::EdDSA), Pair::new("new", Algorithm::ES256));
    let issuer = Issuer::start(&[&old]).await;
    let brain = issuer.brain().await;
    assert_eq!(ask(&brain, &old.sign(&issuer.claims("ada"))).await.0, 200);
    issuer.publish(&[&new]);
    brain_testkit::eventually("the new key is known", async || {
        (ask(&brain, &new.sign(&issuer.claims("ada"))).await.0 == 200).then_some(())
    })
    .await;
    assert_eq!(
        ask(&brain, &old.sign(&issuer.claims("bob"))).await.0,
        401,
        "the old one is forgotten"
    );
    let asked = issuer.asked();
    for _ in 0..50 {
        let stranger = Pair::new("stranger", Algorithm::EdDSA);
        assert_eq!(ask(&brain, &stranger.sign(&issuer.claims("eve"))).await.0, 401);
    }
    assert!(issuer.asked() <= asked + 1, "{} more", issuer.asked() - asked);
}

#[tokio::test]
async fn an_issuer_that_is_away_is_waited_for_and_its_keys_stay() {
    let pair = Pair::new("one", Algorithm::EdDSA);
    let issuer = Issuer::start(&[&pair]).await;
    issuer.0.away.store(true, Ordering::SeqCst);
    let brain = issuer.brain().await;
    let (status, problem) = ask(&brain, &pair.sign(&issuer.claims("ada"))).await;
    assert_eq!(
        (status, &problem["type"]),
        (503, &json!("urn:studio-brain:problem:unavailable"))
    );
    issuer.0.away.store(false, Ordering::SeqCst);
    brain_testkit::eventually("the issuer is back", async || {
        (ask(&brain, &pair.sign(&issuer.claims("ada"))).await.0 == 200).then_some(())
    })
    .await;
    issuer.0.away.store(true, Ordering::SeqCst);
    assert_eq!(ask(&brain, &pair.sign(&issuer.claims("bob"))).await.0, 200);
}
