//! Bounds: of numbers, of lengths, of counts, and what a text or a list must look like.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use super::{Given, Prover, list, types::Types};

/// What a keyword bounds, and from which side.
fn bounded(keyword: &str) -> Option<(Types, Side)> {
    Some(match keyword {
        "minimum" | "exclusiveMinimum" => (Types::NUMBER, Side::Least),
        "maximum" | "exclusiveMaximum" => (Types::NUMBER, Side::Most),
        "minLength" => (Types::STRING, Side::Least),
        "maxLength" => (Types::STRING, Side::Most),
        "minItems" => (Types::ARRAY, Side::Least),
        "maxItems" => (Types::ARRAY, Side::Most),
        "minProperties" => (Types::OBJECT, Side::Least),
        "maxProperties" => (Types::OBJECT, Side::Most),
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Least,
    Most,
}

impl<'a> Prover<'a> {
    /// Handles a keyword that bounds something; false where it is none.
    pub(super) fn bound(
        &mut self,
        given: &Given<'a>,
        keywords: &'a Map<String, Value>,
        keyword: &str,
        value: &'a Value,
        place: &str,
    ) -> bool {
        let promised = if let Some((types, side)) = bounded(keyword) {
            !given.types.meets(types) || promises(given, keyword, value, side)
        } else {
            match keyword {
                "multipleOf" => !given.types.meets(Types::NUMBER) || is_multiple(given, value),
                "pattern" => {
                    !given.types.meets(Types::STRING)
                        || given.parts.iter().any(|part| part.get("pattern") == Some(value))
                }
                "uniqueItems" => {
                    let unique = |part: &&Map<String, Value>| part.get("uniqueItems") == Some(&Value::Bool(true));
                    *value == Value::Bool(false) || !given.types.meets(Types::ARRAY) || given.parts.iter().any(unique)
                }
                "contains" => {
                    !given.types.meets(Types::ARRAY)
                        || self.alike(given, keywords, &["contains", "minContains", "maxContains"])
                }
                _ => return false,
            }
        };
        if !promised {
            if keyword == "contains" {
                self.unproven(place, keyword);
            } else {
                self.unpromised(place, keyword, value);
            }
        }
        true
    }
}

/// Whether a part of the writer has a bound that is at least as narrow.
fn promises(given: &Given<'_>, keyword: &str, value: &Value, side: Side) -> bool {
    let Value::Number(wanted) = value else { return false };
    if keyword == "minProperties" && required(given) >= wanted.as_f64().unwrap_or(f64::MAX) {
        return true;
    }
    let strict = keyword.starts_with("exclusive");
    let (inclusive, exclusive) = match keyword {
        "minimum" | "exclusiveMinimum" => ("minimum", Some("exclusiveMinimum")),
        "maximum" | "exclusiveMaximum" => ("maximum", Some("exclusiveMaximum")),
        other => (other, None),
    };
    let narrower = match side {
        Side::Least => Ordering::Greater,
        Side::Most => Ordering::Less,
    };
    // A lower bound of nothing is none.
    if exclusive.is_none() && side == Side::Least && wanted.as_f64() == Some(0.0) {
        return true;
    }
    given.parts.iter().any(|part| {
        let keeps = |name: &str, equal_is_enough: bool| match part.get(name) {
            Some(Value::Number(own)) => match compare(own, wanted) {
                Some(Ordering::Equal) => equal_is_enough,
                order => order == Some(narrower),
            },
            _ => false,
        };
        keeps(inclusive, !strict) || exclusive.is_some_and(|exclusive| keeps(exclusive, true))
    })
}

/// How many properties are there always.
fn required(given: &Given<'_>) -> f64 {
    let names = given.parts.iter().flat_map(|part| list(part, "required"));
    let mut names: Vec<&str> = names.filter_map(Value::as_str).collect();
    names.sort_unstable();
    names.dedup();
    u32::try_from(names.len()).map_or(0.0, f64::from)
}

fn is_multiple(given: &Given<'_>, value: &Value) -> bool {
    if value.as_u64() == Some(1) && !given.types.meets(Types::FRACTION) {
        return true;
    }
    given.parts.iter().any(|part| match part.get("multipleOf") {
        Some(own) if own == value => true,
        Some(own) => {
            matches!((own.as_u64(), value.as_u64()), (Some(own), Some(wanted)) if wanted > 0 && own % wanted == 0)
        }
        None => false,
    })
}

/// Compares two numbers; `None` where a float is too coarse to tell.
fn compare(one: &Number, other: &Number) -> Option<Ordering> {
    let whole = |number: &Number| {
        number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))
    };
    if let (Some(one), Some(other)) = (whole(one), whole(other)) {
        return Some(one.cmp(&other));
    }
    let exact = |number: &Number| whole(number).is_none_or(|whole| whole.unsigned_abs() <= 1 << 53);
    if exact(one) && exact(other) {
        one.as_f64()?.partial_cmp(&other.as_f64()?)
    } else {
        None
    }
}
