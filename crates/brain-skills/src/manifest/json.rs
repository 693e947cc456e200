//! Reads JSON of strangers: a value with each key once, and with bounds.
//!
//! Invariants: two equal keys in one object are refused at any depth, where serde_json alone would take the last; depth,
//! numbers of members and lengths of strings are bounded while reading; numbers are whole and exact in every reader.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The largest whole number that each JSON reader holds exactly.
pub(crate) const MAX_NUMBER: u64 = (1 << 53) - 1;

/// What a document may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Bytes of the whole document.
    pub(crate) bytes: usize,
    /// Objects and arrays in one another.
    pub(crate) depth: usize,
    /// Members of one object or array.
    pub(crate) members: usize,
    /// Bytes of one string or key.
    pub(crate) string: usize,
}

/// Reads one value from all of these bytes.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn read(bytes: &[u8], bounds: Bounds) -> Result<Value, String> {
    if bytes.len() > bounds.bytes {
        return Err(format!(
            "it has {} bytes, at most {} are allowed",
            bytes.len(),
            bounds.bytes
        ));
    }
    let text =
        std::str::from_utf8(bytes).map_err(|error| format!("it is not UTF-8 from byte {} on", error.valid_up_to()))?;
    if text.starts_with('\u{feff}') {
        return Err("it begins with a byte order mark; remove it".to_owned());
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let seed = Seed { bounds, depth: 0 };
    seed.deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| error.to_string())
}

#[derive(Clone, Copy)]
struct Seed {
    bounds: Bounds,
    depth: usize,
}

impl Seed {
    fn string<E: de::Error>(self, text: &str) -> Result<String, E> {
        if text.len() > self.bounds.string {
            return Err(E::custom(format_args!(
                "a text has {} bytes, at most {} are allowed",
                text.len(),
                self.bounds.string
            )));
        }
        Ok(text.to_owned())
    }

    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == self.bounds.depth {
            return Err(E::custom(format_args!(
                "it is nested more than {} deep",
                self.bounds.depth
            )));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }

    fn members<E: de::Error>(self, held: usize) -> Result<(), E> {
        if held == self.bounds.members {
            return Err(E::custom(format_args!("it has more than {held} members in one place")));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, held: bool) -> Result<Value, E> {
        Ok(Value::Bool(held))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        if number > MAX_NUMBER {
            return Err(E::custom(format_args!(
                "the number {number} is greater than {MAX_NUMBER}"
            )));
        }
        Ok(Value::Number(Number::from(number)))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Err(E::custom(format_args!("the number {number} is negative")))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Err(E::custom(format_args!(
            "{number} is not a whole number written as digits alone"
        )))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        self.string(text).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut given: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = given.next_element_seed(seed)? {
            self.members(values.len())?;
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut given: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut members = Map::new();
        while let Some(key) = given.next_key::<String>()? {
            self.members(members.len())?;
            let key = self.string(&key)?;
            let value = given.next_value_seed(seed)?;
            if members.contains_key(&key) {
                return Err(de::Error::custom(format_args!(
                    "the key {key:?} is there twice; keep one"
                )));
            }
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        bytes: 1000,
        depth: 3,
        members: 4,
        string: 10,
    };

    fn problem(text: &str) -> String {
        read(text.as_bytes(), BOUNDS).unwrap_err()
    }

    #[test]
    fn each_key_is_there_once_at_any_depth_and_in_any_spelling() {
        assert!(problem(r#"{"a":1,"a":1}"#).contains("twice"));
        assert!(problem(r#"[{"x":{"a":1,"b":2,"\u0061":1}}]"#).contains("twice"));
        assert_eq!(
            read(br#"[{"a":1},{"a":2}]"#, BOUNDS).unwrap(),
            serde_json::json!([{"a":1},{"a":2}])
        );
    }

    #[test]
    fn everything_is_bounded() {
        assert!(problem("[[[[]]]]").contains("nested"));
        assert!(read(b"[[[]]]", BOUNDS).is_ok());
        assert!(problem("[1,2,3,4,5]").contains("members"));
        assert!(problem(r#""12345678901""#).contains("11 bytes"));
        assert!(problem(r#"{"12345678901":0}"#).contains("11 bytes"));
        assert!(problem(&" ".repeat(1001)).contains("1001 bytes"));
        assert!(problem("9007199254740992").contains("greater"));
        assert!(read(b"9007199254740991", BOUNDS).is_ok());
        for text in ["1.5", "-1", "1e400", "1e2", "1 2", "nul", "", "{\"a\":}", "\u{feff}1"] {
            assert!(read(text.as_bytes(), BOUNDS).is_err(), "{text}");
        }
        assert!(read(b"\"\xff\"", BOUNDS).unwrap_err().contains("UTF-8"));
        assert!(read(br#""\ud800""#, BOUNDS).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes, BOUNDS);
        }

        #[test]
        fn what_is_read_is_what_serde_json_reads(text in r#"[\[\]{}",:01a ]{0,30}"#) {
            if let Ok(value) = read(text.as_bytes(), BOUNDS) {
                prop_assert_eq!(value, serde_json::from_str::<Value>(&text).unwrap());
            }
        }
    }
}
