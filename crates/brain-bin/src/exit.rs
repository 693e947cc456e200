//! Exit codes: what a caller of `brain` can rely on.
//!
//! 0: done, or what was checked is ok. 1: what was checked is not ok, or the operation failed. 2: wrong usage or wrong
//! configuration; nothing was done.

use std::process::ExitCode;

use crate::render::escape::escaped;

/// How a command that did its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Done, or what was checked is ok.
    Ok,
    /// What was checked is not ok.
    NotOk,
}

impl From<bool> for Verdict {
    fn from(ok: bool) -> Self {
        if ok { Self::Ok } else { Self::NotOk }
    }
}

/// The command line or the configuration is wrong; nothing was done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Prints the error of a command that failed and gives the exit code.
pub(crate) fn code_of(result: anyhow::Result<Verdict>) -> ExitCode {
    match result {
        Ok(Verdict::Ok) => ExitCode::SUCCESS,
        Ok(Verdict::NotOk) => ExitCode::from(1),
        // The reader of a pipe such as `brain event tail | head` has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", multiline(&format!("{error:#}")));
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// Error texts may quote foreign text; their own line breaks stay.
fn multiline(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<_>>().join("\n")
}
