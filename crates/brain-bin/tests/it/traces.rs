//! Traces: from a publish to the finished task is one trace, and a collector that is away harms nobody.

use std::net::SocketAddr;

use brain_config::Config;
use brain_connectivity::redis::Redis;
use brain_testkit::{TestDatabase, eventually};
use fred::interfaces::StreamsInterface as _;
use serde_json::{Value, json};

use crate::brain_process::{BrainProcess, migrated};
use crate::otlp_receiver::{Received, Receiver, assert_one_tree};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
/// `SPAN_KIND_SERVER` and so on, as the protocol numbers them.
const INTERNAL: i32 = 1;
const SERVER: i32 = 2;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

/// A brain that exports to this endpoint.
struct Traced {
    brain: BrainProcess,
    config: Config,
    http: reqwest::Client,
    /// Held for its end.
    _database: TestDatabase,
}

impl Traced {
    async fn start(endpoint: &str, more: &[(&str, &str)]) -> Self {
        let database = migrated().await;
        let mut config = database.config();
        config.swarm.orchestrator_enabled = true;
        let own = [
            ("STUDIO_BRAIN_PORT", "0"),
            ("STUDIO_BRAIN_OTEL_ENABLED", "true"),
            ("STUDIO_BRAIN_OTEL_ENDPOINT", endpoint),
            ("STUDIO_BRAIN_OTEL_SERVICE_NAME", "brain-under-test"),
        ];
        Self {
            brain: BrainProcess::start(&config, &[&own, more].concat()).await,
            config,
            http: reqwest::Client::new(),
            _database: database,
        }
    }

    /// A call with a JSON body, in a trace when one is given.
    async fn post(&self, path: &str, traceparent: Option<&str>, body: &Value) -> Value {
        let mut request = self
            .http
            .post(format!("{}/api/swarm/{path}", self.brain.url()))
            .json(body);
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Publishes a task and works it off, in the trace of the publisher.
    async fn work(&self, task: &str, traceparent: &str) {
        let created = json!({ "type": "task.created", "actorId": "me",
            "payload": { "taskId": task, "inputs": { "text": "a secret input" } } });
        self.post("events", Some(traceparent), &created).await;
        self.post("agents", None, &json!({ "agentId": "worker-1" })).await;
        let claim = json!({ "agentId": "worker-1", "leaseMs": 30000, "waitMs": 20000 });
        let claimed = self.post("tasks/claim", None, &claim).await;
        let claimed = &claimed["tasks"][0];
        assert_eq!(claimed["taskId"], task);
        let done = json!({ "agentId": "worker-1", "fencingToken": claimed["fencingToken"],
            "outputs": { "text": "a secret output" } });
        // The worker goes on with the trace that it was handed with the task.
        let handed = claimed["traceparent"].as_str().unwrap();
        self.post(&format!("tasks/{task}/complete"), Some(handed), &done).await;
    }

    /// Puts an event on the stream as a foreign client does.
    async fn xadd(&self, event: &Value) {
        let redis = Redis::open(&self.config.redis).unwrap();
        let fields = vec![("event", event.to_string())];
        let stream = self.config.bus.stream_name.as_str();
        let _: String = redis
            .commands()
            .xadd(stream, false, None::<()>, "*", fields)
            .await
            .unwrap();
        redis.close().await;
    }

    /// The name of a span about the stream.
    fn on_stream(&self, operation: &str) -> String {
        format!("{operation} {}", self.config.bus.stream_name)
    }
}

fn traceparent(trace: &str) -> String {
    format!("00-{trace}-{CALLER}-01")
}

fn foreign(swarm: &str, id: &str, traceparent: Option<&str>) -> Value {
    let mut event = json!({ "id": id, "type": "task.created", "swarmId": swarm, "runId": "r-1", "actorId": "foreign",
        "createdAt": "2026-01-01T00:00:00Z", "payload": { "taskId": id } });
    if let Some(traceparent) = traceparent {
        event["traceparent"] = traceparent.into();
    }
    event
}

fn named<'a>(spans: &'a [Received], name: &str) -> &'a Received {
    spans.iter().find(|span| span.name == name).unwrap()
}

#[tokio::test]
async fn from_an_http_publish_to_the_finished_task_is_one_trace() {
    let receiver = Receiver::start().await;
    let traced = Traced::start(&receiver.url(), &[]).await;
    traced.work("t-1", &traceparent(TRACE)).await;

    let (publish, send) = (traced.on_stream("publish"), traced.on_stream("send"));
    let (request, complete) = ("POST /api/swarm/events", "POST /api/swarm/tasks/{taskId}/complete");
    let names = [
        request,
        publish.as_str(),
        send.as_str(),
        "task claim",
        "task attempt",
        "task complete",
        complete,
    ];
    let spans = receiver.trace(TRACE, &names).await;
    assert_one_tree(&spans, CALLER);

    let server = named(&spans, request);
    assert_eq!((server.kind, server.parent.as_str()), (SERVER, CALLER));
    for (attribute, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/api/swarm/events"),
        ("http.response.status_code", "201"),
    ] {
        assert_eq!(server.attributes[attribute], value);
    }
    let published = spans
        .iter()
        .find(|span| span.name == publish && span.attributes["studio_brain.event.type"] == "task.created")
        .unwrap();
    assert_eq!((published.kind, &published.parent), (PRODUCER, &server.id));
    let attempt = named(&spans, "task attempt");
    for (name, parent) in [
        ("task claim", &server.id),
        ("task attempt", &server.id),
        ("task complete", &attempt.id),
    ] {
        let span = named(&spans, name);
        assert_eq!((span.kind, &span.parent), (INTERNAL, parent), "{name}");
        for (attribute, value) in [
            ("studio_brain.task.id", "t-1"),
            ("studio_brain.task.attempt", "1"),
            ("studio_brain.agent.id", "worker-1"),
            ("studio_brain.swarm.id", traced.config.swarm.swarm_id.as_str()),
            ("studio_brain.tenant.id", "default"),
        ] {
            assert_eq!(span.attributes[attribute], value, "{name}");
        }
    }
    let resource = &server.resource;
    assert_eq!(resource["service.name"], "brain-under-test");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert!(!resource["service.instance.id"].is_empty());
    assert!(!format!("{spans:?}").contains("secret"), "no payload is in a span");
}

#[tokio::test]
async fn every_attempt_is_in_the_trace_of_its_task() {
    let receiver = Receiver::start().await;
    let traced = Traced::start(&receiver.url(), &[]).await;
    traced
        .post("tasks", Some(&traceparent(TRACE)), &json!({ "taskId": "t-1" }))
        .await;
    traced.post("agents", None, &json!({ "agentId": "worker-1" })).await;
    let again = json!({ "error": "a secret error", "retryable": true, "retryAfterMs": 0 });
    let last = json!({ "error": "a secret error", "retryable": false });
    for (call, more) in [("fail", again), ("release", json!({})), ("fail", last)] {
        let claim = json!({ "agentId": "worker-1", "leaseMs": 30000, "waitMs": 20000 });
        let claimed = traced.post("tasks/claim", None, &claim).await;
        let mut report = json!({ "agentId": "worker-1", "fencingToken": claimed["tasks"][0]["fencingToken"] });
        let more = more.as_object().unwrap().clone();
        report.as_object_mut().unwrap().extend(more);
        traced.post(&format!("tasks/t-1/{call}"), None, &report).await;
    }
    let spans = receiver.trace(TRACE, &["POST /api/swarm/tasks", "task fail"]).await;
    assert_one_tree(&spans, CALLER);
    let told = |name: &str| -> Vec<(String, &str)> {
        let spans = spans.iter().filter(|span| span.name == name);
        let what = spans.map(|span| {
            let outcome = span.attributes.get("studio_brain.task.outcome");
            let attempt = span.attributes["studio_brain.task.attempt"].clone();
            (attempt, outcome.map_or("", String::as_str))
        });
        what.collect()
    };
    // What is given back does not count as an attempt.
    let (failed, released) = (("1".to_owned(), "failed"), ("2".to_owned(), "released"));
    let ended = ("2".to_owned(), "");
    assert_eq!(told("task retry"), [failed.clone(), released.clone()]);
    assert_eq!(told("task attempt"), [failed, released, ended.clone()]);
    assert_eq!(told("task fail"), [ended]);
    assert_eq!(told("task claim").len(), 3);
    assert!(
        !format!("{spans:?}").contains("secret"),
        "no error of a worker is in a span"
    );
}

#[tokio::test]
async fn an_event_of_a_foreign_client_is_consumed_in_its_trace() {
    let receiver = Receiver::start().await;
    let traced = Traced::start(&receiver.url(), &[]).await;
    // A new group begins with what comes after it.
    eventually("the stream is consumed", async || {
        traced.brain.stderr().contains("consumer group created").then_some(())
    })
    .await;
    let swarm = traced.config.swarm.swarm_id.clone();
    traced.xadd(&foreign(&swarm, "e-1", Some(&traceparent(TRACE)))).await;
    let process = traced.on_stream("process");
    let spans = receiver.trace(TRACE, &[&process]).await;
    let span = named(&spans, &process);
    assert_eq!((span.kind, span.parent.as_str()), (CONSUMER, CALLER));
    assert_eq!(
        span.attributes["messaging.destination.name"],
        traced.config.bus.stream_name
    );
    assert_eq!(span.attributes["messaging.message.id"], "e-1");
    assert_one_tree(&spans, CALLER);

    // One without a trace begins one, and what follows is in it.
    traced.xadd(&foreign(&swarm, "e-2", None)).await;
    let root = eventually("the root of the second", async || {
        let second = |span: &Received| span.name == process && span.attributes["messaging.message.id"] == "e-2";
        receiver.spans().into_iter().find(second)
    })
    .await;
    assert_eq!(root.parent, "");
    traced
        .post("tasks/e-2/cancel", None, &json!({ "reason": "test" }))
        .await;
    let spans = receiver.trace(&root.trace, &["task cancel"]).await;
    assert_eq!(named(&spans, "task cancel").parent, root.id);
}

#[tokio::test]
async fn what_a_caller_does_not_sample_is_not_told_and_new_traces_go_by_the_ratio() {
    let receiver = Receiver::start().await;
    let traced = Traced::start(&receiver.url(), &[("STUDIO_BRAIN_OTEL_SAMPLE_RATIO", "0")]).await;
    let unsampled = "11111111111111111111111111111111";
    traced.work("t-1", &format!("00-{unsampled}-{CALLER}-00")).await;
    traced.work("t-2", &traceparent(TRACE)).await;
    receiver.trace(TRACE, &["task complete"]).await;
    let others: Vec<Received> = receiver
        .spans()
        .into_iter()
        .filter(|span| span.trace != TRACE)
        .collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[tokio::test]
async fn a_collector_that_is_away_harms_nobody_and_is_reported_once() {
    let port = brain_devstack::free_port().unwrap();
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    let mut traced = Traced::start(&format!("http://{address}"), &[]).await;
    let said = |brain: &BrainProcess, text: &str| brain.stderr().lines().filter(|line| line.contains(text)).count();
    traced.work("t-1", &traceparent(TRACE)).await;
    eventually("it is said that the collector is away", async || {
        (said(&traced.brain, "traces cannot be exported") == 1).then_some(())
    })
    .await;
    traced
        .work("t-2", &traceparent("22222222222222222222222222222222"))
        .await;

    // What was done meanwhile is told when the collector is there.
    let receiver = Receiver::at(address).await;
    receiver.trace(TRACE, &["task complete"]).await;
    receiver
        .trace("22222222222222222222222222222222", &["task complete"])
        .await;
    eventually("it is said that the collector is back", async || {
        (said(&traced.brain, "traces are exported again") == 1).then_some(())
    })
    .await;
    traced.brain.sigterm();
    assert_eq!(traced.brain.wait().await.code(), Some(0));
    assert_eq!(said(&traced.brain, "traces cannot be exported"), 1);
}

#[tokio::test]
async fn a_brain_that_stops_tells_what_it_still_has() {
    let receiver = Receiver::start().await;
    let mut traced = Traced::start(&receiver.url(), &[]).await;
    traced.work("t-1", &traceparent(TRACE)).await;
    traced.brain.sigterm();
    assert_eq!(traced.brain.wait().await.code(), Some(0));
    // Nothing can come later: the process is gone.
    let spans = receiver.spans();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert!(names.contains(&"task complete"), "{names:?}");
}

#[tokio::test]
async fn a_collector_that_does_not_answer_does_not_hold_up_the_end() {
    // It takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let mut traced = Traced::start(&endpoint, &[]).await;
    traced.work("t-1", &traceparent(TRACE)).await;
    traced.brain.sigterm();
    assert_eq!(traced.brain.wait().await.code(), Some(0));
    assert!(
        traced
            .brain
            .stderr()
            .contains("the last traces were not exported in time")
    );
}
