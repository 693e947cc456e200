//! `/dashboard/dead-letters`: what could not be stored, and deciding about it.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri, response::Response};
use brain_swarm::dead_letters::{self, DeadLetter, Reason, Status};
use uuid::Uuid;

use super::{
    action::Action,
    form::{Posted, TOKEN},
    frame::{DEAD_LETTERS, Frame, Pager, Place, ROWS, chosen, filled},
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
#[template(path = "dead_letters.html")]
struct ListPage<'a> {
    frame: Frame,
    letters: &'a [DeadLetter],
    status: &'a str,
    reason: &'a str,
    pager: Pager,
}

impl ListPage<'_> {
    fn statuses(&self) -> [Status; 3] {
        Status::ALL
    }

    fn reasons(&self) -> [Reason; 5] {
        Reason::ALL
    }
}

/// Dead letters, the newest first, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["swarmId", "status", "reason", "cursor", "done"])?;
    let place = Place::of(&app, &query)?;
    let [status, reason] = ["status", "reason"].map(|name| filled(&query, name));
    let cursors = Scope::new(List::DeadLetters, &[status, reason]);
    let wanted = dead_letters::Query {
        tenant_id: visitor.caller().tenant_id.clone(),
        status: chosen(&query, "status")?,
        reason: chosen(&query, "reason")?,
        before: query
            .text("cursor")
            .map(|cursor| cursors.decode_as(cursor))
            .transpose()?,
        limit: ROWS,
    };
    let page = dead_letters::list(&app.services.postgres, &wanted).await?;
    let [status, reason] = [status, reason].map(Option::unwrap_or_default);
    let next = page.next.map(|id| cursors.encode(&id.to_string()));
    let filters = [("status", status), ("reason", reason)];
    let pager = place.pager("dead-letters", &filters, (query.text("cursor"), next));
    let list = ListPage {
        letters: &page.dead_letters,
        status,
        reason,
        pager,
        frame: Frame::new(&visitor, DEAD_LETTERS, "Dead letters", place),
    };
    reply::page(&visitor, &list)
}

#[derive(Template)]
#[template(path = "dead_letter.html")]
struct OnePage<'a> {
    frame: Frame,
    letter: &'a DeadLetter,
    id: String,
    raw: Cut,
    /// The text that may be mended: whole, and such that it comes back as it is shown.
    mendable: Option<String>,
    may_decide: bool,
}

/// One dead letter with its bytes.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let id: Uuid = segment("deadLetterId", path)?;
    let place = Place::of(&app, &Query::parse(uri.query(), &["swarmId", "done"])?)?;
    let tenant = &visitor.caller().tenant_id;
    let found = dead_letters::get_raw(&app.services.postgres, tenant, id).await?;
    let (letter, raw) = found.ok_or_else(|| Problem::new(Kind::NotFound, "there is no such dead letter"))?;
    let may_decide = letter.status == Status::Parked && visitor.may("dead-letters", "manage");
    let raw_text = text::cut(text::escaped(&raw), text::MAX_BYTES);
    let mendable = std::str::from_utf8(&raw).ok();
    let mendable = mendable.filter(|text| text.len() <= text::MAX_BYTES && text::is_plain(text));
    let page = OnePage {
        id: id.to_string(),
        raw: raw_text,
        mendable: mendable.map(str::to_owned),
        may_decide,
        letter: &letter,
        frame: Frame::new(&visitor, DEAD_LETTERS, format!("Dead letter {id}"), place),
    };
    reply::page(&visitor, &page)
}

/// Publishes a dead letter after all, as it is or as the form has it.
pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    path: Segment,
    uri: Uri,
    posted: Posted,
) -> Result<Response, Problem> {
    let action: Action<Uuid> = Action::read(&app, ("deadLetterId", path), &uri, &posted)?;
    let fields = posted.fields(&[TOKEN, "event"])?;
    let corrected = filled(&fields, "event").map(|event| event.as_bytes().to_vec());
    let after = action.after(&format!("dead-letters/{}", action.id), "letter-replayed")?;
    routes::dead_letters::publish_after_all(&app, action.by, action.id, corrected).await?;
    Ok(after)
}

/// Gives a dead letter up.
pub(crate) async fn drop(
    State(app): State<Arc<App>>,
    path: Segment,
    uri: Uri,
    posted: Posted,
) -> Result<Response, Problem> {
    let action: Action<Uuid> = Action::read(&app, ("deadLetterId", path), &uri, &posted)?;
    posted.fields(&[TOKEN])?;
    let after = action.after(&format!("dead-letters/{}", action.id), "letter-dropped")?;
    routes::dead_letters::give_up(&app, action.by, action.id).await?;
    Ok(after)
}
