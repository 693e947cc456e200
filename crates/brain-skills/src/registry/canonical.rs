//! JSON as registries sign it: read strictly, written in the one canonical form that signatures are made over.
//!
//! Invariants: an object with one key twice is refused, and so is a number that is no integer; reading never recurses
//! deeper than serde_json allows. Writing is "canonical JSON" of OLPC, which TUF and python-tuf use: sorted keys, no
//! spaces, and in strings only the quote and the backslash escaped.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads one document, with nothing after it.
pub(super) fn read(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice::<Strict>(bytes).map(|strict| strict.0)
}

/// The bytes that signatures are made over.
pub(super) fn write(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    value_into(value, &mut out);
    out
}

fn value_into(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(yes) => out.extend_from_slice(if *yes { b"true" } else { b"false" }),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => text_into(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                value_into(item, out);
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            // Sorted here, whatever order another crate makes serde_json keep.
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(key, _)| key.as_bytes());
            out.push(b'{');
            for (at, (key, item)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                text_into(key, out);
                out.push(b':');
                value_into(item, out);
            }
            out.push(b'}');
        }
    }
}

fn text_into(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON without fractions")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, yes: bool) -> Result<Value, E> {
                Ok(Value::Bool(yes))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
                Ok(Value::Number(Number::from(number)))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
                Ok(Value::Number(Number::from(number)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::String(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Value, E> {
                Ok(Value::String(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut read = Vec::new();
                while let Some(Strict(item)) = items.next_element()? {
                    read.push(item);
                }
                Ok(Value::Array(read))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
                let mut read = Map::new();
                while let Some(key) = fields.next_key::<String>()? {
                    if read.contains_key(&key) {
                        return Err(A::Error::custom(format_args!("the key {key:?} is there twice")));
                    }
                    let Strict(item) = fields.next_value()?;
                    read.insert(key, item);
                }
                Ok(Value::Object(read))
            }
        }
        deserializer.deserialize_any(Reader).map(Strict)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> String {
        String::from_utf8(write(&read(text.as_bytes()).unwrap())).unwrap()
    }

    #[test]
    fn it_writes_what_python_tuf_signs() {
        // Each pair was made by securesystemslib.formats.encode_canonical.
        for (given, expected) in [
            (
                r#"{"b": [1, -2, true, null], "a": {}}"#,
                r#"{"a":{},"b":[1,-2,true,null]}"#,
            ),
            (
                r#"{"B": "x", "a": "y", "\u00e4": ""}"#,
                "{\"B\":\"x\",\"a\":\"y\",\"\u{e4}\":\"\"}",
            ),
            (r#""a\n\"\\\u0001""#, "\"a\n\\\"\\\\\u{1}\""),
        ] {
            assert_eq!(canonical(given), expected);
        }
    }

    #[test]
    fn it_refuses_two_meanings() {
        for wrong in [
            r#"{"a":1,"a":1}"#,
            r#"[{"x":{"a":1,"b":2,"\u0061":3}}]"#,
            "1.0",
            "[1e3]",
            "99999999999999999999",
            "{} {}",
            "",
            "\"\u{1}\"",
        ] {
            assert!(read(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(read(b"\"\xff\"").is_err());
        assert!(read("[".repeat(100_000).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
        }

        #[test]
        fn equal_values_have_equal_bytes(text in "[\\[\\]{}:,\"a-c0-9 -]{0,40}") {
            if let (Ok(strict), Ok(plain)) = (read(text.as_bytes()), serde_json::from_str::<Value>(&text)) {
                prop_assert_eq!(&strict, &plain);
                prop_assert_eq!(read(&write(&strict)).unwrap(), plain);
            }
        }
    }
}
