//! The `SKILL.md` of a skill, in the public Agent Skills format: what it tells agents.
//!
//! Front matter in YAML between two lines of `---`, then instructions in Markdown. Of YAML is read what that format
//! needs: a map of texts, and under `metadata` one more. Anchors, aliases, tags and several documents are refused, so that what
//! is read has the size of what is written; each value is the text that stands there, never a number or a truth.
//!
//! Invariants: the name is that of the skill; no field is unknown, empty, there twice, or longer than the format allows.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser};
use serde_json::Value;

use crate::{SkillRef, manifest::text};

/// The longest front matter, in bytes.
const MAX_FRONT_MATTER: usize = 16 << 10;
/// The most entries of `metadata`.
const MAX_METADATA: usize = 64;

/// Why a `SKILL.md` is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It has no front matter that can be read.
    #[error("{0}")]
    FrontMatter(String),
    /// A field is not what the format allows.
    #[error("{field}: {problem}")]
    Field {
        /// The field.
        field: String,
        /// What is wrong, and what to do.
        problem: String,
    },
}

/// What a `SKILL.md` says in its front matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkillMd {
    /// What the skill does, and when to use it.
    pub description: String,
    /// Its licence.
    pub license: Option<String>,
    /// What it needs of its environment.
    pub compatibility: Option<String>,
    /// Whatever else its author says.
    pub metadata: BTreeMap<String, String>,
    /// The tools that it would have allowed.
    pub allowed_tools: Vec<String>,
    /// Where its instructions begin, in bytes.
    pub instructions_at: usize,
}

impl SkillMd {
    /// Reads the `SKILL.md` of this skill.
    ///
    /// # Errors
    /// [`Error`], with the first problem.
    pub fn check(bytes: &[u8], reference: &SkillRef) -> Result<Self, Error> {
        let whole = |problem: &str| Error::FrontMatter(problem.to_owned());
        let read = std::str::from_utf8(bytes).map_err(|_| whole("it is not UTF-8"))?;
        let (matter, instructions_at) = front_matter(read).ok_or_else(|| {
            whole("it does not begin with front matter; write --- on the first line and again after the fields")
        })?;
        if matter.len() > MAX_FRONT_MATTER {
            return Err(whole("its front matter has more than 16384 bytes; say less"));
        }
        let mut fields = fields(matter)?;
        let mut take = |field: &str, most: usize| match fields.remove(field) {
            None => Ok(None),
            Some(Held::Map(_)) => Err(problem(field, "it is no text; write one")),
            Some(Held::Text(held)) => line(field, held, most).map(Some),
        };
        let required = |field: &str, held: Option<String>| held.ok_or_else(|| problem(field, "it is missing; add it"));
        name(&required("name", take("name", 64)?)?, reference)?;
        let description = required("description", take("description", 1024)?)?;
        let license = take("license", 500)?;
        let compatibility = take("compatibility", 500)?;
        let allowed_tools = take("allowed-tools", 4096)?
            .map(|tools| tools.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default();
        let metadata = match fields.remove("metadata") {
            None => BTreeMap::new(),
            Some(Held::Map(entries)) => metadata(entries)?,
            Some(Held::Text(_)) => return Err(problem("metadata", "it is no map of texts; write one entry a line")),
        };
        match fields.keys().next() {
            Some(field) => Err(problem(
                field,
                "the format has no such field; put it under metadata, or remove it",
            )),
            None => Ok(Self {
                description,
                license,
                compatibility,
                metadata,
                allowed_tools,
                instructions_at,
            }),
        }
    }
}

fn problem(field: &str, problem: impl Into<String>) -> Error {
    Error::Field {
        field: field.escape_debug().take(80).collect(),
        problem: problem.into(),
    }
}

/// The text of a value, in one line: what YAML folded or broke is joined.
fn line(field: &str, held: String, most: usize) -> Result<String, Error> {
    let joined = held.split(['\n', '\t']).map(str::trim).collect::<Vec<_>>().join(" ");
    text(Value::String(joined.trim().to_owned()), most).map_err(|text| problem(field, text))
}

fn name(name: &str, reference: &SkillRef) -> Result<(), Error> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.bytes().all(plain) || name.starts_with('-') || name.ends_with('-') || name.contains("--") {
        let rule = "write a-z, 0-9 and single hyphens between them";
        return Err(problem("name", format!("{name:?} is no name of this format; {rule}")));
    }
    if name != reference.name() {
        let is = reference.name();
        return Err(problem(
            "name",
            format!("it is {name:?}, but the skill is {is:?}; write the same"),
        ));
    }
    Ok(())
}

fn metadata(entries: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Error> {
    if entries.len() > MAX_METADATA {
        return Err(problem("metadata", "it has more than 64 entries; say less"));
    }
    let read = |(key, value)| Ok((line("metadata", key, 64)?, line("metadata", value, 1024)?));
    entries.into_iter().map(read).collect()
}

/// The lines between the first two that are `---`, and where the rest begins.
fn front_matter(text: &str) -> Option<(&str, usize)> {
    let mut at = 0;
    let mut begins = None;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', '\r']);
        match begins {
            None if bare != "---" => return None,
            None => begins = Some(at + line.len()),
            Some(begins) if bare == "---" => return Some((&text[begins..at], at + line.len())),
            Some(_) => {}
        }
        at += line.len();
    }
    None
}

#[derive(Debug)]
enum Held {
    Text(String),
    Map(BTreeMap<String, String>),
}

/// Reads a map of texts and of maps of texts.
fn fields(matter: &str) -> Result<BTreeMap<String, Held>, Error> {
    let mut outer = BTreeMap::new();
    let mut inner: Option<(String, BTreeMap<String, String>)> = None;
    let mut key: Option<String> = None;
    let mut depth = 0;
    let mut documents = 0;
    let whole = |problem: &str| Error::FrontMatter(format!("its front matter {problem}"));
    for event in Parser::new_from_str(matter) {
        let (event, _) = event.map_err(|error| whole(&format!("is no YAML: {error}")))?;
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return Err(whole("is several documents; write one"));
                }
            }
            Event::Scalar(text, _, anchor, tag) => {
                if anchor != 0 || tag.is_some() {
                    return Err(whole("has an anchor or a tag; write plain values"));
                }
                let text = text.into_owned();
                let Some(name) = key.take() else {
                    if depth == 0 {
                        return Err(whole("is no map; write one field a line, such as name: word-count"));
                    }
                    let twice = match &inner {
                        Some((_, entries)) => entries.contains_key(&text),
                        None => outer.contains_key(&text),
                    };
                    if twice {
                        return Err(problem(&text, "it is there twice; keep one"));
                    }
                    key = Some(text);
                    continue;
                };
                match &mut inner {
                    Some((_, entries)) => {
                        entries.insert(name, text);
                    }
                    None => {
                        outer.insert(name, Held::Text(text));
                    }
                }
            }
            Event::MappingStart(anchor, tag) => {
                depth += 1;
                if anchor != 0 || tag.is_some() {
                    return Err(whole("has an anchor or a tag; write plain values"));
                }
                match (depth, key.take()) {
                    (1, _) => {}
                    (2, Some(name)) => inner = Some((name, BTreeMap::new())),
                    _ => {
                        return Err(whole(
                            "has maps where texts belong; write one map of texts under metadata alone",
                        ));
                    }
                }
            }
            Event::MappingEnd => {
                depth -= 1;
                if let Some((name, entries)) = inner.take() {
                    outer.insert(name, Held::Map(entries));
                }
            }
            Event::SequenceStart(..) | Event::SequenceEnd => {
                return Err(whole(
                    "has a list; write texts, such as allowed-tools with spaces between",
                ));
            }
            Event::Alias(_) => return Err(whole("has an alias; write the value itself")),
        }
    }
    Ok(outer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str) -> Result<SkillMd, Error> {
        SkillMd::check(text.as_bytes(), &"word-count@1.0.0".parse().unwrap())
    }

    #[test]
    fn a_full_one_is_read() {
        let text = "---\nname: word-count\ndescription: >\n  Counts words\n  of texts: fast.\nlicense: MIT\n\
            compatibility: 'Needs python3'\nmetadata:\n  author: example\n  version: 1.0\nallowed-tools: Read Bash(git:*)\n\
            ---\n# How\n";
        let read = check(text).unwrap();
        assert_eq!(read.description, "Counts words of texts: fast.");
        assert_eq!(read.metadata["version"], "1.0");
        assert_eq!(read.allowed_tools, ["Read", "Bash(git:*)"]);
        assert_eq!(&text[read.instructions_at..], "# How\n");
        let least = check("---\r\nname: word-count\r\ndescription: x\r\n---").unwrap();
        assert_eq!((least.license, least.compatibility), (None, None));
    }

    #[test]
    fn what_the_format_does_not_allow_is_refused() {
        let with = |more: &str| check(&format!("---\nname: word-count\ndescription: x\n{more}\n---\n"));
        assert!(with("").is_ok());
        for (more, says) in [
            ("author: me", "no such field"),
            ("name: word-count", "twice"),
            ("\"n\\u0061me\": word-count", "twice"),
            ("metadata: x", "no map"),
            ("metadata: {a: {b: c}}", "maps"),
            ("metadata: {a: b, a: c}", "twice"),
            ("metadata: {a: [b]}", "list"),
            ("allowed-tools: [Read]", "list"),
            ("license: &x MIT", "anchor"),
            ("license: *x", ""),
            ("license: !!str MIT", "tag"),
            ("license: {a: b}", "no text"),
            ("license: ''", "empty"),
            ("license:", "empty"),
            ("license: \"a\\u202eb\"", "invisible"),
            ("license: \"a\\0b\"", "control"),
            ("...\n--- \na: b", "several"),
            ("? [a]\n: b", "list"),
            ("a: b: c", "YAML"),
            ("\ta: b", ""),
        ] {
            let error = with(more).unwrap_err().to_string();
            assert!(error.contains(says), "{more}: {error}");
        }
        assert!(with(&format!("compatibility: {}", "x".repeat(501))).is_err());
        assert!(with(&format!("compatibility: {}", "x".repeat(500))).is_ok());
        assert!(with(&format!("metadata: {{a: {}}}", "[".repeat(10_000))).is_err());
        assert!(with(&"# x\n".repeat(5000)).unwrap_err().to_string().contains("16384"));
        for (name, description) in [
            ("other", "x"),
            ("Word-Count", "x"),
            ("-word-count", "x"),
            ("word--count", "x"),
            ("word-count", ""),
            ("word-count", &*"x".repeat(1025)),
        ] {
            let text = format!("---\nname: {name}\ndescription: {description}\n---\n");
            assert!(check(&text).is_err(), "{name}");
        }
        for text in [
            "",
            "# no front matter",
            "---\nname: word-count\ndescription: x\n",
            " ---\n---\n",
            "---\n---\n",
            "---\n- a\n---\n",
        ] {
            assert!(check(text).is_err(), "{text:?}");
        }
        assert!(SkillMd::check(b"---\nname: \xff\n---\n", &"a@1.0.0".parse().unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(matter in "[\\PC\n]{0,80}|([a-z&*!\\[{}\\]:,?|> \n'\"-]){0,60}") {
            let _ = check(&format!("---\nname: word-count\ndescription: x\n{matter}\n---\n"));
            let _ = check(&matter);
        }
    }
}
