//! `/api/swarm/schemas`.

use serde_json::{Value, json};

use crate::{
    brain::Brain,
    shown::{brief, check},
};

fn first() -> Value {
    json!({"type": "object", "additionalProperties": false, "required": ["status"],
        "properties": {"status": {"enum": ["ok", "failed"]}}})
}

fn second() -> Value {
    json!({"type": "object", "additionalProperties": false, "required": ["status"],
        "properties": {"status": {"enum": ["ok", "failed", "late"]}, "seconds": {"type": "number", "minimum": 0}}})
}

async fn register(brain: &Brain, kind: &str, schema: Value) -> Value {
    brain.call("schemas", json!({"type": kind, "schema": schema})).await
}

async fn show_publish(brain: &Brain, name: &str, events: Value) {
    let request = brain.post("/api/swarm/events").json(&events);
    let answer = request.header("x-request-id", "r-1").send().await.unwrap();
    check(name, &brief(answer).await);
}

#[tokio::test]
async fn are_registered_once_and_never_changed() {
    let brain = Brain::start().await;
    let one = json!({"type": "build.done", "schema": first()});
    brain.show_call("schema_registered", "schemas", one.clone()).await;
    brain.show_call("schema_registered_again", "schemas", one).await;
    // The same schema with its numbers and notes in another order is the same.
    let reordered = json!({"type": "build.done", "version": 1, "schema": {"required": ["status"],
        "properties": {"status": {"enum": ["ok", "failed"]}}, "additionalProperties": false, "type": "object"}});
    assert_eq!(brain.call("schemas", reordered).await["version"], 1);
    let two = json!({"type": "build.done", "schema": second(), "compatibility": "backward"});
    assert_eq!(brain.call("schemas", two).await["version"], 2);
    // Going back names the version that is there.
    assert_eq!(register(&brain, "build.done", first()).await["version"], 1);

    brain.show("schema_versions", "schemas/build.done").await;
    brain.show("schema_version", "schemas/build.done/2").await;
    brain.show("schema_built_in", "schemas/run.cancelled/1").await;
    brain.show("schema_version_unknown", "schemas/build.done/3").await;
    brain.show("schema_version_wrong", "schemas/build.done/x").await;
    brain.show("schema_type_unknown", "schemas/other.type").await;
}

#[tokio::test]
async fn are_refused_with_the_place_and_the_reason() {
    let brain = Brain::start().await;
    register(&brain, "build.done", first()).await;
    let narrower = json!({"type": "object", "additionalProperties": false, "required": ["status", "by"],
        "properties": {"status": {"enum": ["ok"]}, "by": {"type": "string"}}});
    let cases = [
        ("incompatible", json!({"type": "build.done", "schema": narrower})),
        ("taken", json!({"type": "build.done", "schema": second(), "version": 1})),
        ("gap", json!({"type": "build.done", "schema": second(), "version": 3})),
        ("built_in", json!({"type": "task.created", "schema": {}})),
        ("type", json!({"type": "Build", "schema": {}})),
        (
            "reference",
            json!({"type": "a.b", "schema": {"$ref": "https://example.com/schema.json"}}),
        ),
        (
            "recursive",
            json!({"type": "a.b", "schema": {"properties": {"child": {"$ref": "#"}}}}),
        ),
        (
            "pattern",
            json!({"type": "a.b", "schema": {"properties": {"a": {"pattern": "(?=a)b"}}}}),
        ),
        ("keyword", json!({"type": "a.b", "schema": {"requird": ["a"]}})),
        ("word", json!({"type": "a.b", "schema": {}, "compatibility": "some"})),
        ("schema_list", json!({"type": "a.b", "schema": []})),
    ];
    for (name, body) in cases {
        brain
            .show_call(&format!("schema_refused_{name}"), "schemas", body)
            .await;
    }
    let listed = brain.read("schemas?type=build.done").await;
    assert_eq!(listed["schemas"].as_array().unwrap().len(), 1, "{listed}");
    // Whoever wants to break with what was may say so.
    let broken = json!({"type": "build.done", "schema": {"type": "object"}, "compatibility": "forward"});
    brain.show_call("schema_refused_forward", "schemas", broken).await;
    let broken = json!({"type": "build.done", "schema": {"required": ["x"]}, "compatibility": "none"});
    assert_eq!(brain.call("schemas", broken).await["version"], 2);
}

#[tokio::test]
async fn are_checked_without_being_registered() {
    let brain = Brain::start().await;
    let one = json!({"type": "build.done", "schema": first()});
    brain
        .show_call("schema_check_first", "schemas/check", one.clone())
        .await;
    register(&brain, "build.done", first()).await;
    brain.show_call("schema_check_same", "schemas/check", one).await;
    let full = json!({"type": "build.done", "schema": second(), "compatibility": "full"});
    brain
        .show_call("schema_check_incompatible", "schemas/check", full)
        .await;
    assert_eq!(
        brain.read("schemas?type=build.done").await["schemas"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn say_whether_a_payload_would_be_taken() {
    let brain = Brain::start().await;
    let ask = async |kind: &str, version: Option<i16>, payload: Value| {
        let mut body = json!({"type": kind, "payload": payload});
        if let Some(version) = version {
            body["schemaVersion"] = version.into();
        }
        brain.call("schemas/validate", body).await
    };
    assert_eq!(ask("build.done", None, json!({"any": 1})).await["valid"], true, "free");
    register(&brain, "build.done", first()).await;
    assert_eq!(
        ask("build.done", None, json!({"status": "ok"})).await,
        json!({"valid": true, "problems": []})
    );
    let wrong = ask("build.done", Some(1), json!({"status": "late", "x": 1})).await;
    insta::assert_json_snapshot!(wrong, @r#"
    {
      "problems": [
        {
          "place": "/status",
          "problem": "\"late\" is not one of \"ok\" or \"failed\""
        },
        {
          "place": "",
          "problem": "Additional properties are not allowed ('x' was unexpected)"
        }
      ],
      "valid": false
    }
    "#);
    let unknown = ask("build.done", Some(2), json!({"status": "ok"})).await;
    insta::assert_json_snapshot!(unknown, @r#"
    {
      "problems": [
        {
          "place": "",
          "problem": "no such schema version; known: 1"
        }
      ],
      "valid": false
    }
    "#);
    let known = ask("task.created", None, json!({"taskId": ""})).await;
    insta::assert_json_snapshot!(known, @r#"
    {
      "problems": [
        {
          "place": "/taskId",
          "problem": "\"\" is shorter than 1 character"
        }
      ],
      "valid": false
    }
    "#);
    assert_eq!(brain.stored("build.done").await, 0);
}

#[tokio::test]
async fn are_listed_by_page_after_the_catalogue() {
    let brain = Brain::start().await;
    let types = |page: &Value| -> Vec<String> {
        let schemas = page["schemas"].as_array().unwrap().iter();
        schemas
            .map(|one| format!("{}/{}", one["type"].as_str().unwrap(), one["version"]))
            .collect()
    };
    let catalogue = types(&brain.read("schemas").await);
    assert!(catalogue.contains(&"task.created/1".to_owned()), "{catalogue:?}");
    for kind in ["z.z", "a.b"] {
        register(&brain, kind, first()).await;
        register(&brain, kind, second()).await;
    }
    let mut expected = catalogue;
    expected.extend(["a.b/1", "a.b/2", "z.z/1", "z.z/2"].map(str::to_owned));
    assert_eq!(types(&brain.read("schemas").await), expected);
    for limit in [1, 3, 23, 25] {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = brain.read(&format!("schemas?limit={limit}{cursor}")).await;
            all.extend(types(&page));
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(all, expected, "by {limit}");
    }
    assert_eq!(types(&brain.read("schemas?type=z.z").await), ["z.z/1", "z.z/2"]);
    assert_eq!(
        types(&brain.read("schemas?type=run.cancelled").await),
        ["run.cancelled/1"]
    );
    let first = brain.read("schemas?type=z.z&limit=1").await;
    let cursor = first["nextCursor"].as_str().unwrap();
    assert_eq!(
        types(&brain.read(&format!("schemas?type=z.z&cursor={cursor}")).await),
        ["z.z/2"]
    );
    brain
        .show(
            "schemas_cursor_of_another_type",
            &format!("schemas?type=a.b&cursor={cursor}"),
        )
        .await;
    brain.show("schemas_type_wrong", "schemas?type=Z").await;
}

#[tokio::test]
async fn hold_for_events_in_every_form() {
    let brain = Brain::start().await;
    brain
        .publish(json!({"type": "build.done", "actorId": "ci", "payload": {"any": "thing"}}))
        .await;
    register(&brain, "build.done", first()).await;
    register(&brain, "build.done", second()).await;
    let event = |version: i16, payload: Value| json!({"type": "build.done", "actorId": "ci", "schemaVersion": version, "payload": payload});
    brain.publish(event(1, json!({"status": "ok"}))).await;
    brain.publish(event(2, json!({"status": "late", "seconds": 1.5}))).await;
    show_publish(&brain, "schema_event_misfit", event(1, json!({"status": "late"}))).await;
    show_publish(&brain, "schema_event_version", event(3, json!({"status": "ok"}))).await;
    let batch = json!([
        event(1, json!({"status": "ok"})),
        event(1, json!({})),
        {"type": "other.thing", "actorId": "ci", "payload": {"free": true}},
        event(7, json!({"status": "ok"})),
    ]);
    show_publish(&brain, "schema_events_misfit", batch).await;
    assert_eq!(brain.stored("other.thing").await, 0, "together or not at all");

    let cloud = |version: Value, data: Value| json!({"specversion": "1.0", "id": "ce-1", "source": "ci", "type": "build.done", "schemaversion": version, "data": data});
    let send = async |kind: &str, body: String| {
        let request = brain.post("/api/swarm/events").header("content-type", kind).body(body);
        request.send().await.unwrap()
    };
    let structured = "application/cloudevents+json";
    let refused = send(structured, cloud(json!(1), json!({"status": "late"})).to_string()).await;
    assert_eq!(refused.status(), 422);
    let taken = send(structured, cloud(json!(2), json!({"status": "late"})).to_string()).await;
    assert_eq!(taken.status(), 201);
    let binary = brain
        .post("/api/swarm/events")
        .header("content-type", "application/json")
        .header("ce-specversion", "1.0")
        .header("ce-id", "ce-2")
        .header("ce-source", "ci")
        .header("ce-type", "build.done")
        .header("ce-schemaversion", "1");
    assert_eq!(binary.body("{\"status\": 5}").send().await.unwrap().status(), 422);
    assert_eq!(brain.stored("build.done").await, 4);
}

#[tokio::test]
async fn hold_for_what_workers_emit() {
    let brain = Brain::start().await;
    let schema = json!({"type": "object", "required": ["page"], "properties": {"page": {"type": "integer"}}});
    register(&brain, "page.read", schema).await;
    brain.call("tasks", json!({"taskId": "t"})).await;
    let token = brain.claim("w", "t").await;
    let emission = |payload: Value| json!({"agentId": "w", "fencingToken": token, "events": [{"type": "page.read", "payload": payload}]});
    brain.call("tasks/t/emit", emission(json!({"page": 1}))).await;
    brain
        .show_call("schema_emit_misfit", "tasks/t/emit", emission(json!({"page": "one"})))
        .await;
    assert_eq!(brain.stored("page.read").await, 1);
}

/// A check that takes long is made where it keeps nobody waiting.
#[tokio::test]
async fn hold_for_the_largest_payloads() {
    let brain = Brain::start().await;
    let list =
        json!({"properties": {"n": {"items": {"allOf": [{"type": "integer"}, {"minimum": 0}, {"maximum": 30_000}]}}}});
    register(&brain, "build.done", list).await;
    let event = |numbers: u32| {
        let numbers: Vec<u32> = (0..numbers).collect();
        json!({"type": "build.done", "actorId": "ci", "payload": {"n": numbers}})
    };
    brain.publish(event(30_000)).await;
    let answer = brain
        .post("/api/swarm/events")
        .json(&event(40_000))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 422);
}
