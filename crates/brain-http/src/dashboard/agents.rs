//! `/dashboard/agents`: who works in a swarm.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri, response::Response};
use brain_swarm::agents::{self, StoredAgent};

use super::{
    frame::{AGENTS, Frame, Pager, Place, ROWS, filled},
    reply,
    session::Visitor,
};
use crate::{
    app::App,
    cursor::{List, Scope},
    problem::Problem,
    query::{Query, invalid},
};

#[derive(Template)]
#[template(path = "agents.html")]
struct Page<'a> {
    frame: Frame,
    agents: &'a [StoredAgent],
    status: &'a str,
    pager: Pager,
}

/// Agents of a swarm by id, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["swarmId", "status", "cursor", "done"])?;
    let place = Place::of(&app, &query)?;
    let scope = place.scope(&visitor);
    let status = filled(&query, "status");
    let cursors = Scope::new(List::Agents, &[Some(scope.swarm_id.as_str()), status]);
    let wanted = agents::Query {
        tenant_id: scope.tenant_id,
        swarm_id: scope.swarm_id,
        live: match status {
            None => None,
            Some("live") => Some(true),
            Some("lost") => Some(false),
            Some(_) => return Err(invalid("status", "it must be one of live, lost")),
        },
        after: query
            .text("cursor")
            .map(|cursor| cursors.decode_as(cursor))
            .transpose()?,
        limit: ROWS,
    };
    let page = agents::list(&app.services.postgres, &wanted).await?;
    let status = status.unwrap_or_default();
    let next = page.next.map(|agent| cursors.encode(agent.as_str()));
    let pager = place.pager("agents", &[("status", status)], (query.text("cursor"), next));
    let list = Page {
        agents: &page.agents,
        status,
        pager,
        frame: Frame::new(&visitor, AGENTS, "Agents", place),
    };
    reply::page(&visitor, &list)
}
