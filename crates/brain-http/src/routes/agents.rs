//! `/api/swarm/agents`: reading, joining, heartbeats, draining.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::Response,
};
use brain_swarm::{
    agents,
    calls::{Hold, Registration},
    ids::ActorId,
};
use serde::{Deserialize, Serialize};

use super::{Segment, call_scope, default_run, segment, swarm};
use crate::{
    access::Caller,
    app::App,
    audit,
    cursor::{List, Scope},
    object::{self, Object},
    problem::Problem,
    query::Query,
    reply,
};

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "AgentPage")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    agents: Vec<agents::StoredAgent>,
    next_cursor: Option<String>,
}

/// Agents of a swarm by id, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["swarmId", "status", "cursor", "limit"])?;
    let mut wanted = agents::Query {
        tenant_id: caller.tenant_id.clone(),
        swarm_id: swarm(&app, &query)?,
        live: query.one_of("status", &[("live", true), ("lost", false)])?,
        after: None,
        limit: query.limit()?,
    };
    let scope = Scope::new(List::Agents, &[Some(wanted.swarm_id.as_str()), query.text("status")]);
    wanted.after = query.text("cursor").map(|cursor| scope.decode_as(cursor)).transpose()?;
    let page = agents::list(&app.services.postgres, &wanted).await?;
    let next_cursor = page.next.map(|agent| scope.encode(agent.as_str()));
    reply::json(
        StatusCode::OK,
        &Page {
            agents: page.agents,
            next_cursor,
        },
    )
}

/// An agent joins, or joins again with other properties.
pub(crate) async fn register(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let scope = call_scope(&app, &caller, request.uri())?;
    let agent: Registration = object::read(&app, request).await?;
    caller.speaks_as(&agent.agent_id)?;
    let run = default_run(&app)?;
    let agent = app.services.calls.register_agent(&scope, &run, agent).await?;
    reply::json(StatusCode::OK, &agent)
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "NewHeartbeat")]
#[serde(deny_unknown_fields)]
pub(crate) struct Pulse {
    #[serde(default)]
    #[schemars(length(max = 4096))]
    tasks: Vec<Object<Hold>>,
}

/// An agent says that it lives and what it works on, and learns what it lost.
pub(crate) async fn heartbeat(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (agent, scope): (ActorId, _) = (segment("agentId", path)?, call_scope(&app, &caller, request.uri())?);
    caller.speaks_as(&agent)?;
    let pulse: Pulse = object::read_any(&app, request).await?;
    let holds: Vec<Hold> = pulse.tasks.into_iter().map(|Object(hold)| hold).collect();
    // Each statement stands for itself: no need to detach them from the connection.
    let beat = app.services.calls.heartbeat(&scope, &agent, &holds).await?;
    reply::json(StatusCode::OK, &beat)
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "AgentOrder")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Drain {
    actor_id: Option<ActorId>,
}

/// An agent is to finish what it has and is given nothing new.
pub(crate) async fn drain(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    set_draining(&app, caller, path, request, true).await
}

/// An agent is given tasks again.
pub(crate) async fn resume(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    set_draining(&app, caller, path, request, false).await
}

async fn set_draining(
    app: &App,
    caller: Caller,
    path: Segment,
    request: Request,
    draining: bool,
) -> Result<Response, Problem> {
    let (agent, scope): (ActorId, _) = (segment("agentId", path)?, call_scope(app, &caller, request.uri())?);
    let given: Drain = object::read_any(app, request).await?;
    let actor = caller.actor(given.actor_id)?;
    let calls = app.services.calls.clone();
    let postgres = app.services.postgres.clone();
    let setting = app.to_the_end(async move {
        let changed = calls.drain_agent(&scope, &agent, &actor, draining).await?;
        let action = if draining { "agent.drain" } else { "agent.resume" };
        audit::done(&postgres, &caller, action, &scope, (&agent, None)).await;
        Ok(changed)
    });
    reply::json(StatusCode::OK, &setting.await?)
}
