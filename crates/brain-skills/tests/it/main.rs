//! What skills are as files, and what happens to them on their way in.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bundle;
