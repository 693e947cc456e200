//! Webhooks: an order is sent once, signed, to an address that may be reached, or not at all.

mod hostile;
mod notices;
mod receiver;
mod tls;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use brain_swarm::governance::{
    executor::{Executor as _, Kind, NotSent, Order, Outcome},
    webhook::{
        Client,
        address::{Refused, Target},
    },
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use self::receiver::{Gate, KEY, Receiver, Request, client, order, settings, webhook};

/// HMAC-SHA256 as RFC 2104 writes it down, for a key that is shorter than a block.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| (0..64).map(move |at| key.get(at).copied().unwrap_or_default() ^ with);
    let inner: Vec<u8> = pad(0x36).chain(message.iter().copied()).collect();
    let outer: Vec<u8> = pad(0x5c).chain(Sha256::digest(inner)).collect();
    Sha256::digest(outer).to_vec()
}

/// What a receiver has to find in the header.
fn expected(key: &[u8], request: &Request) -> String {
    let header = |name| request.header(name).unwrap();
    let mut message = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).into_bytes();
    message.extend_from_slice(&request.body);
    format!("v1,{}", STANDARD.encode(hmac(key, &message)))
}

#[tokio::test]
async fn an_order_is_one_signed_request() {
    let (receiver, requests) =
        Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"sent\": 1.10}").await;
    let rollback = format!("http://127.0.0.1:{}/undo", receiver.port);
    let executor = webhook(client(), &receiver.url(), Some(&rollback));
    let (gate, order) = (Gate::default(), order());
    let outcome = executor.carry_out(&order, &gate).await;
    let output = r#"{"sent": 1.10}"#.to_owned();
    assert_eq!(outcome, Outcome::Succeeded { output });
    assert_eq!(gate.passes(), 1);
    assert!(gate.held()[0] < Duration::from_millis(500));

    let request = requests.lock().unwrap().remove(0);
    assert!(
        request.head.starts_with("POST /hook?token=secret HTTP/1.1\r\n"),
        "{}",
        request.head
    );
    for (name, value) in [
        ("host", format!("127.0.0.1:{}", receiver.port)),
        ("connection", "close".to_owned()),
        ("content-type", "application/json".to_owned()),
        ("webhook-id", order.execution_id.to_string()),
        ("webhook-signature", expected(KEY, &request)),
    ] {
        assert_eq!(request.header(name), Some(value.as_str()), "{name}");
    }
    let at: i64 = request.header("webhook-timestamp").unwrap().parse().unwrap();
    assert!((jiff::Timestamp::now().as_second() - at).abs() < 60);
    // Numbers are as they were signed and approved, digit by digit.
    assert!(String::from_utf8_lossy(&request.body).contains(&order.input));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let told = json!({
        "type": "capability.execute", "executionId": order.execution_id, "proposalId": order.proposal_id,
        "capabilityId": "mail.send", "tenantId": "default", "actorId": "agent-1",
        "input": {"to": "a@example.org", "cents": 1.1},
    });
    assert_eq!(body, told);

    let undo = Order {
        kind: Kind::Rollback,
        ..order
    };
    assert!(matches!(
        executor.carry_out(&undo, &gate).await,
        Outcome::Succeeded { .. }
    ));
    let request = requests.lock().unwrap().remove(0);
    assert!(request.head.starts_with("POST /undo HTTP/1.1\r\n"), "{}", request.head);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["type"], "capability.rollback");

    let executor = webhook(client(), &receiver.url(), None);
    let outcome = executor.carry_out(&undo, &gate).await;
    assert!(
        matches!(
            outcome,
            Outcome::NotSent {
                reason: NotSent::Refused(_)
            }
        ),
        "{outcome:?}"
    );
    assert_eq!((gate.passes(), receiver.connections()), (2, 2));
}

#[tokio::test]
async fn while_the_secret_is_exchanged_both_sign() {
    let (receiver, requests) = Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let mut settings = settings(&["127.0.0.0/8"]);
    settings.previous_signing_secret = Some("the secret before it, in plain text".into());
    let executor = webhook(Client::new(&settings).unwrap(), &receiver.url(), None);
    let outcome = executor.carry_out(&order(), &Gate::default()).await;
    assert_eq!(
        outcome,
        Outcome::Succeeded {
            output: "null".to_owned()
        }
    );
    let request = requests.lock().unwrap().remove(0);
    let both = format!(
        "{} {}",
        expected(KEY, &request),
        expected(b"the secret before it, in plain text", &request)
    );
    assert_eq!(request.header("webhook-signature"), Some(both.as_str()));
}

#[tokio::test]
async fn a_status_is_the_word_of_the_receiver() {
    for (answer, error, output) in [
        (
            "HTTP/1.1 500 Ha\r\ncontent-length: 2\r\n\r\nno",
            "500 Internal Server Error",
            "\"no\"",
        ),
        (
            "HTTP/1.1 409 Conflict\r\ncontent-length: 2\r\n\r\n{}",
            "409 Conflict",
            "{}",
        ),
        ("HTTP/1.0 404 Not Found\r\n\r\n", "404 Not Found", "null"),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", "304 Not Modified", "null"),
        ("HTTP/1.1 599 \r\ncontent-length: 0\r\n\r\n", "599", "null"),
    ] {
        let (receiver, _) = Receiver::answering(answer).await;
        let executor = webhook(client(), &receiver.url(), None);
        match executor.carry_out(&order(), &Gate::default()).await {
            Outcome::Failed {
                error: said,
                output: Some(kept),
            } => {
                assert!(said.contains(error) && kept == output, "{said} {kept}");
            }
            outcome => panic!("{answer}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (elsewhere, _) = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let port = elsewhere.port;
    for status in [301, 302, 303, 307, 308] {
        let receiver = Receiver::new(move |mut stream| async move {
            receiver::read(&mut stream).await.unwrap();
            let answer = format!(
                "HTTP/1.1 {status} Moved\r\nlocation: http://127.0.0.1:{port}/\r\nrefresh: 0; url=http://127.0.0.1:{port}/\r\ncontent-length: 0\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let executor = webhook(client(), &receiver.url(), None);
        let outcome = executor.carry_out(&order(), &Gate::default()).await;
        let Outcome::Failed { error, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert!(
            error.contains(&status.to_string()) && error.contains("not followed"),
            "{error}"
        );
        assert_eq!((receiver.connections(), elsewhere.connections()), (1, 0));
    }
}

#[tokio::test]
async fn an_address_that_is_not_public_is_not_connected_to() {
    let (receiver, _) = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let port = receiver.port;
    let client = Client::new(&settings(&["10.0.0.0/8"])).unwrap();
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "2130706433",
        "0x7f.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "0.0.0.0",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/a?b=secret");
            let executor = webhook(client.clone(), &url, None);
            let gate = Gate::default();
            let outcome = executor.carry_out(&order(), &gate).await;
            let Outcome::NotSent {
                reason: NotSent::Refused(reason),
            } = outcome
            else {
                panic!("{url}: {outcome:?}");
            };
            assert!(reason.contains("STUDIO_BRAIN_WEBHOOK_ALLOWED_ADDRESSES"), "{reason}");
            assert!(!reason.contains("b=secret"), "{reason}");
            assert_eq!(gate.passes(), 0, "{url}");
        }
    }
    assert_eq!(receiver.connections(), 0);
    let refused = Target::parse("https://me:secret@example.org/");
    assert_eq!(refused, Err(Refused::Credentials));
}

#[tokio::test]
async fn a_closed_fence_keeps_every_byte() {
    let bytes = Arc::new(AtomicUsize::new(usize::MAX));
    let received = Arc::clone(&bytes);
    let receiver = Receiver::new(move |mut stream| {
        let received = Arc::clone(&received);
        async move {
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all).await;
            received.store(all.len(), Ordering::SeqCst);
        }
    })
    .await;
    let executor = webhook(client(), &receiver.url(), None);
    let closed = Gate {
        closed: true,
        ..Gate::default()
    };
    let outcome = executor.carry_out(&order(), &closed).await;
    assert_eq!(
        outcome,
        Outcome::NotSent {
            reason: NotSent::Stopped
        }
    );
    let received = brain_testkit::eventually("the end of the connection", async || {
        Some(bytes.load(Ordering::SeqCst)).filter(|bytes| *bytes < usize::MAX)
    });
    assert_eq!(received.await, 0);

    // Whoever waits for the fence does so within the time of the order.
    bytes.store(usize::MAX, Ordering::SeqCst);
    let never = Gate {
        slow: Duration::from_secs(60),
        ..Gate::default()
    };
    let order = Order {
        time_limit: Duration::from_millis(500),
        ..order()
    };
    let started = Instant::now();
    let outcome = executor.carry_out(&order, &never).await;
    assert!(
        matches!(
            outcome,
            Outcome::NotSent {
                reason: NotSent::Unreachable(_)
            }
        ),
        "{outcome:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(5) && never.passes() == 0);
    let received = brain_testkit::eventually("the end of the connection", async || {
        Some(bytes.load(Ordering::SeqCst)).filter(|bytes| *bytes < usize::MAX)
    });
    assert_eq!(received.await, 0);
}

/// A process that was frozen after the last look sent when it woke.
#[tokio::test]
async fn a_passing_that_holds_no_longer_keeps_every_byte() {
    let (receiver, requests) = Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let executor = webhook(client(), &receiver.url(), None);
    let gate = Gate {
        stale: true,
        ..Gate::default()
    };
    let outcome = executor.carry_out(&order(), &gate).await;
    let Outcome::NotSent {
        reason: NotSent::Unreachable(reason),
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert!(reason.contains("held up for too long"), "{reason}");
    assert_eq!((gate.passes(), gate.held().len()), (1, 1));
    assert!(requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_a_secret_nothing_is_sent() {
    let (receiver, _) = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let mut settings = settings(&["127.0.0.1/32"]);
    settings.signing_secret = None;
    let executor = webhook(Client::new(&settings).unwrap(), &receiver.url(), None);
    let gate = Gate::default();
    let outcome = executor.carry_out(&order(), &gate).await;
    let Outcome::NotSent {
        reason: NotSent::Refused(reason),
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    assert!(reason.contains("set STUDIO_BRAIN_WEBHOOK_SIGNING_SECRET"), "{reason}");
    assert_eq!((receiver.connections(), gate.passes()), (0, 0));
}

#[tokio::test]
async fn who_is_not_there_is_unreachable() {
    let port = {
        let (receiver, _) = Receiver::answering("").await;
        receiver.port
    };
    tokio::task::yield_now().await;
    for host in ["127.0.0.1", "nowhere.invalid"] {
        let url = format!("http://{host}:{port}/a?b=secret");
        let executor = webhook(client(), &url, None);
        let gate = Gate::default();
        let outcome = executor.carry_out(&order(), &gate).await;
        let Outcome::NotSent {
            reason: NotSent::Unreachable(reason),
        } = outcome
        else {
            panic!("{outcome:?}");
        };
        assert!(reason.contains(host) && !reason.contains("b=secret"), "{reason}");
        assert_eq!(gate.passes(), 0);
    }
}
