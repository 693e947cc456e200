//! `/api/swarm/budgets`: making, reading, raising, stopping. What is spent of them is in `tasks/spend`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::Response,
};
use brain_swarm::{
    budgets,
    calls::{self, NewBudget},
    ids::{ActorId, BudgetId},
};
use serde::{Deserialize, Serialize};

use super::{Order, Segment, call_scope, default_run, segment, swarm};
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
#[schemars(rename = "BudgetPage")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    budgets: Vec<budgets::StoredBudget>,
    next_cursor: Option<String>,
}

/// Budgets of a swarm by id, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["swarmId", "state", "cursor", "limit"])?;
    let mut wanted = budgets::Query {
        tenant_id: caller.tenant_id.clone(),
        swarm_id: swarm(&app, &query)?,
        state: query.get("state")?,
        after: None,
        limit: query.limit()?,
    };
    let scope = Scope::new(List::Budgets, &[Some(wanted.swarm_id.as_str()), query.text("state")]);
    wanted.after = query.text("cursor").map(|cursor| scope.decode_as(cursor)).transpose()?;
    let page = budgets::list(&app.services.postgres, &wanted).await?;
    let next_cursor = page.next.map(|budget| scope.encode(budget.as_str()));
    reply::json(
        StatusCode::OK,
        &Page {
            budgets: page.budgets,
            next_cursor,
        },
    )
}

/// One budget.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let budget: BudgetId = segment("budgetId", path)?;
    let query = Query::parse(uri.query(), &["swarmId"])?;
    let swarm = swarm(&app, &query)?;
    match budgets::get(&app.services.postgres, &caller.tenant_id, &swarm, &budget).await? {
        Some(budget) => reply::thing(&budget),
        None => Err(Problem::new(
            Kind::NotFound,
            format!("there is no budget {budget} in swarm {swarm}"),
        )),
    }
}

/// Makes a budget.
pub(crate) async fn create(State(app): State<Arc<App>>, caller: Caller, request: Request) -> Result<Response, Problem> {
    let scope = call_scope(&app, &caller, request.uri())?;
    let budget: NewBudget = object::read(&app, request).await?;
    let (run, actor) = (default_run(&app)?, caller.actor(budget.actor_id.clone())?);
    let calls = app.services.calls.clone();
    let postgres = app.services.postgres.clone();
    let creating = app.to_the_end(async move {
        let budget = calls.create_budget(&scope, (&run, &actor), budget).await?;
        audit::done(&postgres, &caller, "budget.create", &scope, (&budget.budget_id, None)).await;
        Ok(budget)
    });
    reply::json(StatusCode::CREATED, &creating.await?)
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "BudgetRaise")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Raise {
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    max_units: i64,
    actor_id: Option<ActorId>,
    #[schemars(length(max = 8192))]
    reason: Option<String>,
}

/// Gives a budget more.
pub(crate) async fn raise(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (budget, scope): (BudgetId, _) = (segment("budgetId", path)?, call_scope(&app, &caller, request.uri())?);
    let given: Raise = object::read(&app, request).await?;
    let actor = caller.actor(given.actor_id)?;
    let raised = give_more(&app, caller, (scope, budget), actor, (given.max_units, given.reason)).await?;
    reply::json(StatusCode::OK, &raised)
}

/// Gives a budget more. The tasks that waited for it go on in batches; a caller that hangs up must not come between them.
pub(crate) async fn give_more(
    app: &App,
    by: Caller,
    (scope, budget): (calls::Scope, BudgetId),
    actor: ActorId,
    (max_units, reason): (i64, Option<String>),
) -> Result<budgets::StoredBudget, Problem> {
    let (run, calls) = (default_run(app)?, app.services.calls.clone());
    let postgres = app.services.postgres.clone();
    let raising = app.to_the_end(async move {
        let raised = calls.raise_budget(&scope, (&run, &actor), &budget, max_units, reason.as_deref());
        let raised = raised.await?;
        audit::done(&postgres, &by, "budget.raise", &scope, (&budget, reason.as_deref())).await;
        Ok(raised)
    });
    raising.await
}

/// Stops a budget with its tree.
pub(crate) async fn stop(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (budget, scope): (BudgetId, _) = (segment("budgetId", path)?, call_scope(&app, &caller, request.uri())?);
    let order: Order = object::read_any(&app, request).await?;
    let actor = caller.actor(order.actor_id)?;
    let stopped = halt(&app, caller, (scope, budget), actor, order.reason).await?;
    reply::json(StatusCode::OK, &stopped)
}

/// Stops a budget with its tree, also when its caller hangs up.
pub(crate) async fn halt(
    app: &App,
    by: Caller,
    (scope, budget): (calls::Scope, BudgetId),
    actor: ActorId,
    reason: Option<String>,
) -> Result<budgets::StoredBudget, Problem> {
    let (run, calls) = (default_run(app)?, app.services.calls.clone());
    let postgres = app.services.postgres.clone();
    let stopping = app.to_the_end(async move {
        let stopped = calls
            .stop_budget(&scope, (&run, &actor), &budget, reason.as_deref())
            .await?;
        audit::done(&postgres, &by, "budget.stop", &scope, (&budget, reason.as_deref())).await;
        Ok(stopped)
    });
    stopping.await
}
