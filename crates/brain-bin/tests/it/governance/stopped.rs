//! The kill switch under load, with three brains over one database: when it has answered, nothing arrives any more.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{WHY, receiver::Receiver, start};
use crate::brain_process::migrated;

/// The time that a request needs which was written before the switch was on.
const ON_THE_WAY: Duration = Duration::from_millis(50);

/// Proposes and executes as fast as it can until it is refused; gives the code of the refusal, and what became of the others.
async fn load(client: reqwest::Client, url: String) -> (Value, Vec<Value>) {
    let post = async |path: &str, body: Value| -> Value {
        let sent = client
            .post(format!("{url}/api/capabilities/proposals{path}"))
            .json(&body)
            .send();
        sent.await.unwrap().json().await.unwrap()
    };
    let mut outcomes = Vec::new();
    loop {
        let made = post(
            "",
            json!({"capabilityId": "mail.load", "summary": "Do it.", "rationale": WHY}),
        )
        .await;
        let path = format!("/{}/execute", made["proposalId"].as_str().unwrap());
        let done = post(&path, json!({})).await;
        match done.get("reasonCode") {
            Some(code) => return (code.clone(), outcomes),
            None => outcomes.push(done["executions"][0]["status"].clone()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_arrives_after_the_answer_whichever_brain_was_asked() {
    let database = migrated().await;
    let config = database.config();
    let receiver = Receiver::start();
    let mut brains = Vec::new();
    for _ in 0..3 {
        brains.push(start(&config, &receiver).await);
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut clients = tokio::task::JoinSet::new();
    for brain in &brains {
        for _ in 0..3 {
            clients.spawn(load(client.clone(), brain.url().to_owned()));
        }
    }
    brain_testkit::eventually_within(Duration::from_secs(60), "there is load", async || {
        (receiver.at("/load").len() >= 100).then_some(())
    })
    .await;

    let url = format!("{}/api/capabilities/policy/kill-switch", brains[1].url());
    let pressed = Instant::now();
    let pressing = client.post(url).json(&json!({"enabled": true, "reason": WHY})).send();
    let answer = pressing.await.unwrap();
    let answered = Instant::now();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());

    let mut dispatched = 0;
    while let Some(ended) = clients.join_next().await {
        let (code, outcomes) = ended.unwrap();
        assert_eq!(code, "BLOCKED_BY_POLICY");
        assert!(
            outcomes.iter().all(|one| *one == "succeeded" || *one == "blocked"),
            "{outcomes:?}"
        );
        dispatched += outcomes.iter().filter(|one| **one == "succeeded").count();
    }
    // What has ended sends nothing any more.
    for brain in &mut brains {
        brain.sigterm();
        assert!(brain.wait().await.success());
    }
    let arrived = receiver.at("/load");
    assert_eq!(
        arrived.len(),
        dispatched,
        "what was dispatched arrived, and nothing else"
    );
    let after: Vec<Duration> = arrived
        .iter()
        .filter_map(|one| one.at.checked_duration_since(answered))
        .collect();
    eprintln!(
        "{} orders; the switch answered after {:?}; {} arrived after the answer, the latest {:?} after it",
        arrived.len(),
        answered - pressed,
        after.len(),
        after.iter().max(),
    );
    let late = after.iter().filter(|after| **after > ON_THE_WAY).count();
    assert_eq!(late, 0, "arrived more than {ON_THE_WAY:?} after the answer: {after:?}");
}
