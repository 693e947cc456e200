//! Events: the envelope that travels, and its strict reading from foreign bytes.
//!
//! Invariant: an [`Event`] has passed the envelope rules and the schema of its type; nothing later needs to doubt it.

mod kind;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

pub use self::kind::EventType;
use crate::{
    ids::{ActorId, EventId, InvalidId, MAX_ID_BYTES, RunId, SwarmId, TenantId, check},
    schema,
};

/// Why bytes are not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Not JSON, or JSON that PostgreSQL cannot hold.
    #[error("{0}")]
    Malformed(String),
    /// More bytes than allowed.
    #[error("the event is {bytes} bytes long, at most {max} are allowed (STUDIO_BRAIN_EVENT_MAX_BYTES)")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A field of the envelope is missing or wrong.
    #[error("{0}")]
    Envelope(String),
    /// The payload does not fit the schema of the type and version.
    #[error("payload of {kind} version {version}: {problem}")]
    Schema {
        /// The event type.
        kind: String,
        /// The schema version.
        version: i16,
        /// What does not fit, with the place.
        problem: String,
        /// Which rule of the schema says so first, as a JSON pointer into the schema; empty where none does.
        rule: String,
    },
}

impl Invalid {
    /// Where, in a form that quotes nothing of what was read: line and column, or the rule of the schema.
    pub(crate) fn place(&self) -> Option<String> {
        match self {
            Self::Malformed(problem) | Self::Envelope(problem) => {
                let (_, place) = problem.rsplit_once(" at line ")?;
                let (line, column) = place.split_once(" column ")?;
                let (line, column): (u32, u32) = (line.parse().ok()?, column.parse().ok()?);
                Some(format!("line {line} column {column}"))
            }
            Self::Schema { rule, .. } => (!rule.is_empty()).then(|| rule.clone()),
            Self::TooLarge { .. } => None,
        }
    }
}

impl From<InvalidId> for Invalid {
    fn from(error: InvalidId) -> Self {
        Self::Envelope(error.to_string())
    }
}

/// Fields that join messages into one story.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// The same for everything that belongs to one piece of work. An event that starts one has its own id here.
    pub correlation_id: Option<String>,
    /// The event that caused this one.
    pub causation_id: Option<EventId>,
    /// The runbook that governs this work.
    pub runbook_id: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// W3C trace state.
    pub tracestate: Option<String>,
}

/// An event that has passed all checks and may be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Who owns it.
    pub tenant_id: TenantId,
    /// Unique within its swarm.
    pub id: EventId,
    /// What happened.
    pub kind: EventType,
    /// Version of the payload's schema.
    pub schema_version: i16,
    /// The swarm it belongs to.
    pub swarm_id: SwarmId,
    /// The run it belongs to.
    pub run_id: RunId,
    /// Who says so.
    pub actor_id: ActorId,
    /// What is said: always a JSON object.
    pub payload: Value,
    /// When, by the clock of the publisher.
    pub created_at: Timestamp,
    /// How it relates to other messages.
    pub context: Context,
}

/// An event as callers write it: on a stream, over HTTP, in a file.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an event as a JSON object"
)]
struct Envelope<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<EventId>,
    #[serde(rename = "type")]
    #[schemars(length(max = 128), regex(pattern = r"^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+$"))]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    swarm_id: Option<SwarmId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<RunId>,
    actor_id: ActorId,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    payload: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    schema_version: Option<i16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::ids::Text>")]
    correlation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::ids::Text>")]
    runbook_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"))]
    traceparent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"))]
    tracestate: Option<String>,
}

/// The schema of an event as callers write it: what [`Event::parse`] reads.
impl schemars::JsonSchema for Event {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NewEvent".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Envelope::json_schema(generator)
    }
}

/// What fills the gaps of an envelope. A stream has none: there every field must be given.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// Whose the event is. No envelope says so: a caller is of a tenant, whatever it writes.
    pub tenant_id: TenantId,
    /// Generate an id and the time when they are missing.
    pub generate: bool,
    /// The swarm of an event that names none.
    pub swarm_id: Option<SwarmId>,
    /// The run of an event that names none.
    pub run_id: Option<RunId>,
    /// The trace of an event that names none.
    pub traceparent: Option<String>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            tenant_id: TenantId::single(),
            generate: false,
            swarm_id: None,
            run_id: None,
            traceparent: None,
        }
    }
}

impl Event {
    /// Reads one event from JSON, checking size, envelope and schema.
    ///
    /// # Errors
    /// [`Invalid`] says what is wrong, and where.
    pub fn parse(json: &[u8], max_bytes: usize, defaults: &Defaults) -> Result<Self, Invalid> {
        if json.len() > max_bytes {
            return Err(Invalid::TooLarge {
                bytes: json.len(),
                max: max_bytes,
            });
        }
        let envelope: Envelope<'_> = serde_json::from_slice(json).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Invalid::Envelope(error.to_string()),
            _ => Invalid::Malformed(format!("not JSON: {error}")),
        })?;
        Self::from_envelope(envelope, defaults)
    }

    fn from_envelope(envelope: Envelope<'_>, defaults: &Defaults) -> Result<Self, Invalid> {
        let missing = |field: &str| Invalid::Envelope(format!("missing field `{field}`"));
        let kind: EventType = envelope.kind.parse()?;
        if envelope.actor_id.as_str() == crate::ingest::BRAIN_ACTOR {
            return Err(Invalid::Envelope(format!(
                "actorId {} is kept for the brain itself",
                crate::ingest::BRAIN_ACTOR
            )));
        }
        if kind.is_derived() {
            return Err(Invalid::Envelope(format!(
                "type {kind} is published by the brain itself alone"
            )));
        }
        let id = match envelope.id {
            Some(id) => id,
            None if defaults.generate => EventId::generate(),
            None => return Err(missing("id")),
        };
        let created_at = match envelope.created_at {
            Some(at) => at,
            None if defaults.generate => Timestamp::now(),
            None => return Err(missing("createdAt")),
        };
        if created_at < Timestamp::UNIX_EPOCH {
            return Err(Invalid::Envelope("createdAt must not be before 1970".to_owned()));
        }
        let payload: Value = match envelope.payload {
            Some(raw) => {
                serde_json::from_str(raw.get()).map_err(|error| Invalid::Malformed(format!("payload: {error}")))?
            }
            None => Value::Object(serde_json::Map::new()),
        };
        if !payload.is_object() {
            return Err(Invalid::Envelope("payload must be a JSON object".to_owned()));
        }
        if has_nul(&payload) {
            return Err(nul());
        }
        let schema_version = envelope.schema_version.unwrap_or(1);
        schema::check(&kind, schema_version, &payload)?;
        let context = Context {
            correlation_id: bounded("correlationId", envelope.correlation_id)?,
            causation_id: envelope.causation_id,
            runbook_id: bounded("runbookId", envelope.runbook_id)?,
            traceparent: match bounded("traceparent", envelope.traceparent)? {
                Some(given) if !is_traceparent(&given) => {
                    return Err(Invalid::Envelope(
                        "traceparent is not a W3C trace context, such as 00-<32 hex>-<16 hex>-01".to_owned(),
                    ));
                }
                Some(given) => Some(given),
                None => defaults.traceparent.clone(),
            },
            tracestate: match envelope.tracestate {
                Some(state) => {
                    check("tracestate", &state, 512)?;
                    Some(state)
                }
                None => None,
            },
        };
        Ok(Self {
            tenant_id: defaults.tenant_id.clone(),
            id,
            kind,
            schema_version,
            swarm_id: envelope
                .swarm_id
                .or_else(|| defaults.swarm_id.clone())
                .ok_or_else(|| missing("swarmId"))?,
            run_id: envelope
                .run_id
                .or_else(|| defaults.run_id.clone())
                .ok_or_else(|| missing("runId"))?,
            actor_id: envelope.actor_id,
            payload,
            created_at,
            context,
        })
    }

    /// Checks an event that was made here: payload, schema and size.
    ///
    /// # Errors
    /// [`Invalid`] says what is wrong, and where.
    pub(crate) fn check(&self, max_bytes: usize) -> Result<(), Invalid> {
        if has_nul(&self.payload) {
            return Err(nul());
        }
        schema::check(&self.kind, self.schema_version, &self.payload)?;
        let bytes = self.payload.to_string().len();
        if bytes > max_bytes {
            return Err(Invalid::TooLarge { bytes, max: max_bytes });
        }
        Ok(())
    }

    /// The event as it goes on a stream, in the form that [`Event::parse`] reads.
    #[must_use]
    pub fn to_json(&self) -> String {
        EnvelopeOut::from(self).to_json()
    }
}

/// The borrowed form of an event, for writing without copies.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EnvelopeOut<'a> {
    id: &'a EventId,
    #[serde(rename = "type")]
    kind: &'a str,
    swarm_id: &'a SwarmId,
    run_id: &'a RunId,
    actor_id: &'a ActorId,
    payload: &'a Value,
    created_at: Timestamp,
    schema_version: i16,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<&'a EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runbook_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracestate: Option<&'a str>,
}

impl<'a> From<&'a Event> for EnvelopeOut<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            id: &event.id,
            kind: event.kind.as_str(),
            swarm_id: &event.swarm_id,
            run_id: &event.run_id,
            actor_id: &event.actor_id,
            payload: &event.payload,
            created_at: event.created_at,
            schema_version: event.schema_version,
            correlation_id: event.context.correlation_id.as_deref(),
            causation_id: event.context.causation_id.as_ref(),
            runbook_id: event.context.runbook_id.as_deref(),
            traceparent: event.context.traceparent.as_deref(),
            tracestate: event.context.tracestate.as_deref(),
        }
    }
}

impl EnvelopeOut<'_> {
    fn to_json(&self) -> String {
        // Text, numbers and objects with text keys always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn bounded(field: &'static str, text: Option<String>) -> Result<Option<String>, Invalid> {
    if let Some(text) = &text {
        check(field, text, MAX_ID_BYTES)?;
    }
    Ok(text)
}

fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts.as_slice(), [version, trace, span, flags]
        if hex(version, 2) && *version != "ff" && hex(trace, 32) && hex(span, 16) && hex(flags, 2)
            && trace.bytes().any(|byte| byte != b'0') && span.bytes().any(|byte| byte != b'0'))
}

fn nul() -> Invalid {
    Invalid::Malformed("payload holds the character U+0000, which PostgreSQL cannot store".to_owned())
}

pub(crate) fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = r#"{"id":"e1","type":"task.created","swarmId":"s","runId":"r","actorId":"a",
        "payload":{"taskId":"t1","inputs":{"n":1}},"createdAt":"2026-01-02T03:04:05.678Z"}"#;

    fn problem(json: &str) -> String {
        Event::parse(json.as_bytes(), 4096, &Defaults::default())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn reads_what_the_original_wrote_and_writes_what_it_reads() {
        let event = Event::parse(GOOD.as_bytes(), 4096, &Defaults::default()).unwrap();
        assert_eq!(event.kind, EventType::TaskCreated);
        let again = Event::parse(event.to_json().as_bytes(), 4096, &Defaults::default()).unwrap();
        assert_eq!(event, again);
    }

    #[test]
    fn says_what_is_wrong() {
        let cases = [
            ("{", "not JSON"),
            ("[]", "an event as a JSON object"),
            (&GOOD.replace("\"id\":\"e1\",", ""), "missing field `id`"),
            (&GOOD.replace("task.created", "Nonsense"), "dotted lower-case name"),
            (
                &GOOD.replace("\"taskId\":\"t1\",", ""),
                "\"taskId\" is a required property",
            ),
            (&GOOD.replace("\"s\"", "\"\""), "swarmId must not be empty"),
            (&GOOD.replace("\"n\":1", "\"n\":\"\\u0000\""), "U+0000"),
            (&GOOD.replace("\"runId\"", "\"run\""), "unknown field `run`"),
            (&GOOD.replace("\"n\":1", "\"n\":1e999"), "payload"),
            (&GOOD.replace("2026", "1026"), "before 1970"),
        ];
        for (json, expected) in cases {
            let problem = problem(json);
            assert!(problem.contains(expected), "{json}\n{problem}");
        }
        let large = GOOD.replace("{\"n\":1}", &format!("{{\"n\":\"{}\"}}", "x".repeat(5000)));
        assert!(matches!(
            Event::parse(large.as_bytes(), 4096, &Defaults::default()),
            Err(Invalid::TooLarge { .. })
        ));
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = Event::parse(&bytes, 4096, &Defaults::default());
        }

        #[test]
        fn mutated_events_never_panic(place in 0..GOOD.len(), byte in any::<u8>()) {
            let mut bytes = GOOD.as_bytes().to_vec();
            bytes[place] = byte;
            let _ = Event::parse(&bytes, 4096, &Defaults::default());
        }
    }
}
