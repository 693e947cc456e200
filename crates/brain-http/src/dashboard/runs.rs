//! `/dashboard/runs`: runs, one run with its tasks, and calling it off.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri, response::Response};
use brain_swarm::{
    ids::{RunId, TaskId},
    runs::{self, RunState, StoredRun},
    tasks::{self, StoredTask},
};

use super::{
    action::{self, Action},
    form::{Posted, TOKEN},
    frame::{Frame, Pager, Place, ROWS, RUNS, chosen, filled},
    reply,
    session::Visitor,
    text::{self, Cut},
};
use crate::{
    app::App,
    cursor::{List, Scope},
    problem::{Kind, Problem},
    query::Query,
    routes::{self, Segment, segment},
};

#[derive(Template)]
#[template(path = "runs.html")]
struct ListPage<'a> {
    frame: Frame,
    runs: &'a [StoredRun],
    state: &'a str,
    pager: Pager,
}

impl ListPage<'_> {
    fn states(&self) -> &'static [RunState] {
        RunState::ALL
    }
}

/// Runs of a swarm by id, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["swarmId", "state", "cursor", "done"])?;
    let place = Place::of(&app, &query)?;
    let scope = place.scope(&visitor);
    let state = filled(&query, "state");
    let cursors = Scope::new(List::Runs, &[Some(scope.swarm_id.as_str()), state]);
    let wanted = runs::Query {
        tenant_id: scope.tenant_id,
        swarm_id: scope.swarm_id,
        state: chosen(&query, "state")?,
        after: query
            .text("cursor")
            .map(|cursor| cursors.decode_as(cursor))
            .transpose()?,
        limit: ROWS,
    };
    let page = runs::list(&app.services.postgres, &wanted).await?;
    let state = state.unwrap_or_default();
    let next = page.next.map(|run| cursors.encode(run.as_str()));
    let pager = place.pager("runs", &[("state", state)], (query.text("cursor"), next));
    let list = ListPage {
        runs: &page.runs,
        state,
        pager,
        frame: Frame::new(&visitor, RUNS, "Runs", place),
    };
    reply::page(&visitor, &list)
}

#[derive(Template)]
#[template(path = "run.html")]
struct OnePage<'a> {
    frame: Frame,
    run: &'a StoredRun,
    summary: Option<Cut>,
    /// Its tasks by page, for those who may see tasks.
    tasks: Option<&'a [StoredTask]>,
    pager: Pager,
    may_cancel: bool,
}

/// One run.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let run: RunId = segment("runId", path)?;
    let query = Query::parse(uri.query(), &["swarmId", "cursor", "done"])?;
    let place = Place::of(&app, &query)?;
    let (postgres, scope) = (&app.services.postgres, place.scope(&visitor));
    let found = runs::get(postgres, &scope.tenant_id, &scope.swarm_id, &run).await?;
    let found = found.ok_or_else(|| {
        let detail = format!("there is no run {run} in swarm {}", scope.swarm_id);
        Problem::new(Kind::NotFound, detail)
    })?;
    let (mut tasks, mut pager) = (None, Pager::default());
    if visitor.may("tasks", "read") {
        let cursors = Scope::new(
            List::Tasks,
            &[Some(scope.swarm_id.as_str()), Some(run.as_str()), None, None],
        );
        let after: Option<TaskId> = query
            .text("cursor")
            .map(|cursor| cursors.decode_as(cursor))
            .transpose()?;
        let wanted = tasks::Query {
            tenant_id: scope.tenant_id,
            swarm_id: scope.swarm_id,
            run_id: Some(run.clone()),
            status: None,
            assigned_agent_id: None,
            after,
            limit: ROWS,
        };
        let page = tasks::list(postgres, &wanted).await?;
        let next = page.next.map(|task| cursors.encode(task.as_str()));
        let path = format!("runs/{}", text::encoded(run.as_str()));
        pager = place.pager(&path, &[], (query.text("cursor"), next));
        tasks = Some(page.tasks);
    }
    let page = OnePage {
        run: &found,
        summary: found
            .summary
            .as_ref()
            .map(|summary| text::pretty(summary, text::MAX_BYTES)),
        tasks: tasks.as_deref(),
        pager,
        may_cancel: found.state == RunState::Open && visitor.may("runs", "manage"),
        frame: Frame::new(&visitor, RUNS, format!("Run {run}"), place),
    };
    reply::page(&visitor, &page)
}

/// Calls a run off.
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    path: Segment,
    uri: Uri,
    posted: Posted,
) -> Result<Response, Problem> {
    let action: Action<RunId> = Action::read(&app, ("runId", path), &uri, &posted)?;
    let reason = action::reason(&posted.fields(&[TOKEN, "reason"])?);
    let after = action.after(&format!("runs/{}", text::encoded(action.id.as_str())), "run-cancelled")?;
    routes::runs::call_off(&app, action.by, (action.scope, action.id), action.actor, reason).await?;
    Ok(after)
}
