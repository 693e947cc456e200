//! Audit lines and records: who did what to what, for each action that changes how a swarm or an installation is run.
//!
//! Invariant: a line is written once the action has taken effect, and never for one that did not. Whoever calls
//! [`done`] or [`recorded`] does so where a caller that hangs up cannot come between the two.

use std::fmt::Display;

use brain_connectivity::postgres::Postgres;
use brain_swarm::{
    audit::{self, Actor, Entry, Metadata},
    calls::Scope,
    ids::{SwarmId, TenantId},
};

use crate::access::Principal;

/// Whose thing an action changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    tenant: &'a TenantId,
    swarm: Option<&'a SwarmId>,
}

impl<'a> From<&'a Scope> for Place<'a> {
    fn from(scope: &'a Scope) -> Self {
        Self {
            tenant: &scope.tenant_id,
            swarm: Some(&scope.swarm_id),
        }
    }
}

impl<'a> From<(&'a TenantId, &'a SwarmId)> for Place<'a> {
    fn from((tenant, swarm): (&'a TenantId, &'a SwarmId)) -> Self {
        Self {
            tenant,
            swarm: Some(swarm),
        }
    }
}

impl<'a> From<&'a TenantId> for Place<'a> {
    fn from(tenant: &'a TenantId) -> Self {
        Self { tenant, swarm: None }
    }
}

/// Writes the line of an action that is recorded already, in its own transaction: `action` is resource and verb, `object` the id
/// of what was changed.
pub(crate) fn recorded<'a>(by: &Principal, action: &'static str, place: impl Into<Place<'a>>, object: &dyn Display) {
    let place = place.into();
    // Not `target`, which names the part of the program in every line.
    tracing::info!(
        audit = true,
        action,
        object = %object,
        by = %by.id,
        tenant.id = place.tenant.as_str(),
        swarm.id = place.swarm.map(SwarmId::as_str),
        "action taken"
    );
}

/// Writes the line of an action that has taken effect, and records it; `object` with the reason that its caller gave.
///
/// The action stands whether or not it can be recorded: what could not be is in the log.
pub(crate) async fn done<'a>(
    postgres: &Postgres,
    by: &Principal,
    action: &'static str,
    place: impl Into<Place<'a>>,
    (object, why): (&(dyn Display + Sync), Option<&str>),
) {
    let place = place.into();
    recorded(by, action, place, object);
    let entry = Entry {
        rationale: why.unwrap_or_default().to_owned(),
        metadata: Metadata::default().maybe("swarmId", place.swarm.map(SwarmId::as_str)),
        ..Entry::new(Actor::principal(&*by.id), action, object.to_string())
    };
    if let Err(error) = audit::append_after(postgres, place.tenant, entry).await {
        tracing::error!(
            action,
            object = %object,
            by = %by.id,
            tenant.id = place.tenant.as_str(),
            error = %error,
            "an action was taken and could not be recorded in the audit trail"
        );
    }
}
