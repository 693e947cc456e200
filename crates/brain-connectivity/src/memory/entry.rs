//! What is remembered: the memory as it is given, checked and bounded, and as it is found again.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Error, embedding::Embedding};

/// Memories of one batch at most.
pub const MAX_BATCH: usize = 500;
/// Longest id of a memory, agent, run or tenant, in bytes.
pub const MAX_ID_BYTES: usize = 256;
/// Longest text, in bytes; all of it can be searched.
pub const MAX_CONTENT_BYTES: usize = 128 * 1024;
/// Largest metadata, in bytes of JSON.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;

/// A memory to be stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewMemory {
    /// Its id, unique within the tenant; a memory stored before under this id is replaced.
    pub memory_id: String,
    /// The agent that remembers.
    pub agent_id: String,
    /// The run in which it remembers.
    pub run_id: String,
    /// What it remembers.
    pub content: String,
    /// Facts to filter by.
    pub metadata: Map<String, Value>,
    /// The meaning of the content, as many numbers as configured; without one, only the text finds it.
    pub embedding: Option<Vec<f32>>,
}

/// A stored memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// Its id, unique within the tenant.
    pub memory_id: String,
    /// The agent that remembers.
    pub agent_id: String,
    /// The run in which it remembered.
    pub run_id: String,
    /// What it remembers.
    pub content: String,
    /// Facts to filter by.
    pub metadata: Map<String, Value>,
    /// When it was first stored.
    pub created_at: Timestamp,
    /// When it was last stored.
    pub updated_at: Timestamp,
}

impl NewMemory {
    /// Checks everything about the memory.
    pub(super) fn check(&self, dimensions: usize) -> Result<Option<Embedding>, Error> {
        let subject = || format!("memory `{}`", self.memory_id);
        check_id("memory id", &self.memory_id)?;
        check_id("agent id", &self.agent_id)?;
        check_id("run id", &self.run_id)?;
        if self.content.len() > MAX_CONTENT_BYTES {
            let reason = format!(
                "its content has {} bytes, more than {MAX_CONTENT_BYTES}",
                self.content.len()
            );
            return Err(Error::invalid(subject(), reason));
        }
        if self.content.contains('\0') {
            return Err(Error::invalid(
                subject(),
                "its content holds a NUL character, which the database cannot store",
            ));
        }
        check_metadata(&self.metadata, subject)?;
        let embedding = self.embedding.clone();
        embedding
            .map(|values| Embedding::new(values, dimensions, subject))
            .transpose()
    }
}

/// Ids are compared as bytes and shown in logs: no control characters, not empty, bounded.
pub(super) fn check_id(what: &str, id: &str) -> Result<(), Error> {
    let reason = if id.is_empty() {
        "it is empty".to_owned()
    } else if id.len() > MAX_ID_BYTES {
        format!("it has {} bytes, more than {MAX_ID_BYTES}", id.len())
    } else if id.chars().any(char::is_control) {
        "it holds a control character".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::invalid(
        format!("{what} {:?}", id.chars().take(80).collect::<String>()),
        reason,
    ))
}

/// Metadata that the database can store.
pub(super) fn check_metadata(metadata: &Map<String, Value>, subject: impl Fn() -> String) -> Result<(), Error> {
    if metadata
        .iter()
        .any(|(name, value)| name.contains('\0') || holds_nul(value))
    {
        return Err(Error::invalid(
            subject(),
            "its metadata hold a NUL character, which the database cannot store",
        ));
    }
    let bytes = serde_json::to_vec(metadata).map_or(usize::MAX, |json| json.len());
    if bytes > MAX_METADATA_BYTES {
        let reason = format!("its metadata have {bytes} bytes, more than {MAX_METADATA_BYTES}");
        return Err(Error::invalid(subject(), reason));
    }
    Ok(())
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(holds_nul),
        Value::Object(values) => values
            .iter()
            .any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use serde_json::json;

    use super::*;

    fn memory() -> NewMemory {
        NewMemory {
            memory_id: "m".into(),
            agent_id: "a".into(),
            run_id: "r".into(),
            content: "text".into(),
            embedding: Some(vec![1.0, 2.0]),
            ..NewMemory::default()
        }
    }

    #[test]
    fn a_valid_memory_passes() {
        assert!(memory().check(2).unwrap().is_some());
        assert!(
            NewMemory {
                embedding: None,
                ..memory()
            }
            .check(2)
            .unwrap()
            .is_none()
        );
    }

    #[test]
    fn what_the_database_would_refuse_is_refused_with_a_reason() {
        let with = |change: &dyn Fn(&mut NewMemory)| {
            let mut memory = memory();
            change(&mut memory);
            memory.check(2).unwrap_err().to_string()
        };
        insta::assert_snapshot!(with(&|m| m.memory_id.clear()), @r#"memory id "" is not valid: it is empty"#);
        insta::assert_snapshot!(with(&|m| m.agent_id = "a\0".into()), @r#"agent id "a\0" is not valid: it holds a control character"#);
        insta::assert_snapshot!(with(&|m| m.content = "a\0".into()), @"memory `m` is not valid: its content holds a NUL character, which the database cannot store");
        insta::assert_snapshot!(with(&|m| m.content = "é".repeat(65_537)), @"memory `m` is not valid: its content has 131074 bytes, more than 131072");
        insta::assert_snapshot!(with(&|m| { m.metadata.insert("a".into(), json!([{"b": "\0"}])); }), @"memory `m` is not valid: its metadata hold a NUL character, which the database cannot store");
        insta::assert_snapshot!(with(&|m| { m.metadata.insert("a".into(), json!("x".repeat(70_000))); }), @"memory `m` is not valid: its metadata have 70008 bytes, more than 65536");
        assert!(with(&|m| m.run_id = "r".repeat(257)).contains("it has 257 bytes, more than 256"));
    }
}
