//! A collector for tests: takes OTLP over HTTP and keeps what came.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brain_testkit::eventually_within;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(30);

/// A span as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty at a root.
    pub(crate) parent: String,
    /// As the protocol numbers them.
    pub(crate) kind: i32,
    pub(crate) nanos: (u64, u64),
    pub(crate) attributes: HashMap<String, String>,
    pub(crate) resource: HashMap<String, String>,
}

/// A running collector. Dropping it closes its port.
pub(crate) struct Receiver {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Received>>>,
    serving: JoinHandle<()>,
}

impl Receiver {
    /// Starts one at a free port.
    pub(crate) async fn start() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap()).await
    }

    /// Starts one at this address.
    pub(crate) async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let spans = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&spans);
        let serving = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                let kept = Arc::clone(&kept);
                let service = service_fn(move |request| take(Arc::clone(&kept), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self {
            address,
            spans,
            serving,
        }
    }

    /// The endpoint for the settings.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that came so far.
    pub(crate) fn spans(&self) -> Vec<Received> {
        self.spans.lock().unwrap().clone()
    }

    /// Waits until a trace has spans of all these names, and gives all that it has.
    pub(crate) async fn trace(&self, id: &str, names: &[&str]) -> Vec<Received> {
        let mut seen = Vec::new();
        let what = format!("trace {id} has {names:?}");
        eventually_within(PATIENCE, &what, async || {
            seen = self.spans();
            seen.retain(|span| span.trace == id);
            let have: BTreeSet<&str> = seen.iter().map(|span| span.name.as_str()).collect();
            names.iter().all(|name| have.contains(name)).then_some(())
        })
        .await;
        seen
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// That the spans are one tree below this one, each begun before it ended.
pub(crate) fn assert_one_tree(spans: &[Received], root: &str) {
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(ids.len(), spans.len(), "each is told once: {spans:#?}");
    let parents: HashMap<&str, &str> = spans
        .iter()
        .map(|span| (span.id.as_str(), span.parent.as_str()))
        .collect();
    for span in spans {
        let mut above = span.id.as_str();
        // No longer than the number of spans, or it is a circle.
        for _ in spans {
            above = parents.get(above).copied().unwrap_or(above);
        }
        assert_eq!(above, root, "{span:#?} does not lead to the root of\n{spans:#?}");
        assert!(span.nanos.0 <= span.nanos.1, "{span:#?}");
    }
}

async fn take(
    kept: Arc<Mutex<Vec<Received>>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.uri().path(), "/v1/traces");
    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let message = ExportTraceServiceRequest::decode(body).unwrap();
    for group in message.resource_spans {
        let resource = texts(&group.resource.unwrap().attributes);
        for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            kept.lock().unwrap().push(Received {
                name: span.name,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                kind: span.kind,
                nanos: (span.start_time_unix_nano, span.end_time_unix_nano),
                attributes: texts(&span.attributes),
                resource: resource.clone(),
            });
        }
    }
    Ok(Response::new(Full::default()))
}

fn texts(attributes: &[KeyValue]) -> HashMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    };
    attributes
        .iter()
        .map(|attribute| (attribute.key.clone(), text(attribute)))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
