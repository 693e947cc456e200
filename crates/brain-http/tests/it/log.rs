//! The log line of a request.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use brain_testkit::eventually;
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use crate::{brain::Setup, raw::Raw};

/// Log lines in memory.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    /// All lines, as they are.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn requests(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["target"] == "brain_http::request").collect()
    }

    /// The fields of the lines that are marked for an audit.
    pub(crate) fn audited(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let marked = lines.filter(|line| line["fields"]["audit"] == true);
        marked.map(|mut line| line["fields"].take()).collect()
    }

    pub(crate) async fn request(&self, id: &str) -> Value {
        eventually("the line is written", async || {
            let mut found: Vec<Value> = self.requests();
            found.retain(|line| line["fields"]["request.id"] == id);
            assert!(found.len() <= 1, "{found:?}");
            found.pop()
        })
        .await
    }
}

/// The runtime of this test is this thread, so a subscriber of this thread sees the server too.
#[tokio::test]
async fn each_request_gives_one_line() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().json().with_writer(lines.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut setup = Setup::new().await;
    setup.services.metrics = Arc::new(|| panic!("a defect"));
    let brain = setup.start();

    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = brain
        .get("/api/swarm/tasks/t-1?swarmId=secret")
        .header("x-request-id", "r-1");
    request
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))
        .send()
        .await
        .unwrap();
    let mut line = lines.request("r-1").await;
    assert!(
        line["fields"]["duration_ms"]
            .as_f64()
            .is_some_and(|took| took > 0.0 && took < 30_000.0),
        "{line}"
    );
    line["fields"]["duration_ms"] = 1.into();
    line["timestamp"] = "then".into();
    insta::assert_snapshot!(line, @r#"{"fields":{"duration_ms":1,"message":"request answered","method":"GET","path":"/api/swarm/tasks/t-1","principal.id":"local","request.id":"r-1","status":404,"tenant.id":"default","trace.id":"4bf92f3577b34da6a3ce929d0e0e4736"},"level":"INFO","target":"brain_http::request","timestamp":"then"}"#);

    brain
        .get("/metrics")
        .header("x-request-id", "r-2")
        .send()
        .await
        .unwrap();
    assert_eq!(lines.request("r-2").await["fields"]["status"], 500);
    let cause = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(
        cause.matches("a defect").count(),
        1,
        "the cause is logged once: {cause}"
    );

    let held = brain.hold_commits().await;
    let mut raw = Raw::connect(brain.address).await;
    raw.send("POST /api/swarm/events HTTP/1.1\r\nhost: localhost\r\nx-request-id: r-3\r\ncontent-length: 32\r\n\r\n{\"type\":\"a.b\",\"actorId\":\"abcde\"}").await.unwrap();
    brain.commit_waits().await;
    drop(raw);
    assert_eq!(
        lines.request("r-3").await["fields"]["status"],
        499,
        "the caller went away"
    );
    held.release().await;

    let mut raw = Raw::connect(brain.address).await;
    raw.send(b"nonsense\r\n\r\n").await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), raw.rest()).await.unwrap();
    assert!(
        lines.requests().iter().any(|line| line["fields"]["status"] == 400),
        "{:?}",
        lines.requests()
    );
}
