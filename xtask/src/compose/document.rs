//! A compose file as plain data: YAML parsed, merge keys merged, variables interpolated, numbers and booleans as text.
//!
//! The rules ask for text, lists and maps by dotted path and never see YAML types.

use saphyr::{LoadableYamlNode, ScalarOwned, YamlOwned};

use super::Problem;
use super::interpolate::{Lookup, interpolate};

/// One value of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// A null or a field left empty.
    Empty,
    /// Any scalar, as text.
    Text(String),
    List(Vec<Node>),
    /// In the order of the file.
    Map(Vec<(String, Node)>),
}

/// A parsed file.
#[derive(Debug)]
pub(super) struct Document {
    root: Node,
}

impl Document {
    /// Parses `text`. A file that is no YAML is one problem; values that do not resolve are collected, and the document
    /// then holds them as they are written.
    pub(super) fn parse(text: &str, variable: Lookup<'_>) -> Result<(Self, Vec<Problem>), Problem> {
        let documents = YamlOwned::load_from_str(text)
            .map_err(|error| Problem::new("file", format!("is not valid YAML: {error}")))?;
        let [document] = documents.as_slice() else {
            return Err(Problem::new(
                "file",
                format!("must hold one YAML document, not {}", documents.len()),
            ));
        };
        let mut problems = Vec::new();
        let root = convert(document, "", variable, &mut problems);
        if !matches!(root, Node::Map(_)) {
            return Err(Problem::new("file", "must be a map with the key `services`"));
        }
        Ok((Self { root }, problems))
    }

    /// The value at the top-level key `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.root.get(key)
    }
}

impl Node {
    /// The value of `key`; `None` for what is no map, and for a key left empty.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
            .filter(|v| **v != Self::Empty)
    }

    /// The value below several keys.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The entries of a map; empty for anything else.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; empty for anything else.
    pub(super) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a scalar, or of the scalars of a list joined with spaces: a command in either notation.
    pub(super) fn command(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            _ => self.items().iter().filter_map(Self::text).collect::<Vec<_>>().join(" "),
        }
    }
}

/// Docker Compose interpolates values and leaves keys alone; so does this.
fn convert(yaml: &YamlOwned, place: &str, variable: Lookup<'_>, problems: &mut Vec<Problem>) -> Node {
    let below = |key: &str| {
        if place.is_empty() {
            key.to_owned()
        } else {
            format!("{place}.{key}")
        }
    };
    match yaml {
        YamlOwned::Value(ScalarOwned::Null) | YamlOwned::BadValue | YamlOwned::Alias(_) => Node::Empty,
        YamlOwned::Value(ScalarOwned::Boolean(value)) => Node::Text(value.to_string()),
        YamlOwned::Value(ScalarOwned::Integer(value)) => Node::Text(value.to_string()),
        YamlOwned::Value(ScalarOwned::FloatingPoint(value)) => Node::Text(value.to_string()),
        YamlOwned::Value(ScalarOwned::String(text)) | YamlOwned::Representation(text, _, _) => {
            Node::Text(interpolate(text, variable).unwrap_or_else(|message| {
                problems.push(Problem::new(place, message));
                text.clone()
            }))
        }
        YamlOwned::Tagged(_, inner) => convert(inner, place, variable, problems),
        YamlOwned::Sequence(items) => Node::List(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| convert(item, &format!("{place}[{index}]"), variable, problems))
                .collect(),
        ),
        YamlOwned::Mapping(entries) => {
            let mut own = Vec::new();
            let mut merged = Vec::new();
            for (key, value) in entries {
                let key = key_text(key);
                let value = convert(value, &below(&key), variable, problems);
                if key == MERGE_KEY {
                    merged.push(value)
                } else {
                    own.push((key, value))
                }
            }
            merge(&mut own, &merged);
            Node::Map(own)
        }
    }
}

/// `<<: *anchor` adds the entries of the anchor that the map does not set itself.
const MERGE_KEY: &str = "<<";

fn merge(own: &mut Vec<(String, Node)>, merged: &[Node]) {
    for source in merged {
        // A list of maps: the earlier one wins.
        merge(own, source.items());
        for (key, value) in source.entries() {
            if !own.iter().any(|(name, _)| name == key) {
                own.push((key.clone(), value.clone()));
            }
        }
    }
}

fn key_text(key: &YamlOwned) -> String {
    match key {
        YamlOwned::Value(ScalarOwned::String(text)) => text.clone(),
        YamlOwned::Value(ScalarOwned::Integer(number)) => number.to_string(),
        YamlOwned::Value(ScalarOwned::Boolean(value)) => value.to_string(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn parse(text: &str) -> Document {
        let (document, problems) = Document::parse(text, &|_| None).unwrap();
        assert_eq!(problems, []);
        document
    }

    #[test]
    fn merge_keys_fill_in_what_a_map_does_not_set() {
        let document = parse(
            "base: &base {image: one, restart: always}\n\
             other: &other {image: two, user: nobody}\n\
             service: {<<: *base, image: mine}\n\
             both:\n  <<: [*base, *other]\n",
        );
        let text = |path: &[&str]| document.root.at(path).and_then(Node::text).map(str::to_owned);
        assert_eq!(text(&["service", "image"]).unwrap(), "mine");
        assert_eq!(text(&["service", "restart"]).unwrap(), "always");
        assert_eq!(text(&["both", "image"]).unwrap(), "one");
        assert_eq!(text(&["both", "user"]).unwrap(), "nobody");
        assert_eq!(text(&["both", "<<"]), None);
    }

    #[test]
    fn numbers_and_booleans_are_text_and_empty_fields_are_absent() {
        let document = parse("port: 5433\ncpus: 1.5\nflag: true\nnothing:\n");
        assert_eq!(document.get("port").unwrap().text(), Some("5433"));
        assert_eq!(document.get("cpus").unwrap().text(), Some("1.5"));
        assert_eq!(document.get("flag").unwrap().text(), Some("true"));
        assert_eq!(document.get("nothing"), None);
    }

    #[test]
    fn commands_read_the_same_in_both_notations() {
        let document = parse("line: pg_isready -U x\nlist: [pg_isready, -U, x]\n");
        assert_eq!(document.get("line").unwrap().command(), "pg_isready -U x");
        assert_eq!(document.get("list").unwrap().command(), "pg_isready -U x");
    }

    #[test]
    fn what_is_no_compose_file_is_one_problem() {
        for text in ["a: [1", "- a\n- b\n", "one: 1\n---\ntwo: 2\n", "a: 1\na: 2\n"] {
            let problem = Document::parse(text, &|_| None).unwrap_err();
            assert_eq!(problem.place, "file", "{text}");
        }
    }
}
