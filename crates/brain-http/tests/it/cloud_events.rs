//! CloudEvents 1.0: three ways in, one way out.

use reqwest::{Response, header::CONTENT_TYPE};
use serde_json::{Value, json};

use crate::{
    brain::Brain,
    shown::{brief, check},
};

const BATCH: &str = "application/cloudevents-batch+json";
const STRUCTURED: &str = "application/cloudevents+json";

fn cloud(id: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/sensors/1", "type": "com.example.measured", "subject": "run-7",
        "time": "2026-01-02T03:04:05.678Z", "datacontenttype": "application/json", "data": {"celsius": 21.5},
        "correlationid": "c-1", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    })
}

async fn send(brain: &Brain, kind: &str, body: &Value) -> Response {
    let request = brain.post("/api/swarm/events").header(CONTENT_TYPE, kind);
    request
        .header("x-request-id", "r-1")
        .body(body.to_string())
        .send()
        .await
        .unwrap()
}

async fn read(brain: &Brain, query: &str) -> Response {
    let request = brain.get(&format!("/api/swarm/events?{query}")).header("accept", BATCH);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[CONTENT_TYPE], format!("{BATCH}; charset=utf-8"));
    response
}

#[tokio::test]
async fn come_in_three_modes_and_go_out_as_they_came() {
    let brain = Brain::start().await;
    assert_eq!(send(&brain, STRUCTURED, &cloud("e-1")).await.status(), 201);
    assert_eq!(
        send(
            &brain,
            &format!("{BATCH}; charset=utf-8"),
            &json!([cloud("e-2"), cloud("e-3")])
        )
        .await
        .status(),
        201
    );
    let mut binary = brain.post("/api/swarm/events").json(&json!({"celsius": 21.5}));
    for (name, value) in cloud("e-4").as_object().unwrap() {
        if let Some(text) = value.as_str().filter(|_| name != "datacontenttype") {
            binary = binary.header(format!("ce-{name}"), text.replace(':', "%3A"));
        }
    }
    assert_eq!(binary.send().await.unwrap().status(), 201);

    let read = read(&brain, "").await;
    assert_eq!(read.headers()["x-last-seq"], "4");
    let events: Vec<Value> = read.json().await.unwrap();
    assert_eq!(events.len(), 4);
    for (n, event) in events.iter().enumerate() {
        let mut expected = cloud(&format!("e-{}", n + 1));
        expected["swarmid"] = json!(brain.config.swarm.swarm_id);
        expected["sequence"] = json!((n + 1).to_string());
        expected["schemaversion"] = json!(1);
        assert_eq!(event, &expected);
    }
    // They are events like all others.
    let own = brain.read("events?limit=1").await;
    assert_eq!(own["events"][0]["actorId"], "/sensors/1");
    assert_eq!(own["events"][0]["runId"], "run-7");
    assert_eq!(own["events"][0]["payload"], json!({"celsius": 21.5}));
    // The same one again is known, with other data it is in conflict.
    assert_eq!(send(&brain, STRUCTURED, &cloud("e-1")).await.status(), 200);
    let mut other = cloud("e-1");
    other["data"] = json!({"celsius": 22});
    assert_eq!(send(&brain, STRUCTURED, &other).await.status(), 409);
}

#[tokio::test]
async fn page_by_page_the_cursor_is_a_header() {
    let brain = Brain::start().await;
    let sent = send(&brain, BATCH, &json!([cloud("e-1"), cloud("e-2"), cloud("e-3")])).await;
    assert_eq!(sent.status(), 201);
    let first = read(&brain, "limit=2").await;
    let cursor = first.headers()["x-next-cursor"].to_str().unwrap().to_owned();
    let first: Vec<Value> = first.json().await.unwrap();
    let second = read(&brain, &format!("limit=2&cursor={cursor}")).await;
    assert!(second.headers().get("x-next-cursor").is_none());
    let second: Vec<Value> = second.json().await.unwrap();
    let ids: Vec<&Value> = first.iter().chain(&second).map(|event| &event["id"]).collect();
    assert_eq!(ids, ["e-1", "e-2", "e-3"]);
    let client = brain.database.client().await;
    let prune = "DELETE FROM swarm_events WHERE seq = 1; UPDATE swarm_sequences SET pruned_seq = 1";
    client.batch_execute(prune).await.unwrap();
    assert_eq!(read(&brain, "").await.headers()["x-gap"], "1-1");
}

#[tokio::test]
async fn a_name_that_is_no_uri_is_escaped_on_its_way_out() {
    let brain = Brain::start().await;
    brain.publish(json!({"type": "a.a", "actorId": "Agent <Ü> 7"})).await;
    let events: Vec<Value> = read(&brain, "").await.json().await.unwrap();
    assert_eq!(events[0]["source"], "Agent%20%3C%C3%9C%3E%207");
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused() {
    let brain = Brain::start().await;
    let with = |name: &str, value: Value| {
        let mut event = cloud("e-1");
        event[name] = value;
        event
    };
    let mut without_source = cloud("e-1");
    without_source.as_object_mut().unwrap().remove("source");
    let cases = [
        ("specversion", with("specversion", json!("0.3"))),
        ("extension", with("flavour", json!("sweet"))),
        ("base64", with("data_base64", json!("AAEC"))),
        ("text", with("data", json!("some text"))),
        ("datatype", with("datacontenttype", json!("application/xml"))),
        ("version", with("schemaversion", json!("one"))),
        ("unknown_version", with("schemaversion", json!(40_000))),
        ("source", without_source),
        ("list", json!([cloud("e-1"), 5])),
    ];
    for (name, body) in cases {
        let answer = brief(send(&brain, STRUCTURED, &body).await).await;
        check(&format!("cloud_event_refused_{name}"), &answer);
    }
    let binary = |id: &str| {
        let request = brain
            .post("/api/swarm/events")
            .header("x-request-id", "r-1")
            .header("ce-specversion", "1.0");
        request
            .header("ce-id", id.to_owned())
            .header("ce-source", "/s")
            .header("ce-type", "a.a")
    };
    let cases = [
        ("binary_twice", binary("e").header("ce-id", "f").json(&json!({}))),
        ("binary_escape", binary("%FF").json(&json!({}))),
        (
            "binary_text",
            binary("e").header(CONTENT_TYPE, "text/plain").body("hello"),
        ),
        (
            "binary_no_json",
            binary("e").header(CONTENT_TYPE, "application/json").body("{"),
        ),
    ];
    for (name, request) in cases {
        let answer = brief(request.send().await.unwrap()).await;
        check(&format!("cloud_event_refused_{name}"), &answer);
    }
    assert_eq!(brain.read("events").await["lastSeq"], 0);
}
