//! Integration tests of the skill plane, as one binary.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bundle;
mod calls;
mod egress;
mod hostile;
mod registry;
mod sandbox;
