//! The members of an object of a manifest, taken out one by one, and everything that is wrong with them.
//!
//! Invariants: each problem carries the whole name of its field; what nobody took out is an unknown field; a text that was
//! taken has no character that hides, or turns the direction of, what stands beside it.

use serde_json::{Map, Value};
use unicode_normalization::is_nfc;

use super::Problem;

/// The members that are left of an object.
pub(super) struct Fields<'a> {
    members: Map<String, Value>,
    prefix: &'a str,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(members: Map<String, Value>, prefix: &'a str, problems: &'a mut Vec<Problem>) -> Self {
        Self {
            members,
            prefix,
            problems,
        }
    }

    /// The members of an object in this one.
    pub(super) fn below<'b>(&'b mut self, members: Map<String, Value>, prefix: &'b str) -> Fields<'b> {
        Fields::new(members, prefix, self.problems)
    }

    pub(super) fn problem(&mut self, field: &str, problem: impl Into<String>) {
        self.problems.push(Problem {
            field: format!("{}{field}", self.prefix),
            problem: problem.into(),
        });
    }

    pub(super) fn optional(&mut self, field: &str) -> Option<Value> {
        self.members.remove(field)
    }

    pub(super) fn required(&mut self, field: &str) -> Option<Value> {
        let value = self.optional(field);
        if value.is_none() {
            self.problem(field, "it is missing; add it");
        }
        value
    }

    pub(super) fn parsed<T>(&mut self, field: &str, read: impl FnOnce(&mut Self) -> Result<T, String>) -> Option<T> {
        read(self).map_err(|problem| self.problem(field, problem)).ok()
    }

    pub(super) fn text(&mut self, field: &str, value: Value, most: usize) -> Option<String> {
        self.parsed(field, |_| text(value, most))
    }

    pub(super) fn optional_text(&mut self, field: &str, most: usize) -> Option<String> {
        let value = self.optional(field)?;
        self.text(field, value, most)
    }

    pub(super) fn optional_object(&mut self, field: &str) -> Option<Map<String, Value>> {
        match self.optional(field)? {
            Value::Object(members) => Some(members),
            _ => {
                self.problem(field, "it is no object; write { … }");
                None
            }
        }
    }

    /// A list of different texts, each of which a check accepts.
    pub(super) fn list(&mut self, field: &str, most: usize, check: fn(&str) -> Result<(), String>) -> Vec<String> {
        let Some(value) = self.optional(field) else {
            return Vec::new();
        };
        self.parsed(field, |_| {
            let Value::Array(values) = value else {
                return Err("it is no list; write [ … ]".to_owned());
            };
            if values.len() > most {
                return Err(format!("it has {} entries, at most {most} are allowed", values.len()));
            }
            let mut texts = Vec::new();
            for value in values {
                let text = text(value, 512)?;
                check(&text).map_err(|problem| format!("{text:?} {problem}"))?;
                if texts.contains(&text) {
                    return Err(format!("{text:?} is there twice; keep one"));
                }
                texts.push(text);
            }
            Ok(texts)
        })
        .unwrap_or_default()
    }

    pub(super) fn number(&mut self, field: &str, least: u64, most: u64) -> Option<u64> {
        let value = self.optional(field)?;
        self.parsed(field, |_| match value.as_u64() {
            Some(number) if (least..=most).contains(&number) => Ok(number),
            _ => Err(format!("it is no whole number from {least} to {most}")),
        })
    }

    /// Says of everything that is left that nobody knows it.
    pub(super) fn finish(mut self) {
        for field in std::mem::take(&mut self.members).keys() {
            let shown: String = field.escape_debug().take(80).collect();
            self.problem(&shown, "no such field is known; remove it, or correct its name");
        }
    }
}

/// One line of text without anything that deceives its reader.
pub(crate) fn text(value: Value, most: usize) -> Result<String, String> {
    let Value::String(text) = value else {
        return Err("it is no text; write \"…\"".to_owned());
    };
    let chars = text.chars().count();
    if text.trim().is_empty() {
        return Err("it is empty; say something, or leave it out".to_owned());
    }
    if chars > most {
        return Err(format!("it has {chars} characters, at most {most} are allowed"));
    }
    if let Some(odd) = text.chars().find(|at| deceives(*at)) {
        return Err(format!(
            "it holds the control or invisible character {}; remove it",
            odd.escape_unicode()
        ));
    }
    if !is_nfc(&text) {
        return Err("it is not in Unicode normalisation form C; save it so".to_owned());
    }
    Ok(text)
}

/// Control characters, those that turn the direction of writing, and those that nobody sees.
pub(crate) fn deceives(at: char) -> bool {
    at.is_control()
        || matches!(at, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}'
            | '\u{e000}'..='\u{f8ff}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}
