//! OTLP over HTTP: spans as protobuf, posted to a collector.
//!
//! Invariant: every request ends within its limit, and no more of an answer is read than a sane one has.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use brain_swarm::trace::{Kind, Span, Value};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span as SpanMessage, Status, span::SpanKind, status::StatusCode},
};
use prost::Message as _;
use reqwest::{Client, StatusCode as HttpStatus, Url, header, redirect};

/// The path that the standard gives to traces.
const PATH: &str = "/v1/traces";
/// The longest that a request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most of an answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// The flag of a span whose parent may be in another process: that it is known whether, and that it is.
const PARENT_IS_REMOTE: u32 = 0x300;
/// The flag of a span whose parent is in this process.
const PARENT_IS_LOCAL: u32 = 0x100;
/// The flag of a trace that is sampled.
const SAMPLED: u32 = 1;

/// Where spans go.
pub(super) struct Collector {
    client: Client,
    url: Url,
    resource: Resource,
}

/// Why spans were not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The same request may succeed later.
    #[error("{0}")]
    Later(String),
    /// It never will.
    #[error("{0}")]
    All(String),
    /// Some of them were refused.
    #[error("the collector rejected {rejected} spans: {said}")]
    Some { rejected: usize, said: String },
}

impl Collector {
    pub(super) fn new(endpoint: &Url, service_name: &str, replica_id: &str) -> anyhow::Result<Self> {
        let mut url = endpoint.clone();
        if url.path() == "/" {
            url.set_path(PATH);
        }
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("studio-brain/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot make the HTTP client that exports traces")?;
        let attributes = [
            ("service.name", service_name),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", replica_id),
        ];
        let resource = Resource {
            attributes: attributes.map(|(key, text)| text_attribute(key, text)).into(),
            ..Resource::default()
        };
        Ok(Self { client, url, resource })
    }

    pub(super) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Sends spans.
    pub(super) async fn send(&self, spans: &[Span]) -> Result<(), Refusal> {
        let body = request(self.resource.clone(), spans).encode_to_vec();
        let post = self.client.post(self.url.clone());
        let post = post.header(header::CONTENT_TYPE, "application/x-protobuf").body(body);
        let mut answer = post.send().await.map_err(|error| Refusal::Later(said(&error)))?;
        let status = answer.status();
        if !status.is_success() {
            let problem = format!("the collector answered {status}");
            return Err(if may_be_repeated(status) {
                Refusal::Later(problem)
            } else {
                Refusal::All(problem)
            });
        }
        let mut bytes = Vec::new();
        // It has taken them; an answer that breaks off does not change that.
        while let Ok(Some(part)) = answer.chunk().await {
            if bytes.len() + part.len() > MAX_ANSWER {
                return Ok(());
            }
            bytes.extend_from_slice(&part);
        }
        let partial = ExportTraceServiceResponse::decode(bytes.as_slice()).ok();
        match partial.and_then(|answer| answer.partial_success) {
            Some(partial) if partial.rejected_spans > 0 => Err(Refusal::Some {
                rejected: usize::try_from(partial.rejected_spans).unwrap_or(0),
                said: partial.error_message.chars().take(500).collect(),
            }),
            _ => Ok(()),
        }
    }
}

/// The statuses after which the standard asks for a repetition.
fn may_be_repeated(status: HttpStatus) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// An error with what is behind it: the outermost one says only that something failed.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

fn request(resource: Resource, spans: &[Span]) -> ExportTraceServiceRequest {
    let scope = InstrumentationScope {
        name: "studio-brain".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = ScopeSpans {
        scope: Some(scope),
        spans: spans.iter().map(message).collect(),
        schema_url: String::new(),
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![spans],
            schema_url: String::new(),
        }],
    }
}

fn message(span: &Span) -> SpanMessage {
    let (kind, origin) = match span.kind {
        Kind::Internal => (SpanKind::Internal, PARENT_IS_LOCAL),
        Kind::Server => (SpanKind::Server, PARENT_IS_REMOTE),
        Kind::Producer => (SpanKind::Producer, PARENT_IS_LOCAL),
        Kind::Consumer => (SpanKind::Consumer, PARENT_IS_REMOTE),
    };
    SpanMessage {
        trace_id: span.place.trace().into(),
        span_id: span.place.span().into(),
        parent_span_id: span.parent.map(Vec::from).unwrap_or_default(),
        flags: SAMPLED | span.parent.map_or(0, |_| origin),
        name: span.name.clone().into_owned(),
        kind: kind.into(),
        start_time_unix_nano: nanos(span.started),
        end_time_unix_nano: nanos(span.ended),
        attributes: span.attributes.iter().map(attribute).collect(),
        status: span.failed.then(|| Status {
            code: StatusCode::Error.into(),
            ..Status::default()
        }),
        ..SpanMessage::default()
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn attribute((key, value): &(&'static str, Value)) -> KeyValue {
    match value {
        Value::Text(text) => text_attribute(key, text),
        Value::Number(number) => key_value(key, any_value::Value::IntValue(*number)),
    }
}

fn text_attribute(key: &str, text: &str) -> KeyValue {
    key_value(key, any_value::Value::StringValue(text.to_owned()))
}

fn key_value(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use brain_swarm::trace::Place;

    use super::*;

    #[test]
    fn the_path_is_added_where_there_is_none() {
        for (endpoint, url) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("https://collector/own/path", "https://collector/own/path"),
        ] {
            let collector = Collector::new(&endpoint.parse().unwrap(), "s", "r").unwrap();
            assert_eq!(collector.url(), url);
        }
    }

    #[test]
    fn a_span_is_written_whole() {
        let span = Span {
            name: "test".into(),
            kind: Kind::Consumer,
            place: Place::new([1; 16], [2; 8], true),
            parent: Some([3; 8]),
            started: UNIX_EPOCH + Duration::from_nanos(5),
            ended: UNIX_EPOCH + Duration::from_nanos(7),
            attributes: vec![("text", "a".into()), ("number", 4.into())],
            failed: true,
        };
        let message = message(&span);
        assert_eq!((message.trace_id, message.span_id), (vec![1; 16], vec![2; 8]));
        assert_eq!(message.parent_span_id, vec![3; 8]);
        assert_eq!((message.start_time_unix_nano, message.end_time_unix_nano), (5, 7));
        assert_eq!((message.kind, message.flags), (SpanKind::Consumer.into(), 0x301));
        assert_eq!(message.status.unwrap().code, i32::from(StatusCode::Error));
        let number = key_value("number", any_value::Value::IntValue(4));
        assert_eq!(message.attributes, [text_attribute("text", "a"), number]);
    }
}
