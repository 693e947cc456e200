//! From a body to events: one envelope, a list of them, or an object with a list.
//!
//! Invariants: the body is parsed once; it yields all of its events or a problem that names every bad one.

use std::fmt;

use brain_swarm::event::{Event, Invalid};
use serde::{
    Deserialize,
    de::{Deserializer, IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::problem::{Fault, Kind, Problem, shortened};

/// The most events of one request.
pub(crate) const MAX_EVENTS: usize = 4096;

/// What is read from one item.
pub(super) type Read = Result<Event, Invalid>;

/// Reads the events of a body, each by `parse`.
///
/// # Errors
/// A problem that says what is wrong, with every bad event in its place.
pub(super) fn read(body: &[u8], parse: &dyn Fn(&[u8]) -> Read) -> Result<Vec<Event>, Problem> {
    let list = match Shape::of(body) {
        Shape::Nothing => {
            return Err(Problem::new(
                Kind::MalformedJson,
                "the body is empty; it must be an event or a list of events",
            ));
        }
        Shape::Event => return Ok(vec![parse(body.trim_ascii())?]),
        Shape::List => serde_json::from_slice::<Items<'_>>(body),
        Shape::Wrapped => serde_json::from_slice::<Wrapper<'_>>(body).map(|wrapper| wrapper.events),
    };
    let Items(items) = list.map_err(|error| unreadable(&error))?;
    if items.is_empty() {
        return Err(Problem::new(Kind::InvalidEvent, "the list holds no event"));
    }
    if items.len() > MAX_EVENTS {
        let detail = format!("more than {MAX_EVENTS} events in one request; send them in several");
        return Err(Problem::new(Kind::EventTooLarge, detail));
    }
    let mut events = Vec::with_capacity(items.len());
    let mut faults = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match parse(item.get().as_bytes()) {
            Ok(event) => events.push(event),
            Err(error) => faults.push(fault(index, &error)),
        }
    }
    if faults.is_empty() {
        Ok(events)
    } else {
        Err(refused(faults, items.len()))
    }
}

/// What a body looks like from its first characters.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    Nothing,
    Event,
    List,
    Wrapped,
}

impl Shape {
    /// No envelope has a field `events`, so the first key tells an envelope from the object with a list.
    fn of(body: &[u8]) -> Self {
        let body = body.trim_ascii_start();
        match body.split_first() {
            None => Self::Nothing,
            Some((b'[', _)) => Self::List,
            Some((b'{', rest)) if rest.trim_ascii_start().starts_with(b"\"events\"") => Self::Wrapped,
            Some(_) => Self::Event,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapper<'a> {
    #[serde(borrow)]
    events: Items<'a>,
}

/// The raw items of a list. One more than allowed is kept, to tell; the rest is only checked.
struct Items<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seq;
        impl<'de> Visitor<'de> for Seq {
            type Value = Vec<&'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of events")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while items.len() <= MAX_EVENTS {
                    let Some(item) = seq.next_element()? else {
                        return Ok(items);
                    };
                    items.push(item);
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(items)
            }
        }
        deserializer.deserialize_seq(Seq).map(Self)
    }
}

fn unreadable(error: &serde_json::Error) -> Problem {
    let kind = if error.is_data() {
        Kind::InvalidEvent
    } else {
        Kind::MalformedJson
    };
    Problem::new(
        kind,
        shortened(&format!("the body is neither an event nor a list of events: {error}")),
    )
}

fn fault(index: usize, error: &Invalid) -> Fault {
    Fault {
        index,
        kind: Kind::of_invalid(error),
        detail: shortened(&error.to_string()),
    }
}

/// All bad for one reason is a problem of that kind; for several, it is about events in general.
fn refused(faults: Vec<Fault>, of: usize) -> Problem {
    let first = faults[0].kind;
    let kind = if faults.iter().all(|fault| fault.kind == first) {
        first
    } else {
        Kind::InvalidEvent
    };
    let verb = if faults.len() == 1 { "is" } else { "are" };
    Problem::new(
        kind,
        format!("{} of {of} events {verb} not valid; nothing was stored", faults.len()),
    )
    .with_faults(faults)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use brain_swarm::{
        event::Defaults,
        ids::{RunId, SwarmId},
    };
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = r#"{"type":"build.finished","actorId":"a"}"#;

    fn read(body: &str) -> Result<Vec<Event>, Problem> {
        let defaults = Defaults {
            generate: true,
            swarm_id: Some(SwarmId::new("s").unwrap()),
            run_id: Some(RunId::new("r").unwrap()),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
            ..Defaults::default()
        };
        super::read(body.as_bytes(), &|json| Event::parse(json, 1024, &defaults))
    }

    fn document(body: &str) -> String {
        String::from_utf8(read(body).unwrap_err().document("r-1")).unwrap()
    }

    #[test]
    fn three_shapes_are_read() {
        assert_eq!(read(GOOD).unwrap().len(), 1);
        assert_eq!(read(&format!(" [{GOOD}, {GOOD}] ")).unwrap().len(), 2);
        assert_eq!(
            read(&format!("{{ \"events\" : [{GOOD},{GOOD},{GOOD}]}}\n"))
                .unwrap()
                .len(),
            3
        );
        let event = read(GOOD).unwrap().remove(0);
        assert_eq!(event.swarm_id.as_str(), "s");
        assert!(
            event
                .context
                .traceparent
                .unwrap()
                .contains("4bf92f3577b34da6a3ce929d0e0e4736")
        );
    }

    #[test]
    fn every_bad_event_is_named() {
        insta::assert_snapshot!(document(&format!(r#"[{GOOD},{{}},5,{GOOD},{{"type":"task.created","actorId":"a"}}]"#)), @r#"{"type":"urn:studio-brain:problem:invalid-event","title":"Invalid event","status":422,"detail":"3 of 5 events are not valid; nothing was stored","instance":"r-1","errors":[{"index":1,"type":"urn:studio-brain:problem:invalid-event","detail":"missing field `type` at line 1 column 2"},{"index":2,"type":"urn:studio-brain:problem:invalid-event","detail":"invalid type: integer `5`, expected an event as a JSON object at line 1 column 1"},{"index":4,"type":"urn:studio-brain:problem:invalid-event","detail":"payload of task.created version 1: \"taskId\" is a required property"}]}"#);
        let large = format!(
            r#"{{"type":"a.b","actorId":"a","payload":{{"x":"{}"}}}}"#,
            "x".repeat(2000)
        );
        assert_eq!(
            read(&format!("[{GOOD},{large}]")).unwrap_err().kind(),
            Kind::EventTooLarge
        );
        assert_eq!(read(&large).unwrap_err().kind(), Kind::EventTooLarge);
    }

    #[test]
    fn what_is_not_json_is_told_from_what_is_no_event() {
        let deep = format!(
            r#"{{"type":"a.b","actorId":"a","payload":{{"x":{}{}}}}}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        let cases = [
            ("", Kind::MalformedJson),
            ("  ", Kind::MalformedJson),
            ("{", Kind::MalformedJson),
            ("[1", Kind::MalformedJson),
            ("[] x", Kind::MalformedJson),
            ("nonsense", Kind::MalformedJson),
            (&deep, Kind::MalformedJson),
            (&format!("[{deep}]"), Kind::MalformedJson),
            ("[]", Kind::InvalidEvent),
            (r#"{"events":[]}"#, Kind::InvalidEvent),
            (r#"{"events":5}"#, Kind::InvalidEvent),
            ("\"text\"", Kind::InvalidEvent),
            (r#"{"events":[],"more":1}"#, Kind::InvalidEvent),
            (r#"{"events":[],"events":[]}"#, Kind::InvalidEvent),
            (r#"{"type":"a.b","type":"a.c","actorId":"a"}"#, Kind::InvalidEvent),
        ];
        for (body, kind) in cases {
            assert_eq!(read(body).map(|_| ()).unwrap_err().kind(), kind, "{body}");
        }
        assert_eq!(
            super::read(b"{\"type\":\"\xff\"}", &|json| Event::parse(
                json,
                1024,
                &Defaults::default()
            ))
            .unwrap_err()
            .kind(),
            Kind::MalformedJson
        );
    }

    #[test]
    fn a_list_has_an_end() {
        let list = |count: usize| format!("[{}]", vec![GOOD; count].join(","));
        assert_eq!(read(&list(MAX_EVENTS)).unwrap().len(), MAX_EVENTS);
        assert_eq!(read(&list(MAX_EVENTS + 1)).unwrap_err().kind(), Kind::EventTooLarge);
        assert_eq!(
            read(&format!("[{}1]", "1,".repeat(100_000))).unwrap_err().kind(),
            Kind::EventTooLarge
        );
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = super::read(&bytes, &|json| Event::parse(json, 1024, &Defaults::default()));
        }

        #[test]
        fn damaged_lists_never_panic(place in 0_usize..80, byte in any::<u8>()) {
            let mut bytes = format!("{{\"events\":[{GOOD},{GOOD}]}}").into_bytes();
            bytes[place] = byte;
            let _ = super::read(&bytes, &|json| Event::parse(json, 1024, &Defaults::default()));
        }
    }
}
