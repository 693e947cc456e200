//! Which hosts a program may reach.

/// Hosts that a program may reach, as exact names and ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowlist {}
