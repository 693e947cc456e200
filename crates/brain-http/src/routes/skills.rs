//! `/api/skills`: what a tenant has installed, what the registry offers, and calls.

use std::{borrow::Cow, str::FromStr, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::Response,
};
use brain_skills::{SkillRef, launch::Enforced, reference};
use brain_swarm::{digest::Digest, skills::Installed};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Segment, call_scope, default_run, segment};
use crate::{
    access::Caller,
    app::App,
    audit,
    cursor::{List, Scope},
    object,
    problem::Problem,
    query::{Query, invalid},
    reply,
    skills::{self, Call, Install, Offered, Skills, Swept},
};

/// The longest time that a call may be given.
pub(crate) const MAX_CALL: Duration = Duration::from_secs(120);

/// What references look like. The types say more exactly what they are: build metadata is taken too, and longer names with dots.
const PATTERN: &str = "^([a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?|[a-z0-9]([a-z0-9_-]|[.][a-z0-9_-]){0,30}[a-z0-9])\
                       @(0|[1-9][0-9]{0,8})[.](0|[1-9][0-9]{0,8})[.](0|[1-9][0-9]{0,8})\
                       (-[A-Za-z][0-9A-Za-z-]{0,12}([.][A-Za-z][0-9A-Za-z-]{0,8}){0,2})?$";

/// A reference to a skill, in a path or a body.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Reference(SkillRef);

impl FromStr for Reference {
    type Err = reference::Error;

    fn from_str(text: &str) -> Result<Self, reference::Error> {
        text.parse().map(Self)
    }
}

impl schemars::JsonSchema for Reference {
    fn schema_name() -> Cow<'static, str> {
        "SkillReference".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A skill with its exact version, `name@version`.",
            "maxLength": 129,
        "pattern": PATTERN,
            "examples": ["calendar-triage@1.4.0"],
        })
    }
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "SkillPage")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    skills: Vec<Installed>,
    next_cursor: Option<String>,
}

fn served(app: &App) -> Result<&Skills, Problem> {
    app.services.skills.served().map_err(Problem::from)
}

/// The skill that a path names; such paths take no parameters.
fn asked(path: Segment, uri: &Uri) -> Result<SkillRef, Problem> {
    let Reference(skill) = segment("reference", path)?;
    Query::parse(uri.query(), &[])?;
    Ok(skill)
}

/// The installed skills of a tenant, by name and version.
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["cursor", "limit"])?;
    let scope = Scope::new(List::Skills, &[]);
    let after: Option<String> = query.text("cursor").map(|cursor| scope.decode(cursor)).transpose()?;
    let (name, version) = after
        .as_deref()
        .and_then(|after| after.split_once('@'))
        .unwrap_or_default();
    let limit = query.limit()?;
    let wanted = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let mut skills =
        brain_swarm::skills::list(&app.services.postgres, &caller.tenant_id, (name, version), wanted).await?;
    let more = skills.len() > limit;
    skills.truncate(limit);
    let next_cursor = skills
        .last()
        .filter(|_| more)
        .map(|last| scope.encode(&last.reference()));
    reply::json(StatusCode::OK, &Page { skills, next_cursor })
}

/// What is to be installed.
#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "NewSkill")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Given {
    reference: Reference,
    /// The digest that its tree must have.
    digest: Option<Digest>,
    /// Installs it although a newer version is installed.
    #[serde(default)]
    allow_downgrade: bool,
}

/// Installs a skill from the registry.
pub(crate) async fn install(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let scope = call_scope(&app, &caller, request.uri())?;
    let given: Given = object::read(&app, request).await?;
    let skills = served(&app)?.clone();
    let run = default_run(&app)?;
    let installing = app.to_the_end(async move {
        let install = Install {
            reference: given.reference.0,
            digest: given.digest,
            allow_downgrade: given.allow_downgrade,
        };
        let installed = skills.install(&scope, &run, &caller.id, install).await?;
        audit::recorded(&caller, brain_swarm::skills::INSTALLED, &scope, &installed.reference());
        Ok(installed)
    });
    reply::json(StatusCode::CREATED, &installing.await?)
}

/// One installed skill.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let skill = asked(path, &uri)?;
    reply::thing(&skills::installed(&app.services.postgres, &caller.tenant_id, &skill).await?)
}

/// Removes a skill: it is not started any more, here at once, elsewhere from the next call on.
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let skill = asked(path, &uri)?;
    let skills = served(&app)?.clone();
    let removing = app.to_the_end(async move {
        skills.remove(&caller.tenant_id, &skill, &caller.id).await?;
        audit::recorded(&caller, brain_swarm::skills::REMOVED, &caller.tenant_id, &skill);
        Ok(())
    });
    removing.await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "VerifiedSkill")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verified {
    /// Whether what is on the disk of this brain is what was installed, and is not revoked.
    ok: bool,
    /// What is wrong, naming the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Reads every file of an installed skill again.
pub(crate) async fn verify(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let skill = asked(path, &uri)?;
    let problem = served(&app)?.verify(&caller.tenant_id, &skill).await?;
    reply::json(
        StatusCode::OK,
        &Verified {
            ok: problem.is_none(),
            problem,
        },
    )
}

/// A call of a skill.
#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "SkillCall")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct GivenCall {
    /// One of the commands that it was granted; of an MCP server, the name of a tool.
    #[schemars(length(min = 1, max = 128))]
    command: String,
    /// What it works on.
    #[serde(default)]
    payload: Map<String, Value>,
    /// How long it may take, in milliseconds; the configured time where it is left out.
    #[schemars(range(min = 1, max = 120_000))]
    timeout_ms: Option<u64>,
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "SkillAnswer")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    result: Value,
    /// How long it took, in milliseconds.
    duration_ms: u64,
    /// Whether a program that was running already answered.
    warm: bool,
    /// What confined it.
    enforced: Vec<Mechanism>,
}

/// A mechanism of the sandbox.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "SandboxMechanism")]
pub(crate) struct Mechanism {
    name: String,
    enforced: bool,
    /// Why it is missing, and how to have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
}

impl From<&Enforced> for Mechanism {
    fn from(one: &Enforced) -> Self {
        let missing = one.missing();
        Self {
            name: one.mechanism.clone(),
            enforced: missing.is_none(),
            missing: missing.map(str::to_owned),
        }
    }
}

/// Calls a skill, and waits for its answer.
pub(crate) async fn call(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let skill = asked(path, request.uri())?;
    let given: GivenCall = object::read(&app, request).await?;
    let skills = served(&app)?;
    let limit = match given.timeout_ms.map(Duration::from_millis) {
        Some(limit) if limit.is_zero() || limit > MAX_CALL => {
            return Err(invalid("timeoutMs", "it is 1 to 120000, or left out"));
        }
        limit => limit.unwrap_or_else(|| skills.time_limit()),
    };
    let call = Call {
        command: given.command,
        payload: Value::Object(given.payload),
        limit,
    };
    // Whoever hangs up ends the call: nobody wants its answer.
    let answered = skills.call(&caller.tenant_id, &skill, call).await?;
    reply::json(
        StatusCode::OK,
        &Answer {
            result: answered.result,
            duration_ms: u64::try_from(answered.duration.as_millis()).unwrap_or(u64::MAX),
            warm: answered.warm,
            enforced: answered.enforced.iter().map(Mechanism::from).collect(),
        },
    )
}

/// What the registry offers.
pub(crate) async fn offered(State(app): State<Arc<App>>, _caller: Caller, uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let offered: Offered = served(&app)?.offered().await?;
    reply::json(StatusCode::OK, &offered)
}

/// Looks at the registry now.
pub(crate) async fn refresh(State(app): State<Arc<App>>, _caller: Caller, uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let skills = served(&app)?;
    skills.refresh().await?;
    reply::json(StatusCode::OK, &skills.offered().await?)
}

/// Removes from the disk of this brain what no tenant has installed.
pub(crate) async fn collect(State(app): State<Arc<App>>, _caller: Caller, uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let skills = served(&app)?.clone();
    let swept: Swept = app.to_the_end(async move { Ok(skills.sweep().await?) }).await?;
    reply::json(StatusCode::OK, &swept)
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Sandbox")]
pub(crate) struct Sandbox {
    /// What confines every skill on this brain.
    mechanisms: Vec<Mechanism>,
}

/// What confines skills on this brain.
pub(crate) async fn sandbox(State(app): State<Arc<App>>, _caller: Caller, uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let mechanisms = served(&app)?.mechanisms();
    let mechanisms = mechanisms.iter().map(Mechanism::from).collect();
    reply::json(StatusCode::OK, &Sandbox { mechanisms })
}
