//! The schemas of the document: derived from the types that read bodies and write answers.
//!
//! Invariant: a name stands for one schema. A type that is written otherwise than it is read needs two names, and a test
//! says so.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value};

/// Collects the schemas that operations refer to.
pub(super) struct Types {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Types {
    pub(super) fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.meta_schema = None;
                settings.definitions_path = "/components/schemas".into();
            })
        };
        Self {
            read: settings().for_deserialize().into_generator(),
            written: settings().for_serialize().into_generator(),
        }
    }

    /// What a request may hold there.
    pub(super) fn read<T: JsonSchema>(&mut self) -> Value {
        self.read.subschema_for::<T>().to_value()
    }

    /// What an answer holds there.
    pub(super) fn written<T: JsonSchema>(&mut self) -> Value {
        self.written.subschema_for::<T>().to_value()
    }

    /// All schemas by name, and the names that stand for two.
    pub(super) fn into_schemas(mut self) -> (Map<String, Value>, Vec<String>) {
        let mut schemas = self.read.take_definitions(true);
        let mut twice = Vec::new();
        for (name, schema) in self.written.take_definitions(true) {
            match schemas.get(&name) {
                Some(other) if *other != schema => twice.push(name),
                _ => {
                    schemas.insert(name, schema);
                }
            }
        }
        (schemas, twice)
    }
}
