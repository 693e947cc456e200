//! Roles: what a kind of caller may do at most.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a caller is. Each role may do what the one before it may, and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything but tokens and the audit trail.
    Viewer,
    /// Works: publishes events, creates, claims and finishes tasks, registers itself, sends messages.
    Agent,
    /// Steers: cancels, retries and reassigns tasks, drains agents, ends runs, keeps budgets, schedules, schemas and dead letters;
    /// reads the audit trail.
    Operator,
    /// Does all of it, and gives and revokes tokens.
    Admin,
}

impl Role {
    /// All of them, from the least to the most.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Agent, Self::Operator, Self::Admin];

    /// The name, as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Agent => "agent",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The least role that may do `action` to `resource`.
    #[must_use]
    pub fn least(resource: &str, action: &str) -> Self {
        match (resource, action) {
            ("tokens", _) => Self::Admin,
            // Who did what, and why, is not for everybody who works here.
            ("audit", _) => Self::Operator,
            (_, "read") => Self::Viewer,
            (_, "write" | "work") => Self::Agent,
            _ => Self::Operator,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a role is viewer, agent, operator or admin")]
pub struct InvalidRole;

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(InvalidRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("Admin".parse::<Role>().is_err());
        assert!(Role::ALL.is_sorted());
    }

    #[test]
    fn each_role_may_do_more_than_the_one_before() {
        let cases = [
            ("events", "read", Role::Viewer),
            ("tokens", "read", Role::Admin),
            ("tokens", "manage", Role::Admin),
            ("audit", "read", Role::Operator),
            ("events", "write", Role::Agent),
            ("tasks", "work", Role::Agent),
            ("tasks", "manage", Role::Operator),
            ("capability", "execute", Role::Operator),
        ];
        for (resource, action, least) in cases {
            assert_eq!(Role::least(resource, action), least, "{resource}:{action}");
        }
    }
}
