//! `/dashboard/budgets`: what may be spent, raising it and stopping it.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri, response::Response};
use brain_swarm::{
    budgets::{self, BudgetState, StoredBudget},
    ids::BudgetId,
};

use super::{
    action::{self, Action},
    form::{Posted, TOKEN},
    frame::{BUDGETS, Frame, Pager, Place, ROWS, chosen, filled},
    reply,
    session::Visitor,
};
use crate::{
    app::App,
    cursor::{List, Scope},
    problem::Problem,
    query::{Query, invalid},
    routes::{self, Segment},
};

#[derive(Template)]
#[template(path = "budgets.html")]
struct Page<'a> {
    frame: Frame,
    budgets: &'a [StoredBudget],
    state: &'a str,
    pager: Pager,
    may_manage: bool,
}

impl Page<'_> {
    fn states(&self) -> &'static [BudgetState] {
        BudgetState::ALL
    }
}

/// Budgets of a swarm by id, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["swarmId", "state", "cursor", "done"])?;
    let place = Place::of(&app, &query)?;
    let scope = place.scope(&visitor);
    let state = filled(&query, "state");
    let cursors = Scope::new(List::Budgets, &[Some(scope.swarm_id.as_str()), state]);
    let wanted = budgets::Query {
        tenant_id: scope.tenant_id,
        swarm_id: scope.swarm_id,
        state: chosen(&query, "state")?,
        after: query
            .text("cursor")
            .map(|cursor| cursors.decode_as(cursor))
            .transpose()?,
        limit: ROWS,
    };
    let page = budgets::list(&app.services.postgres, &wanted).await?;
    let state = state.unwrap_or_default();
    let next = page.next.map(|budget| cursors.encode(budget.as_str()));
    let pager = place.pager("budgets", &[("state", state)], (query.text("cursor"), next));
    let list = Page {
        budgets: &page.budgets,
        state,
        pager,
        may_manage: visitor.may("budgets", "manage"),
        frame: Frame::new(&visitor, BUDGETS, "Budgets", place),
    };
    reply::page(&visitor, &list)
}

/// Gives a budget more.
pub(crate) async fn raise(
    State(app): State<Arc<App>>,
    path: Segment,
    uri: Uri,
    posted: Posted,
) -> Result<Response, Problem> {
    let action: Action<BudgetId> = Action::read(&app, ("budgetId", path), &uri, &posted)?;
    let fields = posted.fields(&[TOKEN, "maxUnits", "reason"])?;
    let max_units: i64 = chosen(&fields, "maxUnits")?
        .filter(|units| *units >= 0)
        .ok_or_else(|| invalid("maxUnits", "it must be a whole number, 0 or more"))?;
    let raise = (max_units, action::reason(&fields));
    let after = action.after("budgets", "budget-raised")?;
    routes::budgets::give_more(&app, action.by, (action.scope, action.id), action.actor, raise).await?;
    Ok(after)
}

/// Stops a budget with its tree.
pub(crate) async fn stop(
    State(app): State<Arc<App>>,
    path: Segment,
    uri: Uri,
    posted: Posted,
) -> Result<Response, Problem> {
    let action: Action<BudgetId> = Action::read(&app, ("budgetId", path), &uri, &posted)?;
    let reason = action::reason(&posted.fields(&[TOKEN, "reason"])?);
    let after = action.after("budgets", "budget-stopped")?;
    routes::budgets::halt(&app, action.by, (action.scope, action.id), action.actor, reason).await?;
    Ok(after)
}
