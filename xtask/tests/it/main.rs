//! The commands of the development stack, run as a developer runs them, on a folder that stands for a clone.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api_fuzz;
mod brain;
mod chaos;
mod clone;
mod dependencies;
