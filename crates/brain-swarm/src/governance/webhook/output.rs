//! What a webhook said, in a form that can be stored and shown.
//!
//! Invariant: what comes out is JSON that PostgreSQL takes, as text and as `jsonb`: without NUL, of bounded depth.

use serde_json::Value;

/// The character that stands for what cannot be kept.
const REPLACEMENT: &str = "\u{fffd}";

/// The body as JSON when it is JSON, else its text as a JSON string. An empty body is `null`.
pub(super) fn kept(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() {
        return Value::Null.to_string();
    }
    match serde_json::from_str::<Value>(text) {
        // As it was written: numbers keep their digits.
        Ok(_) if !text.contains("\\u0000") => text.to_owned(),
        Ok(value) => without_nul(value).to_string(),
        Err(_) => Value::String(text.replace('\0', REPLACEMENT)).to_string(),
    }
}

/// The parser has bounded the depth.
fn without_nul(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', REPLACEMENT)),
        Value::Array(items) => items.into_iter().map(without_nul).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name.replace('\0', REPLACEMENT), without_nul(value)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_stays_json_and_text_becomes_a_string() {
        for (body, expected) in [
            (&b""[..], "null"),
            (b" \n", "null"),
            (b" {\"a\": 1.10}\n", "{\"a\": 1.10}"),
            (b"done", "\"done\""),
            (b"say \"hi\"\n", "\"say \\\"hi\\\"\""),
            (b"a\0b", "\"a\u{fffd}b\""),
            (b"a\xffb", "\"a\u{fffd}b\""),
            (b"{\"a\\u0000\": [\"\\u0000\"]}", "{\"a\u{fffd}\":[\"\u{fffd}\"]}"),
            (b"[1e999]", "\"[1e999]\""),
            (br#""\ud800""#, r#""\"\\ud800\"""#),
        ] {
            assert_eq!(kept(body), expected);
        }
        let deep = "[".repeat(100_000);
        assert_eq!(kept(deep.as_bytes()), format!("\"{deep}\""));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_kept_as_json_without_nul(body in any::<Vec<u8>>()) {
            let value: Value = serde_json::from_str(&kept(&body)).unwrap();
            prop_assert!(!value.to_string().contains("\\u0000"));
        }
    }
}
