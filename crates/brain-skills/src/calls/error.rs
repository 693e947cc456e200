//! Why a call has no answer.
//!
//! Invariants: one value says which limit was hit or what was broken; text that a program wrote is shortened and escaped
//! in it.

use std::{fmt, time::Duration};

use super::message::RpcError;
use crate::{
    digest::Digest,
    launch::{self, Ended, Limit},
};

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be started.
    #[error(transparent)]
    Launch(#[from] launch::Error),
    /// As many programs run as may.
    #[error("no program could be started before the deadline, as {running} are running; raise the limit or try later")]
    Exhausted {
        /// How many.
        running: usize,
    },
    /// It failed again and again, and is left alone for a while.
    #[error("the skill failed {failures} times in a row; it is tried again in {} ms", remaining.as_millis())]
    BackingOff {
        /// How often it failed.
        failures: u32,
        /// For how long it is left alone.
        remaining: Duration,
    },
    /// It did not answer in time.
    #[error("the skill did not answer before the deadline")]
    Deadline,
    /// It was not ready in time.
    #[error("the skill was not ready within {} ms of its start", .0.as_millis())]
    Start(Duration),
    /// The caller no longer wants an answer.
    #[error("the call was cancelled")]
    Cancelled,
    /// The gate did not open: nothing reached the skill.
    #[error("nothing was sent to the skill: {0}")]
    Stopped(String),
    /// It used up what it may use.
    #[error("the skill hit a limit: {}", Ended::Limit(*.0))]
    Limit(Limit),
    /// It made a system call that it must not make.
    #[error("the skill made a forbidden system call")]
    Forbidden,
    /// It ended without an answer.
    #[error("the skill ended without an answer: {0}")]
    Ended(Ended),
    /// It broke the protocol, and was killed.
    #[error("the skill broke the protocol: {0}")]
    Protocol(#[from] Violation),
    /// Its tools are not those that were reviewed.
    #[error("the tools of the skill are {found}, not {pinned}; review them and pin the new digest")]
    ToolsChanged {
        /// What they must be.
        pinned: Digest,
        /// What they are.
        found: Digest,
    },
    /// It has no such tool.
    #[error("the skill has no tool {0:?}")]
    UnknownTool(String),
    /// It says that it is not healthy.
    #[error("the skill is not healthy: {0}")]
    Unhealthy(RpcError),
    /// It answered with an error of its own.
    #[error("the skill refused: {0}")]
    Refused(RpcError),
    /// What it should get does not fit into a frame.
    #[error("the payload needs {bytes} bytes, at most {limit} are sent to a skill; send less, or in parts")]
    PayloadTooLarge {
        /// How much it is.
        bytes: usize,
        /// How much it may be.
        limit: usize,
    },
    /// Its digest must no longer run.
    #[error("{0} is revoked")]
    Revoked(Digest),
    /// Nothing is called any more.
    #[error("skills are no longer called, as the brain is stopping")]
    Closed,
}

impl Error {
    /// Whether it speaks against the program rather than against the call or the machine.
    pub(super) fn is_crash(&self) -> bool {
        matches!(
            self,
            Self::Start(_)
                | Self::Limit(_)
                | Self::Forbidden
                | Self::Ended(_)
                | Self::Protocol(_)
                | Self::Unhealthy(_)
                | Self::Launch(launch::Error::Program(_))
        )
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Exhausted { .. } | Self::BackingOff { .. } | Self::Deadline | Self::Start(_) | Self::Closed => true,
            Self::Ended(_) | Self::Unhealthy(_) => true,
            Self::Launch(error) => matches!(error, launch::Error::Exhausted(_) | launch::Error::Failed(_)),
            _ => false,
        }
    }
}

/// How a program broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A frame is longer than it may be.
    #[error("a frame has more than {0} bytes")]
    FrameTooLarge(usize),
    /// It writes more than anybody reads.
    #[error("it writes too many or too many bytes of messages for one call")]
    Flood,
    /// A frame is not UTF-8.
    #[error("a frame is not UTF-8")]
    NotUtf8,
    /// A frame nests deeper than it may.
    #[error("a frame nests more than {0} deep")]
    TooDeep(usize),
    /// A frame is not JSON.
    #[error("a frame is not JSON: {0}")]
    NotJson(String),
    /// A frame is JSON, but no message.
    #[error("a frame is not a JSON-RPC 2.0 message: {0}")]
    NotMessage(&'static str),
    /// An answer has a result and an error.
    #[error("an answer has both a result and an error")]
    ResultAndError,
    /// An answer is for a request that was never made.
    #[error("an answer has the unknown id {0}")]
    UnknownId(String),
    /// An answer is for a request that has been answered, or given up.
    #[error("an answer to request {0} came again or too late")]
    LateId(u64),
    /// An answer came before the request was sent.
    #[error("an answer came before the request was read")]
    Early,
    /// It says that it cannot read what it got.
    #[error("it could not read the request: {0}")]
    Unread(RpcError),
    /// It asks more than it reads answers.
    #[error("it asks faster than it reads the answers")]
    Deaf,
    /// It closed its output and went on.
    #[error("it closed its output without an answer")]
    Closed,
    /// Its output ended within a frame.
    #[error("its output ended within a frame")]
    Truncated,
    /// It speaks no known version of the Model Context Protocol.
    #[error("it speaks version {0:?} of MCP, which is not known here")]
    Version(String),
    /// A result is not what the method has to result in.
    #[error("the result of {0} is not what it has to be")]
    Result(&'static str),
    /// It has more tools than anybody reviews.
    #[error("it lists more than {0} tools, or has no end of pages")]
    TooManyTools(usize),
}

/// A call without an answer: why, and what the program said on its standard error.
#[derive(Debug)]
pub struct Failure {
    error: Error,
    stderr: String,
}

impl Failure {
    pub(super) fn new(error: Error, stderr: String) -> Self {
        Self { error, stderr }
    }

    pub(super) fn into_parts(self) -> (Error, String) {
        (self.error, self.stderr)
    }

    /// The same, with every text that the program wrote changed by this function.
    #[must_use]
    pub(crate) fn map_texts(self, change: impl Fn(String) -> String) -> Self {
        let answer = |error: RpcError| RpcError {
            message: change(error.message),
            data: None,
            ..error
        };
        let error = match self.error {
            Error::Refused(error) => Error::Refused(answer(error)),
            Error::Unhealthy(error) => Error::Unhealthy(answer(error)),
            Error::Protocol(Violation::Unread(error)) => Error::Protocol(Violation::Unread(answer(error))),
            Error::Protocol(Violation::NotJson(problem)) => Error::Protocol(Violation::NotJson(change(problem))),
            Error::Protocol(Violation::UnknownId(id)) => Error::Protocol(Violation::UnknownId(change(id))),
            Error::Protocol(Violation::Version(version)) => Error::Protocol(Violation::Version(change(version))),
            other => other,
        };
        Self {
            error,
            stderr: change(self.stderr),
        }
    }

    /// Why.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The end of what the program said on its standard error, escaped; empty where none ran.
    #[must_use]
    pub fn stderr(&self) -> &str {
        &self.stderr
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error, String::new())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.error)
    }
}
