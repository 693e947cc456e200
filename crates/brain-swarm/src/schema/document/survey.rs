//! Walks through a schema: which subschemas it has, what they apply and refer to, and what that comes to.
//!
//! Invariant: whatever the schema, the walk ends, and goes no deeper than twice [`MAX_DEPTH`].

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{DIALECT, Form, InvalidSchema, MAX_DEPTH, MAX_PATTERNS, MAX_SUBSCHEMAS, escaped, form};

/// What a schema is made of.
#[derive(Default)]
pub(super) struct Survey<'a> {
    /// Each subschema: its place, what it applies where it applies itself, and what it refers to.
    nodes: Vec<Node<'a>>,
    by_place: HashMap<String, usize>,
    patterns: usize,
}

struct Node<'a> {
    place: String,
    applies: Vec<usize>,
    refers: Option<&'a str>,
}

#[derive(Clone, Copy)]
enum Measured {
    Not,
    Begun,
    /// Subschemas in it and below it.
    Done(usize),
}

impl<'a> Survey<'a> {
    /// How many subschemas and how many patterns a schema has.
    pub(super) fn of(schema: &'a Value) -> Result<(usize, usize), InvalidSchema> {
        let mut survey = Self::default();
        survey.visit(schema, String::new(), 0)?;
        Ok((survey.measure()?, survey.patterns))
    }

    fn visit(&mut self, schema: &'a Value, place: String, depth: usize) -> Result<usize, InvalidSchema> {
        if depth > MAX_DEPTH {
            let problem = format!("more than {MAX_DEPTH} subschemas lie in each other");
            return Err(InvalidSchema::at(&place, problem));
        }
        let index = self.nodes.len();
        self.by_place.insert(place.clone(), index);
        self.nodes.push(Node {
            place: place.clone(),
            applies: Vec::new(),
            refers: None,
        });
        match schema {
            Value::Bool(_) => {}
            Value::Object(keywords) => self.keywords(keywords, index, &place, depth)?,
            _ => return Err(InvalidSchema::at(&place, "a schema is an object, true or false")),
        }
        Ok(index)
    }

    fn keywords(
        &mut self,
        keywords: &'a Map<String, Value>,
        index: usize,
        place: &str,
        depth: usize,
    ) -> Result<(), InvalidSchema> {
        for (keyword, value) in keywords {
            let at = format!("{place}/{}", escaped(keyword));
            let Some(form) = form(keyword) else {
                let shown: String = keyword.chars().take(80).collect();
                let problem = format!(
                    "the keyword {shown:?} is not among those that are taken; a note of one's own begins with x-"
                );
                return Err(InvalidSchema::at(place, problem));
            };
            let inner: Vec<(String, &'a Value)> = match (form, value) {
                (Form::Schema, schema) => vec![(at.clone(), schema)],
                (Form::Named, Value::Object(named)) => named
                    .iter()
                    .map(|(name, schema)| (format!("{at}/{}", escaped(name)), schema))
                    .collect(),
                (Form::List, Value::Array(list)) => list
                    .iter()
                    .enumerate()
                    .map(|(position, schema)| (format!("{at}/{position}"), schema))
                    .collect(),
                (Form::Named, _) => return Err(InvalidSchema::at(&at, "it must be an object of schemas")),
                (Form::List, _) => return Err(InvalidSchema::at(&at, "it must be a list of schemas")),
                (Form::Data | Form::Note, _) => Vec::new(),
            };
            self.patterns += match (keyword.as_str(), value) {
                ("pattern", _) => 1,
                ("patternProperties", Value::Object(named)) => named.len(),
                _ => 0,
            };
            if self.patterns > MAX_PATTERNS {
                let problem = format!("there are more than {MAX_PATTERNS} patterns");
                return Err(InvalidSchema::at(&at, problem));
            }
            match keyword.as_str() {
                "$ref" => self.nodes[index].refers = Some(local(value, &at)?),
                "$schema" | "$id" if depth > 0 => {
                    return Err(InvalidSchema::at(&at, "only the whole schema has it"));
                }
                "$schema" if value.as_str().map(|dialect| dialect.trim_end_matches('#')) != Some(DIALECT) => {
                    return Err(InvalidSchema::at(&at, format!("only {DIALECT} is taken")));
                }
                _ => {}
            }
            for (at, schema) in inner {
                let child = self.visit(schema, at, depth + 1)?;
                if !matches!(keyword.as_str(), "$defs" | "definitions") {
                    self.nodes[index].applies.push(child);
                }
            }
        }
        Ok(())
    }

    /// How many subschemas there are, each counted as often as it is referred to.
    fn measure(&self) -> Result<usize, InvalidSchema> {
        let mut measured = vec![Measured::Not; self.nodes.len()];
        for index in 0..self.nodes.len() {
            self.measure_one(index, 0, &mut measured)?;
        }
        match measured.first() {
            Some(Measured::Done(count)) => Ok(*count),
            _ => Ok(0),
        }
    }

    fn measure_one(&self, index: usize, depth: usize, measured: &mut [Measured]) -> Result<usize, InvalidSchema> {
        let node = &self.nodes[index];
        match measured[index] {
            Measured::Done(count) => return Ok(count),
            Measured::Begun => {
                let problem = "it refers to itself; the cost of checking a payload must have a bound";
                return Err(InvalidSchema::at(&node.place, problem));
            }
            Measured::Not if depth > 2 * MAX_DEPTH => {
                return Err(InvalidSchema::at(&node.place, "references lead too deep"));
            }
            Measured::Not => measured[index] = Measured::Begun,
        }
        let mut count = 1usize;
        for child in &node.applies {
            count = count.saturating_add(self.measure_one(*child, depth + 1, measured)?);
        }
        if let Some(reference) = node.refers {
            let Some(target) = self.by_place.get(&reference[1..]) else {
                let problem = format!("$ref {reference:?} leads to no subschema");
                return Err(InvalidSchema::at(&node.place, problem));
            };
            count = count.saturating_add(self.measure_one(*target, depth + 1, measured)?);
        }
        if count > MAX_SUBSCHEMAS {
            let problem = format!("it comes to more than {MAX_SUBSCHEMAS} subschemas, references included");
            return Err(InvalidSchema::at(&node.place, problem));
        }
        measured[index] = Measured::Done(count);
        Ok(count)
    }
}

/// A reference into the same schema.
fn local<'a>(value: &'a Value, place: &str) -> Result<&'a str, InvalidSchema> {
    let reference = value.as_str().unwrap_or_default();
    if reference == "#" || (reference.starts_with("#/") && !reference.contains('%')) {
        return Ok(reference);
    }
    let problem =
        "a reference is a JSON pointer into this schema without escapes, such as \"#/$defs/name\"; nothing is fetched";
    Err(InvalidSchema::at(place, problem))
}
