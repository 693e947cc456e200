//! Integration tests of the skill plane.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod registry;
