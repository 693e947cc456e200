//! What a frame says: an answer, a question, or a notice, by the rules of JSON-RPC 2.0.
//!
//! Invariants: a message is exactly one of the three; what a program calls an error is shortened and escaped before anybody
//! sees it.

use std::fmt;

use serde_json::{Map, Value, json};

use super::{error::Violation, escape::escaped_line};

/// No such method.
pub(super) const METHOD_NOT_FOUND: i64 = -32601;

/// Longest message of an error, in bytes.
const MAX_MESSAGE_BYTES: usize = 4096;

/// The error that a program answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcError {
    /// Its code.
    pub code: i64,
    /// What it says, on one line.
    pub message: String,
    /// What it adds.
    pub data: Option<Value>,
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)
    }
}

/// A message from a program.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// The answer to a request.
    Answer {
        /// Of which.
        id: u64,
        /// The result, or the error.
        outcome: Result<Value, RpcError>,
    },
    /// A request of the program.
    Request {
        /// Its id, to be answered with.
        id: Value,
        /// What it wants.
        method: String,
    },
    /// A notice, which nobody answers.
    Notice {
        /// Of what kind.
        method: String,
        /// What it says.
        params: Value,
    },
}

impl Incoming {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Violation`], by which rule it is none.
    pub fn read(value: Value) -> Result<Self, Violation> {
        use Violation::NotMessage;
        let Value::Object(mut fields) = value else {
            return Err(NotMessage("it is not an object"));
        };
        if fields.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err(NotMessage("it has no \"jsonrpc\": \"2.0\""));
        }
        let id = fields.remove("id");
        match fields.remove("method") {
            Some(_) if fields.contains_key("result") || fields.contains_key("error") => {
                Err(NotMessage("it is both a request and an answer"))
            }
            Some(Value::String(method)) if method.len() <= 256 => Self::asked(method, id, &mut fields),
            Some(_) => Err(NotMessage("its method is not a short string")),
            None => Self::answered(id, fields),
        }
    }

    fn asked(method: String, id: Option<Value>, fields: &mut Map<String, Value>) -> Result<Self, Violation> {
        let params = match fields.remove("params") {
            None => Value::Null,
            Some(params @ (Value::Object(_) | Value::Array(_))) => params,
            Some(_) => return Err(Violation::NotMessage("its params are neither an object nor an array")),
        };
        match id {
            None => Ok(Self::Notice { method, params }),
            Some(id @ Value::Number(_)) => Ok(Self::Request { id, method }),
            Some(Value::String(id)) if id.len() <= 256 => Ok(Self::Request { id: id.into(), method }),
            Some(_) => Err(Violation::NotMessage("its id is neither a number nor a short string")),
        }
    }

    fn answered(id: Option<Value>, mut fields: Map<String, Value>) -> Result<Self, Violation> {
        let outcome = match (fields.remove("result"), fields.remove("error")) {
            (Some(_), Some(_)) => return Err(Violation::ResultAndError),
            (None, None) => return Err(Violation::NotMessage("it has no method, no result and no error")),
            (Some(result), None) => Ok(result),
            (None, Some(error)) => Err(read_error(error)?),
        };
        match id {
            Some(Value::Number(number)) => match number.as_u64() {
                Some(id) => Ok(Self::Answer { id, outcome }),
                None => Err(Violation::UnknownId(number.to_string())),
            },
            // This is how a program says that it could not even find the id.
            None | Some(Value::Null) => match outcome {
                Err(error) => Err(Violation::Unread(error)),
                Ok(_) => Err(Violation::UnknownId("null".into())),
            },
            Some(other) => Err(Violation::UnknownId(escaped_line(&other.to_string(), 64))),
        }
    }
}

fn read_error(error: Value) -> Result<RpcError, Violation> {
    let read = |error: Value| {
        let Value::Object(mut fields) = error else { return None };
        let message = fields.get("message")?.as_str()?;
        Some(RpcError {
            code: fields.get("code")?.as_i64()?,
            message: escaped_line(message, MAX_MESSAGE_BYTES),
            data: fields.remove("data"),
        })
    };
    read(error).ok_or(Violation::NotMessage("its error has no code and message"))
}

/// A request.
pub(super) fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// A notice.
pub(super) fn notice(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

/// The answer to a request of a program for what nobody offers.
pub(super) fn not_offered(id: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": METHOD_NOT_FOUND, "message": "this method is not offered to skills"}})
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Incoming, Violation> {
        Incoming::read(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn the_three_kinds_are_told_apart() {
        assert_eq!(
            read(r#"{"jsonrpc":"2.0","id":1,"result":null}"#),
            Ok(Incoming::Answer {
                id: 1,
                outcome: Ok(Value::Null)
            })
        );
        let error = RpcError {
            code: -1,
            message: "a\\u{1b}".into(),
            data: Some(2.into()),
        };
        assert_eq!(
            read(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"a\u001b","data":2}}"#),
            Ok(Incoming::Answer {
                id: 1,
                outcome: Err(error)
            })
        );
        assert_eq!(
            read(r#"{"jsonrpc":"2.0","id":"x","method":"m","params":{}}"#),
            Ok(Incoming::Request {
                id: "x".into(),
                method: "m".into()
            })
        );
        assert_eq!(
            read(r#"{"jsonrpc":"2.0","method":"m"}"#),
            Ok(Incoming::Notice {
                method: "m".into(),
                params: Value::Null
            })
        );
    }

    #[test]
    fn what_is_none_of_them_or_two_is_refused() {
        for text in [
            "[]",
            "1",
            r#"[{"jsonrpc":"2.0","id":1,"result":1}]"#,
            r#"{"id":1,"result":1}"#,
            r#"{"jsonrpc":"1.0","id":1,"result":1}"#,
            r#"{"jsonrpc":"2.0"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","result":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":1}"#,
            r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#,
            r#"{"jsonrpc":"2.0","method":"m","params":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":null}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":"x"}}"#,
        ] {
            assert!(matches!(read(text), Err(Violation::NotMessage(_))), "{text}");
        }
        let both = r#"{"jsonrpc":"2.0","id":1,"result":null,"error":null}"#;
        assert_eq!(read(both), Err(Violation::ResultAndError));
        for id in ["-1", "1.5", "\"1\"", "null", "{}", "18446744073709551616"] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":1}}"#);
            assert!(matches!(read(&text), Err(Violation::UnknownId(_))), "{id}");
        }
        let unread = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#;
        assert!(matches!(read(unread), Err(Violation::Unread(_))));
    }

    proptest! {
        #[test]
        fn any_object_is_read_without_a_panic(fields in prop::collection::btree_map(
            prop_oneof![Just("jsonrpc"), Just("id"), Just("method"), Just("params"), Just("result"), Just("error")],
            prop_oneof![
                Just(json!("2.0")), Just(json!(1)), Just(json!(-1.5)), Just(Value::Null), Just(json!({})), Just(json!([])),
                Just(json!({"code": 1, "message": "x"})),
            ],
            0..6,
        )) {
            let value = serde_json::to_value(fields).unwrap();
            if let Ok(Incoming::Answer { .. }) = Incoming::read(value.clone()) {
                prop_assert!(value.get("result").is_some() != value.get("error").is_some());
            }
        }
    }
}
