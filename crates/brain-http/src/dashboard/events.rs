//! `/dashboard/events`: what happened in a swarm, and the bell by which pages know that something did.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use brain_swarm::{
    events::{self, StoredEvent},
    tails::{Followed, Selection},
};

use super::{
    frame::{EVENTS, Frame, Pager, Place, ROWS, chosen, filled},
    reply,
    session::Visitor,
    text::{self, Cut, When},
};
use crate::{
    app::App,
    cursor::{List, Scope},
    problem::Problem,
    query::Query,
    routes::events::stream::{self, Sent},
};

/// An event in a list.
pub(super) struct Row {
    pub(super) event: StoredEvent,
    pub(super) stored: When,
    pub(super) payload: Cut,
    /// Why it changed nothing.
    pub(super) note: Option<String>,
}

impl Row {
    pub(super) fn of(event: &StoredEvent) -> Self {
        Self {
            stored: When(event.stored_at),
            payload: text::pretty(&event.payload, text::MAX_LISTED_BYTES),
            note: event.note.as_deref().map(text::field),
            event: event.clone(),
        }
    }
}

#[derive(Template)]
#[template(path = "events.html")]
struct Page<'a> {
    frame: Frame,
    rows: Vec<Row>,
    kind: &'a str,
    run: &'a str,
    actor: &'a str,
    last_seq: i64,
    pager: Pager,
}

/// Events of a swarm, the newest first, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["swarmId", "runId", "type", "actorId", "cursor", "done"])?;
    let place = Place::of(&app, &query)?;
    let scope = place.scope(&visitor);
    let [run, kind, actor] = ["runId", "type", "actorId"].map(|name| filled(&query, name));
    // Against the order of the interface, so its cursors must not be taken for those.
    let newest = Some("newest first");
    let cursors = Scope::new(List::Events, &[Some(scope.swarm_id.as_str()), run, kind, actor, newest]);
    let before = query
        .text("cursor")
        .map(|cursor| cursors.decode_as::<i64>(cursor))
        .transpose()?;
    let wanted = events::Query {
        tenant_id: scope.tenant_id,
        swarm_id: scope.swarm_id,
        run_id: chosen(&query, "runId")?,
        kind: kind.map(str::to_owned),
        actor_id: chosen(&query, "actorId")?,
        after: 0,
        limit: ROWS,
    };
    let page = events::latest(&app.services.postgres, &wanted, before).await?;
    let [run, kind, actor] = [run, kind, actor].map(Option::unwrap_or_default);
    let older = page.next_before.map(|before| cursors.encode(&before.to_string()));
    let filters = [("runId", run), ("type", kind), ("actorId", actor)];
    let pager = place.pager("events", &filters, (query.text("cursor"), older));
    let list = Page {
        rows: page.events.iter().map(Row::of).collect(),
        kind,
        run,
        actor,
        last_seq: page.last_seq,
        pager,
        frame: Frame::new(&visitor, EVENTS, "Events", place),
    };
    reply::page(&visitor, &list)
}

/// Says that something happened, and its number; what it was is on the pages.
pub(crate) async fn live(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let place = Place::of(&app, &Query::parse(uri.query(), &["swarmId"])?)?;
    let scope = place.scope(&visitor);
    let sent = Sent {
        selection: Selection {
            tenant_id: scope.tenant_id,
            swarm_id: scope.swarm_id,
            run_id: None,
            kind: None,
            actor_id: None,
        },
        after: stream::last_event_id(&headers)?,
        render: ring,
    };
    stream::open(&app, visitor.caller(), visitor.credential(), sent).await
}

/// The last of several says all that they do.
fn ring(text: &mut Vec<u8>, followed: &Followed) {
    let seq = match followed {
        Followed::Event(event) => event.seq,
        Followed::Gap(gap) => gap.to_seq,
    };
    text.clear();
    text.extend_from_slice(format!("id: {seq}\ndata: {seq}\n\n").as_bytes());
}
