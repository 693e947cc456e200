//! What is said to an agent or to a run: `/api/swarm/agents/{agentId}/messages` and `/api/swarm/runs/{runId}/messages`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::Response,
};
use brain_swarm::{
    agents,
    calls::{self, Message},
    decide::Refusal,
    events::StoredEvent,
    ids::{ActorId, EventId, RunId, TaskId},
    runs,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Segment, call_scope, scope_of, segment};
use crate::{
    access::Caller,
    app::App,
    object,
    problem::Problem,
    query::{Query, invalid},
    reply,
};

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "NewMessage")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Given {
    actor_id: Option<ActorId>,
    message: String,
    data: Option<Value>,
    task_id: Option<TaskId>,
}

impl Given {
    fn read(self, caller: &Caller) -> Result<Message, Problem> {
        Ok(Message {
            actor_id: caller.actor(self.actor_id)?,
            message: self.message,
            data: self.data,
            task_id: self.task_id,
        })
    }
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "MessagePage")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    messages: Vec<Heard>,
    next_after: i64,
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Message")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Heard {
    seq: i64,
    id: EventId,
    actor_id: ActorId,
    payload: Value,
    created_at: Timestamp,
}

/// Says something to an agent.
pub(crate) async fn to_agent(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (agent, scope): (ActorId, _) = (segment("agentId", path)?, call_scope(&app, &caller, request.uri())?);
    let message = object::read::<Given>(&app, request).await?.read(&caller)?;
    let said = app.services.calls.message_agent(&scope, &agent, message).await?;
    reply::json(StatusCode::OK, &said)
}

/// Says something to all that work in a run.
pub(crate) async fn to_run(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (run, scope): (RunId, _) = (segment("runId", path)?, call_scope(&app, &caller, request.uri())?);
    let message = object::read::<Given>(&app, request).await?.read(&caller)?;
    must_be_known(&app, &scope, &run).await?;
    let said = app.services.calls.message_run(&scope, &run, message).await?;
    reply::json(StatusCode::OK, &said)
}

/// What was said to an agent.
pub(crate) async fn of_agent(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let agent: ActorId = segment("agentId", path)?;
    let (scope, after, limit) = wanted(&app, &caller, &uri)?;
    let said = app.services.calls.agent_messages(&scope, &agent, after, limit).await?;
    // An inbox that nobody will ever write to must not look like one that is empty.
    if said.is_empty()
        && agents::get(&app.services.postgres, &scope.tenant_id, &scope.swarm_id, &agent)
            .await?
            .is_none()
    {
        return Err(calls::Error::NotFound(Refusal::UnknownAgent).into());
    }
    page(said, after)
}

/// What was said to a run.
pub(crate) async fn of_run(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let run: RunId = segment("runId", path)?;
    let (scope, after, limit) = wanted(&app, &caller, &uri)?;
    let said = app.services.calls.run_messages(&scope, &run, after, limit).await?;
    if said.is_empty() {
        must_be_known(&app, &scope, &run).await?;
    }
    page(said, after)
}

async fn must_be_known(app: &App, scope: &calls::Scope, run: &RunId) -> Result<(), Problem> {
    match runs::get(&app.services.postgres, &scope.tenant_id, &scope.swarm_id, run).await? {
        Some(_) => Ok(()),
        None => Err(calls::Error::NotFound(Refusal::UnknownRun).into()),
    }
}

fn wanted(app: &App, caller: &Caller, uri: &Uri) -> Result<(calls::Scope, i64, usize), Problem> {
    let query = Query::parse(uri.query(), &["swarmId", "after", "limit"])?;
    let after: i64 = match query.text("after").map(str::parse) {
        None => 0,
        Some(Ok(after)) if after >= 0 => after,
        Some(_) => return Err(invalid("after", "it must be a sequence number, 0 or more")),
    };
    Ok((scope_of(app, caller, &query)?, after, query.limit()?))
}

fn page(said: Vec<StoredEvent>, after: i64) -> Result<Response, Problem> {
    let next_after = said.last().map_or(after, |last| last.seq);
    let messages = said.into_iter().map(|event| Heard {
        seq: event.seq,
        id: event.id,
        actor_id: event.actor_id,
        payload: event.payload,
        created_at: event.created_at,
    });
    reply::json(
        StatusCode::OK,
        &Page {
            messages: messages.collect(),
            next_after,
        },
    )
}
