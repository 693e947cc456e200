//! Which hosts a program may reach, and the proxy that is its only way there.
//!
//! Invariants: nothing is reached, or even looked up, that is not on the list by exact name and port; what was judged
//! is what is dialled.

pub mod allowlist;

pub use allowlist::{Allowlist, Endpoint, Host};
