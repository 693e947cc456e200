//! `/dashboard/approvals`: what is proposed, exactly what would happen, and deciding about it.
//!
//! Invariant: what a person reads before deciding is the stored input in the form in which it would be sent.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri, response::Response};
use brain_swarm::governance::{
    self, Decision,
    capability::{CapabilityId, Definition},
    proposal::{MIN_REASON_CHARS, Status, StoredProposal},
};
use uuid::Uuid;

use super::{
    action::{self, Action},
    form::{Posted, TOKEN},
    frame::{APPROVALS, Frame, Pager, Place, ROWS, chosen, filled},
    reply,
    session::Visitor,
    text::{self, Cut},
};
use crate::{
    app::App,
    cursor::{List, Scope},
    problem::{Kind, Problem},
    query::Query,
    routes::{Segment, capabilities::proposals, segment},
};

/// What the list shows where nobody chose: what waits for somebody.
const WAITING: &str = "pending_approval";
/// The choice of all of them.
const ALL: &str = "all";

#[derive(Template)]
#[template(path = "approvals.html")]
struct ListPage<'a> {
    frame: Frame,
    proposals: &'a [StoredProposal],
    status: &'a str,
    capability: &'a str,
    pager: Pager,
}

impl ListPage<'_> {
    fn statuses(&self) -> [Status; 5] {
        Status::ALL
    }
}

/// Proposals, the newest first, by page; at first those that wait for somebody.
pub(crate) async fn list(State(app): State<Arc<App>>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["swarmId", "status", "capabilityId", "cursor", "done"])?;
    let place = Place::of(&app, &query)?;
    let word = filled(&query, "status").unwrap_or(WAITING);
    let capability = filled(&query, "capabilityId").unwrap_or_default();
    let cursors = Scope::new(List::Proposals, &[Some(word), Some(capability)]);
    let status: Option<Status> = match word {
        ALL => None,
        WAITING => Some(Status::PendingApproval),
        _ => chosen(&query, "status")?,
    };
    let capability_id: Option<CapabilityId> = chosen(&query, "capabilityId")?;
    let wanted = governance::Query {
        tenant_id: visitor.caller().tenant_id.clone(),
        status,
        capability_id,
        before: query
            .text("cursor")
            .map(|cursor| cursors.decode_as(cursor))
            .transpose()?,
        limit: ROWS,
    };
    let page = app.services.governance.proposals(&wanted).await?;
    let next = page.next.map(|id| cursors.encode(&id.to_string()));
    let filters = [("status", word), ("capabilityId", capability)];
    let pager = place.pager("approvals", &filters, (query.text("cursor"), next));
    let list = ListPage {
        proposals: &page.proposals,
        status: word,
        capability,
        pager,
        frame: Frame::new(&visitor, APPROVALS, "Approvals", place),
    };
    reply::page(&visitor, &list)
}

#[derive(Template)]
#[template(path = "approval.html")]
struct OnePage<'a> {
    frame: Frame,
    it: &'a StoredProposal,
    id: String,
    input: Cut,
    definition: Option<&'a Definition>,
    executions: Vec<(&'a governance::proposal::Execution, Option<Cut>)>,
    may_approve: bool,
    may_reject: bool,
    may_reopen: bool,
}

impl OnePage<'_> {
    fn least(&self) -> usize {
        MIN_REASON_CHARS
    }

    fn risk(&self) -> String {
        let risk = self.definition.and_then(|definition| definition.risk);
        risk.map_or_else(|| "not said".to_owned(), |risk| format!("{risk:?}").to_lowercase())
    }

    fn executor(&self) -> String {
        match self.definition.map(|definition| &definition.executor) {
            Some(governance::capability::ExecutorSpec::Webhook { url, .. }) => format!("a request to {}", shown(url)),
            None => "nothing: the capability is not defined any more".to_owned(),
        }
    }

    fn can_roll_back(&self) -> bool {
        self.definition
            .is_some_and(|definition| definition.executor.can_roll_back())
    }
}

/// A URL without what may be secret in it.
fn shown(url: &str) -> String {
    brain_config::Url::parse(url).map_or_else(
        |_| "an address that cannot be read".to_owned(),
        |url| format!("{}{}", url.origin().ascii_serialization(), url.path()),
    )
}

/// One proposal: exactly what would happen.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let id: Uuid = segment("proposalId", path)?;
    let place = Place::of(&app, &Query::parse(uri.query(), &["swarmId", "done"])?)?;
    let governance = &app.services.governance;
    let found = governance.proposal(&visitor.caller().tenant_id, id).await?;
    let it = found.ok_or_else(|| Problem::new(Kind::NotFound, "there is no such proposal"))?;
    let open = matches!(it.status, Status::Draft | Status::PendingApproval);
    let decides = visitor.may("capabilities", "manage");
    let executions = it.executions.iter().map(|one| {
        let output = one.output.as_ref().map(|output| text::pretty(output, text::MAX_BYTES));
        (one, output)
    });
    let page = OnePage {
        id: id.to_string(),
        input: text::cut(pretty(&it.input), text::MAX_BYTES),
        definition: governance
            .policy()
            .capability(&it.capability_id)
            .map(|one| &one.definition),
        executions: executions.collect(),
        may_approve: decides && open,
        may_reject: decides && (open || it.status == Status::Approved),
        may_reopen: visitor.may("capabilities", "administer")
            && matches!(it.status, Status::Rejected | Status::Approved),
        it: &it,
        frame: Frame::new(&visitor, APPROVALS, format!("Proposal {id}"), place),
    };
    reply::page(&visitor, &page)
}

/// The stored text with line breaks; as it is where it cannot be read.
fn pretty(input: &str) -> String {
    let value: Result<serde_json::Value, _> = serde_json::from_str(input);
    value
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| input.to_owned())
}

/// Approves.
pub(crate) async fn approve(
    State(app): State<Arc<App>>,
    path: Segment,
    uri: Uri,
    posted: Posted,
) -> Result<Response, Problem> {
    let action: Action<Uuid> = Action::read(&app, ("proposalId", path), &uri, &posted)?;
    let fields = posted.fields(&[TOKEN, "reason", "overrule"])?;
    let decision = Decision::Approve {
        overrule: filled(&fields, "overrule").is_some(),
    };
    let done = ("proposal-approved", "capability.approve");
    decided(&app, action, (decision, done), &fields).await
}

/// Rejects.
pub(crate) async fn reject(
    State(app): State<Arc<App>>,
    path: Segment,
    uri: Uri,
    posted: Posted,
) -> Result<Response, Problem> {
    let action: Action<Uuid> = Action::read(&app, ("proposalId", path), &uri, &posted)?;
    let fields = posted.fields(&[TOKEN, "reason"])?;
    let done = ("proposal-rejected", "capability.reject");
    decided(&app, action, (Decision::Reject, done), &fields).await
}

/// Takes back what was decided.
pub(crate) async fn reopen(
    State(app): State<Arc<App>>,
    path: Segment,
    uri: Uri,
    posted: Posted,
) -> Result<Response, Problem> {
    let action: Action<Uuid> = Action::read(&app, ("proposalId", path), &uri, &posted)?;
    let fields = posted.fields(&[TOKEN, "reason"])?;
    let done = ("proposal-reopened", "capability.reopen");
    decided(&app, action, (Decision::Reopen, done), &fields).await
}

async fn decided(
    app: &App,
    action: Action<Uuid>,
    (decision, (word, name)): (Decision, (&str, &'static str)),
    fields: &Query<'_>,
) -> Result<Response, Problem> {
    let reason = action::reason(fields).unwrap_or_default();
    let after = action.after(&format!("approvals/{}", action.id), word)?;
    proposals::decide(app, action.by, action.id, (decision, name), reason).await?;
    Ok(after)
}
