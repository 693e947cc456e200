//! The types of JSON values, as sets.

use std::fmt;

use serde_json::Value;

use super::{list, resolve};

/// A set of types. Numbers are two: whole ones and others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u8);

const NAMES: [(&str, u8); 7] = [
    ("null", 1),
    ("boolean", 2),
    ("object", 4),
    ("array", 8),
    ("string", 16),
    ("integer", 32),
    ("number", 32 | 64),
];

impl Types {
    pub(super) const NONE: Self = Self(0);
    pub(super) const ALL: Self = Self(127);
    pub(super) const OBJECT: Self = Self(4);
    pub(super) const ARRAY: Self = Self(8);
    pub(super) const STRING: Self = Self(16);
    pub(super) const NUMBER: Self = Self(32 | 64);
    /// Numbers that are not whole.
    pub(super) const FRACTION: Self = Self(64);

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn meets(self, other: Self) -> bool {
        !self.and(other).is_empty()
    }

    /// What the keyword `type` names.
    pub(super) fn named(value: &Value) -> Self {
        let one = |name: &Value| {
            let found = NAMES.iter().find(|(known, _)| name.as_str() == Some(known));
            found.map_or(Self::NONE, |(_, bits)| Self(*bits))
        };
        match value {
            Value::Array(names) => names.iter().map(one).fold(Self::NONE, Self::or),
            name => one(name),
        }
    }

    pub(super) fn of_value(value: &Value) -> Self {
        match value {
            Value::Null => Self(1),
            Value::Bool(_) => Self(2),
            Value::Object(_) => Self::OBJECT,
            Value::Array(_) => Self::ARRAY,
            Value::String(_) => Self::STRING,
            Value::Number(number) => match number.as_f64() {
                Some(float) if float.fract() != 0.0 => Self::FRACTION,
                _ => Self(32),
            },
        }
    }
}

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<&str> = NAMES
            .iter()
            .filter(|(name, bits)| *name != "number" && self.0 & bits == *bits)
            .map(|(name, _)| *name)
            .collect();
        if self.meets(Self::FRACTION) {
            names.push("number");
        }
        f.write_str(&names.join(", "))
    }
}

/// The values that `enum` or `const` names.
pub(super) fn choices<'a>(keyword: &str, value: &'a Value) -> Vec<&'a Value> {
    match (keyword, value) {
        ("enum", Value::Array(values)) => values.iter().collect(),
        _ => vec![value],
    }
}

/// The types that a schema takes, at most.
pub(super) fn of(root: &Value, schema: &Value) -> Types {
    let keywords = match schema {
        Value::Object(keywords) => keywords,
        Value::Bool(false) => return Types::NONE,
        _ => return Types::ALL,
    };
    let union = |types: &mut dyn Iterator<Item = Types>| types.fold(Types::NONE, Types::or);
    let mut all = Types::ALL;
    for (keyword, value) in keywords {
        let narrowed = match keyword.as_str() {
            "type" => Types::named(value),
            "enum" | "const" => union(&mut choices(keyword, value).into_iter().map(Types::of_value)),
            "$ref" => of(root, resolve(root, value)),
            "allOf" => list(keywords, keyword)
                .map(|member| of(root, member))
                .fold(Types::ALL, Types::and),
            "anyOf" | "oneOf" => union(&mut list(keywords, keyword).map(|member| of(root, member))),
            _ => continue,
        };
        all = all.and(narrowed);
    }
    all
}
