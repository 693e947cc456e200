//! What people do to a task: call it off, give it to another agent, give it another try.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use brain_swarm::{
    calls::{Changed, Scope},
    ids::{ActorId, TaskId},
};
use serde::Deserialize;

use super::super::{Order, Segment, call_scope, segment};
use crate::{access::Caller, app::App, audit, object, problem::Problem, reply};

/// Calls a task off.
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (task, scope): (TaskId, _) = (segment("taskId", path)?, call_scope(&app, &caller, request.uri())?);
    let order: Order = object::read_any(&app, request).await?;
    let actor = caller.actor(order.actor_id)?;
    let cancelled = call_off(&app, caller, (scope, task), actor, order.reason).await?;
    reply::json(StatusCode::OK, &cancelled)
}

/// Calls a task off, also when its caller hangs up.
pub(crate) async fn call_off(
    app: &App,
    by: Caller,
    (scope, task): (Scope, TaskId),
    actor: ActorId,
    reason: Option<String>,
) -> Result<Changed, Problem> {
    let (calls, postgres) = (app.services.calls.clone(), app.services.postgres.clone());
    let cancelling = app.to_the_end(async move {
        let changed = calls.cancel_task(&scope, &task, &actor, reason.as_deref()).await?;
        audit::done(&postgres, &by, "task.cancel", &scope, (&task, reason.as_deref())).await;
        Ok(changed)
    });
    cancelling.await
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "TaskReassignment")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Reassignment {
    agent_id: ActorId,
    actor_id: Option<ActorId>,
}

/// Gives a task to an agent.
pub(crate) async fn reassign(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (task, scope): (TaskId, _) = (segment("taskId", path)?, call_scope(&app, &caller, request.uri())?);
    let given: Reassignment = object::read(&app, request).await?;
    let (actor, calls) = (caller.actor(given.actor_id)?, app.services.calls.clone());
    let postgres = app.services.postgres.clone();
    let reassigning = app.to_the_end(async move {
        let changed = calls.reassign_task(&scope, &task, &given.agent_id, &actor).await?;
        audit::done(&postgres, &caller, "task.reassign", &scope, (&task, None)).await;
        Ok(changed)
    });
    reply::json(StatusCode::OK, &reassigning.await?)
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "TaskRetry")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Retry {
    actor_id: Option<ActorId>,
}

/// Gives a task that ended badly another try.
pub(crate) async fn retry(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (task, scope): (TaskId, _) = (segment("taskId", path)?, call_scope(&app, &caller, request.uri())?);
    let given: Retry = object::read_any(&app, request).await?;
    let actor = caller.actor(given.actor_id)?;
    let retried = try_again(&app, caller, (scope, task), actor).await?;
    reply::json(StatusCode::OK, &retried)
}

/// Gives a task another try, also when its caller hangs up.
pub(crate) async fn try_again(
    app: &App,
    by: Caller,
    (scope, task): (Scope, TaskId),
    actor: ActorId,
) -> Result<Changed, Problem> {
    let (calls, postgres) = (app.services.calls.clone(), app.services.postgres.clone());
    let retrying = app.to_the_end(async move {
        let changed = calls.retry_task(&scope, &task, &actor).await?;
        audit::done(&postgres, &by, "task.retry", &scope, (&task, None)).await;
        Ok(changed)
    });
    retrying.await
}
