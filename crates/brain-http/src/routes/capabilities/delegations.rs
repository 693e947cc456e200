//! Delegations: given, read, revoked.
//!
//! Invariant: whoever is no administrator delegates what is its own, and revokes that alone.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::Response,
};
use brain_swarm::{
    governance::delegations::{self, NewDelegation, StoredDelegation},
    ids::ActorId,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Reason, who};
use crate::{
    access::{Caller, Role},
    app::App,
    audit,
    cursor::{List, Scope},
    object,
    problem::{Kind, Problem},
    query::Query,
    reply,
    routes::{Segment, segment},
};

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "DelegationPage")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    delegations: Vec<StoredDelegation>,
    next_cursor: Option<String>,
}

/// Delegations by id, by page. An agent sees its own.
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["actorId", "cursor", "limit"])?;
    let asked: Option<ActorId> = query.get("actorId")?;
    let party = match caller.role {
        Role::Agent => Some(caller.actor(asked)?),
        _ => asked,
    };
    let scope = Scope::new(List::Delegations, &[party.as_ref().map(ActorId::as_str)]);
    let after = query.text("cursor").map(|cursor| scope.decode_as(cursor)).transpose()?;
    let limit = query.limit()?;
    let governance = &app.services.governance;
    let mut delegations = governance
        .delegations(&caller.tenant_id, party.as_ref(), after, limit + 1)
        .await?;
    let more = delegations.len() > limit;
    delegations.truncate(limit);
    let last = delegations.last().filter(|_| more);
    let next_cursor = last.map(|last| scope.encode(&last.delegation_id.to_string()));
    reply::json(
        StatusCode::OK,
        &Page {
            delegations,
            next_cursor,
        },
    )
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "NewDelegation")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Given {
    /// Who lets the agent act: the caller, where it is left out; somebody else, where an administrator asks.
    owner_id: Option<ActorId>,
    agent_id: ActorId,
    /// `capability:<id>:execute`, or `capability:*:execute`.
    #[schemars(length(min = 1, max = delegations::MAX_SCOPES))]
    #[schemars(inner(regex(pattern = r"^capability:(\*|[a-z][a-z0-9._-]{0,63}):execute$")))]
    scopes: Vec<String>,
    #[schemars(range(min = 1, max = delegations::MAX_LIFE_MS))]
    expires_in_ms: i64,
    #[schemars(length(min = 10, max = 4096), regex(pattern = r"\S"))]
    reason: String,
}

/// Makes a delegation.
pub(crate) async fn create(State(app): State<Arc<App>>, caller: Caller, request: Request) -> Result<Response, Problem> {
    Query::parse(request.uri().query(), &[])?;
    let given: Given = object::read(&app, request).await?;
    let owner_id = given.owner_id.unwrap_or_else(|| caller.actor_id.clone());
    if owner_id != caller.actor_id && caller.role < Role::Admin {
        let detail = "whoever is no administrator delegates for itself alone: leave ownerId out";
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    let mut scopes: Vec<delegations::Scope> = Vec::new();
    for text in &given.scopes {
        let scope = text.parse();
        let scope =
            scope.map_err(|error: delegations::InvalidScope| Problem::new(Kind::InvalidRequest, error.to_string()))?;
        let (resource, action) = text.rsplit_once(':').unwrap_or((text, ""));
        if !caller.scopes.cover(resource, action) {
            let detail = "nobody gives what they do not have: a scope goes beyond the caller's own";
            return Err(Problem::new(Kind::Forbidden, detail));
        }
        scopes.push(scope);
    }
    let new = NewDelegation {
        owner_id,
        agent_id: given.agent_id,
        scopes,
        expires_in_ms: given.expires_in_ms,
        reason: given.reason,
    };
    let governance = app.services.governance.clone();
    let delegating = app.to_the_end(async move {
        let made = governance.delegate(&who(&caller), &new).await?;
        audit::recorded(
            &caller,
            "capability.delegation.create",
            &caller.tenant_id,
            &made.delegation_id,
        );
        Ok(made)
    });
    reply::json(StatusCode::CREATED, &delegating.await?)
}

/// Revokes a delegation.
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let id: Uuid = segment("delegationId", path)?;
    Query::parse(request.uri().query(), &[])?;
    let given: Reason = object::read(&app, request).await?;
    let governance = app.services.governance.clone();
    let revoking = app.to_the_end(async move {
        let own = (caller.role < Role::Admin).then_some(&caller.actor_id);
        let revoked = governance
            .revoke_delegation(&who(&caller), id, own, &given.reason)
            .await?;
        audit::recorded(&caller, "capability.delegation.revoke", &caller.tenant_id, &id);
        Ok(revoked)
    });
    reply::json(StatusCode::OK, &revoking.await?)
}
