//! Governance against a real database: once, bound, stopped, counted, recorded.

mod binding;
mod delegated;
mod desk;
mod intake;
mod noted;
mod once;
mod stopping;
