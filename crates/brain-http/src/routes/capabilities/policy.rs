//! What is decided by: definitions, rules, the linter, quotas, the kill switch and exemptions.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::Response,
};
use brain_swarm::{
    digest::Digest,
    governance::{
        self,
        capability::CapabilityId,
        exemptions::{self, Exemption},
        kill_switch::{Reach, Switch},
        lint,
        policy::Rules,
        quotas::Quota,
    },
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Defined, Reason, who};
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
#[schemars(rename = "CapabilityList")]
pub(crate) struct Capabilities {
    capabilities: Vec<Defined>,
}

/// Every capability.
pub(crate) async fn list(State(app): State<Arc<App>>, _caller: Caller, uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let policy = app.services.governance.policy();
    let capabilities = policy.capabilities().map(|one| Defined {
        definition: one.definition.clone(),
        definition_digest: one.digest,
    });
    let capabilities = capabilities.collect();
    reply::thing(&Capabilities { capabilities })
}

/// A rule that looks for something in proposals.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "IntakeRule")]
pub(crate) struct Rule {
    id: String,
    /// A regular expression, whatever the case of letters.
    pattern: String,
    reason: String,
    /// In proposals of which capabilities; of all, where there are none.
    capabilities: Vec<CapabilityId>,
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Policy")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown {
    /// The digest of rules and intake; approvals are bound to it.
    version: Digest,
    rules: Rules,
    intake: Vec<Rule>,
    kill_switches: Vec<Switch>,
}

/// The policy, and how the kill switches stand.
pub(crate) async fn show(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let governance = &app.services.governance;
    let policy = governance.policy();
    let intake = policy.intake.iter().map(|rule| Rule {
        id: rule.id.clone(),
        pattern: rule.pattern.as_str().to_owned(),
        reason: rule.reason.clone(),
        capabilities: rule.capabilities.clone(),
    });
    let shown = Shown {
        version: policy.version(),
        rules: policy.rules.clone(),
        intake: intake.collect(),
        kill_switches: governance.kill_switches(&caller.tenant_id).await?,
    };
    reply::thing(&shown)
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "PolicyLint")]
pub(crate) struct Lint {
    /// Whether nothing was found.
    ok: bool,
    findings: Vec<lint::Finding>,
}

/// What the linter finds.
pub(crate) async fn linted(State(app): State<Arc<App>>, _caller: Caller, uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let findings = lint::lint(app.services.governance.policy());
    reply::json(
        StatusCode::OK,
        &Lint {
            ok: findings.is_empty(),
            findings,
        },
    )
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "QuotaPage")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Quotas {
    quotas: Vec<Quota>,
    next_cursor: Option<String>,
}

/// The quotas that are used in this hour, by page.
pub(crate) async fn quotas(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["cursor", "limit"])?;
    let scope = Scope::new(List::Quotas, &[]);
    let after: Option<Digest> = query.text("cursor").map(|cursor| scope.decode_as(cursor)).transpose()?;
    let (limit, after) = (query.limit()?, after.map(|after| after.to_string()));
    let governance = &app.services.governance;
    let mut quotas = governance
        .quotas(&caller.tenant_id, after.as_deref(), limit + 1)
        .await?;
    let more = quotas.len() > limit;
    quotas.truncate(limit);
    let last = quotas.last().filter(|_| more);
    let next_cursor = last.map(|last| scope.encode(&last.bucket));
    reply::json(StatusCode::OK, &Quotas { quotas, next_cursor })
}

/// Sets a quota back to nothing.
pub(crate) async fn reset(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let bucket: Digest = segment("bucket", path)?;
    Query::parse(request.uri().query(), &[])?;
    let given: Reason = object::read(&app, request).await?;
    let governance = app.services.governance.clone();
    let resetting = app.to_the_end(async move {
        let quota = governance
            .reset_quota(&who(&caller), &bucket.to_string(), &given.reason)
            .await?;
        let unknown = || Problem::new(Kind::NotFound, "there is no such quota in this hour");
        let quota = quota.ok_or_else(unknown)?;
        audit::recorded(&caller, "capability.quota.reset", &caller.tenant_id, &bucket);
        Ok(quota)
    });
    reply::json(StatusCode::OK, &resetting.await?)
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "KillSwitches")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Switches {
    /// That of the tenant, then that of the installation. Nothing is dispatched while one of them is on.
    kill_switches: Vec<Switch>,
}

/// How the kill switches stand.
pub(crate) async fn switches(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let kill_switches = app.services.governance.kill_switches(&caller.tenant_id).await?;
    reply::json(StatusCode::OK, &Switches { kill_switches })
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "KillSwitchChange")]
#[serde(deny_unknown_fields)]
pub(crate) struct Turn {
    /// On: nothing is dispatched any more.
    enabled: bool,
    /// The switch of the tenant, where it is left out.
    #[serde(default = "tenant")]
    reach: Reach,
    #[schemars(length(min = 10, max = 4096), regex(pattern = r"\S"))]
    reason: String,
}

const fn tenant() -> Reach {
    Reach::Tenant
}

/// Turns a kill switch on or off.
pub(crate) async fn turn(State(app): State<Arc<App>>, caller: Caller, request: Request) -> Result<Response, Problem> {
    Query::parse(request.uri().query(), &[])?;
    let given: Turn = object::read(&app, request).await?;
    let kill_switches = set_switch(&app, caller, (given.reach, given.enabled), given.reason).await?;
    reply::json(StatusCode::OK, &Switches { kill_switches })
}

/// Turns a kill switch, also when its caller hangs up.
pub(crate) async fn set_switch(
    app: &App,
    by: Caller,
    (reach, enabled): (Reach, bool),
    reason: String,
) -> Result<Vec<Switch>, Problem> {
    if reach == Reach::Installation && !by.installation {
        let detail = "the switch of the installation is turned by its administrator alone";
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    let governance = app.services.governance.clone();
    let turning = app.to_the_end(async move {
        let turned = governance.set_kill_switch(&who(&by), reach, enabled, &reason).await;
        // One that is not settled is on all the same.
        if matches!(turned, Ok(_) | Err(governance::Error::Unsettled(_))) {
            let object = if enabled { "on" } else { "off" };
            audit::recorded(&by, "capability.kill_switch", &by.tenant_id, &object);
        }
        Ok(turned?)
    });
    turning.await
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "ExemptionPage")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Exemptions {
    exemptions: Vec<Exemption>,
    next_cursor: Option<String>,
}

/// Exemptions by id, by page.
pub(crate) async fn exemptions(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["cursor", "limit"])?;
    let scope = Scope::new(List::Exemptions, &[]);
    let after: Option<Uuid> = query.text("cursor").map(|cursor| scope.decode_as(cursor)).transpose()?;
    let limit = query.limit()?;
    let governance = &app.services.governance;
    let mut exemptions = governance.exemptions(&caller.tenant_id, after, limit + 1).await?;
    let more = exemptions.len() > limit;
    exemptions.truncate(limit);
    let last = exemptions.last().filter(|_| more);
    let next_cursor = last.map(|last| scope.encode(&last.exemption_id.to_string()));
    reply::json(
        StatusCode::OK,
        &Exemptions {
            exemptions,
            next_cursor,
        },
    )
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "NewExemption")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Exempt {
    capability_id: CapabilityId,
    #[schemars(range(min = 1, max = exemptions::MAX_LIFE_MS))]
    expires_in_ms: i64,
    #[schemars(length(min = 10, max = 4096), regex(pattern = r"\S"))]
    reason: String,
}

/// Grants an exemption.
pub(crate) async fn exempt(State(app): State<Arc<App>>, caller: Caller, request: Request) -> Result<Response, Problem> {
    Query::parse(request.uri().query(), &[])?;
    let given: Exempt = object::read(&app, request).await?;
    let governance = app.services.governance.clone();
    let granting = app.to_the_end(async move {
        let by = who(&caller);
        let granted = governance.exempt(&by, &given.capability_id, given.expires_in_ms, &given.reason);
        let granted = granted.await?;
        audit::recorded(
            &caller,
            "capability.exemption.grant",
            &caller.tenant_id,
            &granted.exemption_id,
        );
        Ok(granted)
    });
    reply::json(StatusCode::CREATED, &granting.await?)
}

/// Revokes an exemption.
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let id: Uuid = segment("exemptionId", path)?;
    Query::parse(request.uri().query(), &[])?;
    let given: Reason = object::read(&app, request).await?;
    let governance = app.services.governance.clone();
    let revoking = app.to_the_end(async move {
        let revoked = governance.revoke_exemption(&who(&caller), id, &given.reason).await?;
        audit::recorded(&caller, "capability.exemption.revoke", &caller.tenant_id, &id);
        Ok(revoked)
    });
    reply::json(StatusCode::OK, &revoking.await?)
}
