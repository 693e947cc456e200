//! Callers that are slow, large, or never read.

use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    time::{Duration, Instant},
};

use brain_testkit::eventually;
use serde_json::{Value, json};

use crate::{
    brain::{Brain, Setup},
    raw::Raw,
    shown::{brief, check},
};

const EVENTS: &str = "/api/swarm/events";

async fn impatient() -> Brain {
    let mut setup = Setup::new().await;
    setup.config.server.header_timeout = Duration::from_millis(400);
    setup.config.server.body_timeout = Duration::from_millis(400);
    setup.config.server.body_limit = 10_000;
    setup.start()
}

#[tokio::test]
async fn heads_must_come_in_time() {
    let brain = impatient().await;
    let begun = Instant::now();
    let slow = [
        "",
        "GET /heal",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-a",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    for sent in slow {
        let mut raw = Raw::connect(brain.address).await;
        raw.send(sent).await.unwrap();
        raw.rest().await;
    }
    // A byte now and then is not enough, nor is a good request before.
    let mut raw = Raw::connect(brain.address).await;
    raw.get("/healthz").await;
    raw.answer().await;
    raw.send("GET /").await.unwrap();
    eventually("a head that trickles is cut off", async || {
        tokio::time::sleep(Duration::from_millis(50)).await;
        raw.send("x").await.is_err().then_some(())
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn bodies_must_come_in_time() {
    let brain = impatient().await;
    let mut raw = Raw::connect(brain.address).await;
    raw.send(format!(
        "POST {EVENTS} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\nx-request-id: r-1\r\n\r\n{{"
    ))
    .await
    .unwrap();
    let answer = raw.answer().await;
    check(
        "body_timeout",
        &format!("{}\n{}", answer.lines().next().unwrap(), answer.lines().last().unwrap()),
    );
    raw.rest().await;

    let cut_off = async {
        let mut raw = Raw::connect(brain.address).await;
        raw.send(format!(
            "POST {EVENTS} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{{"
        ))
        .await
        .unwrap();
    };
    cut_off.await;
    assert_eq!(
        brain.get("/healthz").send().await.unwrap().status(),
        200,
        "the server lives on"
    );
}

#[tokio::test]
async fn bodies_have_a_size() {
    let brain = impatient().await;
    let announced = brain
        .post(EVENTS)
        .header("x-request-id", "r-1")
        .body("x".repeat(10_001));
    check("body_too_large", &brief(announced.send().await.unwrap()).await);
    let pieces = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("x".repeat(1000)));
    let chunked = brain
        .post(EVENTS)
        .header("x-request-id", "r-1")
        .body(reqwest::Body::wrap_stream(futures_util::StreamExt::take(pieces, 20)));
    check("body_too_large_chunked", &brief(chunked.send().await.unwrap()).await);
    // Refused before a byte of it is sent, for who asks first.
    let mut raw = Raw::connect(brain.address).await;
    raw.send(format!(
        "POST {EVENTS} HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 20000\r\n\r\n"
    ))
    .await
    .unwrap();
    assert!(raw.answer().await.starts_with("HTTP/1.1 413 "));
}

/// A body of many megabytes is on its way when it is refused: the caller gets to read why, although it reads only when
/// it has sent everything.
#[tokio::test]
async fn a_refusal_reaches_a_caller_that_is_sending_still() {
    let brain = impatient().await;
    let address = brain.address;
    let caller = move || {
        let mut stream = std::net::TcpStream::connect(address)?;
        let head = format!("POST {EVENTS} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 8000000\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(&vec![b'x'; 8_000_000])?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<String, std::io::Error>(answer)
    };
    for _ in 0..3 {
        let answer = tokio::task::spawn_blocking(caller).await.unwrap();
        assert!(
            answer.as_ref().is_ok_and(|answer| answer.starts_with("HTTP/1.1 413 ")),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn urls_and_headers_have_a_size() {
    let brain = impatient().await;
    let url = brain
        .get(&format!("/healthz?{}", "x".repeat(9000)))
        .header("x-request-id", "r-1");
    check("uri_too_long", &brief(url.send().await.unwrap()).await);
    let headers = brain
        .get("/healthz")
        .header("x-large", "x".repeat(40_000))
        .header("x-request-id", "r-1");
    let response = headers.send().await.unwrap();
    assert_eq!(response.status(), 431);
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["type"], "urn:studio-brain:problem:headers-too-large");
}

#[tokio::test]
async fn a_full_house_lets_others_wait_and_idle_guests_leave() {
    let mut setup = Setup::new().await;
    setup.config.server.max_connections = 2;
    setup.config.server.header_timeout = Duration::from_millis(400);
    let mut brain = setup.start();
    let held = brain.hold_commits().await;
    // The client kept a connection of its own, which must go first.
    brain.client = reqwest::Client::new();
    let publish = format!(
        "POST {EVENTS} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 44\r\n\r\n{{\"type\": \"build.finished\", \"actorId\": \"abc\"}}"
    );
    let mut busy = [Raw::connect(brain.address).await, Raw::connect(brain.address).await];
    for raw in &mut busy {
        raw.send(&publish).await.unwrap();
    }
    brain.commit_waits().await;
    let mut third = Raw::connect(brain.address).await;
    third.get("/healthz").await;
    let early = tokio::time::timeout(Duration::from_millis(300), third.answer()).await;
    assert!(early.is_err(), "both places are taken by requests that run");

    held.release().await;
    for raw in &mut busy {
        assert!(raw.answer().await.starts_with("HTTP/1.1 201 "));
    }
    // Both stay open, doing nothing; they make room.
    assert!(third.answer().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn who_never_reads_is_not_waited_for() {
    let mut setup = Setup::new().await;
    setup.config.server.max_connections = 1;
    setup.config.server.header_timeout = Duration::from_millis(400);
    let brain = setup.start();
    let payload = "x".repeat(200_000);
    for _ in 0..10 {
        let events: Vec<Value> = (0..15)
            .map(|_| json!({"type": "build.log", "actorId": "a", "payload": {"text": payload}}))
            .collect();
        brain.publish(json!(events)).await;
    }
    drop(brain.client);
    let mut never_reads = Raw::connect(brain.address).await;
    never_reads.get(&format!("{EVENTS}?limit=150")).await;
    let mut other = Raw::connect(brain.address).await;
    other.get("/healthz").await;
    assert!(other.answer().await.starts_with("HTTP/1.1 200 "));
}
