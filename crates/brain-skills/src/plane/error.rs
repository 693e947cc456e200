//! Why the plane did not do something.
//!
//! Invariant: what somebody can act on is a refusal with its stage; what will pass is said to.

use crate::{
    calls,
    refused::{Refused, Stage},
    registry, store,
};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It may not be installed or started.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The registry does not answer now.
    #[error("the registry cannot be read: {0}")]
    Unavailable(String),
    /// The store or its files cannot be used.
    #[error(transparent)]
    Store(store::Error),
    /// The skill gave no answer.
    #[error(transparent)]
    Call(Box<calls::Failure>),
    /// Something else went wrong.
    #[error("{0}")]
    Failed(String),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Refused(refused) => Self::Refused(refused),
            other => Self::Store(other),
        }
    }
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        use registry::Error as E;
        let stage = match &error {
            E::Unavailable { .. } | E::Busy { .. } => return Self::Unavailable(error.to_string()),
            E::Local { .. } | E::Setting { .. } | E::OtherRoot { .. } => return Self::Failed(error.to_string()),
            E::UnknownSkill { .. } | E::NotRefreshed | E::Missing { .. } => Stage::Resolve,
            E::Revoked { .. } => Stage::Revoked,
            E::TooLarge { .. } | E::Redirected { .. } => Stage::Download,
            E::Malformed { .. }
            | E::Signatures { .. }
            | E::Rollback { .. }
            | E::Mixed { .. }
            | E::Expired { .. }
            | E::Publisher { .. } => Stage::Signature,
        };
        Self::Refused(Refused::at(stage, error.to_string()))
    }
}
