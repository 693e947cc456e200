//! HTTP/2 without TLS, by prior knowledge.

use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;

use crate::{brain::Brain, raw::Raw};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The error code of the first frame of this kind.
fn error_code(mut bytes: &[u8], kind: u8) -> Option<u32> {
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (payload, rest) = rest.split_at_checked(length)?;
        if head[3] == kind {
            return payload.get(4..8)?.try_into().ok().map(u32::from_be_bytes);
        }
        bytes = rest;
    }
    None
}

async fn client(brain: &Brain) -> http2::SendRequest<Full<bytes::Bytes>> {
    let stream = TcpStream::connect(brain.address).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

fn request(method: &str, target: &str, body: String) -> Request<Full<bytes::Bytes>> {
    Request::builder()
        .method(method)
        .uri(target)
        .body(Full::from(body))
        .unwrap()
}

#[tokio::test]
async fn requests_share_a_connection() {
    let brain = Brain::start().await;
    let client = client(&brain).await;
    let publish = (0..50).map(|n| {
        let mut client = client.clone();
        let event = json!({"id": format!("e-{n}"), "type": "build.finished", "actorId": "a"});
        async move {
            client
                .send_request(request("POST", "http://localhost/api/swarm/events", event.to_string()))
                .await
                .unwrap()
        }
    });
    for response in futures_util::future::join_all(publish).await {
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert!(response.headers().contains_key("x-request-id"));
    }
    assert_eq!(brain.stored("build.finished").await, 50);

    let mut client = client.clone();
    let head = client
        .send_request(request("HEAD", "http://localhost/healthz", String::new()))
        .await
        .unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.into_body().collect().await.unwrap().to_bytes().len(), 0);
    let foreign = client
        .send_request(request("GET", "http://attacker.example/healthz", String::new()))
        .await
        .unwrap();
    assert_eq!(
        foreign.status(),
        StatusCode::FORBIDDEN,
        "the authority of HTTP/2 is the Host"
    );
    let large = Request::builder()
        .uri("http://localhost/healthz")
        .header("x-large", "x".repeat(40_000));
    let large = client.send_request(large.body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(large.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(large.headers()["x-content-type-options"], "nosniff");
}

/// Streams that are opened and reset at once cost the server work and the peer nothing.
#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let brain = Brain::start().await;
    let mut raw = Raw::connect(brain.address).await;
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    // GET / over http, by HPACK's static table, to localhost.
    let head = [&[0x82, 0x86, 0x84, 0x41, 9][..], b"localhost"].concat();
    for stream in (1..2001).step_by(2) {
        bytes.extend(frame(HEADERS, 5, stream, &head));
        bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    let _ = raw.send(bytes).await;
    let answer = raw.until(|bytes| error_code(bytes, GOAWAY).is_some()).await;
    assert_eq!(error_code(&answer, GOAWAY), Some(ENHANCE_YOUR_CALM));
    assert_eq!(
        brain.get("/healthz").send().await.unwrap().status(),
        200,
        "others are served"
    );
}
