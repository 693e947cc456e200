//! Which hosts a program may reach.

/// Hosts that a program may reach, as exact names and ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowlist {}

impl Allowlist {
    /// Whether no host may be reached at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        true
    }
}
