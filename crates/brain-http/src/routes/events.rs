//! `/api/swarm/events`: publishing and reading.

pub(crate) mod batch;
pub(crate) mod cloud;
pub(crate) mod stream;

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Extension, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::Response,
};
use brain_swarm::{
    event::{Defaults, Event},
    events,
    publish::Published,
    tails::Selection,
};
use bytes::Bytes;
use serde::Serialize;

use self::cloud::Mode;
pub(crate) use self::stream::{HEARTBEAT, follow};
use crate::{
    access::{Caller, duty},
    app::App,
    body,
    cursor::{List, Scope},
    problem::Problem,
    query::{Query, invalid},
    reply,
    trace::Trace,
};

/// The longest that a page may be waited for.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);
/// What a page of CloudEvents says in headers.
const LAST_SEQ: HeaderName = HeaderName::from_static("x-last-seq");
const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");
const GAP: HeaderName = HeaderName::from_static("x-gap");
/// A body up to this size is read where it arrived; a larger one would keep other requests waiting.
const INLINE_BYTES: usize = 64 * 1024;

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "PublishedEvents")]
pub(crate) struct Receipt {
    events: Vec<Published>,
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "EventPage")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
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
    caller: Caller,
    Extension(trace): Extension<Trace>,
    request: Request,
) -> Result<Response, Problem> {
    Query::parse(request.uri().query(), &[])?;
    let mode = Mode::of(request.headers())?;
    let bytes = body::read(request, app.body_limits).await?;
    let defaults = Defaults {
        tenant_id: caller.tenant_id.clone(),
        traceparent: Some(trace.traceparent()),
        ..app.services.defaults.clone()
    };
    let events = read(mode, bytes, app.services.max_event_bytes, defaults).await?;
    for event in &events {
        duty::check(&caller, event)?;
    }
    receipt(app.services.publisher.publish(events).await?)
}

/// Says what was stored: created, or there already.
pub(super) fn receipt(events: Vec<Published>) -> Result<Response, Problem> {
    let known = events.iter().all(|event| event.duplicate);
    let status = if known { StatusCode::OK } else { StatusCode::CREATED };
    reply::json(status, &Receipt { events })
}

async fn read(mode: Mode, bytes: Bytes, max_event_bytes: usize, defaults: Defaults) -> Result<Vec<Event>, Problem> {
    if bytes.len() <= INLINE_BYTES {
        return mode.read(&bytes, max_event_bytes, &defaults);
    }
    let reading = tokio::task::spawn_blocking(move || mode.read(&bytes, max_event_bytes, &defaults));
    reading.await.unwrap_or_else(|error| Err(Problem::internal(error)))
}

/// Events of a swarm in their order, by page. With `waitMs` an empty page is answered as soon as there is something for it.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::parse(
        uri.query(),
        &[
            "swarmId", "runId", "type", "actorId", "cursor", "after", "limit", "waitMs",
        ],
    )?;
    let selection = stream::selection(&app, &caller, &query)?;
    let wait = match query.get::<u64>("waitMs")?.map(Duration::from_millis) {
        Some(wait) if wait > MAX_WAIT => {
            let most = MAX_WAIT.as_millis();
            return Err(invalid("waitMs", &format!("it must be at most {most}")));
        }
        wait => wait.unwrap_or_default(),
    };
    let mut wanted = events::Query {
        tenant_id: selection.tenant_id.clone(),
        swarm_id: selection.swarm_id.clone(),
        run_id: selection.run_id.clone(),
        kind: selection.kind.clone(),
        actor_id: selection.actor_id.clone(),
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
    let mut page = events::list(&app.services.postgres, &wanted).await?;
    if page.events.is_empty() && page.gap.is_none() && page.next_after.is_none() && !wait.is_zero() {
        await_one(&app, selection, page.last_seq, wait).await;
        page = events::list(&app.services.postgres, &wanted).await?;
    }
    let next_cursor = page.next_after.map(|after| scope.encode(&after.to_string()));
    if cloud::wanted(&headers) {
        return cloud_page(&page, next_cursor);
    }
    reply::json(
        StatusCode::OK,
        &Page {
            gap: page.gap,
            events: page.events,
            next_cursor,
            last_seq: page.last_seq,
        },
    )
}

/// The events alone, as CloudEvents; what a page says besides is in headers.
fn cloud_page(page: &events::Page, next_cursor: Option<String>) -> Result<Response, Problem> {
    let events: Vec<cloud::Shown<'_>> = page.events.iter().map(Into::into).collect();
    let mut response = reply::json(StatusCode::OK, &events)?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, cloud::BATCH_TYPE);
    headers.insert(LAST_SEQ, HeaderValue::from(page.last_seq));
    if let Some(cursor) = next_cursor {
        headers.insert(NEXT_CURSOR, HeaderValue::from_str(&cursor).map_err(Problem::internal)?);
    }
    if let Some(gap) = page.gap {
        let gap = format!("{}-{}", gap.from_seq, gap.to_seq);
        headers.insert(GAP, HeaderValue::from_str(&gap).map_err(Problem::internal)?);
    }
    Ok(response)
}

/// Waits until there is an event, but no longer than that, and not for a server that stops.
async fn await_one(app: &App, selection: Selection, after: i64, wait: Duration) {
    let first = async {
        let mut follower = app.services.tails.follow(selection, Some(after)).await.ok()?;
        follower.next().await.ok()?
    };
    tokio::select! {
        _ = first => {}
        () = tokio::time::sleep(wait) => {}
        () = app.draining.cancelled() => {}
    }
}
