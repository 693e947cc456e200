//! The memory of a running brain stays bounded, whatever callers do with their connections.
//!
//! The limits are far above what was seen: they tell a leak or an unbounded buffer from noise, not one megabyte from the next.

use std::time::Duration;

use brain_testkit::eventually_within;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::brain_process::{BrainProcess, migrated};

const STREAM: &str = "GET /api/swarm/events/stream?swarmId=s HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Resident memory of the process, in KiB.
fn resident(brain: &BrainProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", brain.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn connect(brain: &BrainProcess) -> TcpStream {
    let address = brain.url().strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// Publishes events of this size to the swarm `s`.
async fn publish(brain: &BrainProcess, count: usize, bytes: usize) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let event = json!({"type": "note.taken", "swarmId": "s", "actorId": "a", "payload": {"text": "x".repeat(bytes)}});
    let events: Vec<_> = std::iter::repeat_n(event, count).collect();
    let response = client
        .post(format!("{}/api/swarm/events", brain.url()))
        .json(&events)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 201);
}

#[tokio::test]
async fn a_thousand_idle_streams_cost_little() {
    let database = migrated().await;
    let brain = BrainProcess::start(&database.config(), &[]).await;
    publish(&brain, 1, 10).await;
    let before = resident(&brain);
    let mut streams = Vec::new();
    for _ in 0..1_000 {
        let mut stream = connect(&brain).await;
        stream.write_all(STREAM.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    for stream in &mut streams {
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
    }
    let grown = resident(&brain).saturating_sub(before);
    assert!(grown < 128 * 1024, "{grown} KiB for 1,000 idle streams");
    // It still answers others.
    publish(&brain, 1, 10).await;
}

#[tokio::test]
async fn who_never_reads_does_not_fill_the_memory() {
    let database = migrated().await;
    let brain = BrainProcess::start(&database.config(), &[]).await;
    publish(&brain, 1, 10).await;
    let mut streams = Vec::new();
    for _ in 0..200 {
        let mut stream = connect(&brain).await;
        stream.write_all(STREAM.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    publish(&brain, 100, 4_000).await;
    let before = resident(&brain);
    // 32 MB of events, which would be 6 GB if each stream kept them.
    for _ in 0..16 {
        publish(&brain, 500, 4_000).await;
    }
    let grown = resident(&brain).saturating_sub(before);
    assert!(grown < 192 * 1024, "{grown} KiB for 200 readers that do not read");
}

#[tokio::test]
async fn who_sends_a_byte_at_a_time_is_cut_and_costs_little() {
    let database = migrated().await;
    let timeouts = [
        ("STUDIO_BRAIN_HTTP_HEADER_TIMEOUT_MS", "2000"),
        ("STUDIO_BRAIN_HTTP_BODY_TIMEOUT_MS", "2000"),
    ];
    let brain = BrainProcess::start(&database.config(), &timeouts).await;
    publish(&brain, 1, 10).await;
    let before = resident(&brain);
    let body = "POST /api/swarm/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4000000\r\n\r\n";
    let mut callers = Vec::new();
    for number in 0..400 {
        let mut stream = connect(&brain).await;
        // Half of them are slow with the head, half with the body.
        let head = if number % 2 == 0 {
            "GET /healthz HTTP/1.1\r\nx-slow: "
        } else {
            body
        };
        stream.write_all(head.as_bytes()).await.unwrap();
        callers.push(tokio::spawn(async move {
            let (mut read, mut write) = stream.into_split();
            let dripping = async {
                while write.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            };
            let mut answer = Vec::new();
            // An answer and an end, or an end alone: either way it is over.
            tokio::select! {
                _ = read.read_to_end(&mut answer) => {}
                () = dripping => {}
            }
        }));
    }
    let grown = resident(&brain).saturating_sub(before);
    assert!(grown < 96 * 1024, "{grown} KiB for 400 slow callers");
    publish(&brain, 1, 10).await;
    eventually_within(Duration::from_secs(60), "every slow caller is cut", async || {
        callers.iter().all(tokio::task::JoinHandle::is_finished).then_some(())
    })
    .await;
}
