//! What can go wrong with vector memory.

use tokio_postgres::error::SqlState;

use crate::postgres;

/// A failed operation on vector memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Vector memory is switched off.
    #[error("vector memory is switched off; set STUDIO_BRAIN_VECTOR_STORE_ENABLED=true")]
    Disabled,

    /// What was given cannot be stored or searched for.
    #[error("{subject} is not valid: {reason}")]
    Invalid {
        /// What was given.
        subject: String,
        /// What is wrong with it and what is valid.
        reason: String,
    },

    /// An embedding has another number of dimensions than the store.
    #[error(
        "{subject} has an embedding of {given} dimensions, but STUDIO_BRAIN_EMBEDDING_DIMENSIONS is {expected}; use a \
         model with {expected} dimensions or change the setting and embed again what is stored"
    )]
    Dimensions {
        /// The memory or query.
        subject: String,
        /// Dimensions that were given.
        given: usize,
        /// Dimensions that are configured.
        expected: usize,
    },

    /// The table is not there or is older than this program.
    #[error("the memory table does not fit this program; run `brain migrate up`")]
    NotMigrated(#[source] postgres::Error),

    /// The database failed.
    #[error(transparent)]
    Postgres(postgres::Error),
}

impl Error {
    pub(super) fn invalid(subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            subject: subject.into(),
            reason: reason.into(),
        }
    }

    /// Whether the same operation may succeed later without anybody changing anything.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Postgres(error) if error.retryable())
    }
}

impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Self {
        match error.sqlstate() {
            Some(state) if [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN].contains(state) => {
                Self::NotMigrated(error)
            }
            _ => Self::Postgres(error),
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        postgres::Error::from(error).into()
    }
}
