//! A service that capabilities and notices are sent to: keeps what came and when, and answers by the path.
//!
//! It runs on a thread of its own, so that nothing else of a test delays what it sees.

use std::convert::Infallible;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

pub(super) const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) at: Instant,
    pub(super) path: String,
    pub(super) headers: Value,
    pub(super) body: Bytes,
}

impl Arrived {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Verifies it with the program that the documentation gives to those who receive.
    pub(super) async fn verify(&self) {
        let document = include_str!("../../../../../docs/WEBHOOKS.md");
        let (_, after) = document.split_once("```python\n").unwrap();
        let (program, _) = after.split_once("```").unwrap();
        let call = "import json, sys\nverify(sys.argv[1], json.loads(sys.argv[2]), sys.stdin.buffer.read())\n";
        for (secret, good) in [(SECRET, true), ("whsec_OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", false)] {
            let mut python = tokio::process::Command::new("python3")
                .args(["-c", &format!("{program}\n{call}"), secret, &self.headers.to_string()])
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            python.stdin.take().unwrap().write_all(&self.body).await.unwrap();
            let ended = python.wait_with_output().await.unwrap();
            assert_eq!(
                ended.status.success(),
                good,
                "{}",
                String::from_utf8_lossy(&ended.stderr)
            );
        }
    }
}

/// The running service. It ends with the process of the test.
#[derive(Clone)]
pub(super) struct Receiver {
    port: u16,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Receiver {
    pub(super) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&arrived);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(serve(listener, kept));
        });
        Self { port, arrived }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What came to a path.
    pub(super) fn at(&self, path: &str) -> Vec<Arrived> {
        let all = self.arrived.lock().unwrap();
        all.iter().filter(|one| one.path == path).cloned().collect()
    }
}

async fn serve(listener: std::net::TcpListener, kept: Arc<Mutex<Vec<Arrived>>>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let kept = Arc::clone(&kept);
        let service = service_fn(move |request| take(Arc::clone(&kept), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn take(kept: Arc<Mutex<Vec<Arrived>>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let at = Instant::now();
    let path = request.uri().path().to_owned();
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), Value::from(value.to_str().unwrap())))
        .collect();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    kept.lock().unwrap().push(Arrived {
        at,
        path: path.clone(),
        headers: Value::Object(headers),
        body,
    });
    let (status, answer) = match path.as_str() {
        "/hold" => std::future::pending().await,
        "/fail" => (StatusCode::CONFLICT, json!({"why": "no such customer"})),
        "/load" => {
            tokio::time::sleep(Duration::from_millis(10)).await;
            (StatusCode::OK, json!(null))
        }
        _ => (StatusCode::OK, json!({"done": true})),
    };
    let mut response = Response::new(Full::from(answer.to_string()));
    *response.status_mut() = status;
    Ok(response)
}
