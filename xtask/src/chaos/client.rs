//! How workers and publishers speak to the replicas: in turn, passing over one that just did not answer.
//!
//! A single call is tried on one replica only. Whether and when to repeat it is up to the caller, who knows what a
//! repetition means.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// How long a replica that did not answer is passed over while there are others.
const PASSED_OVER: Duration = Duration::from_secs(1);

/// What came of a call.
#[derive(Debug)]
pub(super) enum Answer {
    /// A replica answered, with this status and body.
    Said(u16, Value),
    /// No answer, or one that asks to try again: the call may have taken effect or not.
    Unclear(String),
}

impl Answer {
    /// The body of a success.
    pub(super) fn success(self) -> Option<Value> {
        match self {
            Self::Said(status, body) if (200..300).contains(&status) => Some(body),
            _ => None,
        }
    }
}

/// All replicas, as a client knows them.
pub(super) struct Replicas {
    http: reqwest::Client,
    urls: Vec<String>,
    next: AtomicUsize,
    silent_until: Mutex<Vec<Instant>>,
    timeout: Duration,
}

impl Replicas {
    /// `timeout` bounds a call that does not wait for anything.
    pub(super) fn new(urls: Vec<String>, first: usize, timeout: Duration) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(timeout)
            .build()
            .context("cannot set up HTTP")?;
        Ok(Self {
            http,
            silent_until: Mutex::new(vec![Instant::now(); urls.len()]),
            urls,
            next: AtomicUsize::new(first),
            timeout,
        })
    }

    /// A call that changes something.
    pub(super) async fn post(&self, swarm: &str, path: &str, body: &Value) -> Answer {
        self.post_within(swarm, path, body, self.timeout).await
    }

    /// The same with another limit.
    pub(super) async fn post_within(&self, swarm: &str, path: &str, body: &Value, limit: Duration) -> Answer {
        let replica = self.choose();
        let url = format!("{}/api/swarm/{path}", self.urls[replica]);
        let request = self.http.post(url).query(&[("swarmId", swarm)]).json(body);
        self.send(replica, request, limit).await
    }

    /// A call that only reads.
    pub(super) async fn get(&self, swarm: &str, path: &str) -> Answer {
        let replica = self.choose();
        let url = format!("{}/api/swarm/{path}", self.urls[replica]);
        let request = self.http.get(url).query(&[("swarmId", swarm)]);
        self.send(replica, request, self.timeout).await
    }

    async fn send(&self, replica: usize, request: reqwest::RequestBuilder, limit: Duration) -> Answer {
        let answered = async {
            let answer = request.send().await?;
            let status = answer.status().as_u16();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        };
        match tokio::time::timeout(limit, answered).await {
            Ok(Ok((status, body))) if status < 500 && status != 429 && status != 408 => {
                let body = serde_json::from_slice(&body)
                    .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
                Answer::Said(status, body)
            }
            Ok(Ok((status, body))) => {
                // One that answers so may be cut off from its servers, others need not be.
                self.pass_over(replica);
                Answer::Unclear(format!("{status} {}", String::from_utf8_lossy(&body)))
            }
            Ok(Err(error)) => {
                self.pass_over(replica);
                Answer::Unclear(format!("{:#}", anyhow::Error::from(error)))
            }
            Err(_) => {
                self.pass_over(replica);
                Answer::Unclear(format!("no answer within {limit:?}"))
            }
        }
    }

    /// The next in turn that is not passed over; the next in turn when all are.
    fn choose(&self) -> usize {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.urls.len();
        let now = Instant::now();
        let silent = self.silent_until.lock().unwrap_or_else(|broken| broken.into_inner());
        (turn..turn + count)
            .map(|replica| replica % count)
            .find(|replica| silent[*replica] <= now)
            .unwrap_or(turn % count)
    }

    fn pass_over(&self, replica: usize) {
        let mut silent = self.silent_until.lock().unwrap_or_else(|broken| broken.into_inner());
        silent[replica] = Instant::now() + PASSED_OVER;
    }
}

/// The last part of the type of a problem document: `lease-lost` and the like.
pub(super) fn problem(body: &Value) -> &str {
    let kind = body["type"].as_str().unwrap_or_default();
    kind.rsplit(['/', ':']).next().unwrap_or(kind)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A server with one answer to everything.
    async fn server(status: &'static str, body: &'static str) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        url
    }

    #[tokio::test]
    async fn one_that_does_not_answer_is_passed_over_and_a_refusal_is_an_answer() {
        let away = format!("http://127.0.0.1:{}", brain_devstack::free_port().unwrap());
        let refusing = server(
            "409 Conflict",
            r#"{"type":"urn:studio-brain:problem:lease-lost","status":409}"#,
        )
        .await;
        let replicas = Replicas::new(vec![away, refusing], 0, Duration::from_secs(5)).unwrap();
        let first = replicas.post("s", "tasks", &json!({})).await;
        assert!(matches!(first, Answer::Unclear(_)), "{first:?}");
        for _ in 0..3 {
            match replicas.post("s", "tasks", &json!({})).await {
                Answer::Said(409, body) => assert_eq!(problem(&body), "lease-lost"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn who_cannot_serve_now_leaves_it_unclear() {
        let busy = server("503 Service Unavailable", "{}").await;
        let replicas = Replicas::new(vec![busy], 0, Duration::from_secs(5)).unwrap();
        let answer = replicas.get("s", "tasks/t").await;
        assert!(matches!(answer, Answer::Unclear(_)), "{answer:?}");
    }
}
