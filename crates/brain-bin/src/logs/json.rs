//! Log lines for machines: one JSON object each, with the fields of the event and of the spans around it.
//!
//! Invariant: a line is complete or absent; it is written by one call, so that lines of several threads never mix.

use std::fmt;
use std::io::Write;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::{mask::masked, redact};
use crate::render::escape::c1_in_json;

/// The layer that writes lines to what `writer` opens.
pub(super) struct JsonLines<W> {
    writer: W,
}

impl<W> JsonLines<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { writer }
    }
}

/// What a span knows, kept until it is closed.
struct SpanFields(Map<String, Value>);

impl<S, W, O> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: Fn() -> O + 'static,
    O: Write,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Map::new();
        attributes.record(&mut Collect(&mut fields));
        span.extensions_mut().insert(SpanFields(fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(SpanFields(fields)) = span.extensions_mut().get_mut() {
            values.record(&mut Collect(fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Map::new();
        for span in context
            .event_scope(event)
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            if let Some(SpanFields(outer)) = span.extensions().get() {
                fields.extend(outer.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        event.record(&mut Collect(&mut fields));
        let meta = event.metadata();
        let message = fields.remove("message").unwrap_or_default();
        let line = line(meta.level(), meta.target(), &message, &fields);
        // A log that cannot be written has nowhere left to say so.
        let _ = (self.writer)().write_all(line.as_bytes());
    }
}

/// One line with its end.
pub(crate) fn line(level: &Level, target: &str, message: &Value, fields: &Map<String, Value>) -> String {
    let now = Timestamp::now();
    let level = level.as_str().to_ascii_lowercase();
    let mut line = format!(r#"{{"at":"{now:.6}","level":"{level}","target":"{target}","message":{message}"#);
    for (name, value) in fields {
        line.push(',');
        line.push_str(&Value::from(name.as_str()).to_string());
        line.push(':');
        line.push_str(&value.to_string());
    }
    line.push_str("}\n");
    c1_in_json(&line).into_owned()
}

/// Gathers fields as JSON, without the values of secrets.
struct Collect<'a>(&'a mut Map<String, Value>);

impl Collect<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        let value = if redact::is_secret(field.name()) {
            redact::REDACTED.into()
        } else {
            value
        };
        // The names of raw identifiers carry a prefix that means nothing to a reader.
        let name = field.name().strip_prefix("r#").unwrap_or(field.name());
        self.0.insert(name.to_owned(), value);
    }
}

impl Visit for Collect<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, masked(value).into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_str(field, &value.to_string());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(action: impl FnOnce()) -> (String, Value) {
        let written = Written::default();
        let opened = written.clone();
        let subscriber = tracing_subscriber::registry().with(JsonLines::new(move || opened.clone()));
        tracing::subscriber::with_default(subscriber, action);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let value = serde_json::from_str(&text).unwrap();
        (text, value)
    }

    #[test]
    fn a_line_has_the_fields_of_its_spans_and_no_secrets() {
        let (text, line) = logged(|| {
            let span = tracing::info_span!(
                "request",
                request.id = "r1",
                http.authorization = "Bearer abc",
                status = tracing::field::Empty
            );
            span.record("status", 201);
            let _entered = span.enter();
            tracing::warn!(task.id = %"t1", duration_ms = 1.5, admin_token = "abc", ok = true, "task stored");
        });
        assert!(!text.contains("abc"), "{text}");
        assert_eq!(line["message"], "task stored");
        assert_eq!(line["level"], "warn");
        assert_eq!(line["request.id"], "r1");
        assert_eq!(line["status"], 201);
        assert_eq!(line["http.authorization"], "[redacted]");
        assert_eq!(line["admin_token"], "[redacted]");
        assert_eq!(line["task.id"], "t1");
        assert_eq!(line["duration_ms"], 1.5);
        assert_eq!(line["ok"], true);
        line["at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    }

    /// By the name of the field, by the type of the value, and by what a text looks like.
    #[test]
    fn no_secret_reaches_a_line() {
        let token = format!("brain_{}_{}", "0123456789abcdef", "5ec3e7".repeat(11));
        let password = brain_config::SecretString::from("hunter2-hunter2");
        let headers = [("authorization", "Bearer hunter2-hunter2")];
        let failure = std::io::Error::other("redis://me:hunter2-hunter2@cache:6379 refused");
        let failure: &(dyn std::error::Error + 'static) = &failure;
        let actions: [&dyn Fn(); 6] = [
            &|| tracing::info!(given = ?password, "configured"),
            &|| tracing::info!(headers = ?headers, "asked"),
            &|| tracing::warn!(error = failure, "away"),
            &|| tracing::warn!(error = %failure, "away: {failure}"),
            &|| tracing::warn!("no task {token}, Authorization: Bearer {token}"),
            &|| {
                let span = tracing::info_span!("request", path = %format!("/x/{token}"), late = tracing::field::Empty);
                span.record("late", format!("password=hunter2-hunter2 for {token}"));
                let _entered = span.enter();
                tracing::error!(config = ?brain_config::Config::defaults().postgres, "failed");
            },
        ];
        for action in actions {
            let (text, _) = logged(action);
            assert!(!text.contains("hunter2") && !text.contains("5ec3e7"), "{text}");
        }
    }

    #[test]
    fn foreign_text_stays_on_one_line_and_controls_no_terminal() {
        let foreign = "a\nb\u{1b}[2J\u{9b}31m\"";
        let (text, line) = logged(|| tracing::info!(event.kind = foreign, "{foreign}"));
        assert_eq!(text.lines().count(), 1);
        assert!(!text.trim_end().chars().any(char::is_control), "{text:?}");
        assert_eq!(line["event.kind"], foreign);
        assert_eq!(line["message"], foreign);
    }
}
