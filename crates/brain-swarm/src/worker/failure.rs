//! Why a handler did not complete its task, and what is to happen with it.

use std::time::Duration;

/// What a handler returns when the task is not done.
///
/// Any error turns into a failure that is tried again, so `?` works in a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub(super) Verdict);

/// What is to happen with the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The attempt failed.
    Fail {
        error: String,
        retryable: bool,
        retry_after: Option<Duration>,
    },
    /// There was no attempt.
    Release { delay: Duration },
}

impl Failure {
    /// Another attempt may do better; it begins after the task's backoff.
    #[must_use]
    pub fn retry(error: impl Into<String>) -> Self {
        Self::fail(error, true, None)
    }

    /// Another attempt may do better, but not before this time has passed.
    #[must_use]
    pub fn retry_after(error: impl Into<String>, delay: Duration) -> Self {
        Self::fail(error, true, Some(delay))
    }

    /// No attempt will do better: the task has failed.
    #[must_use]
    pub fn fatal(error: impl Into<String>) -> Self {
        Self::fail(error, false, None)
    }

    /// Gives the task back for somebody else, or for later. The attempt does not count.
    #[must_use]
    pub fn release(delay: Duration) -> Self {
        Self(Verdict::Release { delay })
    }

    fn fail(error: impl Into<String>, retryable: bool, retry_after: Option<Duration>) -> Self {
        Self(Verdict::Fail {
            error: error.into(),
            retryable,
            retry_after,
        })
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            cause = inner.source();
        }
        Self::retry(text)
    }
}
