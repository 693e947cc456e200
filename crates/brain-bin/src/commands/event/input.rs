//! Events as people write them: one object, an array, `{"events": [...]}`, or one after the other as in JSON lines.
//!
//! Invariant: every event that leaves here has an id and a time of its own, so that a repeated request is recognised.

use std::io::Read;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// The fields of one event.
pub(super) type Event = Map<String, Value>;

/// What fills the gaps of events.
pub(super) struct Gaps {
    pub(super) swarm: Option<String>,
    pub(super) run: Option<String>,
    pub(super) actor: String,
}

impl Gaps {
    fn fill(&self, mut event: Event) -> Event {
        let mut put = |name: &str, value: &dyn Fn() -> Value| {
            if event.get(name).is_none_or(Value::is_null) {
                event.insert(name.to_owned(), value());
            }
        };
        put("id", &|| uuid::Uuid::now_v7().to_string().into());
        put("createdAt", &|| Timestamp::now().to_string().into());
        put("actorId", &|| self.actor.as_str().into());
        for (name, value) in [("swarmId", &self.swarm), ("runId", &self.run)] {
            if let Some(value) = value {
                put(name, &|| value.as_str().into());
            }
        }
        event
    }
}

/// One event from the options of the command line.
pub(super) fn single(kind: &str, payload: &str, id: Option<&str>, gaps: &Gaps) -> anyhow::Result<Event> {
    let payload: Value = serde_json::from_str(payload).context("--payload is not JSON")?;
    if !payload.is_object() {
        bail!("--payload must be a JSON object, such as '{{\"taskId\":\"t1\"}}'");
    }
    let mut event = Map::from_iter([("type".to_owned(), kind.into()), ("payload".to_owned(), payload)]);
    if let Some(id) = id {
        event.insert("id".to_owned(), id.into());
    }
    Ok(gaps.fill(event))
}

/// The events of a file, read as they are needed.
pub(super) fn stream<R: Read>(source: R, gaps: &Gaps) -> impl Iterator<Item = anyhow::Result<Event>> {
    let documents = serde_json::Deserializer::from_reader(source).into_iter::<Value>();
    documents.flat_map(move |document| match document {
        Ok(document) => unpack(document)
            .into_iter()
            .map(|event| event.map(|event| gaps.fill(event)))
            .collect(),
        Err(error) => vec![Err(anyhow::Error::new(error).context("the file is not JSON"))],
    })
}

fn unpack(document: Value) -> Vec<anyhow::Result<Event>> {
    let object = |value: Value| match value {
        Value::Object(event) => Ok(event),
        other => bail!("an event must be a JSON object, not {}", kind_of(&other)),
    };
    match document {
        Value::Array(events) => events.into_iter().map(object).collect(),
        Value::Object(mut fields) if fields.len() == 1 && fields.get("events").is_some_and(Value::is_array) => {
            fields.remove("events").map(unpack).unwrap_or_default()
        }
        other => vec![object(other)],
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn gaps() -> Gaps {
        Gaps {
            swarm: Some("s".to_owned()),
            run: None,
            actor: "me".to_owned(),
        }
    }

    fn types(text: &str) -> Vec<String> {
        stream(text.as_bytes(), &gaps())
            .map(|event| event.unwrap()["type"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn every_form_of_a_file_is_understood() {
        assert_eq!(types(r#"{"type":"a.b"}"#), ["a.b"]);
        assert_eq!(types(r#"[{"type":"a.b"},{"type":"c.d"}]"#), ["a.b", "c.d"]);
        assert_eq!(types(r#"{"events":[{"type":"a.b"}]}"#), ["a.b"]);
        assert_eq!(types("{\"type\":\"a.b\"}\n\n{\"type\":\"c.d\"}\n"), ["a.b", "c.d"]);
        assert_eq!(types(""), [""; 0]);
    }

    #[test]
    fn gaps_are_filled_and_nothing_else_is_touched() {
        let given = r#"{"type":"a.b","id":"e1","swarmId":"other","payload":{"n":1}}"#;
        let event = stream(given.as_bytes(), &gaps()).next().unwrap().unwrap();
        assert_eq!(
            (event["id"].as_str(), event["swarmId"].as_str()),
            (Some("e1"), Some("other"))
        );
        assert_eq!(event["actorId"], "me");
        assert!(!event.contains_key("runId"));
        event["createdAt"].as_str().unwrap().parse::<Timestamp>().unwrap();
        let ids: Vec<Value> = stream(&b"{} {}"[..], &gaps())
            .map(|event| event.unwrap()["id"].clone())
            .collect();
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn what_is_no_event_is_named_with_its_place() {
        let problem = |text: &str| {
            let error = stream(text.as_bytes(), &gaps()).find_map(Result::err).unwrap();
            format!("{error:#}")
        };
        assert_eq!(problem("[1]"), "an event must be a JSON object, not a number");
        assert!(
            problem("{\"type\":\"a.b\"}\n{\"type\":").contains("line 2"),
            "{}",
            problem("{\n{")
        );
        assert!(single("a.b", "[]", None, &gaps()).is_err());
    }
}
