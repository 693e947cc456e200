//! A process known by id and start time, kept in pid files.

use std::path::Path;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::table;

/// A process, told apart from any later one with the same id by when it started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Process id.
    pub pid: i32,
    /// When it started, in the system's own terms; only good for comparing.
    pub started: String,
}

impl Identity {
    /// The process with this id as it is now; none when there is none, or only its exit status is left.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        table::start_time(pid).map(|started| Self { pid, started })
    }

    /// The same for a child that was started a moment ago. One that has ended already keeps its entry in the
    /// process table until its status is collected, so the start time is there either way.
    pub(super) fn of_child(pid: u32) -> Result<Self> {
        let pid = i32::try_from(pid).context("a process id fits 31 bits")?;
        let started = table::start_time(pid).unwrap_or_else(|| "ended".to_owned());
        Ok(Self { pid, started })
    }

    /// Whether this very process still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Sends a signal if this very process still runs.
    pub fn signal(&self, signal: Signal) {
        if self.is_alive() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Writes a pid file: the id and the start time, a line each.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, pid_file: &Path) -> Result<()> {
        std::fs::write(pid_file, format!("{}\n{}\n", self.pid, self.started))
            .with_context(|| format!("cannot write the pid file {}", pid_file.display()))
    }

    /// Reads a pid file; none when it is missing or makes no sense.
    #[must_use]
    pub fn read(pid_file: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(pid_file).ok()?;
        let mut lines = text.lines();
        let pid = lines.next()?.parse().ok().filter(|pid| *pid > 1)?;
        let started = lines.next()?.to_owned();
        Some(Self { pid, started })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_recycled_process_id_is_not_the_process_that_was_written_down() {
        let me = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(me.is_alive());
        let stranger = Identity {
            pid: me.pid,
            started: "long ago".to_owned(),
        };
        assert!(!stranger.is_alive());
        stranger.signal(Signal::SIGKILL);
        assert!(
            me.is_alive(),
            "a signal to the recorded process must not reach its successor"
        );
    }

    #[test]
    fn a_pid_file_survives_a_round_trip_and_nonsense_is_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.pid");
        assert_eq!(Identity::read(&file), None);
        let me = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        me.write(&file).unwrap();
        assert_eq!(Identity::read(&file), Some(me));
        for nonsense in ["", "12", "-1\nx\n", "1\nx\n", "zero\nx\n"] {
            std::fs::write(&file, nonsense).unwrap();
            assert_eq!(Identity::read(&file), None, "{nonsense:?}");
        }
    }
}
