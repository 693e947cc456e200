//! The comparison by cases, and against what a validator says of thousands of values.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use fastrand::Rng;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::schema::document::{Form, form};

fn told(old: Value, new: Value, wanted: Compatibility) -> String {
    let (old, new) = (Document::new(old).unwrap(), Document::new(new).unwrap());
    let breaks = compare(old.value(), &new, wanted);
    let lines: Vec<String> = breaks.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn backward(old: Value, new: Value) -> String {
    told(old, new, Compatibility::Backward)
}

fn closed(properties: Value, required: Value) -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": properties, "required": required})
}

#[test]
fn what_is_not_taken_any_more_can_be_followed_without_proof() {
    let new = Document::new(json!({"type": "object"})).unwrap();
    let told = |old: Value, wanted| {
        let breaks = compare(&old, &new, wanted);
        breaks.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let unknown = json!({"requird": ["a"]});
    assert_eq!(told(unknown.clone(), Compatibility::None), "");
    insta::assert_snapshot!(told(unknown, Compatibility::Backward), @r##"backward at "": cannot be proven: the version before is not taken any more: #: the keyword "requird" is not among those that are taken; a note of one's own begins with x-"##);
    // The proof would follow it for ever.
    insta::assert_snapshot!(told(json!({"allOf": [{"$ref": "#"}]}), Compatibility::Forward), @r##"forward at "": cannot be proven: the version before is not taken any more: #: it refers to itself; the cost of checking a payload must have a bound"##);
}

#[test]
fn properties_come_and_go() {
    let a = || json!({"type": "string"});
    let one = closed(json!({"a": a()}), json!(["a"]));
    let optional = closed(json!({"a": a(), "b": a()}), json!(["a"]));
    let required = closed(json!({"a": a(), "b": a()}), json!(["a", "b"]));
    assert_eq!(backward(one.clone(), optional.clone()), "");
    insta::assert_snapshot!(told(one.clone(), optional, Compatibility::Full), @r#"forward at "/properties/b": the writer may write it, which the reader does not take"#);
    insta::assert_snapshot!(backward(one.clone(), required.clone()), @r#"backward at "/required": the reader requires "b", which the writer may leave out"#);
    insta::assert_snapshot!(told(required, one.clone(), Compatibility::Full), @r#"
    backward at "/properties/b": the writer may write it, which the reader does not take
    forward at "/required": the reader requires "b", which the writer may leave out
    "#);
    // Whatever the old schema lets in, the new one must take.
    let open = json!({"type": "object", "properties": {"a": a()}});
    let wider = json!({"type": "object", "properties": {"a": a(), "b": a()}});
    insta::assert_snapshot!(backward(open.clone(), wider), @r#"backward at "/properties/b/type": the writer may write null, boolean, object, array, integer, number, which the reader does not take"#);
    insta::assert_snapshot!(backward(open, one), @r#"
    backward at "/additionalProperties": the writer may write properties that the reader does not know and does not take
    backward at "/required": the reader requires "a", which the writer may leave out
    "#);
}

#[test]
fn types_choices_and_bounds_widen_and_narrow() {
    let both = |one: Value, other: Value| {
        assert_eq!(backward(one.clone(), other.clone()), "");
        backward(other, one)
    };
    insta::assert_snapshot!(both(json!({"type": "integer"}), json!({"type": ["number", "null"]})), @r#"
    backward at "/type": the writer may write null, number, which the reader does not take
    "#);
    insta::assert_snapshot!(both(json!({"enum": ["a", "b"]}), json!({"enum": ["a", "b", "c"]})), @r#"
    backward at "/enum": the writer may write "c", which the reader does not take
    "#);
    insta::assert_snapshot!(both(json!({"const": 1}), json!({"type": "integer"})), @r#"
    backward at "/const": the reader requires const 1, which the writer does not promise
    "#);
    insta::assert_snapshot!(both(json!({"type": "integer", "minimum": 1, "maximum": 9}), json!({"type": "integer", "exclusiveMinimum": 0, "maximum": 10})), @r#"
    backward at "/maximum": the reader requires maximum 9, which the writer does not promise
    backward at "/minimum": the reader requires minimum 1, which the writer does not promise
    "#);
    insta::assert_snapshot!(both(json!({"type": "string", "minLength": 2, "pattern": "^a"}), json!({"type": "string", "minLength": 1})), @r#"
    backward at "/minLength": the reader requires minLength 2, which the writer does not promise
    backward at "/pattern": the reader requires pattern "^a", which the writer does not promise
    "#);
    insta::assert_snapshot!(both(json!({"type": "array", "maxItems": 2, "items": {"type": "integer"}}), json!({"type": "array", "items": {"type": "number"}})), @r#"
    backward at "/items/type": the writer may write number, which the reader does not take
    backward at "/maxItems": the reader requires maxItems 2, which the writer does not promise
    "#);
    insta::assert_snapshot!(both(json!({"type": "array", "prefixItems": [{"type": "integer"}], "items": false}), json!({"type": "array", "items": {"type": "integer"}})), @r#"
    backward at "/items": the reader takes nothing here, and the writer may
    "#);
    assert_eq!(
        backward(json!({"type": "string"}), json!({"type": "string", "minimum": 3})),
        ""
    );
    assert_eq!(backward(json!({"multipleOf": 6}), json!({"multipleOf": 3})), "");
    let large = |n: u64| json!({"minimum": n});
    assert_eq!(backward(large(9_007_199_254_740_993), large(9_007_199_254_740_992)), "");
    assert_ne!(backward(large(9_007_199_254_740_992), large(9_007_199_254_740_993)), "");
}

#[test]
fn what_is_said_by_reference_or_in_alternatives_is_followed() {
    let referring = json!({"properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}});
    let direct = json!({"properties": {"a": {"type": "integer", "title": "A number"}}});
    assert_eq!(told(referring.clone(), direct, Compatibility::Full), "");
    let other = json!({"properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "string"}}});
    insta::assert_snapshot!(backward(referring, other), @r#"backward at "/properties/a/type": the writer may write integer, which the reader does not take"#);

    let two = json!({"anyOf": [{"type": "string"}, {"type": "integer"}]});
    let three = json!({"anyOf": [{"type": "null"}, {"type": "integer"}, {"type": "string"}]});
    assert_eq!(backward(two.clone(), three.clone()), "");
    assert_eq!(backward(two.clone(), json!({"type": ["string", "integer"]})), "");
    insta::assert_snapshot!(backward(three, two), @r#"backward at "/anyOf": cannot be proven: what the writer may write is not all taken by one alternative"#);
    let either = |kind: &str| json!({"oneOf": [{"type": "string"}, {"properties": {"a": {"type": kind}}}]});
    assert_eq!(backward(either("null"), either("null")), "");
    insta::assert_snapshot!(backward(either("integer"), either("number")), @r#"backward at "/oneOf": cannot be proven: oneOf is not the same on both sides"#);
    insta::assert_snapshot!(backward(json!({}), json!({"not": {"required": ["a"]}, "propertyNames": {"maxLength": 3}})), @r#"
    backward at "/not": cannot be proven: not is not the same on both sides
    backward at "/propertyNames/maxLength": the reader requires maxLength 3, which the writer does not promise
    "#);
}

/// Names, values and texts of a small world, so that schemas and values meet.
const NAMES: [&str; 4] = ["a", "b", "ab", "c"];
const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "string", "integer", "number"];
const PATTERNS: [&str; 3] = ["^a", "b", "^c$"];

fn scalar(rng: &mut Rng) -> Value {
    match rng.u8(0..8) {
        0 => Value::Null,
        1 => json!(rng.bool()),
        2 => json!(NAMES[rng.usize(0..4)]),
        3 => json!(""),
        4 => json!(f64::from(rng.i8(-2..5)) + 0.5),
        5 => json!(f64::from(rng.i8(-2..5))),
        _ => json!(rng.i8(-2..5)),
    }
}

fn value(rng: &mut Rng, depth: u8) -> Value {
    match rng.u8(0..if depth == 0 { 3 } else { 6 }) {
        0..3 => scalar(rng),
        3 => (0..rng.u8(0..4)).map(|_| value(rng, depth - 1)).collect(),
        _ => {
            let mut object = Map::new();
            for _ in 0..rng.u8(0..4) {
                object.insert(NAMES[rng.usize(0..4)].to_owned(), value(rng, depth - 1));
            }
            Value::Object(object)
        }
    }
}

fn schema(rng: &mut Rng, depth: u8) -> Value {
    if depth == 0 || rng.u8(0..12) == 0 {
        return match rng.u8(0..8) {
            0 => json!(false),
            1 => json!(true),
            _ => json!({"type": TYPES[rng.usize(0..7)]}),
        };
    }
    let mut keywords = Map::new();
    for _ in 0..rng.u8(1..4) {
        let (keyword, value) = keyword(rng, depth);
        keywords.insert(keyword.to_owned(), value);
    }
    Value::Object(keywords)
}

fn keyword(rng: &mut Rng, depth: u8) -> (&'static str, Value) {
    let number = json!(rng.i8(-1..4));
    let count = json!(rng.u8(0..4));
    let inner = schema(rng, depth - 1);
    let list: Value = (0..rng.u8(1..4)).map(|_| schema(rng, depth - 1)).collect();
    let names: Vec<&str> = NAMES.into_iter().filter(|_| rng.bool()).collect();
    let named = |rng: &mut Rng, names: &[&str]| {
        let mut schemas = Map::new();
        for _ in 0..rng.u8(1..4) {
            schemas.insert(names[rng.usize(0..names.len())].to_owned(), schema(rng, depth - 1));
        }
        Value::Object(schemas)
    };
    match rng.u8(0..33) {
        0 => (
            "type",
            TYPES
                .into_iter()
                .filter(|_| rng.u8(0..3) > 0)
                .chain(["null"])
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect(),
        ),
        1 => ("type", json!(TYPES[rng.usize(0..7)])),
        2 => ("enum", {
            let mut values: Vec<Value> = Vec::new();
            for _ in 0..rng.u8(1..5) {
                let one = value(rng, 1);
                if !values.contains(&one) {
                    values.push(one);
                }
            }
            values.into()
        }),
        3 => ("const", scalar(rng)),
        4 => ("minimum", number),
        5 => ("maximum", number),
        6 => ("exclusiveMinimum", number),
        7 => ("exclusiveMaximum", number),
        8 => ("multipleOf", json!(rng.u8(1..4))),
        9 => ("minLength", count),
        10 => ("maxLength", count),
        11 => ("pattern", json!(PATTERNS[rng.usize(0..3)])),
        12 => ("minItems", count),
        13 => ("maxItems", count),
        14 => ("uniqueItems", json!(rng.bool())),
        15 => ("items", inner),
        16 => ("prefixItems", list),
        17 => ("contains", inner),
        18 => ("minProperties", count),
        19 => ("maxProperties", count),
        20..23 => ("properties", named(rng, &NAMES)),
        23 => ("patternProperties", named(rng, &PATTERNS)),
        24 => ("additionalProperties", inner),
        25 => ("additionalProperties", json!(false)),
        26 => ("required", json!(names)),
        27 => ("propertyNames", inner),
        28 => ("dependentRequired", json!({ NAMES[rng.usize(0..4)]: names })),
        29 => ("dependentSchemas", json!({ NAMES[rng.usize(0..4)]: inner })),
        30 => (["allOf", "anyOf", "oneOf"][rng.usize(0..3)], list),
        31 => ("not", inner),
        _ => (["if", "then", "else"][rng.usize(0..3)], inner),
    }
}

/// Changes something somewhere.
fn edit(rng: &mut Rng, edited: &mut Value) {
    let Value::Object(keywords) = edited else {
        *edited = schema(rng, 1);
        return;
    };
    let names: Vec<String> = keywords.keys().cloned().collect();
    let name = &names[rng.usize(0..names.len().max(1)).min(names.len().saturating_sub(1))..];
    match (rng.u8(0..6), name.first()) {
        (0, Some(name)) => drop(keywords.remove(name)),
        (1, _) => {
            let (keyword, value) = keyword(rng, 1);
            keywords.insert(keyword.to_owned(), value);
        }
        (_, Some(name)) => match keywords.get_mut(name) {
            Some(Value::Object(inner)) if form(name) == Some(Form::Named) => {
                if let Some(one) = inner.values_mut().next() {
                    edit(rng, one);
                }
            }
            Some(Value::Array(inner)) if matches!(name.as_str(), "enum" | "required" | "type") => {
                // An empty list of types is no schema.
                inner.truncate(inner.len().saturating_sub(1).max(1));
            }
            Some(Value::Array(inner)) if form(name) == Some(Form::List) => {
                let position = rng.usize(0..inner.len());
                edit(rng, &mut inner[position]);
            }
            Some(Value::Number(number)) if name != "multipleOf" && name != "const" => {
                let moved = number.as_i64().unwrap_or(1) + if rng.bool() { 1 } else { -1 };
                *number = moved.max(i64::from(!name.contains("imum")) - 1).into();
            }
            Some(one) if form(name) == Some(Form::Schema) => edit(rng, one),
            _ => {}
        },
        _ => {}
    }
}

fn document(mut schema: Value) -> Option<Document> {
    if !schema.is_object() {
        schema = json!({"allOf": [schema]});
    }
    Document::new(schema).ok()
}

/// Compares two schemas, and says of how many values the validators agreed with the proof.
fn check(rng: &mut Rng, old: &Document, new: &Document) -> Result<u32, TestCaseError> {
    if !compare(old.value(), new, Compatibility::Backward).is_empty() {
        return Ok(0);
    }
    let (reads_old, reads_new) = (old.validator(), new.validator());
    let mut agreed = 0;
    for _ in 0..60 {
        let value = value(rng, 3);
        if reads_old.is_valid(&value) {
            prop_assert!(
                reads_new.is_valid(&value),
                "{value} fits {} and does not fit {}",
                old.value(),
                new.value()
            );
            agreed += 1;
        }
    }
    Ok(agreed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// The one promise of the comparison.
    #[test]
    fn what_is_compatible_is_read(seed in any::<u64>()) {
        let mut rng = Rng::with_seed(seed);
        let old = schema(&mut rng, 3);
        let mut new = if rng.u8(0..4) == 0 { schema(&mut rng, 2) } else { old.clone() };
        for _ in 0..rng.u8(1..4) {
            edit(&mut rng, &mut new);
        }
        if let (Some(old), Some(new)) = (document(old), document(new)) {
            check(&mut rng, &old, &new)?;
            check(&mut rng, &new, &old)?;
        }
    }

    #[test]
    fn everything_goes_with_itself(seed in any::<u64>()) {
        let mut rng = Rng::with_seed(seed);
        if let Some(one) = document(schema(&mut rng, 3)) {
            prop_assert_eq!(compare(one.value(), &one, Compatibility::Full), vec![]);
        }
    }
}

/// Without this the property above could hold because nothing is ever compatible.
#[test]
fn enough_is_found_compatible() {
    let mut rng = Rng::with_seed(7);
    let mut agreed = 0;
    for _ in 0..2000 {
        let old = schema(&mut rng, 3);
        let mut new = old.clone();
        edit(&mut rng, &mut new);
        if let (Some(old), Some(new)) = (document(old.clone()), document(new.clone()))
            && old.value() != new.value()
        {
            agreed += check(&mut rng, &old, &new).unwrap();
        }
    }
    assert!(
        agreed > 2000,
        "only {agreed} values were read by a new schema that was found compatible"
    );
}
