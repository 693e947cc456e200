//! `POST /api/swarm/tasks/claim`: a worker asks for tasks, and waits for them where it says so.
//!
//! Invariants: the time that a caller is willing to wait comes on top of the time limit of a request; a caller that hangs up
//! waits no more; a server that stops answers those that wait.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use brain_swarm::{
    calls::{Ask, Claimed},
    ids::ActorId,
};
use serde::Deserialize;

use super::super::call_scope;
use crate::{
    access::Caller,
    app::App,
    object,
    problem::{Kind, Problem},
    reply,
};

/// The longest that a claim may wait; what is beyond is refused by the call itself.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);
/// How long a claim gets to end by itself once the server stops: one that is being committed must not lose its tasks.
const DRAIN_GRACE: Duration = Duration::from_millis(500);

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "TaskClaim")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Given {
    agent_id: ActorId,
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    max: usize,
    #[schemars(range(min = 1000, max = 3_600_000))]
    lease_ms: Option<u64>,
    #[serde(default)]
    #[schemars(range(max = 60_000))]
    wait_ms: u64,
}

fn one() -> usize {
    1
}

/// Gives an agent tasks. Dropped when the caller hangs up: a claim that waits is then forgotten.
pub(crate) async fn claim(State(app): State<Arc<App>>, caller: Caller, request: Request) -> Result<Response, Problem> {
    let scope = call_scope(&app, &caller, request.uri())?;
    let given: Given = object::read(&app, request).await?;
    caller.speaks_as(&given.agent_id)?;
    let ask = Ask {
        agent_id: given.agent_id,
        max: given.max,
        lease: given.lease_ms.map(Duration::from_millis),
        wait: Duration::from_millis(given.wait_ms),
    };
    let limit = app.request_timeout + ask.wait.min(MAX_WAIT);
    let mut claiming = std::pin::pin!(app.services.calls.claim(&scope, &ask));
    let claimed = tokio::select! {
        claimed = claiming.as_mut() => claimed?,
        () = app.draining.cancelled() => match tokio::time::timeout(DRAIN_GRACE, claiming.as_mut()).await {
            Ok(claimed) => claimed?,
            Err(_) => nothing(),
        },
        () = tokio::time::sleep(limit) => return Err(late(limit)),
    };
    reply::json(StatusCode::OK, &claimed)
}

fn nothing() -> Claimed {
    Claimed {
        tasks: Vec::new(),
        draining: false,
    }
}

fn late(limit: Duration) -> Problem {
    let ms = limit.as_millis();
    Problem::new(
        Kind::Timeout,
        format!("no answer within {ms} ms (waitMs and STUDIO_BRAIN_HTTP_REQUEST_TIMEOUT_MS); claim again"),
    )
}
