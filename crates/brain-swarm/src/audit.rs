//! The audit trail: who did what to what, when, why, and whether it was allowed.
//!
//! Each tenant has one chain of records, numbered from 1. The hash of a record covers all of it and the hash of the record
//! before, so that nothing can be changed, left out or put in between without changing every hash after it.
//!
//! Invariants: numbers have no gaps; a record is never changed or removed, which the database refuses too; a record that is
//! [appended](append) in the transaction of what it tells is there exactly when that is. What was done already is recorded by
//! [`append_after`], and can be done without being recorded: docs/AUDIT.md says which is which.

mod append;
mod chain;
pub mod checkpoints;
pub mod document;
mod error;
mod export;
pub mod keys;
mod migrations;
mod read;
mod record;
mod signed;
mod signing;
mod verify;

pub use append::append;
pub use chain::{Break, Chain};
pub use error::Error;
pub use export::{Export, ExportError, MAX_CHECKPOINTS, Selection};
pub use migrations::record_migrations;
pub use read::{MAX_LIMIT, Page, Query, list};
pub(crate) use read::{following, read as record_of};
pub use record::{Actor, ActorKind, ApprovalState, Entry, Metadata, Record, Unwritable};
pub(crate) use signed::Checkpoints;
pub use signing::{InvalidPublicKey, KeyError, KeyId, PublicKey, Signature, Signer};
pub use verify::{Place, Refusal, Verified, verify};

use brain_connectivity::postgres::Postgres;

use crate::ids::TenantId;

/// Records what happened already, in a transaction of its own.
///
/// # Errors
/// [`Error`]: nothing is recorded then.
pub async fn append_after(postgres: &Postgres, tenant: &TenantId, entry: Entry) -> Result<Record, Error> {
    let mut client = postgres.client().await?;
    let transaction = client.transaction().await?;
    let record = append(&transaction, tenant, entry).await?;
    transaction.commit().await?;
    Ok(record)
}
