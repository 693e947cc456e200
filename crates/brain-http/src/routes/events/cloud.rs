//! CloudEvents 1.0 (CNCF): the same events under the names that other systems know, in the structured, batched and binary mode of its
//! HTTP binding.
//!
//! | CloudEvents | here |
//! | --- | --- |
//! | `id`, `type`, `time`, `data` | id, type, createdAt, payload |
//! | `source` | actorId |
//! | `subject` | runId |
//! | `swarmid`, `schemaversion`, `correlationid`, `causationid`, `runbookid`, `traceparent`, `tracestate` | the field of that name |
//! | `sequence` | seq; only where events are read |
//!
//! Invariant: an attribute that could not be kept is refused, not dropped.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderValue, header};
use brain_swarm::{
    event::{Defaults, Event, Invalid},
    events::StoredEvent,
    ids::{ActorId, EventId, RunId, SwarmId},
};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::batch::{self, Read};
use crate::problem::{Kind, Problem, shortened};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const PREFIX: &str = "ce-";
/// What a URI reference cannot hold (RFC 3986, appendix A).
const NOT_IN_A_URI: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// How the events of a request are written.
#[derive(Debug, Clone)]
pub(super) enum Mode {
    /// As this service writes them.
    Own,
    /// One CloudEvent, or a list of them.
    Structured,
    /// The attributes are headers, the body is the data.
    Binary(Box<Attributes>),
}

/// The attributes that came as headers.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes(Vec<(String, String)>);

impl Mode {
    /// What the headers of a request say.
    ///
    /// # Errors
    /// A problem that names the header that cannot be read.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let kind = media_type(headers.get(header::CONTENT_TYPE));
        if kind.eq_ignore_ascii_case(STRUCTURED) || kind.eq_ignore_ascii_case(BATCH) {
            return Ok(Self::Structured);
        }
        if !headers.contains_key("ce-specversion") {
            return Ok(Self::Own);
        }
        let mut attributes = Vec::new();
        for (name, value) in headers {
            let Some(name) = name.as_str().strip_prefix(PREFIX) else {
                continue;
            };
            let text = value.to_str().ok();
            let text = text.and_then(|text| percent_decode_str(text).decode_utf8().ok());
            let text = text.ok_or_else(|| invalid(format!("header {PREFIX}{name} is not text in UTF-8")))?;
            attributes.push((name.to_owned(), text.into_owned()));
        }
        attributes.push(("datacontenttype".to_owned(), kind.to_owned()));
        Ok(Self::Binary(Box::new(Attributes(attributes))))
    }

    /// Reads the events of a body.
    ///
    /// # Errors
    /// A problem that says what is wrong, with every bad event in its place.
    pub(super) fn read(&self, body: &[u8], max_event_bytes: usize, defaults: &Defaults) -> Result<Vec<Event>, Problem> {
        match self {
            Self::Own => batch::read(body, &|json| Event::parse(json, max_event_bytes, defaults)),
            Self::Structured => batch::read(body, &|json| structured(json, max_event_bytes, defaults)),
            Self::Binary(attributes) => Ok(vec![binary(attributes, body, max_event_bytes, defaults)?]),
        }
    }
}

/// Whether the caller wants to read CloudEvents.
pub(super) fn wanted(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|accept| {
        let mut ranges = accept.to_str().unwrap_or_default().split(',');
        ranges.any(|range| {
            let kind = range.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case(BATCH)
        })
    })
}

/// The type of a list of CloudEvents.
pub(super) const BATCH_TYPE: HeaderValue =
    HeaderValue::from_static("application/cloudevents-batch+json; charset=utf-8");

fn media_type(value: Option<&HeaderValue>) -> &str {
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim()
}

fn invalid(detail: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(Kind::InvalidEvent, detail)
}

/// An event in the JSON format of CloudEvents.
#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "NewCloudEvent")]
#[serde(deny_unknown_fields, expecting = "a CloudEvent as a JSON object")]
pub(crate) struct Foreign<'a> {
    #[schemars(extend("const" = "1.0"))]
    specversion: String,
    #[schemars(with = "EventId")]
    id: String,
    #[schemars(with = "ActorId")]
    source: String,
    #[schemars(length(max = 128), regex(pattern = r"^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+$"))]
    #[serde(rename = "type")]
    kind: String,
    #[schemars(with = "Option<RunId>")]
    subject: Option<String>,
    time: Option<Timestamp>,
    #[schemars(extend("examples" = ["application/json"]))]
    datacontenttype: Option<String>,
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[schemars(with = "Option<SwarmId>")]
    swarmid: Option<String>,
    /// A number in structured mode, text in a header.
    schemaversion: Option<Version>,
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"))]
    correlationid: Option<String>,
    #[schemars(with = "Option<EventId>")]
    causationid: Option<String>,
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"))]
    runbookid: Option<String>,
    #[schemars(regex(pattern = r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"))]
    traceparent: Option<String>,
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"))]
    tracestate: Option<String>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "CloudEventVersion")]
#[serde(untagged, expecting = "a version number")]
pub(crate) enum Version {
    Number(#[schemars(range(min = 1))] i16),
    Text(#[schemars(regex(pattern = "^[1-9][0-9]{0,3}$"))] String),
}

impl Version {
    fn number(&self) -> Result<i16, Invalid> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Text(text) => {
                let wrong = |_| Invalid::Envelope(format!("schemaversion must be a number, not {text:?}"));
                text.parse().map_err(wrong)
            }
        }
    }
}

/// The same event as this service writes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Own<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    actor_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    swarm_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_version: Option<i16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runbook_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracestate: Option<&'a str>,
}

fn structured(json: &[u8], max_bytes: usize, defaults: &Defaults) -> Read {
    // Checked here as well: what is translated is not the size of what came.
    if json.len() > max_bytes {
        return Event::parse(json, max_bytes, defaults);
    }
    let foreign: Foreign<'_> = serde_json::from_slice(json).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Invalid::Envelope(format!("not a CloudEvent: {error}")),
        _ => Invalid::Malformed(format!("not JSON: {error}")),
    })?;
    foreign.own(max_bytes, defaults)
}

fn binary(attributes: &Attributes, body: &[u8], max_bytes: usize, defaults: &Defaults) -> Result<Event, Problem> {
    let mut object = serde_json::Map::new();
    for (name, text) in &attributes.0 {
        if !text.is_empty() && object.insert(name.clone(), text.clone().into()).is_some() {
            return Err(invalid(format!("the attribute {name} is given twice")));
        }
    }
    let text = serde_json::to_string(&object).map_err(Problem::internal)?;
    let mut foreign: Foreign<'_> = serde_json::from_str(&text)
        .map_err(|error| invalid(shortened(&format!("the headers ce-… are not a CloudEvent: {error}"))))?;
    let data: Option<&RawValue> = match body.trim_ascii() {
        b"" => None,
        body => Some(serde_json::from_slice(body).map_err(|error| {
            Problem::new(
                Kind::MalformedJson,
                shortened(&format!("the body, which is the data, is not JSON: {error}")),
            )
        })?),
    };
    foreign.data = data;
    Ok(foreign.own(max_bytes, defaults)?)
}

impl Foreign<'_> {
    fn own(&self, max_bytes: usize, defaults: &Defaults) -> Read {
        let refuse = |problem: String| Err(Invalid::Envelope(problem));
        if self.specversion != "1.0" {
            return refuse(format!(
                "specversion {:?} is not known, only \"1.0\" is",
                self.specversion
            ));
        }
        if let Some(kind) = &self.datacontenttype {
            let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            if kind != "application/json" && !kind.ends_with("+json") {
                return refuse(format!("data of type {kind:?} cannot be kept, only a JSON object can"));
            }
        }
        let own = Own {
            id: &self.id,
            kind: &self.kind,
            actor_id: &self.source,
            run_id: self.subject.as_deref(),
            swarm_id: self.swarmid.as_deref(),
            created_at: self.time,
            payload: self.data,
            schema_version: self.schemaversion.as_ref().map(Version::number).transpose()?,
            correlation_id: self.correlationid.as_deref(),
            causation_id: self.causationid.as_deref(),
            runbook_id: self.runbookid.as_deref(),
            traceparent: self.traceparent.as_deref(),
            tracestate: self.tracestate.as_deref(),
        };
        let json = serde_json::to_vec(&own).map_err(|error| Invalid::Malformed(error.to_string()))?;
        Event::parse(&json, max_bytes, defaults)
    }
}

/// A stored event in the JSON format of CloudEvents.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "CloudEvent")]
pub(crate) struct Shown<'a> {
    specversion: &'static str,
    id: &'a str,
    source: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: &'a str,
    subject: &'a str,
    time: Timestamp,
    datacontenttype: &'static str,
    data: &'a serde_json::Value,
    swarmid: &'a str,
    sequence: String,
    schemaversion: i16,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlationid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causationid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runbookid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracestate: Option<&'a str>,
}

impl<'a> From<&'a StoredEvent> for Shown<'a> {
    fn from(event: &'a StoredEvent) -> Self {
        Self {
            specversion: "1.0",
            id: event.id.as_str(),
            // A source is a URI reference; the name of an agent may be anything.
            source: utf8_percent_encode(event.actor_id.as_str(), NOT_IN_A_URI).into(),
            kind: &event.kind,
            subject: event.run_id.as_str(),
            time: event.created_at,
            datacontenttype: "application/json",
            data: &event.payload,
            swarmid: event.swarm_id.as_str(),
            sequence: event.seq.to_string(),
            schemaversion: event.schema_version,
            correlationid: event.correlation_id.as_deref(),
            causationid: event.causation_id.as_ref().map(AsRef::as_ref),
            runbookid: event.runbook_id.as_deref(),
            traceparent: event.traceparent.as_deref(),
            tracestate: event.tracestate.as_deref(),
        }
    }
}
