//! `/api/swarm/tasks`: reading; what is done with tasks is beside it.

pub(crate) mod claim;
pub(crate) mod create;
pub(crate) mod report;
pub(crate) mod spend;
pub(crate) mod steer;

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use brain_swarm::{ids::TaskId, tasks};
use serde::Serialize;

pub(crate) use self::{
    claim::{MAX_WAIT, claim},
    create::create,
    report::{complete, emit, fail, finish, progress, release},
    spend::{reserve, settle},
    steer::{cancel, reassign, retry},
};
use super::{Segment, segment, swarm};
use crate::{
    access::Caller,
    app::App,
    cursor::{List, Scope},
    problem::{Kind, Problem},
    query::Query,
    reply,
};

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "TaskPage")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    tasks: Vec<tasks::StoredTask>,
    next_cursor: Option<String>,
}

/// Tasks of a swarm by id, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(
        uri.query(),
        &["swarmId", "runId", "status", "agentId", "cursor", "limit"],
    )?;
    let mut wanted = tasks::Query {
        tenant_id: caller.tenant_id.clone(),
        swarm_id: swarm(&app, &query)?,
        run_id: query.get("runId")?,
        status: query.get("status")?,
        assigned_agent_id: query.get("agentId")?,
        after: None,
        limit: query.limit()?,
    };
    let scope = Scope::new(
        List::Tasks,
        &[
            Some(wanted.swarm_id.as_str()),
            query.text("runId"),
            query.text("status"),
            query.text("agentId"),
        ],
    );
    wanted.after = query.text("cursor").map(|cursor| scope.decode_as(cursor)).transpose()?;
    let page = tasks::list(&app.services.postgres, &wanted).await?;
    let next_cursor = page.next.map(|task| scope.encode(task.as_str()));
    reply::json(
        StatusCode::OK,
        &Page {
            tasks: page.tasks,
            next_cursor,
        },
    )
}

/// One task.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let task: TaskId = segment("taskId", path)?;
    let query = Query::parse(uri.query(), &["swarmId"])?;
    let swarm = swarm(&app, &query)?;
    match tasks::get(&app.services.postgres, &caller.tenant_id, &swarm, &task).await? {
        Some(task) => reply::thing(&task),
        None => Err(Problem::new(
            Kind::NotFound,
            format!("there is no task {task} in swarm {swarm}"),
        )),
    }
}
