//! What is installed, one file for each version.
//!
//! Invariant: a record is there as a whole, under the name that it says itself.

use std::{ffi::CString, io};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Error,
    root::{Held, Root},
};
use crate::{SkillRef, digest::Digest, manifest::json, policy::Granted};

const BOUNDS: json::Bounds = json::Bounds {
    bytes: 64 << 10,
    depth: 5,
    members: 256,
    string: 4096,
};

/// An installed skill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// The skill.
    pub reference: SkillRef,
    /// The digest of its files.
    pub digest: Digest,
    /// Who published it, as signed metadata says; none: nobody signed it.
    pub publisher: Option<String>,
    /// Where it came from, as whoever installed it called that.
    pub source: String,
    /// When.
    pub installed_at: Timestamp,
    /// What was granted then. What it may use is judged again at each launch.
    pub granted: Granted,
}

pub(super) fn read(root: &Root, reference: &SkillRef) -> Result<Option<Record>, Error> {
    let directory = match root.skills.child(reference.name()) {
        Ok(directory) => directory,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("cannot open the records of a skill")(error)),
    };
    let Some(bytes) = root.read(&directory, &file(reference), BOUNDS.bytes as u64)? else {
        return Ok(None);
    };
    let damaged =
        |problem: String| Error::damaged(format!("the record of {reference}"), problem + "; install it again");
    let value = json::read(&bytes, BOUNDS).map_err(damaged)?;
    let record: Record = serde_json::from_value(value).map_err(|error| damaged(error.to_string()))?;
    if record.reference != *reference {
        return Err(damaged(format!("it is that of {}", record.reference)));
    }
    Ok(Some(record))
}

pub(super) fn write(root: &Root, held: &Held, record: &Record) -> Result<(), Error> {
    let cannot = Error::io("cannot write the record of a skill");
    let mut bytes = serde_json::to_vec_pretty(record).map_err(|error| cannot(error.into()))?;
    bytes.push(b'\n');
    let directory = root.skills.child_or_create(record.reference.name()).map_err(&cannot)?;
    root.skills.sync().map_err(&cannot)?;
    root.replace(held, &directory, &file(&record.reference), &bytes)
}

pub(super) fn remove(root: &Root, reference: &SkillRef) -> Result<(), Error> {
    let removed = || -> io::Result<()> {
        let directory = root.skills.child(reference.name())?;
        directory.remove(&CString::new(file(reference))?)?;
        directory.sync()
    };
    removed().map_err(Error::io("cannot remove the record of a skill"))
}

/// The installed versions of one skill.
pub(super) fn versions(root: &Root, name: &str) -> Result<Vec<Record>, Error> {
    let cannot = Error::io("cannot read the records of a skill");
    let directory = match root.skills.child(name) {
        Ok(directory) => directory,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot(error)),
    };
    let mut records = Vec::new();
    for file in directory.names(usize::MAX).map_err(&cannot)? {
        let file = file.to_string_lossy();
        let reference = file
            .strip_suffix(".json")
            .and_then(|version| format!("{name}@{version}").parse().ok())
            .ok_or_else(|| Error::damaged(format!("the directory of {name}"), format!("{file:?} is no record")))?;
        records.extend(read(root, &reference)?);
    }
    records.sort_by(|one, other| one.reference.cmp(&other.reference));
    Ok(records)
}

pub(super) fn all(root: &Root) -> Result<Vec<Record>, Error> {
    let mut records = Vec::new();
    let cannot = Error::io("cannot read the records of the store");
    for name in root.skills.names(usize::MAX).map_err(cannot)? {
        records.extend(versions(root, &name.to_string_lossy())?);
    }
    Ok(records)
}

fn file(reference: &SkillRef) -> String {
    format!("{}.json", reference.version())
}
