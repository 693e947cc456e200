//! Whether what is written by one schema can be read by another.
//!
//! Invariant: where nothing is reported, every value that the writer's schema takes is taken by the reader's too. The
//! comparison knows a subset of JSON Schema; what lies outside is taken for proven only where both say the same, and else
//! reported as what cannot be proven. It is a pure function with a bounded number of steps.

mod bounds;
mod members;
mod same;
mod types;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::types::Types;
use super::document::{Document, check_bounds, escaped};

/// The most problems of one comparison.
const MAX_PROBLEMS: usize = 100;
/// The most subschemas that are held against each other.
const MAX_STEPS: usize = 50_000;

/// What must be proven before a new version is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compatibility {
    /// Nothing.
    None,
    /// Whoever reads by the new version can read what was written by the one before.
    #[default]
    Backward,
    /// Whoever reads by the version before can read what is written by the new one.
    Forward,
    /// Both.
    Full,
}

impl Compatibility {
    /// The name, as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Backward => "backward",
            Self::Forward => "forward",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for Compatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no compatibility.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a compatibility is none, backward, forward or full")]
pub struct UnknownCompatibility;

impl FromStr for Compatibility {
    type Err = UnknownCompatibility;

    fn from_str(text: &str) -> Result<Self, UnknownCompatibility> {
        [Self::None, Self::Backward, Self::Forward, Self::Full]
            .into_iter()
            .find(|one| one.as_str() == text)
            .ok_or(UnknownCompatibility)
    }
}

/// Who reads by which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The reader has the new version, the writer the one before.
    Backward,
    /// The reader has the version before, the writer the new one.
    Forward,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backward => "backward",
            Self::Forward => "forward",
        })
    }
}

/// One reason why two versions do not go together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Break {
    /// Who would have the trouble.
    pub direction: Direction,
    /// Where in the reader's schema, as a JSON pointer.
    pub place: String,
    /// What it is.
    pub problem: String,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:?}: {}", self.direction, self.place, self.problem)
    }
}

/// Compares a new version with the one before it, as that is stored: an earlier version of this program may have taken what this
/// one does not, and then only nothing can be proven.
#[must_use]
pub fn compare(old: &Value, new: &Document, wanted: Compatibility) -> Vec<Break> {
    let new = new.value();
    let mut breaks = Vec::new();
    if wanted == Compatibility::None {
        return breaks;
    }
    // The proof follows references, so it ends only where they do.
    if let Err(problem) = check_bounds(old) {
        let direction = match wanted {
            Compatibility::Forward => Direction::Forward,
            _ => Direction::Backward,
        };
        return vec![Break {
            direction,
            place: String::new(),
            problem: format!("cannot be proven: the version before is not taken any more: {problem}"),
        }];
    }
    if matches!(wanted, Compatibility::Backward | Compatibility::Full) {
        breaks.extend(one_way(old, new, Direction::Backward));
    }
    if matches!(wanted, Compatibility::Forward | Compatibility::Full) {
        breaks.extend(one_way(new, old, Direction::Forward));
    }
    breaks
}

fn one_way(writer: &Value, reader: &Value, direction: Direction) -> Vec<Break> {
    let mut prover = Prover {
        writer,
        reader,
        steps: 0,
        found: Vec::new(),
    };
    let given = prover.given(&[writer]);
    prover.prove(&given, reader, "");
    let mut found = prover.found;
    if prover.steps > MAX_STEPS {
        found.insert(
            0,
            (
                String::new(),
                "cannot be proven: the schemas are too large to be compared".to_owned(),
            ),
        );
    }
    found.truncate(MAX_PROBLEMS);
    let told = found.into_iter().map(|(place, problem)| Break {
        direction,
        place,
        problem,
    });
    told.collect()
}

/// What is known of a value that the writer's schema takes: it fits all of these.
#[derive(Debug, Clone)]
struct Given<'a> {
    parts: Vec<&'a Map<String, Value>>,
    /// Its types at most.
    types: Types,
}

impl Given<'_> {
    /// There is no such value.
    fn is_impossible(&self) -> bool {
        self.types.is_empty()
    }
}

struct Prover<'a> {
    writer: &'a Value,
    reader: &'a Value,
    steps: usize,
    /// Places and problems.
    found: Vec<(String, String)>,
}

impl<'a> Prover<'a> {
    /// What is known of a value that fits all of these schemas of the writer.
    fn given(&self, schemas: &[&'a Value]) -> Given<'a> {
        let mut given = Given {
            parts: Vec::new(),
            types: Types::ALL,
        };
        for schema in schemas {
            self.learn(&mut given, schema);
        }
        given
    }

    fn learn(&self, given: &mut Given<'a>, schema: &'a Value) {
        let keywords = match schema {
            Value::Object(keywords) => keywords,
            Value::Bool(false) => {
                given.types = Types::NONE;
                return;
            }
            _ => return,
        };
        given.parts.push(keywords);
        given.types = given.types.and(types::of(self.writer, schema));
        if let Some(target) = keywords.get("$ref") {
            self.learn(given, resolve(self.writer, target));
        }
        for member in list(keywords, "allOf") {
            self.learn(given, member);
        }
    }

    fn report(&mut self, place: &str, keyword: &str, problem: impl Into<String>) {
        if self.found.len() <= MAX_PROBLEMS {
            let place = match keyword {
                "" => place.to_owned(),
                keyword => format!("{place}/{keyword}"),
            };
            self.found.push((place, problem.into()));
        }
    }

    /// What the reader asks for and nothing of the writer promises.
    fn unpromised(&mut self, place: &str, keyword: &str, value: &Value) {
        let problem = format!(
            "the reader requires {keyword} {}, which the writer does not promise",
            shown(value)
        );
        self.report(place, keyword, problem);
    }

    fn unproven(&mut self, place: &str, keyword: &str) {
        self.report(
            place,
            keyword,
            format!("cannot be proven: {keyword} is not the same on both sides"),
        );
    }

    /// Whether it can be proven, without telling why not.
    fn holds(&mut self, given: &Given<'a>, wanted: &'a Value) -> bool {
        let before = self.found.len();
        // What is full already would hide what is found here.
        if before > MAX_PROBLEMS {
            return false;
        }
        self.prove(given, wanted, "");
        let holds = self.found.len() == before && self.steps <= MAX_STEPS;
        self.found.truncate(before);
        holds
    }

    /// Proves that the reader's schema takes every such value, or reports why not.
    fn prove(&mut self, given: &Given<'a>, wanted: &'a Value, place: &str) {
        self.steps += 1;
        if self.steps > MAX_STEPS || given.is_impossible() {
            return;
        }
        let keywords = match wanted {
            Value::Object(keywords) => keywords,
            Value::Bool(false) => return self.report(place, "", "the reader takes nothing here, and the writer may"),
            _ => return,
        };
        if given.parts.iter().any(|part| self.same_object(part, keywords)) {
            return;
        }
        for (keyword, value) in keywords {
            match keyword.as_str() {
                "$ref" => self.prove(given, resolve(self.reader, value), place),
                "allOf" => {
                    for (position, member) in list(keywords, "allOf").enumerate() {
                        self.prove(given, member, &format!("{place}/allOf/{position}"));
                    }
                }
                "type" => self.types(given, value, place),
                "enum" | "const" => self.choices(given, keyword, value, place),
                "anyOf" => self.any_of(given, keywords, place),
                "oneOf" => {
                    if !self.alike(given, keywords, &["oneOf"]) {
                        self.unproven(place, keyword);
                    }
                }
                "not" => {
                    let apart = types::of(self.reader, value).and(given.types).is_empty();
                    if !apart && !self.alike(given, keywords, &["not"]) {
                        self.unproven(place, keyword);
                    }
                }
                "if" => {
                    let asserts = keywords.contains_key("then") || keywords.contains_key("else");
                    if asserts && !self.alike(given, keywords, &["if", "then", "else"]) {
                        self.unproven(place, keyword);
                    }
                }
                _ => {
                    if !self.bound(given, keywords, keyword, value, place) {
                        self.members(given, keywords, keyword, value, place);
                    }
                }
            }
        }
    }

    fn types(&mut self, given: &Given<'a>, value: &Value, place: &str) {
        let more = given.types.without(Types::named(value));
        if !more.is_empty() {
            self.report(
                place,
                "type",
                format!("the writer may write {more}, which the reader does not take"),
            );
        }
    }

    fn choices(&mut self, given: &Given<'a>, keyword: &str, value: &'a Value, place: &str) {
        let taken = |one: &Value| types::choices(keyword, value).contains(&one);
        let mut fewest: Option<Vec<&Value>> = None;
        for part in &given.parts {
            for keyword in ["enum", "const"] {
                let Some(values) = part.get(keyword) else { continue };
                let possible = types::choices(keyword, values)
                    .into_iter()
                    .filter(|one| !Types::of_value(one).and(given.types).is_empty() && !taken(one));
                let left: Vec<&Value> = possible.collect();
                if fewest.as_ref().is_none_or(|fewest| left.len() < fewest.len()) {
                    fewest = Some(left);
                }
            }
        }
        match fewest {
            Some(left) => {
                for one in left {
                    let problem = format!("the writer may write {}, which the reader does not take", shown(one));
                    self.report(place, keyword, problem);
                }
            }
            None => self.unpromised(place, keyword, value),
        }
    }

    fn any_of(&mut self, given: &Given<'a>, keywords: &'a Map<String, Value>, place: &str) {
        if self.alike(given, keywords, &["anyOf"]) || self.one_of_them(given, keywords) {
            return;
        }
        // The writer's own alternatives, one by one.
        for part in given.parts.clone() {
            for own in ["anyOf", "oneOf"] {
                let mut branches = list(part, own).peekable();
                if branches.peek().is_none() {
                    continue;
                }
                let all = branches.all(|branch| {
                    let mut one = given.clone();
                    self.learn(&mut one, branch);
                    self.one_of_them(&one, keywords)
                });
                if all {
                    return;
                }
            }
        }
        self.report(
            place,
            "anyOf",
            "cannot be proven: what the writer may write is not all taken by one alternative",
        );
    }

    fn one_of_them(&mut self, given: &Given<'a>, keywords: &'a Map<String, Value>) -> bool {
        given.is_impossible() || list(keywords, "anyOf").any(|member| self.holds(given, member))
    }

    /// Whether a part of the writer says the same by these keywords.
    fn alike(&mut self, given: &Given<'a>, wanted: &'a Map<String, Value>, keywords: &[&str]) -> bool {
        given.parts.iter().any(|part| {
            keywords
                .iter()
                .all(|keyword| self.same_keyword(keyword, part.get(*keyword), wanted.get(*keyword)))
        })
    }
}

/// The schema that a reference leads to.
fn resolve<'a>(root: &'a Value, reference: &Value) -> &'a Value {
    let pointer = reference.as_str().and_then(|reference| reference.strip_prefix('#'));
    // A document refers to nothing that it does not have.
    pointer
        .and_then(|pointer| root.pointer(pointer))
        .unwrap_or(&Value::Null)
}

fn list<'a>(keywords: &'a Map<String, Value>, keyword: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    keywords.get(keyword).and_then(Value::as_array).into_iter().flatten()
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests;
