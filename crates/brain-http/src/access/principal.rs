//! A caller that was let in.

use std::{num::NonZeroU32, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts};
use brain_swarm::ids::{ActorId, TenantId};
use jiff::Timestamp;
use serde::Serialize;

use super::{Role, Scopes};
use crate::problem::{Kind, Problem};

/// Who calls, and what they may do.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Caller")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Principal {
    /// The same for every request of this caller, and for no other caller's: `local`, `admin`, `token:<id>` or `oidc:<issuer>#<subject>`.
    pub(crate) id: Arc<str>,
    /// Who it says that it is, where an event needs an actor and the request names none.
    pub(crate) actor_id: ActorId,
    /// Whether the actor of every event, and the agent of every call, must be the one above.
    pub(crate) bound: bool,
    /// Whose rows it sees.
    pub(crate) tenant_id: TenantId,
    pub(crate) role: Role,
    pub(crate) scopes: Scopes,
    /// Whether it may make tokens for other tenants.
    pub(crate) installation: bool,
    /// When its API token ends, where it does.
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) limits: Limits,
}

/// What a caller may use at most; nothing where it is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "CallerLimits")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Limits {
    /// Requests a second, on the average.
    pub(crate) requests_per_second: Option<NonZeroU32>,
    /// Event streams at the same time.
    pub(crate) streams: Option<u32>,
    /// The largest body of a request, in bytes.
    pub(crate) body_bytes: Option<usize>,
}

impl Principal {
    /// Refuses what the role or the scopes do not cover.
    ///
    /// # Errors
    /// A problem that names what is missing.
    pub(crate) fn must(&self, resource: &str, action: &str) -> Result<(), Problem> {
        let least = Role::least(resource, action);
        if self.role < least {
            let detail = format!(
                "{resource}:{action} needs the role {least} or a higher one, and this caller is {}",
                self.role
            );
            return Err(Problem::new(Kind::Forbidden, detail));
        }
        if !self.scopes.cover(resource, action) {
            let detail = format!("{resource}:{action} is not among the scopes of this caller");
            return Err(Problem::new(Kind::Forbidden, detail));
        }
        Ok(())
    }

    /// Refuses to speak for somebody else, where the caller is bound to one name.
    ///
    /// # Errors
    /// A problem that says which name that is.
    pub(crate) fn speaks_as(&self, actor: &ActorId) -> Result<(), Problem> {
        if self.bound && *actor != self.actor_id {
            let detail = format!("this caller speaks as {} and as nobody else", self.actor_id);
            return Err(Problem::new(Kind::Forbidden, detail));
        }
        Ok(())
    }

    /// Who does it: the one that the request names, else the caller itself.
    ///
    /// # Errors
    /// As [`speaks_as`](Self::speaks_as).
    pub(crate) fn actor(&self, named: Option<ActorId>) -> Result<ActorId, Problem> {
        match named {
            Some(actor) => self.speaks_as(&actor).map(|()| actor),
            None => Ok(self.actor_id.clone()),
        }
    }
}

/// The principal of a request, as handlers take it.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Arc<Principal>);

impl std::ops::Deref for Caller {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::internal("a handler of a public route asks for its caller"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn principal(role: Role, scopes: &[&str]) -> Principal {
        let scopes: Vec<_> = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        Principal {
            id: "token:1".into(),
            actor_id: ActorId::new("builder").unwrap(),
            bound: false,
            tenant_id: TenantId::single(),
            role,
            scopes: scopes.try_into().unwrap(),
            installation: false,
            expires_at: None,
            limits: Limits::default(),
        }
    }

    #[test]
    fn role_and_scopes_must_both_allow() {
        let refusal = |role, scopes: &[&str]| {
            principal(role, scopes)
                .must("tasks", "work")
                .err()
                .map(|it| it.to_string())
        };
        assert_eq!(refusal(Role::Agent, &[]), None);
        assert_eq!(refusal(Role::Admin, &["tasks:*"]), None);
        insta::assert_snapshot!(refusal(Role::Viewer, &["tasks:work"]).unwrap(), @"Forbidden: tasks:work needs the role agent or a higher one, and this caller is viewer");
        insta::assert_snapshot!(refusal(Role::Admin, &["events:read"]).unwrap(), @"Forbidden: tasks:work is not among the scopes of this caller");
    }

    #[test]
    fn who_is_bound_speaks_for_nobody_else() {
        let mut one = principal(Role::Agent, &[]);
        let other = ActorId::new("other").unwrap();
        assert_eq!(one.actor(Some(other.clone())).unwrap(), other);
        assert_eq!(one.actor(None).unwrap(), one.actor_id);
        one.bound = true;
        assert_eq!(one.actor(None).unwrap(), one.actor_id);
        insta::assert_snapshot!(one.actor(Some(other)).unwrap_err(), @"Forbidden: this caller speaks as builder and as nobody else");
    }
}
