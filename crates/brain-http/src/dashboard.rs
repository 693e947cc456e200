//! The dashboard: what happens in the swarms of a tenant, as pages for people.
//!
//! The server makes whole pages; a script only fetches the page again when something happened and puts the new parts in place. A page
//! has a file here by its noun, a template under `templates/`, an entry in `routes/pages.rs`, and one in [`frame`] where it is in the
//! navigation.
//!
//! Invariants: every page and every action needs what the same thing needs in the interface for programs; all text that is not
//! ours is escaped, and what would reorder or hide text is shown instead of obeyed; a page works without its script.

mod action;
pub(crate) mod agents;
pub(crate) mod approvals;
pub(crate) mod assets;
pub(crate) mod audit;
pub(crate) mod budgets;
pub(crate) mod capabilities;
pub(crate) mod dead_letters;
pub(crate) mod events;
mod form;
mod frame;
pub(crate) mod login;
pub(crate) mod overview;
mod problem;
mod reply;
pub(crate) mod runs;
mod session;
mod sparkline;
pub(crate) mod tasks;
mod text;

pub(crate) use self::{problem::Asked, session::Visitor};

/// Where the dashboard is.
const ROOT: &str = "/dashboard";

/// Whether a path is one of the dashboard.
pub(crate) fn is_page(path: &str) -> bool {
    path.strip_prefix(ROOT)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
