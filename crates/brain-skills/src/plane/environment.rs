//! Variables that skills may be given, and how their values are kept out of what skills say.
//!
//! Invariant: a value is only ever handed to a program that was granted its name.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde_json::Value;

use crate::{
    calls::Event,
    refused::{Refused, Stage},
};

/// Shorter values are no secrets, and taking them out would garble what has nothing to do with them.
const LEAST_SECRET_BYTES: usize = 6;
const REDACTED: &str = "[redacted]";

/// Variables with their values.
#[derive(Clone, Default)]
pub struct Environment {
    values: Arc<BTreeMap<String, String>>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Environment {
    /// These.
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            values: Arc::new(values.into_iter().collect()),
        }
    }

    /// The variables of these names.
    pub(super) fn of(&self, names: &[String]) -> Result<BTreeMap<String, String>, Refused> {
        let mut given = BTreeMap::new();
        for name in names {
            let value = self.values.get(name).ok_or_else(|| {
                let reason =
                    format!("the skill needs the variable {name}, which is not set for this brain; set it and restart");
                Refused::at(Stage::Policy, reason)
            })?;
            given.insert(name.clone(), value.clone());
        }
        Ok(given)
    }

    /// A text without the values.
    pub(super) fn redacted_text(&self, text: String) -> String {
        let secret = |value: &&String| value.len() >= LEAST_SECRET_BYTES && text.contains(value.as_str());
        let mut found: Vec<&String> = self.values.values().filter(secret).collect();
        // A value that holds another one goes first.
        found.sort_by_key(|value| std::cmp::Reverse(value.len()));
        found
            .iter()
            .fold(text.clone(), |text, value| text.replace(value.as_str(), REDACTED))
    }

    /// An answer without the values, in names too.
    pub(super) fn redacted(&self, value: Value) -> Value {
        if self.values.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.redacted_text(text)),
            Value::Array(items) => items.into_iter().map(|item| self.redacted(item)).collect(),
            Value::Object(fields) => {
                let fields = fields.into_iter();
                fields
                    .map(|(name, value)| (self.redacted_text(name), self.redacted(value)))
                    .collect()
            }
            other => other,
        }
    }

    /// What a program told, without the values.
    pub(super) fn redacted_event(&self, event: Event) -> Event {
        match event {
            Event::Log { level, message } => Event::Log {
                level,
                message: self.redacted_text(message),
            },
            Event::Progress { fraction, message } => Event::Progress {
                fraction,
                message: message.map(|message| self.redacted_text(message)),
            },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_given_by_name_and_kept_out_of_answers() {
        let values = [("TOKEN", "s3cret-value"), ("LONGER", "s3cret-value-2"), ("DEBUG", "1")];
        let all = Environment::new(values.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let given = all.of(&["TOKEN".to_owned()]).unwrap();
        assert_eq!(
            given.into_iter().collect::<Vec<_>>(),
            [("TOKEN".to_owned(), "s3cret-value".to_owned())]
        );
        assert!(all.of(&["HOME".to_owned()]).unwrap_err().reason.contains("HOME"));
        let said = json!({"a": ["x s3cret-value y s3cret-value-2", 1], "s3cret-value": "1"});
        assert_eq!(
            all.redacted(said),
            json!({"a": ["x [redacted] y [redacted]", 1], "[redacted]": "1"})
        );
        assert_eq!(format!("{all:?}"), r#"{"DEBUG", "LONGER", "TOKEN"}"#);
    }
}
