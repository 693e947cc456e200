//! What a user of the crate relies on, tested from outside.

mod defaults;
mod generated;
mod messages;
mod precedence;
mod properties;
mod rules;
