//! The lines about installs and refusals, each bound to the one before.
//!
//! `.install-audit.jsonl` has one JSON object a line. Each carries the digest of the line before it, and
//! `.install-audit.head` says how far the file went and the digest of its last line.
//!
//! Invariants: a line that was changed, removed, added or cut off is noticed by reading, and at the end of the file also before
//! the next line is written; half a line of one who was stopped while writing is no line and is taken away.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
};

use jiff::Timestamp;
use rustix::fs::{Mode, OFlags, ftruncate, openat};
use serde::{Deserialize, Serialize};

use super::{
    Error,
    root::{Held, Root},
};
use crate::{
    SkillRef,
    digest::Digest,
    refused::{Refused, Stage},
};

const LINES: &str = ".install-audit.jsonl";
const HEAD: &str = ".install-audit.head";
/// The longest line, in bytes.
const MAX_LINE: u64 = 32 << 10;
/// The longest reason that is written down, in characters.
const MAX_REASON: usize = 2000;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A skill was installed.
    Installed,
    /// A skill was refused.
    Refused,
    /// A skill was removed.
    Removed,
    /// The lock of a version was released.
    Released,
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Line {
    /// Its number, from 1 on.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What was done.
    pub action: Action,
    /// To which skill.
    pub reference: SkillRef,
    /// The digest of its files, where that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<Digest>,
    /// At which stage it was refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stage: Option<Stage>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The digest of the line before; of no bytes for the first.
    pub previous: Digest,
}

/// How far the file went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    lines: u64,
    bytes: u64,
    digest: Digest,
}

impl Head {
    fn start() -> Self {
        Self {
            lines: 0,
            bytes: 0,
            digest: Digest::of(b""),
        }
    }

    /// The head after one more line, which must be the next.
    fn after(self, line: &[u8]) -> Result<(Self, Line), Error> {
        let number = self.lines + 1;
        let read: Line =
            serde_json::from_slice(line).map_err(|_| damaged(format!("line {number} is no line of it")))?;
        if read.number != number || read.previous != self.digest {
            return Err(damaged(format!("line {number} does not follow the one before it")));
        }
        let head = Self {
            lines: number,
            bytes: self.bytes + line.len() as u64 + 1,
            digest: Digest::of(line),
        };
        Ok((head, read))
    }
}

fn damaged(problem: impl Into<String>) -> Error {
    Error::damaged(
        LINES,
        problem.into() + "; keep it for an inquiry, and move it away to go on",
    )
}

/// Adds a line.
pub(super) fn append(
    root: &Root,
    held: &Held,
    action: Action,
    reference: &SkillRef,
    digest: Option<Digest>,
    refused: Option<&Refused>,
) -> Result<(), Error> {
    let cannot = Error::io("cannot write the audit file");
    let head = ready(root)?;
    let line = Line {
        number: head.lines + 1,
        at: Timestamp::now(),
        action,
        reference: reference.clone(),
        digest,
        stage: refused.map(|refused| refused.stage),
        reason: refused.map(|refused| refused.reason.chars().take(MAX_REASON).collect()),
        previous: head.digest,
    };
    let mut bytes = serde_json::to_vec(&line).map_err(|error| cannot(error.into()))?;
    let (head, _) = head.after(&bytes)?;
    bytes.push(b'\n');
    let mut file = open(root)?;
    file.write_all(&bytes)
        .and_then(|()| file.sync_data())
        .map_err(&cannot)?;
    let head = serde_json::to_vec(&head).map_err(|error| cannot(error.into()))?;
    root.replace(held, &root.top, HEAD, &head)
}

fn open(root: &Root) -> Result<File, Error> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(&root.top, LINES, flags, Mode::RUSR | Mode::WUSR)
        .map(Into::into)
        .map_err(|error| Error::io("cannot open the audit file")(error.into()))
}

/// Where the next line belongs, if the end of the file is whole. Only for who holds the store.
pub(super) fn ready(root: &Root) -> Result<Head, Error> {
    let cannot = Error::io("cannot read the audit file");
    let stated = stated(root)?;
    let mut file = open(root)?;
    let length = file.metadata().map_err(&cannot)?.len();
    if length < stated.bytes {
        return Err(cut_off(stated));
    }
    // The last line that the head tells of, and what follows it.
    let from = stated.bytes.saturating_sub(MAX_LINE);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(from))
        .and_then(|_| (&file).take(3 * MAX_LINE).read_to_end(&mut tail))
        .map_err(&cannot)?;
    let (before, after) = tail.split_at(
        usize::try_from(stated.bytes - from)
            .unwrap_or(tail.len())
            .min(tail.len()),
    );
    if let Some(before) = before.strip_suffix(b"\n") {
        let begins = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if Digest::of(&before[begins..]) != stated.digest {
            return Err(cut_off(stated));
        }
    } else if stated.lines > 0 {
        return Err(cut_off(stated));
    }
    let mut head = stated;
    for line in after.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => head = follow(stated, head, line)?.0,
            None => ftruncate(&file, head.bytes).map_err(|error| cannot(error.into()))?,
        }
    }
    Ok(head)
}

/// All lines.
pub(super) fn read(root: &Root) -> Result<Vec<Line>, Error> {
    let cannot = Error::io("cannot read the audit file");
    let stated = stated(root)?;
    let mut head = Head::start();
    let mut lines = Vec::new();
    let mut seen = stated == head;
    let mut file = BufReader::new(open(root)?);
    loop {
        let mut line = Vec::new();
        (&mut file)
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .map_err(&cannot)?;
        // Half a line is one that is being written, or that somebody was stopped at.
        let Some(line) = line.strip_suffix(b"\n") else {
            break;
        };
        let (next, read) = follow(stated, head, line)?;
        head = next;
        seen |= head == stated;
        lines.push(read);
    }
    if seen { Ok(lines) } else { Err(cut_off(stated)) }
}

fn stated(root: &Root) -> Result<Head, Error> {
    match root.read(&root.top, HEAD, 4096)? {
        None => Ok(Head::start()),
        Some(bytes) => serde_json::from_slice(&bytes).map_err(|_| damaged("its head cannot be read")),
    }
}

fn follow(stated: Head, head: Head, line: &[u8]) -> Result<(Head, Line), Error> {
    // One line may be there before its head is, and no more.
    if head.lines > stated.lines {
        return Err(damaged("it has lines that its head does not tell of"));
    }
    head.after(line)
}

fn cut_off(stated: Head) -> Error {
    let lines = stated.lines;
    damaged(format!("it does not have the {lines} lines that its head tells of"))
}
