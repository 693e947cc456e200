//! Why the trail could not be written or read.

use brain_connectivity::postgres;

use super::record::Unwritable;
use crate::ids::TenantId;

/// Why nothing was recorded, so that the transaction must not be committed, or why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database said no, or nothing.
    #[error(transparent)]
    Database(#[from] postgres::Error),
    /// The entry cannot be written.
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
    /// The end of the chain is not what a chain ends with.
    #[error("the end of the audit trail of tenant {0} is broken; run `brain doctor --invariants`")]
    Broken(TenantId),
    /// A row holds what no record holds.
    #[error("row {1} of the audit trail of tenant {0} cannot be read; run `brain doctor --invariants`")]
    Unreadable(TenantId, i64),
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}
