//! The development stack in the background: `dev-up`, `dev-down`, `dev-logs`, `dev-reset`.
//!
//! Always true: nothing runs that has no pid file; a pid file never makes us signal a process that is not ours; a
//! start that fails stops what it started and nothing else.

mod brain;
pub(crate) mod down;
mod engine;
mod health;
mod layout;
pub(crate) mod logs;
mod native;
mod plan;
pub(crate) mod reset;
pub(crate) mod settings;
pub(crate) mod up;

pub(crate) use health::{failed, table};
pub(crate) use settings::Settings;
