//! The port through which programs of skills are started, and what is known of one when it has ended.
//!
//! Invariants: whoever holds a [`Running`] holds the whole tree of processes; dropping it kills the tree; what ended a
//! program is one value, which says which limit was hit where one was.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{digest::Digest, egress::Allowlist};

/// What one program may use at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Memory of the whole tree, in bytes.
    pub memory_bytes: u64,
    /// Processes and threads at a time.
    pub processes: u32,
    /// Open descriptors of one process.
    pub open_files: u32,
    /// What may be written to the private temporary file system, in bytes.
    pub scratch_bytes: u64,
    /// Files in the private temporary file system.
    pub scratch_files: u32,
    /// Time on a processor that one process may use.
    pub cpu: Duration,
    /// Thousandths of one processor that the tree may use at a time, where control groups can say so.
    pub cpu_millis: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            processes: 64,
            open_files: 256,
            scratch_bytes: 64 << 20,
            scratch_files: 4096,
            cpu: Duration::from_secs(600),
            cpu_millis: 1000,
        }
    }
}

/// A directory of the host that the program sees under another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is on the host.
    pub host: PathBuf,
    /// Where the program sees it; absolute, and below `/data`.
    pub inside: PathBuf,
    /// Whether the program may change it.
    pub writable: bool,
}

/// A program of a skill, ready to be started.
#[derive(Debug, Clone)]
pub struct Program {
    /// The digest of the tree it comes from.
    pub digest: Digest,
    /// The directory of the tree on the host; the program sees it read-only at `/skill` and starts there.
    pub code: PathBuf,
    /// What is executed, and its arguments. The first is a path relative to `/skill`, or the name of an interpreter.
    pub argv: Vec<String>,
    /// The whole environment, but for what the sandbox itself adds (`PATH`, `HOME`, `TMPDIR`, proxies).
    pub environment: BTreeMap<String, String>,
    /// What it may use.
    pub limits: Limits,
    /// The hosts that it may reach; empty: it has no network.
    pub egress: Arc<Allowlist>,
    /// What else it sees of the host.
    pub mounts: Vec<Mount>,
}

/// The limit that ended a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Memory.
    Memory,
    /// Time on a processor.
    Cpu,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal, which nobody here sent.
    Signalled(i32),
    /// By the signal that follows a forbidden system call.
    Forbidden,
    /// It used up what it may use.
    Limit(Limit),
    /// It was killed by whoever holds it.
    Killed,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "it exited with code {code}"),
            Self::Signalled(signal) => write!(f, "signal {signal} ended it"),
            Self::Forbidden => f.write_str("it made a forbidden system call"),
            Self::Limit(Limit::Memory) => f.write_str("it used up its memory"),
            Self::Limit(Limit::Cpu) => f.write_str("it used up its time on the processor"),
            Self::Killed => f.write_str("it was killed"),
        }
    }
}

/// Why a program could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program cannot be what it says: no such interpreter, a path out of the tree, a mount elsewhere.
    #[error("the program cannot be started: {0}")]
    Program(String),
    /// A mechanism that must confine it is missing.
    #[error("the sandbox cannot confine it: {0}")]
    Unconfined(String),
    /// The machine has no more to give.
    #[error("no program can be started now")]
    Exhausted(#[source] std::io::Error),
    /// Something else went wrong.
    #[error("the sandbox failed: {0}")]
    Failed(String),
}

/// A mechanism, and whether it confines this program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforced {
    /// Its name, such as `seccomp`.
    pub mechanism: String,
    /// Whether it does; else why not.
    pub state: State,
}

impl Enforced {
    /// Why it does not confine the program, where it does not.
    #[must_use]
    pub fn missing(&self) -> Option<&str> {
        match &self.state {
            State::Enforced => None,
            State::Missing(reason) => Some(reason),
        }
    }
}

/// Whether a mechanism confines a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It does.
    Enforced,
    /// It does not, for this reason.
    Missing(String),
}

/// Keeps hold of a running program. Dropping it kills the whole tree.
#[async_trait]
pub trait Tree: Send + Sync {
    /// Kills the whole tree at once; harmless where it has ended.
    fn kill(&self);

    /// Waits until the whole tree has ended and everything of it is removed; the same answer each time.
    async fn ended(&self) -> Ended;

    /// The memory that the tree holds, in bytes, where that is known.
    fn memory_bytes(&self) -> Option<u64>;
}

/// A running program.
pub struct Running {
    /// What it reads.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// What it writes.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// What it says beside that.
    pub stderr: Box<dyn AsyncRead + Send + Unpin>,
    /// Its processes.
    pub tree: Arc<dyn Tree>,
    /// What confines it.
    pub enforced: Arc<[Enforced]>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("enforced", &self.enforced)
            .finish_non_exhaustive()
    }
}

/// Starts programs: confined, or, where somebody asked for it, not.
#[async_trait]
pub trait Launch: Send + Sync {
    /// Starts one.
    ///
    /// # Errors
    /// [`Error`]; then nothing of it runs.
    async fn launch(&self, program: &Program) -> Result<Running, Error>;
}
