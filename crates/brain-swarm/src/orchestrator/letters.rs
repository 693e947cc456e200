//! Entries that cannot become events, as dead letters.
//!
//! Invariant: what is wrong with an entry may quote it, so it is in the dead letter alone; the log says why and where.

use crate::{
    bus::entry::RawEntry,
    dead_letters::{NewDeadLetter, Reason},
    event::Invalid,
    ids::{StreamName, TenantId},
};

/// How much of what is wrong with an entry is kept.
const DETAIL_CHARS: usize = 2000;

/// What is wrong with an entry.
#[derive(Debug)]
pub(super) struct Problem {
    /// All of it; this may quote the entry.
    detail: String,
    /// The type that the entry has, where it is one that an event can have.
    kind: Option<String>,
    /// Where, without a word of the entry.
    place: Option<String>,
}

impl From<String> for Problem {
    fn from(detail: String) -> Self {
        Self {
            detail,
            kind: None,
            place: None,
        }
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        let (detail, place) = (invalid.to_string(), invalid.place());
        let kind = match invalid {
            Invalid::Schema { kind, .. } => Some(kind),
            _ => None,
        };
        Self { detail, kind, place }
    }
}

/// The dead letter that an entry of a stream becomes.
pub(super) fn letter(stream: &StreamName, raw: &RawEntry, reason: Reason, problem: Problem) -> NewDeadLetter {
    // It may quote foreign bytes, such as the name of an unknown field: no text column holds U+0000.
    let detail: String = problem
        .detail
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(DETAIL_CHARS)
        .collect();
    // Where nobody can tell whose it is, it is the operator's.
    let tenant_id = raw.tenant().unwrap_or_else(|_| TenantId::single());
    tracing::warn!(
        stream.name = %stream,
        stream.entry_id = %raw.id,
        tenant.id = %tenant_id,
        event.r#type = problem.kind,
        reason = reason.as_str(),
        place = problem.place,
        "stream entry became a dead letter"
    );
    NewDeadLetter {
        tenant_id,
        stream: stream.clone(),
        entry: raw.id,
        reason,
        detail,
        raw: raw.raw(),
        deliveries: raw.deliveries,
        swarm_id: None,
        event_id: None,
        event_type: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{
        fmt::{self, Write as _},
        sync::{Arc, Mutex},
    };

    use tracing::{
        Metadata, Subscriber,
        field::{Field, Visit},
        span,
    };

    use super::*;
    use crate::{
        ids::EntryId,
        orchestrator::reading::{Parsed, parse},
    };

    /// What was logged, in lines.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<String>>);

    impl Subscriber for Lines {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            let mut line = String::new();
            event.record(&mut Line(&mut line));
            writeln!(self.0.lock().unwrap(), "{}", line.trim_end()).unwrap();
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    struct Line<'a>(&'a mut String);

    impl Visit for Line<'_> {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            write!(self.0, "{}={value:?} ", field.name()).unwrap();
        }
    }

    #[test]
    fn the_log_says_why_and_where_and_quotes_nothing() {
        let entries = [
            r#"{"id":"e","type":"task.created","swarmId":"s","runId":"r","actorId":"a","createdAt":"2026-01-02T03:04:05Z","payload":{"taskId":"t","priority":"SECRET"}}"#,
            r#"{"id":"e","type":"task.created","swarmId":"s","runId":"r","actorId":"a","createdAt":"2026-01-02T03:04:05Z","payload":{"taskId":"t","runAt":"SECRET"}}"#,
            r#"{"id":"e","type":"SECRET","swarmId":"s"}"#,
            r#"{"id":"e","SECRET":1}"#,
            r#"{"id":"e","payload":{"a":"SECRET"}"#,
        ];
        let lines = Lines::default();
        let letters = tracing::subscriber::with_default(lines.clone(), || {
            entries.map(|json| {
                let raw = RawEntry {
                    id: EntryId::default(),
                    fields: vec![("event".into(), json.into())],
                    deliveries: 1,
                };
                let Parsed::Bad(reason, problem) = parse(&raw, 1000) else {
                    panic!("an event: {json}");
                };
                letter(&StreamName::trusted("s"), &raw, reason, problem)
            })
        });
        let shown = lines.0.lock().unwrap();
        assert!(!shown.contains("SECRET"), "{shown}");
        insta::assert_snapshot!(shown, @r#"
        message=stream entry became a dead letter stream.name=s stream.entry_id=0-0 tenant.id=default event.type="task.created" reason="schema_violation" place="/properties/priority/type"
        message=stream entry became a dead letter stream.name=s stream.entry_id=0-0 tenant.id=default event.type="task.created" reason="schema_violation" place="/properties/runAt"
        message=stream entry became a dead letter stream.name=s stream.entry_id=0-0 tenant.id=default reason="schema_violation" place="line 1 column 40"
        message=stream entry became a dead letter stream.name=s stream.entry_id=0-0 tenant.id=default reason="schema_violation" place="line 1 column 18"
        message=stream entry became a dead letter stream.name=s stream.entry_id=0-0 tenant.id=default reason="malformed" place="line 1 column 34"
        "#);
        // Whoever may read the letter may read what it is about.
        assert!(letters[0].detail.contains("SECRET"), "{}", letters[0].detail);
    }
}
