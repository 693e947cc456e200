//! The ledger outside the system: what publishers were promised, and what workers did, as they saw it themselves.
//!
//! A worker writes a line before it says that a task is done and another when that was acknowledged. Each line is one
//! write to a file of the worker's own, so a killed worker leaves all that it wrote.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// What happened between a worker and one of its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum What {
    /// The task was handed out to it.
    Claimed,
    /// A heartbeat said that it no longer has it.
    Lost,
    /// It is about to say that it is done.
    Completing,
    /// That was acknowledged.
    Completed,
    /// It is about to say that it failed.
    Failing,
    /// That was acknowledged.
    Failed,
    /// Given back.
    Released,
    /// What it said was refused, because its lease ran out or somebody else has the task.
    Refused,
    /// It heard no answer for so long that it gave up asking.
    GaveUp,
    /// An answer that the contract does not foresee.
    Unexpected,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// Microseconds since 1970.
    pub(super) at: i64,
    /// The process: the agent's name and the process id.
    pub(super) by: String,
    pub(super) what: What,
    pub(super) task: String,
    pub(super) token: i64,
    /// The answer said that this was known already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) duplicate: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) detail: String,
}

/// Where a worker writes.
pub(super) struct Ledger {
    file: File,
    by: String,
}

impl Ledger {
    pub(super) fn open(path: &Path, by: &str) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("cannot write the ledger {}", path.display()))?;
        Ok(Self {
            file,
            by: by.to_owned(),
        })
    }

    pub(super) fn by(&self) -> &str {
        &self.by
    }

    pub(super) fn write(&self, what: What, task: &str, token: i64, duplicate: bool, detail: &str) -> Result<()> {
        let line = Line {
            at: now(),
            by: self.by.clone(),
            what,
            task: task.to_owned(),
            token,
            duplicate,
            detail: detail.to_owned(),
        };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        (&self.file).write_all(&text).context("cannot write to the ledger")
    }
}

/// Microseconds since 1970.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// All lines of all ledgers in a folder, those of one worker in the order in which it wrote them.
pub(super) fn read(folder: &Path) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        for line in text.split_inclusive('\n') {
            match serde_json::from_str(line) {
                Ok(line) => lines.push(line),
                // Whoever is killed while it writes leaves half a line, the last one.
                Err(_) if !line.ends_with('\n') => {}
                Err(error) => return Err(error).with_context(|| format!("{} is no ledger: {line}", path.display())),
            }
        }
    }
    Ok(lines)
}

/// How a task is meant to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fate {
    /// Completes.
    Plain,
    /// Fails a few times, then completes.
    Flaky,
    /// Fails for good at the first try.
    Doomed,
    /// Kills the worker that has it, each time.
    Poison,
    /// Completes at once; shows that work flows.
    Canary,
}

/// A task whose creation was acknowledged to its publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Promise {
    pub(super) task: String,
    pub(super) swarm: String,
    pub(super) fate: Fate,
    pub(super) depends_on: Vec<String>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_was_written_is_read_and_half_a_line_at_the_end_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w-0");
        let ledger = Ledger::open(&path, "w-0#12").unwrap();
        ledger.write(What::Claimed, "t-1", 1, false, "").unwrap();
        ledger.write(What::Completed, "t-1", 1, true, "why").unwrap();
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"{\"at\":1")
            .unwrap();
        let lines = read(folder.path()).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].what, lines[0].by.as_str()), (What::Claimed, "w-0#12"));
        assert!(lines[1].duplicate && lines[1].token == 1 && lines[1].detail == "why");
    }

    #[test]
    fn nonsense_in_the_middle_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("w-0"), "nonsense\n").unwrap();
        assert!(read(folder.path()).is_err());
    }
}
