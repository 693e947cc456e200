//! `/api/swarm/runs`: reading, calling off, finishing.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::Response,
};
use brain_swarm::{
    calls,
    ids::{ActorId, RunId},
    runs,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Order, Segment, call_scope, segment, swarm};
use crate::{
    access::Caller,
    app::App,
    audit,
    cursor::{List, Scope},
    object,
    problem::{Kind, Problem},
    query::Query,
    reply,
};

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "RunPage")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    runs: Vec<runs::StoredRun>,
    next_cursor: Option<String>,
}

/// Runs of a swarm by id, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["swarmId", "state", "cursor", "limit"])?;
    let mut wanted = runs::Query {
        tenant_id: caller.tenant_id.clone(),
        swarm_id: swarm(&app, &query)?,
        state: query.get("state")?,
        after: None,
        limit: query.limit()?,
    };
    let scope = Scope::new(List::Runs, &[Some(wanted.swarm_id.as_str()), query.text("state")]);
    wanted.after = query.text("cursor").map(|cursor| scope.decode_as(cursor)).transpose()?;
    let page = runs::list(&app.services.postgres, &wanted).await?;
    let next_cursor = page.next.map(|run| scope.encode(run.as_str()));
    reply::json(
        StatusCode::OK,
        &Page {
            runs: page.runs,
            next_cursor,
        },
    )
}

/// One run.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let run: RunId = segment("runId", path)?;
    let query = Query::parse(uri.query(), &["swarmId"])?;
    let swarm = swarm(&app, &query)?;
    match runs::get(&app.services.postgres, &caller.tenant_id, &swarm, &run).await? {
        Some(run) => reply::thing(&run),
        None => Err(Problem::new(
            Kind::NotFound,
            format!("there is no run {run} in swarm {swarm}"),
        )),
    }
}

/// Calls a run off.
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (run, scope): (RunId, _) = (segment("runId", path)?, call_scope(&app, &caller, request.uri())?);
    let order: Order = object::read_any(&app, request).await?;
    let actor = caller.actor(order.actor_id)?;
    let cancelled = call_off(&app, caller, (scope, run), actor, order.reason).await?;
    reply::json(StatusCode::OK, &cancelled)
}

/// Calls a run off. Its tasks are cancelled in batches; a caller that hangs up must not come between them.
pub(crate) async fn call_off(
    app: &App,
    by: Caller,
    (scope, run): (calls::Scope, RunId),
    actor: ActorId,
    reason: Option<String>,
) -> Result<runs::StoredRun, Problem> {
    let (calls, postgres) = (app.services.calls.clone(), app.services.postgres.clone());
    let cancelling = app.to_the_end(async move {
        let cancelled = calls.cancel_run(&scope, &run, &actor, reason.as_deref()).await?;
        audit::done(&postgres, &by, "run.cancel", &scope, (&run, reason.as_deref())).await;
        Ok(cancelled)
    });
    cancelling.await
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "RunEnd")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct End {
    actor_id: Option<ActorId>,
    summary: Option<Map<String, Value>>,
}

/// Ends a run, and sums it up.
pub(crate) async fn finish(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (run, scope): (RunId, _) = (segment("runId", path)?, call_scope(&app, &caller, request.uri())?);
    let end: End = object::read_any(&app, request).await?;
    let actor = caller.actor(end.actor_id)?;
    let summary = end.summary.map(Value::Object);
    let calls = app.services.calls.clone();
    let postgres = app.services.postgres.clone();
    let finishing = app.to_the_end(async move {
        let finished = calls.finish_run(&scope, &run, &actor, summary).await?;
        audit::done(&postgres, &caller, "run.finish", &scope, (&run, None)).await;
        Ok(finished)
    });
    reply::json(StatusCode::OK, &finishing.await?)
}
