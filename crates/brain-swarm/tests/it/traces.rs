//! Spans of what was committed: each says what was so when it was decided, whatever the same batch did later.

use std::sync::{Arc, Mutex};

use brain_swarm::{
    bus::StreamNames,
    publish::{self, Publisher},
    relay::RelayQueue,
    trace::{Span, Tracer, Value},
};
use serde_json::json;

use crate::world::{World, event, joined, parse};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What a publisher over the database of a world tells a tracer.
struct Traced {
    publisher: Publisher,
    told: Arc<Mutex<Vec<Span>>>,
}

impl Traced {
    fn over(world: &World) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let tracer = Tracer::new(1000, move |span| sink.lock().unwrap().push(span));
        let (service, publisher) = publish::Service::new(
            world.postgres.clone(),
            StreamNames::new(&world.config.bus),
            world.config.bus.batch_size,
            RelayQueue::traced(tracer),
        );
        tokio::spawn(service.run(world.stop.clone()));
        Self { publisher, told }
    }

    /// Publishes all of it in one batch.
    async fn publish(&self, events: &[serde_json::Value]) {
        let events = events.iter().map(parse).collect();
        self.publisher.publish(events).await.unwrap();
    }

    /// Each span of this name: the attempt, the agent, whether it failed.
    fn told(&self, name: &str) -> Vec<(String, String, bool)> {
        let text = |span: &Span, name: &str| {
            let found = span.attributes.iter().find(|(key, _)| *key == name);
            found.map_or(String::new(), |(_, value)| match value {
                Value::Text(text) => text.to_string(),
                Value::Number(number) => number.to_string(),
            })
        };
        let told = self.told.lock().unwrap();
        let spans = told.iter().filter(|span| span.name == name);
        spans
            .map(|span| {
                let attempt = text(span, "studio_brain.task.attempt");
                (attempt, text(span, "studio_brain.agent.id"), span.failed)
            })
            .collect()
    }
}

fn created() -> serde_json::Value {
    let mut event = event("task.created", "keeper", json!({ "taskId": "t1", "maxAttempts": 1 }));
    event["traceparent"] = json!(TRACEPARENT);
    event
}

fn says(agent: &str, state: &str) -> serde_json::Value {
    event("agent.message", agent, json!({ "taskId": "t1", "state": state }))
}

fn span(attempt: &str, agent: &str, failed: bool) -> (String, String, bool) {
    (attempt.to_owned(), agent.to_owned(), failed)
}

#[tokio::test]
async fn the_span_of_an_attempt_blames_nobody_who_had_the_task_later() {
    let world = World::new().await;
    let traced = Traced::over(&world);
    traced
        .publish(&[
            joined("a1"),
            created(),
            says("a1", "running"),
            event("task.failed", "a1", json!({ "taskId": "t1", "error": "broken" })),
            event("agent.draining", "keeper", json!({ "agentId": "a1" })),
            joined("a2"),
            event("task.retrying", "keeper", json!({ "taskId": "t1" })),
            says("a2", "running"),
            says("a2", "done"),
        ])
        .await;
    assert_eq!(
        traced.told("task attempt"),
        [span("1", "a1", true), span("2", "a2", false)]
    );
    assert_eq!(traced.told("task fail"), [span("1", "a1", true)]);
    // By hand: it ends no attempt, and nobody has the task.
    assert_eq!(traced.told("task retry"), [span("1", "", false)]);
    assert_eq!(
        traced.told("task assign"),
        [span("0", "a1", false), span("1", "a2", false)]
    );
    assert_eq!(traced.told("task complete"), [span("2", "a2", false)]);
}

#[tokio::test]
async fn what_nobody_is_at_work_on_has_no_attempt() {
    let world = World::new().await;
    let traced = Traced::over(&world);
    // The first attempt is given back; then somebody reports the task although nobody has it.
    traced
        .publish(&[
            joined("a1"),
            created(),
            says("a1", "running"),
            event("agent.draining", "keeper", json!({ "agentId": "a1" })),
            says("a1", "released"),
            event("task.completed", "keeper", json!({ "taskId": "t1" })),
        ])
        .await;
    assert_eq!(traced.told("task attempt"), [span("1", "a1", false)]);
    assert_eq!(traced.told("task retry"), [span("1", "a1", false)]);
    assert_eq!(traced.told("task complete"), [span("0", "", false)]);
}

#[tokio::test]
async fn an_event_that_nobody_put_into_a_trace_is_the_root_of_one() {
    let world = World::new().await;
    let traced = Traced::over(&world);
    let alone = event("note.taken", "keeper", json!({}));
    traced.publish(&[alone.clone(), created()]).await;
    // Said again: it is stored already, with the trace that it began.
    traced.publish(&[alone]).await;
    let stored = world.events("s").await;
    let told = traced.told.lock().unwrap().clone();
    let parents: Vec<bool> = told.iter().map(|span| span.parent.is_some()).collect();
    assert_eq!(parents, [false, true], "{told:#?}");
    let began = stored[0].traceparent.clone().unwrap();
    assert_eq!(told[0].place.traceparent(), began);
    assert_eq!(stored[1].traceparent.as_deref(), Some(TRACEPARENT));
}
