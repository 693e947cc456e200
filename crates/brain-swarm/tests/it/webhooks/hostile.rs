//! Receivers that do everything but what they should.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use brain_swarm::governance::{
    executor::{Executor as _, NotSent, Order, Outcome},
    webhook::{MOST_ANSWER_BYTES, WRITE_LIMIT},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::receiver::{Gate, Receiver, answered, carry_out, client, order, read, webhook};

const SOON: Duration = Duration::from_secs(2);
const LATE: Duration = Duration::from_secs(20);
const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";

async fn write(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes).await;
}

/// Writes it again and again for as long as it is taken.
async fn flood(mut stream: TcpStream, bytes: &[u8]) {
    while stream.write_all(bytes).await.is_ok() {}
}

/// Writes it byte by byte.
async fn trickle(mut stream: TcpStream, bytes: &[u8]) {
    for byte in bytes {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
    }
}

fn unknown(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Unknown { .. })
}

fn succeeded(output: &str) -> Outcome {
    Outcome::Succeeded {
        output: output.to_owned(),
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_in_time_is_unknown() {
    let silent = answered(SOON, |stream| {
        Box::pin(async move {
            tokio::time::sleep(LATE).await;
            drop(stream);
        })
    });
    let slow_head = answered(SOON, |stream| {
        Box::pin(trickle(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"))
    });
    let slow_body = answered(SOON, |mut stream| {
        Box::pin(async move {
            write(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n").await;
            trickle(stream, b"0123456789").await;
        })
    });
    let (silent, slow_head, slow_body) = tokio::join!(silent, slow_head, slow_body);
    for outcome in [silent, slow_head, slow_body] {
        assert!(unknown(&outcome), "{outcome:?}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_unknown() {
    let ends: [&'static [u8]; 7] = [
        b"",
        b"HTTP/1.1 200 O",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n01234",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n01234\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 10\r\n\r\n01234",
    ];
    for end in ends {
        let outcome = carry_out(LATE, move |mut stream| async move {
            read(&mut stream).await.unwrap();
            write(&mut stream, end).await;
        })
        .await;
        assert!(
            unknown(&outcome),
            "{outcome:?} after {:?}",
            String::from_utf8_lossy(end)
        );
    }
}

#[tokio::test]
async fn what_is_no_answer_is_unknown() {
    let answers: [&'static [u8]; 6] = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00",
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"<html>200 OK</html>\n\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    ];
    for answer in answers {
        let outcome = carry_out(LATE, move |mut stream| async move {
            read(&mut stream).await.unwrap();
            write(&mut stream, answer).await;
        })
        .await;
        assert!(
            unknown(&outcome),
            "{outcome:?} after {:?}",
            String::from_utf8_lossy(answer)
        );
    }
}

/// Each is cut, long before the time limit.
#[tokio::test]
async fn an_endless_head_is_cut_and_unknown() {
    let started = Instant::now();
    let one_line = answered(LATE, |mut stream| {
        Box::pin(async move {
            write(&mut stream, b"HTTP/1.1 200 OK\r\nx: ").await;
            flood(stream, &[b'x'; 4096]).await;
        })
    });
    let many_lines = answered(LATE, |mut stream| {
        Box::pin(async move {
            write(&mut stream, OK).await;
            flood(stream, b"x: y\r\n").await;
        })
    });
    let informing = answered(LATE, |stream| {
        Box::pin(flood(stream, b"HTTP/1.1 103 Early Hints\r\n\r\n"))
    });
    let continuing = answered(LATE, |stream| Box::pin(flood(stream, b"HTTP/1.1 100 Continue\r\n\r\n")));
    let (one_line, many_lines, informing, continuing) = tokio::join!(one_line, many_lines, informing, continuing);
    for outcome in [one_line, many_lines, informing, continuing] {
        assert!(unknown(&outcome), "{outcome:?}");
    }
    assert!(started.elapsed() < LATE / 2);
}

/// The status is the word of the receiver; of a body that is too large nothing is kept.
#[tokio::test]
async fn an_endless_body_is_cut_and_the_status_counts() {
    for (head, chunk, failed) in [
        ("HTTP/1.1 200 OK\r\n\r\n", "x".repeat(1000), false),
        (
            "HTTP/1.1 500 Oh\r\ncontent-length: 99999999999\r\n\r\n",
            "x".repeat(1000),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "3e8\r\n".to_owned() + &"x".repeat(1000) + "\r\n",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "1\r\nx\r\n".repeat(100),
            false,
        ),
    ] {
        let written = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&written);
        let outcome = carry_out(LATE, move |mut stream| {
            let (chunk, counted) = (chunk.clone(), Arc::clone(&counted));
            async move {
                read(&mut stream).await.unwrap();
                write(&mut stream, head.as_bytes()).await;
                while stream.write_all(chunk.as_bytes()).await.is_ok() {
                    counted.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                }
            }
        })
        .await;
        match outcome {
            Outcome::Failed { output: None, error } if failed => assert!(error.contains("500"), "{error}"),
            outcome => assert_eq!((outcome, failed), (succeeded("null"), false)),
        }
        // What was read, and what fits into the buffers of two sockets.
        assert!(written.load(Ordering::Relaxed) < 16 * 1024 * 1024);
    }
    let largest = carry_out(LATE, |mut stream| async move {
        read(&mut stream).await.unwrap();
        write(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n").await;
        write(&mut stream, &vec![b'x'; MOST_ANSWER_BYTES]).await;
    });
    assert_eq!(
        largest.await,
        succeeded(&format!("\"{}\"", "x".repeat(MOST_ANSWER_BYTES)))
    );
}

#[tokio::test]
async fn what_follows_an_answer_is_ignored() {
    let twice = answered(LATE, |mut stream| {
        Box::pin(async move {
            write(
                &mut stream,
                b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
            )
            .await;
        })
    });
    assert_eq!(twice.await, succeeded("1"));
    let junk = answered(LATE, |mut stream| {
        Box::pin(async move {
            write(
                &mut stream,
                b"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\n1",
            )
            .await;
            flood(stream, b"\x00junk").await;
        })
    });
    assert_eq!(junk.await, succeeded("1"));
    let informed = answered(LATE, |mut stream| {
        Box::pin(async move {
            write(
                &mut stream,
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1",
            )
            .await;
        })
    });
    assert_eq!(informed.await, succeeded("1"));
}

/// A receiver that spoke before it was asked was not asked.
#[tokio::test]
async fn an_answer_to_nothing_means_that_nothing_is_sent() {
    for answer in [&b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..], b""] {
        let received = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&received);
        let receiver = Receiver::new(move |mut stream| {
            let counted = Arc::clone(&counted);
            async move {
                write(&mut stream, answer).await;
                let _ = stream.shutdown().await;
                let mut bytes = Vec::new();
                let _ = stream.read_to_end(&mut bytes).await;
                counted.fetch_add(bytes.len() as u64, Ordering::SeqCst);
            }
        })
        .await;
        let gate = Gate {
            slow: Duration::from_millis(300),
            ..Gate::default()
        };
        let executor = webhook(client(), &receiver.url(), None);
        let outcome = executor.carry_out(&order(), &gate).await;
        let Outcome::NotSent {
            reason: NotSent::Unreachable(_),
        } = outcome
        else {
            panic!("{outcome:?}");
        };
        assert_eq!(received.load(Ordering::SeqCst), 0);
        assert_eq!((gate.passes(), gate.held().len()), (1, 1));
    }
}

fn large(time_limit: Duration) -> Order {
    Order {
        input: format!("\"{}\"", "x".repeat(48 * 1024 * 1024)),
        time_limit,
        ..order()
    }
}

/// It is cut at the write limit, with a reset, so that the rest does not arrive after the fence was let go.
#[tokio::test]
async fn a_request_that_is_not_taken_is_cut() {
    let received = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&received);
    let receiver = Receiver::new(move |mut stream| {
        let counted = Arc::clone(&counted);
        async move {
            tokio::time::sleep(WRITE_LIMIT * 2).await;
            let mut bytes = vec![0; 1 << 20];
            let reset = loop {
                match stream.read(&mut bytes).await {
                    Ok(0) => break false,
                    Ok(read) => counted.fetch_add(read as u64, Ordering::SeqCst),
                    Err(_) => break true,
                };
            };
            assert!(reset, "it was ended in an orderly way");
            counted.fetch_or(1 << 60, Ordering::SeqCst);
        }
    })
    .await;
    let (gate, started) = (Gate::default(), Instant::now());
    let executor = webhook(client(), &receiver.url(), None);
    let outcome = executor.carry_out(&large(LATE), &gate).await;
    assert!(unknown(&outcome), "{outcome:?}");
    assert!(started.elapsed() < WRITE_LIMIT * 3);
    let held = gate.held();
    assert!(
        held.len() == 1 && held[0] >= WRITE_LIMIT / 2 && held[0] < WRITE_LIMIT * 2,
        "{held:?}"
    );
    let ended = brain_testkit::eventually("the receiver to end", async || {
        let bytes = received.load(Ordering::SeqCst);
        (bytes >= 1 << 60).then(|| bytes - (1 << 60))
    })
    .await;
    assert!(ended < 48 * 1024 * 1024, "{ended} bytes");
}

/// Whoever answers before the whole order left did not do it, and does not know it.
#[tokio::test]
async fn an_answer_to_half_an_order_is_no_success() {
    for (answer, fails) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            false,
        ),
        (
            "HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            true,
        ),
    ] {
        let receiver = Receiver::new(move |mut stream| async move {
            let mut few = [0; 100];
            stream.read_exact(&mut few).await.unwrap();
            write(&mut stream, answer.as_bytes()).await;
            tokio::time::sleep(LATE).await;
        })
        .await;
        let gate = Gate::default();
        let executor = webhook(client(), &receiver.url(), None);
        match executor.carry_out(&large(LATE), &gate).await {
            Outcome::Failed { error, .. } if fails => assert!(error.contains("413"), "{error}"),
            outcome => assert!(!fails && unknown(&outcome), "{outcome:?}"),
        }
        assert!(gate.held().len() == 1 && gate.held()[0] < WRITE_LIMIT * 2);
    }
}
