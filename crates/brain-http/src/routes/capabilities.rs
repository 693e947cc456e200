//! `/api/capabilities`: what agents may do to the world outside, and what is decided about it.
//!
//! Invariants: a handler lets in who may ask at all, and says who asks and what; whether something may be done to the world is decided in
//! one place, the domain; whatever changes is done to its end, also when its caller hangs up.

pub(crate) mod delegations;
pub(crate) mod policy;
pub(crate) mod proposals;
pub(crate) mod trail;

use std::sync::Arc;

use brain_swarm::{
    digest::Digest,
    governance::{Who, capability::Definition},
};
use serde::{Deserialize, Serialize};

use crate::access::{Caller, Role};

/// A reason that a person gives; at least 10 characters.
#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "Reason")]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    #[schemars(length(min = 10, max = 4096), regex(pattern = r"\S"))]
    reason: String,
}

/// A capability with the digest that approvals are bound to.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "DefinedCapability")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Defined {
    #[serde(flatten)]
    definition: Definition,
    definition_digest: Digest,
}

/// The caller, as governance knows it. The name of its credential counts, and never one that a request gives.
pub(crate) fn who(caller: &Caller) -> Who {
    let scopes = caller.scopes.clone();
    Who {
        principal: caller.id.to_string(),
        actor_id: caller.actor_id.clone(),
        tenant_id: caller.tenant_id.clone(),
        agent: caller.role < Role::Operator,
        covers: Arc::new(move |capability| scopes.cover(&format!("capability:{capability}"), "execute")),
    }
}
