//! The audit trail over HTTP: pages, filters, exports, and nothing of another tenant.

use brain_http::access::Role;
use brain_swarm::audit::{self, Refusal, Verified};
use reqwest::header;
use serde_json::{Value, json};

use crate::{
    access::{give, guarded, wish},
    brain::{Brain, Setup},
};

const AUDIT: &str = "/api/capabilities/audit";

async fn get(brain: &Brain, path: &str, token: &str) -> (u16, Value) {
    let request = brain.client.get(brain.url(path)).bearer_auth(token);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn seqs(page: &Value) -> Vec<i64> {
    let records = page["records"].as_array().unwrap();
    records.iter().map(|record| record["seq"].as_i64().unwrap()).collect()
}

/// Somebody whose tenant has a trail of seven records, the first of which is about itself.
async fn busy(brain: &Brain) -> String {
    let token = give(brain, &wish("acme", Role::Admin)).await;
    for number in 0..6 {
        let request = brain.post("/api/swarm/budgets?swarmId=s").bearer_auth(&token);
        let budget = json!({"budgetId": format!("b-{number}"), "maxUnits": 1});
        assert_eq!(request.json(&budget).send().await.unwrap().status(), 201);
    }
    token
}

#[tokio::test]
async fn the_trail_is_read_page_by_page() {
    let brain = guarded().await;
    let token = busy(&brain).await;
    let mut path = format!("{AUDIT}?limit=3");
    let mut all = Vec::new();
    loop {
        let (status, page) = get(&brain, &path, &token).await;
        assert_eq!(status, 200, "{page}");
        all.extend(seqs(&page));
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("{AUDIT}?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(all, [7, 6, 5, 4, 3, 2, 1]);
    let cursor = get(&brain, &format!("{AUDIT}?limit=3"), &token).await.1["nextCursor"].clone();
    let cursor = cursor.as_str().unwrap();
    let (status, problem) = get(&brain, &format!("{AUDIT}?actorId=x&cursor={cursor}"), &token).await;
    assert_eq!(status, 400, "a cursor of another query: {problem}");
    assert_eq!(get(&brain, &format!("{AUDIT}?limit=501"), &token).await.0, 400);
}

#[tokio::test]
async fn records_are_found_by_what_they_say() {
    let brain = guarded().await;
    let token = busy(&brain).await;
    let principal = format!("token:{}", &token[6..22]);
    for (query, found) in [
        ("actionPrefix=token.".to_owned(), vec![1]),
        ("actionPrefix=budget.&limit=2".to_owned(), vec![7, 6]),
        (format!("actorId={principal}&target=b-0"), vec![2]),
        ("approvalState=denied".to_owned(), vec![]),
        ("approvalState=not_required&limit=1".to_owned(), vec![7]),
        ("actionPrefix=%25".to_owned(), vec![]),
    ] {
        let (status, page) = get(&brain, &format!("{AUDIT}?{query}"), &token).await;
        assert_eq!((status, seqs(&page)), (200, found), "{query}");
    }
    for wrong in ["approvalState=maybe", "actorId=a%00", "action=x"] {
        let (status, problem) = get(&brain, &format!("{AUDIT}?{wrong}"), &token).await;
        assert_eq!(status, 400, "{wrong}: {problem}");
    }
}

#[tokio::test]
async fn a_tenant_sees_its_own_trail_alone() {
    let brain = guarded().await;
    let token = busy(&brain).await;
    let stranger = give(&brain, &wish("stranger", Role::Operator)).await;
    let (_, theirs) = get(&brain, AUDIT, &stranger).await;
    assert_eq!(seqs(&theirs), [1], "{theirs}");
    assert_eq!(theirs["records"][0]["tenantId"], "stranger");
    // A cursor carries no tenant with it.
    let cursor = get(&brain, &format!("{AUDIT}?limit=3"), &token).await.1["nextCursor"].clone();
    let (_, page) = get(
        &brain,
        &format!("{AUDIT}?limit=3&cursor={}", cursor.as_str().unwrap()),
        &stranger,
    )
    .await;
    assert_eq!(seqs(&page), [1]);
    let export = export(&brain, "", &stranger).await.unwrap();
    assert!(!export.windows(4).any(|bytes| bytes == b"acme"));
}

async fn export(brain: &Brain, query: &str, token: &str) -> Result<Vec<u8>, Value> {
    let request = brain.client.get(brain.url(&format!("{AUDIT}/export{query}")));
    let response = request.bearer_auth(token).send().await.unwrap();
    if response.status() != 200 {
        return Err(response.json().await.unwrap());
    }
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/jsonl");
    Ok(response.bytes().await.unwrap().to_vec())
}

fn verified(export: &[u8], signer: Option<&audit::Signer>) -> Result<Verified, Refusal> {
    let keys: Vec<audit::PublicKey> = signer.map(audit::Signer::public).into_iter().collect();
    audit::verify(export, &keys)
}

#[tokio::test]
async fn an_export_is_verified_without_the_server() {
    let directory = brain_testkit::scratch_dir();
    let signer = audit::Signer::generate(&directory.join("key")).unwrap();
    let other = audit::Signer::generate(&directory.join("other")).unwrap();
    let mut setup = Setup::new().await;
    setup.config.server.auth_required = true;
    setup.services.audit_signer = Some(signer.clone());
    let brain = setup.start();
    let token = busy(&brain).await;
    let whole = export(&brain, "", &token).await.unwrap();
    let proof = verified(&whole, Some(&signer)).unwrap();
    assert_eq!((proof.first_seq, proof.last_seq, proof.trusted), (1, 7, true));
    assert!(verified(&whole, None).is_ok());
    assert!(verified(&whole, Some(&other)).is_err());

    let part = export(&brain, "?fromSeq=3&toSeq=5", &token).await.unwrap();
    let proof = verified(&part, Some(&signer)).unwrap();
    assert_eq!((proof.first_seq, proof.last_seq), (3, 5));
    for (query, status) in [
        ("?fromSeq=8", 404),
        ("?fromSeq=3&toSeq=2", 404),
        ("?fromSeq=0", 400),
        ("?toSeq=-1", 400),
        ("?toSeq=x", 400),
    ] {
        let problem = export(&brain, query, &token).await.unwrap_err();
        assert_eq!(problem["status"], status, "{query}: {problem}");
    }
}
