//! A JSON Schema as callers register it: read strictly, bounded in what checking by it may cost, compiled.
//!
//! Invariants: a [`Document`] refers to nothing outside itself and never to itself, so a payload is held against at most
//! [`MAX_SUBSCHEMAS`] subschemas at each of its places; its patterns run in linear time; every keyword in it is one that is
//! checked, an annotation, or begins with `x-`.

mod survey;

use std::sync::Arc;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use self::survey::Survey;

/// The longest schema, in bytes of JSON.
pub const MAX_BYTES: usize = 32 * 1024;
/// The most subschemas, each counted as often as it is referred to.
pub const MAX_SUBSCHEMAS: usize = 1000;
/// How deep subschemas may lie in each other, references included.
const MAX_DEPTH: usize = 32;
/// The most patterns.
const MAX_PATTERNS: usize = 32;
/// The most memory that a compiled pattern may take, in bytes.
const PATTERN_BYTES: usize = 256 * 1024;
/// The only dialect.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What the value of a keyword is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A subschema.
    Schema,
    /// Subschemas by name.
    Named,
    /// Subschemas in a list.
    List,
    /// Anything else that is checked.
    Data,
    /// Something for readers, which is not checked.
    Note,
}

const KEYWORDS: [(&str, Form); 51] = [
    ("type", Form::Data),
    ("properties", Form::Named),
    ("required", Form::Data),
    ("additionalProperties", Form::Schema),
    ("items", Form::Schema),
    ("enum", Form::Data),
    ("const", Form::Data),
    ("$ref", Form::Data),
    ("$defs", Form::Named),
    ("definitions", Form::Named),
    ("minimum", Form::Data),
    ("maximum", Form::Data),
    ("exclusiveMinimum", Form::Data),
    ("exclusiveMaximum", Form::Data),
    ("multipleOf", Form::Data),
    ("minLength", Form::Data),
    ("maxLength", Form::Data),
    ("pattern", Form::Data),
    ("minItems", Form::Data),
    ("maxItems", Form::Data),
    ("uniqueItems", Form::Data),
    ("prefixItems", Form::List),
    ("contains", Form::Schema),
    ("minContains", Form::Data),
    ("maxContains", Form::Data),
    ("minProperties", Form::Data),
    ("maxProperties", Form::Data),
    ("patternProperties", Form::Named),
    ("propertyNames", Form::Schema),
    ("dependentRequired", Form::Data),
    ("dependentSchemas", Form::Named),
    ("allOf", Form::List),
    ("anyOf", Form::List),
    ("oneOf", Form::List),
    ("not", Form::Schema),
    ("if", Form::Schema),
    ("then", Form::Schema),
    ("else", Form::Schema),
    ("$schema", Form::Note),
    ("$id", Form::Note),
    ("$comment", Form::Note),
    ("title", Form::Note),
    ("description", Form::Note),
    ("default", Form::Note),
    ("examples", Form::Note),
    ("deprecated", Form::Note),
    ("readOnly", Form::Note),
    ("writeOnly", Form::Note),
    ("format", Form::Note),
    ("contentEncoding", Form::Note),
    ("contentMediaType", Form::Note),
];

/// The form of a keyword; `None` where it is not known.
pub(super) fn form(keyword: &str) -> Option<Form> {
    if keyword.starts_with("x-") {
        return Some(Form::Note);
    }
    KEYWORDS
        .iter()
        .find(|(known, _)| *known == keyword)
        .map(|(_, form)| *form)
}

/// Why a schema cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct InvalidSchema {
    /// Where, as a JSON pointer after a `#`.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

impl InvalidSchema {
    fn at(place: &str, problem: impl Into<String>) -> Self {
        Self {
            place: format!("#{place}"),
            problem: problem.into(),
        }
    }
}

/// A schema that has passed all checks.
#[derive(Debug, Clone)]
pub struct Document {
    value: Value,
    validator: Arc<Validator>,
    subschemas: usize,
    patterns: usize,
    bytes: usize,
}

impl Document {
    /// Checks a schema.
    ///
    /// # Errors
    /// [`InvalidSchema`] names the place.
    pub fn new(mut value: Value) -> Result<Self, InvalidSchema> {
        normalise(&mut value);
        let bytes = value.to_string().len();
        if bytes > MAX_BYTES {
            let problem = format!("the schema is {bytes} bytes long, at most {MAX_BYTES} are allowed");
            return Err(InvalidSchema::at("", problem));
        }
        if !value.is_object() {
            return Err(InvalidSchema::at("", "a schema is a JSON object"));
        }
        if crate::event::has_nul(&value) {
            return Err(InvalidSchema::at(
                "",
                "it holds the character U+0000, which PostgreSQL cannot store",
            ));
        }
        let (subschemas, patterns) = Survey::of(&value)?;
        let validator = Arc::new(compile(&value)?);
        Ok(Self {
            value,
            validator,
            subschemas,
            patterns,
            bytes,
        })
    }

    /// The schema itself.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// It, ready for use.
    pub(crate) fn validator(&self) -> Arc<Validator> {
        Arc::clone(&self.validator)
    }

    /// Against how many subschemas a place of a payload is held, at most.
    pub(super) fn subschemas(&self) -> usize {
        self.subschemas
    }

    /// About how much memory it takes once compiled.
    pub(super) fn weight(&self) -> usize {
        8 * self.bytes + 2 * PATTERN_BYTES * self.patterns
    }
}

/// Whether a schema has the bounds of a document.
pub(super) fn check_bounds(schema: &Value) -> Result<(), InvalidSchema> {
    Survey::of(schema).map(drop)
}

/// Makes a schema ready for use.
fn compile(value: &Value) -> Result<Validator, InvalidSchema> {
    let mut schema = value.clone();
    if let Some(root) = schema.as_object_mut() {
        // A name of its own could be the name of something else that references would then lead to.
        root.remove("$id");
        root.remove("$schema");
    }
    let patterns = PatternOptions::regex()
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES);
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(patterns)
        .should_validate_formats(false)
        .offline()
        .build(&schema)
        .map_err(|error| {
            let mut problem: String = error.to_string().chars().take(200).collect();
            if problem.ends_with("is not a \"regex\"") {
                problem.push_str(
                    " that runs in linear time; references back, looking around and huge repetitions are not taken",
                );
            }
            InvalidSchema::at(&error.instance_path().to_string(), problem)
        })
}

/// Writes numbers as the database gives them back, so that a schema is known again however its numbers are written.
fn normalise(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|_| number.is_f64())
                && float.fract() == 0.0
                && float.abs() < 1.8e19
            {
                #[allow(clippy::cast_possible_truncation, reason = "it is whole, and not larger than this")]
                let whole = float as i128;
                if let Some(whole) = serde_json::Number::from_i128(whole) {
                    *number = whole;
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::Object(fields) => fields.values_mut().for_each(normalise),
        _ => {}
    }
}

/// One place of a JSON pointer.
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::{Map, json};

    use super::*;

    fn refusal(schema: Value) -> String {
        Document::new(schema).unwrap_err().to_string()
    }

    /// Each definition refers twice to the next.
    fn doubling(levels: usize) -> Value {
        let mut schema = json!({"$ref": "#/$defs/d0", "$defs": {}});
        for level in 0..levels {
            let next = format!("#/$defs/d{}", level + 1);
            schema["$defs"][format!("d{level}")] = json!({"allOf": [{"$ref": next}, {"$ref": next}]});
        }
        schema["$defs"][format!("d{levels}")] = json!({"type": "object"});
        schema
    }

    #[test]
    fn ordinary_schemas_are_taken() {
        let schema = json!({
            "$schema": DIALECT, "$id": "https://example.com/build", "title": "A build", "x-owner": "team",
            "type": "object", "required": ["status"], "additionalProperties": false,
            "properties": {
                "status": {"$ref": "#/$defs/status"}, "$ref": {"type": "string", "format": "uri"},
                "a/b~c": {"type": "integer"}, "more": {"$ref": "#/properties/a~1b~0c"},
            },
            "patternProperties": {"^x-[a-z]{1,64}$": {"type": ["string", "null"]}},
            "$defs": {"status": {"enum": ["ok", "failed"]}},
        });
        let document = Document::new(schema).unwrap();
        let validator = document.validator();
        assert!(validator.is_valid(&json!({"status": "ok", "$ref": "no uri", "a/b~c": 1, "x-a": null})));
        assert!(!validator.is_valid(&json!({"status": "ok", "more": "text"})));
        assert!(!validator.is_valid(&json!({"status": "late"})));
    }

    #[test]
    fn what_could_cost_too_much_or_lead_elsewhere_is_refused() {
        insta::assert_snapshot!(refusal(json!({"$ref": "https://example.com/x"})), @r##"#/$ref: a reference is a JSON pointer into this schema without escapes, such as "#/$defs/name"; nothing is fetched"##);
        insta::assert_snapshot!(refusal(json!({"$ref": "file:///etc/passwd"})), @r##"#/$ref: a reference is a JSON pointer into this schema without escapes, such as "#/$defs/name"; nothing is fetched"##);
        insta::assert_snapshot!(refusal(json!({"$ref": "#/$defs/none"})), @r##"#: $ref "#/$defs/none" leads to no subschema"##);
        insta::assert_snapshot!(refusal(json!({"allOf": [{"$ref": "#"}]})), @"#: it refers to itself; the cost of checking a payload must have a bound");
        insta::assert_snapshot!(refusal(json!({"properties": {"child": {"$ref": "#"}}})), @"#: it refers to itself; the cost of checking a payload must have a bound");
        insta::assert_snapshot!(refusal(doubling(12)), @"#/$defs/d4: it comes to more than 1000 subschemas, references included");
        insta::assert_snapshot!(refusal(json!({"properties": {"a": {"pattern": "(a+)+\\1"}}})), @r#"#/properties/a/pattern: "(a+)+\\1" is not a "regex" that runs in linear time; references back, looking around and huge repetitions are not taken"#);
        insta::assert_snapshot!(refusal(json!({"pattern": "((a{1000}){1000}){1000}"})), @r#"#/pattern: "((a{1000}){1000}){1000}" is not a "regex" that runs in linear time; references back, looking around and huge repetitions are not taken"#);
        insta::assert_snapshot!(refusal(json!({"title": "x".repeat(40_000)})), @"#: the schema is 40012 bytes long, at most 32768 are allowed");
        insta::assert_snapshot!(refusal(json!({"requird": ["a"]})), @r#"#: the keyword "requird" is not among those that are taken; a note of one's own begins with x-"#);
        insta::assert_snapshot!(refusal(json!({"$schema": "http://json-schema.org/draft-07/schema#"})), @"#/$schema: only https://json-schema.org/draft/2020-12/schema is taken");
        insta::assert_snapshot!(refusal(json!({"properties": {"a": {"$id": "https://example.com/a"}}})), @"#/properties/a/$id: only the whole schema has it");
        insta::assert_snapshot!(refusal(json!({"type": "objekt"})), @r#"#/type: "objekt" is not valid under any of the schemas listed in the 'anyOf' keyword"#);
        insta::assert_snapshot!(refusal(json!({"title": "a\u{0}b"})), @"#: it holds the character U+0000, which PostgreSQL cannot store");
        insta::assert_snapshot!(refusal(json!([])), @"#: a schema is a JSON object");
        let mut deep = json!({"type": "string"});
        for _ in 0..40 {
            deep = json!({"not": deep});
        }
        assert!(refusal(deep).contains("lie in each other"));
        let many: Map<String, Value> = (0..40).map(|n| (format!("^{n}$"), json!(true))).collect();
        assert!(refusal(json!({"patternProperties": many})).contains("more than 32 patterns"));
        assert!(Document::new(doubling(6)).is_ok());
    }

    #[test]
    fn patterns_take_linear_time() {
        let validator = Document::new(json!({"properties": {"a": {"pattern": "^(a+)+$"}}}))
            .unwrap()
            .validator();
        let began = std::time::Instant::now();
        assert!(!validator.is_valid(&json!({"a": format!("{}!", "a".repeat(100_000))})));
        assert!(began.elapsed() < std::time::Duration::from_secs(5));
    }
}
