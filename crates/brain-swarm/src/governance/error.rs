//! Why something was not done.

use brain_connectivity::postgres;
use uuid::Uuid;

use super::{decide::ReasonCode, proposal::Unreadable};
use crate::{audit, digest::NotCanonical};

/// A decision against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub code: ReasonCode,
    /// What more there is to say than the code says by itself.
    pub detail: Option<String>,
    /// After how many seconds it may be different, where it is a matter of time.
    pub retry_after_seconds: Option<u32>,
}

impl From<ReasonCode> for Refusal {
    fn from(code: ReasonCode) -> Self {
        Self {
            code,
            detail: None,
            retry_after_seconds: None,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code.says())?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not allowed.
    #[error("{0}")]
    Refused(Refusal),
    /// There is no such thing.
    #[error("there is no {0} {1}")]
    NotFound(&'static str, Uuid),
    /// What was asked cannot be.
    #[error("{0}")]
    Invalid(String),
    /// It does not fit with how things stand.
    #[error("{0}")]
    Conflict(String),
    /// It could not be recorded, so it was not done.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// The database said no, or nothing.
    #[error(transparent)]
    Database(#[from] postgres::Error),
    /// The kill switch is on, and it is not certain that whoever looked at it before has sent all that it had.
    #[error(
        "the switch is on and stays on; but somebody who had looked at it before has not let go in time, so one more request may \
         leave: turn it on again to wait for that"
    )]
    Unsettled(#[source] postgres::Error),
    /// A row is of a later version.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Something has no digest, which is a defect.
    #[error(transparent)]
    NotCanonical(#[from] NotCanonical),
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ReasonCode> for Error {
    fn from(code: ReasonCode) -> Self {
        Self::Refused(code.into())
    }
}

/// What is wrong with a reason.
pub(super) fn reason(text: &str) -> Result<&str, Error> {
    use super::proposal::{MAX_REASON_CHARS, MIN_REASON_CHARS};
    let chars = text.chars().count();
    if chars < MIN_REASON_CHARS || text.trim().is_empty() {
        return Err(ReasonCode::RationaleRequired.into());
    }
    if chars > MAX_REASON_CHARS || text.contains('\0') {
        return Err(Error::Invalid(format!(
            "a reason has at most {MAX_REASON_CHARS} characters, and no U+0000"
        )));
    }
    Ok(text)
}
