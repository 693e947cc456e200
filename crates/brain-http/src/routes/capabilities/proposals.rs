//! Proposals: made, read, decided, tried dry, executed, undone.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::Response,
};
use brain_swarm::{
    digest::Digest,
    governance::{
        self, Decision, NewProposal,
        capability::CapabilityId,
        proposal::{Status, StoredProposal},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Reason, who};
use crate::{
    access::Caller,
    app::App,
    audit,
    cursor::{List, Scope},
    object,
    problem::{Kind, Problem},
    query::Query,
    reply,
    routes::{Segment, segment},
};

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "ProposalPage")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    proposals: Vec<StoredProposal>,
    next_cursor: Option<String>,
}

/// Proposals, newest first, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["status", "capabilityId", "cursor", "limit"])?;
    let (status, capability_id): (Option<Status>, Option<CapabilityId>) =
        (query.get("status")?, query.get("capabilityId")?);
    let scope = Scope::new(List::Proposals, &[query.text("status"), query.text("capabilityId")]);
    let wanted = governance::Query {
        tenant_id: caller.tenant_id.clone(),
        status,
        capability_id,
        before: query.text("cursor").map(|cursor| scope.decode_as(cursor)).transpose()?,
        limit: query.limit()?,
    };
    let page = app.services.governance.proposals(&wanted).await?;
    let next_cursor = page.next.map(|id| scope.encode(&id.to_string()));
    reply::json(
        StatusCode::OK,
        &Page {
            proposals: page.proposals,
            next_cursor,
        },
    )
}

/// One proposal.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let id: Uuid = segment("proposalId", path)?;
    Query::parse(uri.query(), &[])?;
    match app.services.governance.proposal(&caller.tenant_id, id).await? {
        Some(proposal) => reply::thing(&proposal),
        None => Err(Problem::new(Kind::NotFound, format!("there is no proposal {id}"))),
    }
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "NewProposal")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Given {
    capability_id: CapabilityId,
    /// The arguments, as the capability's schema wants them.
    #[serde(default)]
    input: Map<String, Value>,
    /// Why, in at least 10 characters.
    #[schemars(length(max = 4096))]
    rationale: String,
    /// What is to happen, in a sentence.
    #[schemars(length(min = 1, max = 500))]
    summary: String,
    #[serde(default)]
    #[schemars(length(max = 20))]
    expected_effects: Vec<String>,
    /// Through which delegation, where an agent asks.
    delegation_id: Option<Uuid>,
}

/// Makes a proposal.
pub(crate) async fn create(State(app): State<Arc<App>>, caller: Caller, request: Request) -> Result<Response, Problem> {
    Query::parse(request.uri().query(), &[])?;
    let given: Given = object::read(&app, request).await?;
    let governance = app.services.governance.clone();
    let new = NewProposal {
        capability_id: given.capability_id,
        input: Value::Object(given.input),
        rationale: given.rationale,
        summary: given.summary,
        expected_effects: given.expected_effects,
        delegation_id: given.delegation_id,
    };
    let proposing = app.to_the_end(async move { Ok(governance.propose(&who(&caller), new).await?) });
    reply::json(StatusCode::CREATED, &proposing.await?)
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "Approval")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Approval {
    #[schemars(length(min = 10, max = 4096), regex(pattern = r"\S"))]
    reason: String,
    /// Approves although an intake rule found something.
    #[serde(default)]
    overrule: bool,
    /// The digest of the definition that was read before, as the list of capabilities has it; refused where it is another by now.
    definition_digest: Option<Digest>,
}

/// Approves a proposal.
pub(crate) async fn approve(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let id: Uuid = segment("proposalId", path)?;
    Query::parse(request.uri().query(), &[])?;
    let given: Approval = object::read(&app, request).await?;
    let decision = Decision::Approve {
        overrule: given.overrule,
        definition_digest: given.definition_digest,
    };
    let approved = decide(&app, caller, id, (decision, "capability.approve"), given.reason).await?;
    reply::json(StatusCode::OK, &approved)
}

/// Rejects a proposal.
pub(crate) async fn reject(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let id: Uuid = segment("proposalId", path)?;
    Query::parse(request.uri().query(), &[])?;
    let given: Reason = object::read(&app, request).await?;
    let rejected = decide(&app, caller, id, (Decision::Reject, "capability.reject"), given.reason).await?;
    reply::json(StatusCode::OK, &rejected)
}

/// Takes back what was decided.
pub(crate) async fn reopen(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let id: Uuid = segment("proposalId", path)?;
    Query::parse(request.uri().query(), &[])?;
    let given: Reason = object::read(&app, request).await?;
    let reopened = decide(&app, caller, id, (Decision::Reopen, "capability.reopen"), given.reason).await?;
    reply::json(StatusCode::OK, &reopened)
}

/// Decides about a proposal, also when its caller hangs up.
pub(crate) async fn decide(
    app: &App,
    caller: Caller,
    id: Uuid,
    (decision, action): (Decision, &'static str),
    reason: String,
) -> Result<StoredProposal, Problem> {
    let governance = app.services.governance.clone();
    let resolving = app.to_the_end(async move {
        let resolved = governance.resolve(&who(&caller), id, decision, &reason).await?;
        audit::recorded(&caller, action, &caller.tenant_id, &id);
        Ok(resolved)
    });
    resolving.await
}

#[derive(Default, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "Execute")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Execute {
    /// Refused where the proposal is of another.
    capability_id: Option<CapabilityId>,
    /// Refused where they are not the arguments that were proposed.
    input: Option<Map<String, Value>>,
    /// The delegation of the proposal, where it is left out.
    delegation_id: Option<Uuid>,
}

impl Execute {
    fn read(self) -> governance::Execute {
        governance::Execute {
            capability_id: self.capability_id,
            input: self.input.map(Value::Object),
            delegation_id: self.delegation_id,
        }
    }
}

/// Says what would be decided.
pub(crate) async fn dry_run(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let id: Uuid = segment("proposalId", path)?;
    Query::parse(request.uri().query(), &[])?;
    let given: Execute = object::read_any(&app, request).await?;
    let governance = app.services.governance.clone();
    let trying = app.to_the_end(async move { Ok(governance.dry_run(&who(&caller), id, &given.read()).await?) });
    reply::json(StatusCode::OK, &trying.await?)
}

/// Executes a proposal.
pub(crate) async fn execute(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let id: Uuid = segment("proposalId", path)?;
    Query::parse(request.uri().query(), &[])?;
    let given: Execute = object::read_any(&app, request).await?;
    let governance = app.services.governance.clone();
    let executing = app.to_the_end(async move { Ok(governance.execute(&who(&caller), id, &given.read()).await?) });
    reply::json(StatusCode::OK, &executing.await?)
}

/// Undoes what was executed.
pub(crate) async fn roll_back(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let id: Uuid = segment("proposalId", path)?;
    Query::parse(request.uri().query(), &[])?;
    let given: Reason = object::read(&app, request).await?;
    let governance = app.services.governance.clone();
    let undoing = app.to_the_end(async move {
        let undone = governance.roll_back(&who(&caller), id, &given.reason).await?;
        audit::recorded(&caller, "capability.rollback", &caller.tenant_id, &id);
        Ok(undone)
    });
    reply::json(StatusCode::OK, &undoing.await?)
}
