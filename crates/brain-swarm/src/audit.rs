//! The audit trail: who did what to what, when, why, and whether it was allowed.
//!
//! Each tenant has one chain of records, numbered from 1. The hash of a record covers all of it and the hash of the record
//! before, so that nothing can be changed, left out or put in between without changing every hash after it.
//!
//! Invariants: a record is written in the transaction of what it tells, so neither is there without the other; numbers have no
//! gaps; a record is never changed or removed, which the database refuses too.

mod append;
mod record;

pub use append::{Error, append};
pub use record::{Actor, ActorKind, ApprovalState, Entry, Metadata, Record, Unwritable};
