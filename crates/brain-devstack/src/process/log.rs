//! The end of a server's log, for error messages.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// How much of the end is read at most, in bytes.
const WINDOW: u64 = 64 * 1024;

/// The length of a log in bytes; 0 when there is none yet.
#[must_use]
pub fn length(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |facts| facts.len())
}

/// The last `lines` lines written at or after byte `from`, without a final line break.
#[must_use]
pub fn tail(log: &Path, from: u64, lines: usize) -> String {
    let Ok(mut file) = std::fs::File::open(log) else {
        return String::new();
    };
    let start = from.max(length(log).saturating_sub(WINDOW));
    let mut bytes = Vec::new();
    if file.seek(SeekFrom::Start(start)).is_err() || file.take(WINDOW).read_to_end(&mut bytes).is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}

/// The tail as a paragraph that can be put behind an error message.
pub(crate) fn excerpt(log: &Path, from: u64) -> String {
    let tail = tail(log, from, 20);
    if tail.is_empty() {
        format!("its log {} is empty", log.display())
    } else {
        format!("the end of its log {}:\n{tail}", log.display())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_tail_holds_only_what_this_start_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        std::fs::write(&log, "old 1\nold 2\n").unwrap();
        let from = length(&log);
        std::fs::write(&log, "old 1\nold 2\nnew 1\nnew 2\nnew 3\n").unwrap();
        assert_eq!(tail(&log, from, 20), "new 1\nnew 2\nnew 3");
        assert_eq!(tail(&log, from, 2), "new 2\nnew 3");
        assert_eq!(tail(&folder.path().join("none"), 0, 2), "");
    }
}
