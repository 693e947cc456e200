//! `/api/swarm/agents`: reading, and heartbeats.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use brain_swarm::{agents, ids::ActorId};
use serde::Serialize;

use super::{Segment, segment, swarm};
use crate::{
    app::App,
    cursor::{List, Scope},
    problem::{Kind, Problem},
    query::Query,
    reply,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    agents: Vec<agents::StoredAgent>,
    next_cursor: Option<String>,
}

/// Agents of a swarm by id, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["swarmId", "status", "cursor", "limit"])?;
    let mut wanted = agents::Query {
        tenant_id: app.tenant.clone(),
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

/// An agent says that it lives.
pub(crate) async fn heartbeat(State(app): State<Arc<App>>, path: Segment, uri: Uri) -> Result<Response, Problem> {
    let agent: ActorId = segment("agentId", path)?;
    let query = Query::parse(uri.query(), &["swarmId"])?;
    let swarm = swarm(&app, &query)?;
    // One statement, which is done or not done: no need to detach it from the connection.
    match agents::heartbeat(&app.services.postgres, &app.tenant, &swarm, &agent).await? {
        Some(agent) => reply::json(StatusCode::OK, &agent),
        None => Err(Problem::new(
            Kind::NotFound,
            format!("there is no agent {agent} in swarm {swarm}; it joins with an event run.started"),
        )),
    }
}
