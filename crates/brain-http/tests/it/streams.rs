//! Following events: server-sent events, and pages that are waited for.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use brain_connectivity::postgres::Postgres;
use brain_swarm::{
    bus::StreamNames,
    event::{Defaults, Event},
    publish,
    relay::RelayQueue,
};
use brain_testkit::eventually;
use reqwest::Response;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::brain::{Brain, Setup};

/// One message of a stream.
#[derive(Debug, Default, PartialEq)]
struct Message {
    id: Option<i64>,
    kind: String,
    data: String,
}

/// Reads a stream as a browser does.
struct Source {
    response: Response,
    text: Vec<u8>,
    ready: VecDeque<Message>,
    last_id: Option<i64>,
}

impl Source {
    async fn open(brain: &Brain, query: &str, last_id: Option<i64>) -> Self {
        let mut request = brain.get(&format!("/api/swarm/events/stream?{query}"));
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let mut source = Self {
            response,
            text: Vec::new(),
            ready: VecDeque::new(),
            last_id,
        };
        while source.last_id.is_none() {
            assert!(source.read().await);
        }
        source
    }

    /// The next message with data; `None` at the end.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some(message);
            }
            if !tokio::time::timeout(Duration::from_secs(30), self.read())
                .await
                .unwrap()
            {
                return None;
            }
        }
    }

    async fn seq(&mut self) -> i64 {
        self.next().await.unwrap().id.unwrap()
    }

    async fn read(&mut self) -> bool {
        let Ok(Some(bytes)) = self.response.chunk().await else {
            return false;
        };
        self.text.extend_from_slice(&bytes);
        while let Some(end) = self.text.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.text.drain(..end + 2).collect();
            let mut message = Message::default();
            for line in String::from_utf8(block).unwrap().lines() {
                match line.split_once(": ") {
                    Some(("id", id)) => message.id = Some(id.parse().unwrap()),
                    Some(("event", kind)) => message.kind = kind.to_owned(),
                    Some(("data", data)) => message.data = data.to_owned(),
                    _ => assert!(
                        line.is_empty() || line.starts_with(':') || line == "retry: 1000",
                        "{line}"
                    ),
                }
            }
            self.last_id = message.id.or(self.last_id);
            if !message.data.is_empty() {
                self.ready.push_back(message);
            }
        }
        true
    }
}

fn note(n: usize) -> Value {
    json!({"type": "note.taken", "actorId": "someone", "payload": {"n": n}})
}

async fn notes(brain: &Brain, count: usize) {
    brain.publish((0..count).map(note).collect()).await;
}

#[tokio::test]
async fn events_come_as_they_are_stored_and_say_where_to_go_on() {
    let brain = Brain::start().await;
    notes(&brain, 3).await;
    let mut from_now = Source::open(&brain, "", None).await;
    assert_eq!(from_now.last_id, Some(3));
    let mut from_the_start = Source::open(&brain, "after=0", None).await;
    notes(&brain, 2).await;
    let first = from_now.next().await.unwrap();
    assert_eq!((first.id, first.kind.as_str()), (Some(4), "note.taken"));
    let data: Value = serde_json::from_str(&first.data).unwrap();
    let listed = brain.read("events?after=3&limit=1").await;
    assert_eq!(data, listed["events"][0], "a stream says what a page says");
    for seq in 1..=5 {
        assert_eq!(from_the_start.seq().await, seq);
    }
    let mut resumed = Source::open(&brain, "after=0", Some(4)).await;
    assert_eq!(
        resumed.seq().await,
        5,
        "Last-Event-ID wins over the query of the first request"
    );
}

#[tokio::test]
async fn a_stream_can_be_of_a_run_a_type_or_an_actor() {
    let brain = Brain::start().await;
    let mut of_run = Source::open(&brain, "runId=r-2", None).await;
    let mut of_type = Source::open(&brain, "type=b.b", None).await;
    let mut of_actor = Source::open(&brain, "actorId=y", None).await;
    let mut of_another = Source::open(&brain, "swarmId=another", None).await;
    brain
        .publish(json!([
            {"type": "a.a", "actorId": "x", "runId": "r-1"},
            {"type": "b.b", "actorId": "x", "runId": "r-1"},
            {"type": "a.a", "actorId": "y", "runId": "r-1"},
            {"type": "a.a", "actorId": "x", "runId": "r-2"},
        ]))
        .await;
    brain
        .publish(json!({"type": "a.a", "actorId": "x", "swarmId": "another"}))
        .await;
    assert_eq!(of_type.seq().await, 2);
    assert_eq!(of_actor.seq().await, 3);
    assert_eq!(of_run.seq().await, 4);
    assert_eq!(of_another.seq().await, 1);
    // What is filtered out while it catches up is not missed either.
    let mut late = Source::open(&brain, "runId=r-2&after=0", None).await;
    assert_eq!(late.seq().await, 4);
}

#[tokio::test]
async fn what_is_gone_is_a_gap_and_what_is_not_there_yet_is_refused() {
    let brain = Brain::start().await;
    notes(&brain, 5).await;
    let client = brain.database.client().await;
    let prune = "DELETE FROM swarm_events WHERE seq <= 3; UPDATE swarm_sequences SET pruned_seq = 3";
    client.batch_execute(prune).await.unwrap();
    let mut source = Source::open(&brain, "", Some(1)).await;
    let gap = source.next().await.unwrap();
    let expected = Message {
        id: Some(3),
        kind: "gap".to_owned(),
        data: r#"{"fromSeq":2,"toSeq":3}"#.to_owned(),
    };
    assert_eq!(gap, expected);
    assert_eq!(source.seq().await, 4);
    for (name, query, id) in [
        ("ahead", "", Some("6")),
        ("after", "after=-1", None),
        ("id", "", Some("x")),
    ] {
        let mut request = brain
            .get(&format!("/api/swarm/events/stream?{query}"))
            .header("x-request-id", "r-1");
        if let Some(id) = id {
            request = request.header("last-event-id", id);
        }
        let answer = crate::shown::brief(request.send().await.unwrap()).await;
        crate::shown::check(&format!("stream_refused_{name}"), &answer);
    }
}

#[tokio::test]
async fn one_who_does_not_read_catches_up_in_order() {
    const COUNT: usize = 3000;
    let brain = Brain::start().await;
    let mut source = Source::open(&brain, "", None).await;
    let big = "x".repeat(4000);
    for n in 0..COUNT / 100 {
        let events =
            (0..100).map(|k| json!({"type": "a.a", "actorId": "x", "payload": {"n": n * 100 + k, "big": big}}));
        brain.publish(events.collect()).await;
    }
    for seq in 1..=i64::try_from(COUNT).unwrap() {
        assert_eq!(source.seq().await, seq);
    }
}

#[tokio::test]
async fn what_another_replica_stores_comes_without_waiting_for_a_look() {
    let brain = Brain::start().await;
    notes(&brain, 1).await;
    let mut source = Source::open(&brain, "", None).await;
    let postgres = Postgres::open(&brain.config.postgres).unwrap();
    let streams = StreamNames::new(&brain.config.bus);
    let (service, publisher) = publish::Service::new(postgres, streams, 512, RelayQueue::default());
    tokio::spawn(service.run(CancellationToken::new()));
    // The first bell may come before this replica listens.
    for seq in 2..5 {
        let began = Instant::now();
        let mut event = note(seq);
        event["swarmId"] = json!(brain.config.swarm.swarm_id);
        let defaults = Defaults {
            generate: true,
            run_id: Some("r".parse().unwrap()),
            ..Defaults::default()
        };
        let event = Event::parse(event.to_string().as_bytes(), 4096, &defaults).unwrap();
        publisher.publish(vec![event]).await.unwrap();
        assert_eq!(source.seq().await, i64::try_from(seq).unwrap());
        assert!(
            seq == 2 || began.elapsed() < Duration::from_secs(2),
            "{:?}",
            began.elapsed()
        );
    }
}

/// Each goes on where it was, at another server over the same database.
#[tokio::test]
async fn many_subscribers_resume_without_gap_or_repetition_when_the_server_is_restarted() {
    // Two files for each in this process; a thousand of them need a higher limit than some machines have.
    let subscribers: usize = std::env::var("BRAIN_TEST_SUBSCRIBERS").map_or(300, |count| count.parse().unwrap());
    let brain = Setup::new().await.start();
    notes(&brain, 1).await;
    let sources: Vec<Source> =
        futures_util::future::join_all((0..subscribers).map(|_| Source::open(&brain, "", None))).await;
    notes(&brain, 5).await;
    let reading = sources.into_iter().map(|mut source| async move {
        let mut seqs = Vec::new();
        while let Some(message) = source.next().await {
            match message.kind.as_str() {
                "end" => assert_eq!(message.data, r#"{"reason":"the server is stopping"}"#),
                _ => seqs.extend(message.id),
            }
        }
        (source.last_id.unwrap(), seqs)
    });
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        brain.shutdown.cancel();
    };
    let (read, ()) = tokio::join!(futures_util::future::join_all(reading), stopping);
    let brain = brain.restarted().await;
    notes(&brain, 5).await;
    let resumed = read.into_iter().map(|(last_id, mut seqs)| {
        let brain = &brain;
        async move {
            let mut source = Source::open(brain, "", Some(last_id)).await;
            while seqs.last() != Some(&11) {
                seqs.push(source.seq().await);
            }
            seqs
        }
    });
    for seqs in futures_util::future::join_all(resumed).await {
        assert_eq!(seqs, (2..=11).collect::<Vec<i64>>());
    }
}

#[tokio::test]
async fn an_empty_page_is_answered_as_soon_as_there_is_something_for_it() {
    let brain = Brain::start().await;
    notes(&brain, 1).await;
    let began = Instant::now();
    let empty = brain.read("events?after=1&waitMs=300").await;
    assert_eq!(empty["events"], json!([]));
    assert!(began.elapsed() >= Duration::from_millis(300));
    let waiting = brain.read("events?after=1&type=b.b&waitMs=20000");
    let publishing = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        notes(&brain, 1).await;
        brain.publish(json!({"type": "b.b", "actorId": "x"})).await;
    };
    let (page, ()) = tokio::join!(waiting, publishing);
    assert_eq!(page["events"][0]["seq"], 3);
    assert!(began.elapsed() < Duration::from_secs(10));
    let answer = brain
        .get("/api/swarm/events?waitMs=60001")
        .header("x-request-id", "r-1");
    crate::shown::check(
        "events_wait_too_long",
        &crate::shown::brief(answer.send().await.unwrap()).await,
    );
}

#[tokio::test]
async fn the_place_of_a_stream_is_free_when_its_caller_is_gone() {
    let brain = Brain::start().await;
    let open = async || {
        let metrics = brain.get("/metrics").send().await.unwrap().text().await.unwrap();
        let line = metrics
            .lines()
            .find(|line| line.starts_with("studio_brain_http_event_streams "));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .unwrap_or_default()
    };
    let source = Source::open(&brain, "", None).await;
    // Other tests of this process may have streams of their own.
    assert!(open().await >= 1.0);
    drop(source);
    // It is noticed when the next heartbeat or event cannot be sent.
    eventually("the stream to end", async || {
        notes(&brain, 1).await;
        (open().await < 1.0).then_some(())
    })
    .await;
}
