//! A body that is one JSON object, read strictly.
//!
//! Invariants: a field that is unknown or comes twice is refused, and so is a list where an object belongs: serde would take
//! the values of a list for the fields of the object in their order.

use std::{borrow::Cow, fmt, marker::PhantomData};

use axum::extract::Request;
use bytes::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize,
    de::{DeserializeOwned, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::{
    app::App,
    body,
    problem::{Kind, Problem, shortened},
};

/// A body up to this size is read where it arrived; a larger one would keep other requests waiting.
const INLINE_BYTES: usize = 64 * 1024;

/// Something that is written as a JSON object and in no other form.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

impl<T: JsonSchema> JsonSchema for Object<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Reads the body of a request; it must say something.
///
/// # Errors
/// A problem that says what is wrong with it, and where.
pub(crate) async fn read<T: DeserializeOwned + Send + 'static>(app: &App, request: Request) -> Result<T, Problem> {
    let bytes = body::read(request, app.body_limits).await?;
    if bytes.trim_ascii().is_empty() {
        return Err(Problem::new(
            Kind::MalformedJson,
            "the body is empty; it must be a JSON object",
        ));
    }
    parse(bytes).await
}

/// Reads the body of a request of which every field has a default, so that there need not be one.
///
/// # Errors
/// As [`read`].
pub(crate) async fn read_any<T: DeserializeOwned + Send + 'static>(app: &App, request: Request) -> Result<T, Problem> {
    let bytes = body::read(request, app.body_limits).await?;
    if bytes.trim_ascii().is_empty() {
        return of(b"{}");
    }
    parse(bytes).await
}

/// Reads bytes; many of them on a thread where they keep nobody waiting.
///
/// # Errors
/// As [`read`].
pub(crate) async fn parse<T: DeserializeOwned + Send + 'static>(bytes: Bytes) -> Result<T, Problem> {
    aside(bytes, of).await
}

/// Does something with bytes, beside other requests where there are many of them.
///
/// # Errors
/// What it gives; a panic in it is a problem too.
pub(crate) async fn aside<T: Send + 'static>(
    bytes: Bytes,
    read: impl FnOnce(&[u8]) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if bytes.len() <= INLINE_BYTES {
        return read(&bytes);
    }
    let reading = tokio::task::spawn_blocking(move || read(&bytes));
    reading.await.unwrap_or_else(|error| Err(Problem::internal(error)))
}

/// Reads bytes as one object.
///
/// # Errors
/// As [`read`].
pub(crate) fn of<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    match serde_json::from_slice::<Object<T>>(bytes) {
        Ok(Object(object)) => Ok(object),
        Err(error) => Err(unreadable(&error)),
    }
}

/// What is wrong with a body that cannot be read.
pub(crate) fn unreadable(error: &serde_json::Error) -> Problem {
    let kind = if error.is_data() {
        Kind::InvalidRequest
    } else {
        Kind::MalformedJson
    };
    Problem::new(kind, shortened(&format!("the body cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Given {
        first_name: String,
        #[serde(default)]
        inner: Vec<Object<Inner>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        n: u8,
    }

    fn refused(text: &str) -> String {
        of::<Given>(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn an_object_is_read_and_nothing_else() {
        let given: Given = of(br#" {"firstName": "a", "inner": [{"n": 1}]} "#).unwrap();
        assert_eq!((given.first_name.as_str(), given.inner[0].0.n), ("a", 1));
        insta::assert_snapshot!(refused(r#"["a"]"#), @"Invalid request: the body cannot be read: invalid type: sequence, expected a JSON object at line 1 column 0");
        insta::assert_snapshot!(refused(r#"{"firstName": "a", "inner": [[1]]}"#), @"Invalid request: the body cannot be read: invalid type: sequence, expected a JSON object at line 1 column 29");
        insta::assert_snapshot!(refused("\"a\""), @r#"Invalid request: the body cannot be read: invalid type: string "a", expected a JSON object at line 1 column 3"#);
        insta::assert_snapshot!(refused("{}"), @"Invalid request: the body cannot be read: missing field `firstName` at line 1 column 2");
        insta::assert_snapshot!(refused(r#"{"firstName": "a", "firstName": "b"}"#), @"Invalid request: the body cannot be read: duplicate field `firstName` at line 1 column 30");
        insta::assert_snapshot!(refused(r#"{"firstname": "a"}"#), @"Invalid request: the body cannot be read: unknown field `firstname`, expected `firstName` or `inner` at line 1 column 12");
        insta::assert_snapshot!(refused(r#"{"firstName": "#), @"Malformed JSON: the body cannot be read: EOF while parsing a value at line 1 column 14");
        insta::assert_snapshot!(refused(r#"{"firstName": "a"} x"#), @"Malformed JSON: the body cannot be read: trailing characters at line 1 column 20");
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = of::<Given>(&bytes);
        }
    }
}
