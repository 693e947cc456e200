//! `skills.lock`: the digest that each version has for good.
//!
//! ```json
//! { "format": 1, "skills": { "word-count@1.0.0": "sha256:…" } }
//! ```
//!
//! Invariant: an entry is only ever added, or released by name; a file of another format is refused and left alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Error,
    root::{Held, Root},
};
use crate::{SkillRef, digest::Digest, manifest::json};

const NAME: &str = "skills.lock";
const FORMAT: u32 = 1;
const BOUNDS: json::Bounds = json::Bounds {
    bytes: 16 << 20,
    depth: 2,
    members: 100_000,
    string: 256,
};

pub(super) type Locked = BTreeMap<SkillRef, Digest>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    skills: Locked,
}

pub(super) fn read(root: &Root) -> Result<Locked, Error> {
    let Some(bytes) = root.read(&root.top, NAME, BOUNDS.bytes as u64)? else {
        return Ok(Locked::new());
    };
    let damaged = |problem: String| Error::damaged(NAME, format!("{problem}; put back a copy of it"));
    let value = json::read(&bytes, BOUNDS).map_err(damaged)?;
    let document: Document = serde_json::from_value(value).map_err(|error| damaged(error.to_string()))?;
    if document.format != FORMAT {
        return Err(damaged(format!("its format is {}, and not {FORMAT}", document.format)));
    }
    Ok(document.skills)
}

pub(super) fn write(root: &Root, held: &Held, locked: &Locked) -> Result<(), Error> {
    let document = Document {
        format: FORMAT,
        skills: locked.clone(),
    };
    let mut bytes =
        serde_json::to_vec_pretty(&document).map_err(|error| Error::io("cannot write skills.lock")(error.into()))?;
    bytes.push(b'\n');
    root.replace(held, &root.top, NAME, &bytes)
}
