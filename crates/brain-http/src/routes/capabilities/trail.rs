//! Two views of the audit trail that the original has: what became of delegations, and who was too fast.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use brain_swarm::audit::{self, Record};
use serde::Serialize;

use crate::{
    access::Caller,
    app::App,
    cursor::{List, Scope},
    problem::Problem,
    query::Query,
    reply,
};

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "AuditView")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    records: Vec<Record>,
    next_cursor: Option<String>,
}

/// Delegations given, revoked, and refused, newest first, by page.
pub(crate) async fn delegations(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    page(&app, &caller, &uri, "capability.delegation.").await
}

/// Who asked more often than a minute allows, newest first, by page.
pub(crate) async fn rate_limits(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    page(&app, &caller, &uri, "capability.rate_limited").await
}

async fn page(app: &App, caller: &Caller, uri: &Uri, prefix: &'static str) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["cursor", "limit"])?;
    let scope = Scope::new(List::Audit, &[Some(prefix)]);
    let wanted = audit::Query {
        tenant_id: caller.tenant_id.clone(),
        action_prefix: Some(prefix.to_owned()),
        actor_id: None,
        approval_state: None,
        target: None,
        before: query.text("cursor").map(|cursor| scope.decode_as(cursor)).transpose()?,
        limit: query.limit()?,
    };
    let page = audit::list(&app.services.postgres, &wanted).await?;
    let next_cursor = page.next.map(|seq| scope.encode(&seq.to_string()));
    reply::json(
        StatusCode::OK,
        &Page {
            records: page.records,
            next_cursor,
        },
    )
}
