//! Whether two subschemas say the same, whatever they note for readers and however they refer to their parts.

use serde_json::{Map, Value};

use super::{MAX_STEPS, Prover, resolve};
use crate::schema::document::{Form, form};

impl<'a> Prover<'a> {
    fn same(&mut self, written: &'a Value, read: &'a Value) -> bool {
        match (written, read) {
            (Value::Object(written), Value::Object(read)) => self.same_object(written, read),
            (written, read) => written == read,
        }
    }

    /// The first is of the writer, the second of the reader.
    pub(super) fn same_object(&mut self, written: &'a Map<String, Value>, read: &'a Map<String, Value>) -> bool {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return false;
        }
        let checked = |keyword: &String| {
            !matches!(keyword.as_str(), "$defs" | "definitions") && form(keyword) != Some(Form::Note)
        };
        let count = |keywords: &Map<String, Value>| keywords.keys().filter(|keyword| checked(keyword)).count();
        count(written) == count(read)
            && written
                .iter()
                .filter(|(keyword, _)| checked(keyword))
                .all(|(keyword, value)| self.same_keyword(keyword, Some(value), read.get(keyword)))
    }

    pub(super) fn same_keyword(&mut self, keyword: &str, written: Option<&'a Value>, read: Option<&'a Value>) -> bool {
        let (written, read) = match (written, read) {
            (None, None) => return true,
            (Some(written), Some(read)) => (written, read),
            _ => return false,
        };
        if keyword == "$ref" {
            return self.same(resolve(self.writer, written), resolve(self.reader, read));
        }
        match (form(keyword), written, read) {
            (Some(Form::Schema), written, read) => self.same(written, read),
            (Some(Form::Named), Value::Object(written), Value::Object(read)) => {
                written.len() == read.len()
                    && written
                        .iter()
                        .all(|(name, schema)| read.get(name).is_some_and(|other| self.same(schema, other)))
            }
            (Some(Form::List), Value::Array(written), Value::Array(read)) => {
                written.len() == read.len() && written.iter().zip(read).all(|(one, other)| self.same(one, other))
            }
            (_, written, read) => written == read,
        }
    }
}
