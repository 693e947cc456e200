//! `/dashboard/approvals`: what is proposed, exactly what would happen, and deciding about it.
//!
//! Invariants: what a person reads before deciding is the whole stored input, as it would be sent but for line breaks; what is
//! approved is that input under the definition that was shown.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri, response::Response};
use brain_swarm::{
    digest::Digest,
    governance::{
        self, Decision, Finding,
        capability::{Capability, CapabilityId, Definition, Risk},
        proposal::{MAX_INPUT_BYTES, MIN_REASON_CHARS, Status, StoredProposal},
    },
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
    query::{Query, invalid},
    routes::{Segment, capabilities::proposals, segment},
};

/// What the list shows where nobody chose: what waits for somebody.
const WAITING: &str = "pending_approval";
/// The most bytes of an input with line breaks; a deep one would have many more than it has without.
const MAX_INDENTED_BYTES: usize = 2 * MAX_INPUT_BYTES;
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
    input: String,
    definition: Option<&'a Definition>,
    executions: Vec<(&'a governance::proposal::Execution, Option<Cut>)>,
    /// What somebody who approves must overrule.
    findings: Vec<Finding<'a>>,
    /// The definition that may be approved.
    approvable: Option<Digest>,
    /// Why nobody may approve.
    hindrance: Option<&'static str>,
    may_reject: bool,
    may_reopen: bool,
}

impl OnePage<'_> {
    fn least(&self) -> usize {
        MIN_REASON_CHARS
    }

    fn risk(&self) -> &'static str {
        let risk = self.definition.and_then(|definition| definition.risk);
        risk.map_or("not said", Risk::as_str)
    }

    fn executor(&self) -> String {
        match self.definition.map(|definition| &definition.executor) {
            Some(governance::capability::ExecutorSpec::Webhook { url, .. }) => format!("a request to {}", shown(url)),
            Some(governance::capability::ExecutorSpec::Skill { skill, command, .. }) => {
                format!("the command {command} of the skill {skill}")
            }
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
    let capability = governance.policy().capability(&it.capability_id);
    let (approvable, hindrance) = match (decides && open).then(|| approvable(&it, capability)) {
        Some(Ok(digest)) => (Some(digest), None),
        Some(Err(hindrance)) => (None, Some(hindrance)),
        None => (None, None),
    };
    let page = OnePage {
        id: id.to_string(),
        input: indented(&it.input),
        definition: capability.map(|one| &one.definition),
        executions: executions.collect(),
        findings: governance.findings(&it),
        approvable,
        hindrance,
        may_reject: decides && (open || it.status == Status::Approved),
        may_reopen: visitor.may("capabilities", "administer")
            && matches!(it.status, Status::Rejected | Status::Approved),
        it: &it,
        frame: Frame::new(&visitor, APPROVALS, format!("Proposal {id}"), place),
    };
    reply::page(&visitor, &page)
}

/// The digest of the definition that somebody approves; or why nobody can.
fn approvable(it: &StoredProposal, capability: Option<&Capability>) -> Result<Digest, &'static str> {
    // The bytes are what is sent, their meaning is what is shown.
    let read: Option<serde_json::Value> = serde_json::from_str(&it.input).ok();
    let meant = read.and_then(|value| Digest::of_json(&value).ok());
    if meant != Some(it.input_hash) || Digest::of(it.input.as_bytes()) != it.input_hash {
        return Err(
            "The arguments are not what their digest says: look into the audit trail. Nobody can approve this.",
        );
    }
    let capability = capability.ok_or("The capability is not defined any more. Nobody can approve this.")?;
    Ok(capability.digest)
}

/// The stored text with line breaks; as it is where it cannot be read, or would become much longer.
fn indented(input: &str) -> String {
    let value: Result<serde_json::Value, _> = serde_json::from_str(input);
    let mut text = vec![0; MAX_INDENTED_BYTES];
    let mut rest = text.as_mut_slice();
    let written = value.and_then(|value| serde_json::to_writer_pretty(&mut rest, &value));
    let left = rest.len();
    text.truncate(MAX_INDENTED_BYTES - left);
    match (written, String::from_utf8(text)) {
        (Ok(()), Ok(text)) => text,
        _ => input.to_owned(),
    }
}

/// Approves.
pub(crate) async fn approve(
    State(app): State<Arc<App>>,
    path: Segment,
    uri: Uri,
    posted: Posted,
) -> Result<Response, Problem> {
    let action: Action<Uuid> = Action::read(&app, ("proposalId", path), &uri, &posted)?;
    let fields = posted.fields(&[TOKEN, "reason", "overrule", "definitionDigest"])?;
    let shown: Option<Digest> = chosen(&fields, "definitionDigest")?;
    let shown = shown.ok_or_else(|| invalid("definitionDigest", "it is the digest that the page shows"))?;
    let decision = Decision::Approve {
        overrule: filled(&fields, "overrule").is_some(),
        definition_digest: Some(shown),
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
