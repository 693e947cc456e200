//! `/dashboard/audit`: who did what.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri, response::Response};
use brain_swarm::audit::{self, ApprovalState, Record};
use jiff::Timestamp;

use super::{
    frame::{AUDIT, Frame, Pager, Place, ROWS, chosen, filled},
    reply,
    session::Visitor,
    text::{self, When},
};
use crate::{
    app::App,
    cursor::{List, Scope},
    problem::Problem,
    query::{Query, invalid},
};

/// A record in the list.
struct Row {
    seq: i64,
    at: Option<When>,
    actor: String,
    action: String,
    target: String,
    state: &'static str,
    rationale: String,
    details: text::Cut,
}

impl Row {
    fn of(record: &Record) -> Self {
        Self {
            seq: record.seq,
            at: record.at.parse::<Timestamp>().ok().map(When),
            actor: text::field(&record.actor_id),
            action: text::field(&record.action),
            target: text::field(&record.target),
            state: record.approval_state.as_str(),
            rationale: text::field(&record.rationale),
            details: text::pretty(record, text::MAX_LISTED_BYTES),
        }
    }
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Page<'a> {
    frame: Frame,
    rows: Vec<Row>,
    action: &'a str,
    actor: &'a str,
    state: &'a str,
    target: &'a str,
    pager: Pager,
}

impl Page<'_> {
    fn states(&self) -> [ApprovalState; 6] {
        ApprovalState::ALL
    }
}

/// Records of the trail, the newest first, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    const FILTERS: [&str; 4] = ["actionPrefix", "actorId", "approvalState", "target"];
    let query = Query::parse(
        uri.query(),
        &[
            "swarmId",
            "actionPrefix",
            "actorId",
            "approvalState",
            "target",
            "cursor",
            "done",
        ],
    )?;
    let place = Place::of(&app, &query)?;
    let filters = FILTERS.map(|name| filled(&query, name));
    for (name, text) in FILTERS.iter().zip(filters) {
        if text.is_some_and(|text| text.contains(char::is_control)) {
            return Err(invalid(name, "it must not contain control characters"));
        }
    }
    let cursors = Scope::new(List::Audit, &filters);
    let [action_prefix, actor_id, _, target] = filters.map(|text| text.map(str::to_owned));
    let wanted = audit::Query {
        tenant_id: visitor.caller().tenant_id.clone(),
        action_prefix,
        actor_id,
        approval_state: chosen(&query, "approvalState")?,
        target,
        before: query
            .text("cursor")
            .map(|cursor| cursors.decode_as(cursor))
            .transpose()?,
        limit: ROWS,
    };
    let page = audit::list(&app.services.postgres, &wanted).await?;
    let filters = filters.map(Option::unwrap_or_default);
    let next = page.next.map(|seq| cursors.encode(&seq.to_string()));
    let pairs: Vec<_> = FILTERS.into_iter().zip(filters).collect();
    let pager = place.pager("audit", &pairs, (query.text("cursor"), next));
    let [action, actor, state, target] = filters;
    let list = Page {
        rows: page.records.iter().map(Row::of).collect(),
        action,
        actor,
        state,
        target,
        pager,
        frame: Frame::new(&visitor, AUDIT, "Audit", place),
    };
    reply::page(&visitor, &list)
}
