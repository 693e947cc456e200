//! What a worker spends for a task: it reserves units of the task's budget, and says what it used.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use brain_swarm::{
    calls::Holder,
    ids::{ActorId, FencingToken, TaskId},
};
use serde::Deserialize;

use super::super::{Segment, call_scope, segment};
use crate::{access::Caller, app::App, object, problem::Problem, reply};

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "NewReservation")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Reservation {
    agent_id: ActorId,
    fencing_token: FencingToken,
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    units: i64,
}

/// Reserves units.
pub(crate) async fn reserve(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (task, scope): (TaskId, _) = (segment("taskId", path)?, call_scope(&app, &caller, request.uri())?);
    let given: Reservation = object::read(&app, request).await?;
    caller.speaks_as(&given.agent_id)?;
    let holder = Holder {
        agent_id: given.agent_id,
        fencing_token: given.fencing_token,
    };
    let reserved = app.services.calls.reserve(&scope, &task, &holder, given.units).await?;
    reply::json(StatusCode::OK, &reserved)
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ReservationSettlement")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Settlement {
    agent_id: ActorId,
    fencing_token: FencingToken,
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"))]
    reservation_id: String,
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    units: i64,
}

/// Says what was spent of a reservation.
pub(crate) async fn settle(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (task, scope): (TaskId, _) = (segment("taskId", path)?, call_scope(&app, &caller, request.uri())?);
    let given: Settlement = object::read(&app, request).await?;
    caller.speaks_as(&given.agent_id)?;
    let holder = Holder {
        agent_id: given.agent_id,
        fencing_token: given.fencing_token,
    };
    let settled = app
        .services
        .calls
        .settle(&scope, &task, &holder, &given.reservation_id, given.units);
    reply::json(StatusCode::OK, &settled.await?)
}
