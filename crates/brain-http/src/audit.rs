//! Audit lines: who did what to what, for each action that changes how a swarm or an installation is run.
//!
//! Invariant: a line is written once the action has taken effect, and never for one that did not. Whoever calls
//! [`done`] does so where a caller that hangs up cannot come between the two.

use std::fmt::Display;

use brain_swarm::{
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

/// Writes the line of an action: `action` is resource and verb, `object` the id of what was changed.
pub(crate) fn done<'a>(by: &Principal, action: &'static str, place: impl Into<Place<'a>>, object: &dyn Display) {
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
