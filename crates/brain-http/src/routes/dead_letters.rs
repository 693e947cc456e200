//! `/api/swarm/dead-letters`: reading, replaying and dropping what could not be stored.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::Response,
};
use brain_swarm::{
    dead_letters::{self, DeadLetter, Reason, Status},
    publish::Published,
};
use serde::Serialize;
use uuid::Uuid;

use super::{Segment, events, segment};
use crate::{
    access::Caller,
    app::App,
    audit, body,
    cursor::{List, Scope},
    problem::{Kind, Problem},
    query::{Query, invalid},
    reply,
};

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "DeadLetterPage")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    dead_letters: Vec<DeadLetter>,
    next_cursor: Option<String>,
}

/// How much of its text a dead letter shows in a list, in characters. Alone it shows all.
const SHOWN_CHARS: usize = 2048;

/// Dead letters, the newest first, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["status", "reason", "cursor", "limit"])?;
    let status: Option<Status> = query.get("status")?;
    let reason: Option<Reason> = query.get("reason")?;
    let scope = Scope::new(List::DeadLetters, &[query.text("status"), query.text("reason")]);
    let before = query.text("cursor").map(|cursor| scope.decode_as(cursor)).transpose()?;
    let wanted = dead_letters::Query {
        tenant_id: caller.tenant_id.clone(),
        status,
        reason,
        before,
        limit: query.limit()?,
    };
    let mut page = dead_letters::list(&app.services.postgres, &wanted).await?;
    for letter in &mut page.dead_letters {
        if let Some((end, _)) = letter.raw.char_indices().nth(SHOWN_CHARS) {
            letter.raw.truncate(end);
        }
    }
    let next_cursor = page.next.map(|id| scope.encode(&id.to_string()));
    reply::json(
        StatusCode::OK,
        &Page {
            dead_letters: page.dead_letters,
            next_cursor,
        },
    )
}

/// One dead letter with its bytes.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let id = letter_id(path)?;
    Query::parse(uri.query(), &[])?;
    match dead_letters::get(&app.services.postgres, &caller.tenant_id, id).await? {
        Some(letter) => reply::thing(&letter),
        None => Err(Problem::new(Kind::NotFound, "there is no such dead letter")),
    }
}

/// Publishes what a dead letter holds, or the mended event of the body.
pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let id = letter_id(path)?;
    Query::parse(request.uri().query(), &[])?;
    let body = body::read(request, app.body_limits).await?;
    let corrected = (!body.trim_ascii().is_empty()).then(|| body.to_vec());
    events::receipt(vec![publish_after_all(&app, caller, id, corrected).await?])
}

/// Publishes a dead letter, as it is or as `corrected`, also when its caller hangs up.
pub(crate) async fn publish_after_all(
    app: &App,
    by: Caller,
    id: Uuid,
    corrected: Option<Vec<u8>>,
) -> Result<Published, Problem> {
    let (services, tenant) = (app.services.clone(), by.tenant_id.clone());
    // Publishing and marking the letter are two steps; a caller that hangs up must not come between them.
    let replay = async move {
        let replayed = dead_letters::replay(
            &services.postgres,
            &services.publisher,
            &tenant,
            id,
            corrected,
            services.max_event_bytes,
        );
        let replayed = replayed.await?;
        audit::done(&services.postgres, &by, "dead-letter.replay", &tenant, (&id, None)).await;
        Ok(replayed)
    };
    app.to_the_end(replay).await
}

fn letter_id(path: Segment) -> Result<Uuid, Problem> {
    let text: String = segment("deadLetterId", path)?;
    text.parse().map_err(|_| invalid("deadLetterId", "it is not a UUID"))
}

/// Gives a dead letter up.
pub(crate) async fn discard(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let id = letter_id(path)?;
    Query::parse(uri.query(), &[])?;
    give_up(&app, caller, id).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// Gives a dead letter up, also when its caller hangs up.
pub(crate) async fn give_up(app: &App, by: Caller, id: Uuid) -> Result<(), Problem> {
    let (postgres, tenant) = (app.services.postgres.clone(), by.tenant_id.clone());
    let dropping = app.to_the_end(async move {
        dead_letters::discard(&postgres, &tenant, id).await?;
        audit::done(&postgres, &by, "dead-letter.drop", &tenant, (&id, None)).await;
        Ok(())
    });
    dropping.await
}
