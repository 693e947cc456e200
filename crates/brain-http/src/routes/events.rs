//! `/api/swarm/events`: publishing and reading.

mod batch;

use std::sync::Arc;

use axum::{
    extract::{Extension, Request, State},
    http::{StatusCode, Uri},
    response::Response,
};
use brain_swarm::{
    event::{Defaults, Event, EventType},
    events,
    publish::Published,
};
use bytes::Bytes;
use serde::Serialize;

use crate::{
    app::App,
    body,
    cursor::{List, Scope},
    problem::Problem,
    query::{Query, invalid},
    reply,
    trace::Trace,
};

/// A body up to this size is read where it arrived; a larger one would keep other requests waiting.
const INLINE_BYTES: usize = 64 * 1024;

#[derive(Serialize)]
struct Receipt {
    events: Vec<Published>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<events::Gap>,
    events: Vec<events::StoredEvent>,
    next_cursor: Option<String>,
    last_seq: i64,
}

/// Stores one event or several, all or none.
///
/// The handler itself may be dropped at any moment: what it has handed to the publisher is committed.
pub(crate) async fn publish(
    State(app): State<Arc<App>>,
    Extension(trace): Extension<Trace>,
    request: Request,
) -> Result<Response, Problem> {
    Query::parse(request.uri().query(), &[])?;
    let bytes = body::read(request.into_body(), app.body_limits).await?;
    let defaults = Defaults {
        traceparent: Some(trace.traceparent()),
        ..app.services.defaults.clone()
    };
    let events = read(bytes, app.services.max_event_bytes, defaults).await?;
    receipt(app.services.publisher.publish(events).await?)
}

/// Says what was stored: created, or there already.
pub(super) fn receipt(events: Vec<Published>) -> Result<Response, Problem> {
    let known = events.iter().all(|event| event.duplicate);
    let status = if known { StatusCode::OK } else { StatusCode::CREATED };
    reply::json(status, &Receipt { events })
}

async fn read(bytes: Bytes, max_event_bytes: usize, defaults: Defaults) -> Result<Vec<Event>, Problem> {
    if bytes.len() <= INLINE_BYTES {
        return batch::read(&bytes, max_event_bytes, &defaults);
    }
    let reading = tokio::task::spawn_blocking(move || batch::read(&bytes, max_event_bytes, &defaults));
    reading.await.unwrap_or_else(|error| Err(Problem::internal(error)))
}

/// Events of a swarm in their order, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(
        uri.query(),
        &["swarmId", "runId", "type", "actorId", "cursor", "after", "limit"],
    )?;
    let kind: Option<EventType> = query.get("type")?;
    let mut wanted = events::Query {
        tenant_id: app.tenant.clone(),
        swarm_id: super::swarm(&app, &query)?,
        run_id: query.get("runId")?,
        kind: kind.map(|kind| kind.as_str().to_owned()),
        actor_id: query.get("actorId")?,
        after: 0,
        limit: query.limit()?,
    };
    let scope = Scope::new(
        List::Events,
        &[
            Some(wanted.swarm_id.as_str()),
            query.text("runId"),
            query.text("type"),
            query.text("actorId"),
        ],
    );
    let after: i64 = match query.text("after").map(str::parse) {
        None => 0,
        Some(Ok(after)) if after >= 0 => after,
        Some(_) => return Err(invalid("after", "it must be a sequence number, 0 or more")),
    };
    let reached = query
        .text("cursor")
        .map(|cursor| scope.decode_as::<i64>(cursor))
        .transpose()?;
    // Whoever pages on from a number keeps it in the query; the cursor is further on.
    wanted.after = reached.map_or(after, |reached| reached.max(after));
    let page = events::list(&app.services.postgres, &wanted).await?;
    reply::json(
        StatusCode::OK,
        &Page {
            gap: page.gap,
            events: page.events,
            next_cursor: page.next_after.map(|after| scope.encode(&after.to_string())),
            last_seq: page.last_seq,
        },
    )
}
