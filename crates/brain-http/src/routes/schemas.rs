//! `/api/swarm/schemas`: the schemas of event types. Those that the brain knows itself are the same for everybody; others are
//! registered by tenants.

use std::sync::Arc;

use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    http::{StatusCode, Uri},
    response::Response,
};
use brain_swarm::{
    event::EventType,
    ids::TenantId,
    schema::{self, Break, Compatibility, Document, Fate, Misfit, Proposal, Registered, Subject},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use super::{Segment, segment};
use crate::{
    access::Caller,
    app::App,
    audit,
    cursor::{List, Scope},
    object,
    problem::{Kind, Problem, shortened},
    query::{Query, invalid},
    reply,
};

/// The most schemas of a page: each may be as long as a book page or thirty.
const MAX_PAGE: usize = 100;

#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SchemaPage")]
pub(crate) struct Page {
    schemas: Vec<Entry>,
    next_cursor: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SchemaVersions")]
pub(crate) struct Versions {
    schemas: Vec<Entry>,
}

#[derive(Serialize, schemars::JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "SchemaEntry")]
pub(crate) enum Entry {
    BuiltIn(BuiltIn),
    Registered(Registered),
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "BuiltInSchema")]
pub(crate) struct BuiltIn {
    r#type: &'static str,
    version: i16,
    schema: &'static RawValue,
}

/// Schemas: first those of the catalogue in its order, then the registered ones by type and version.
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["type", "cursor", "limit"])?;
    let read = |text| event_type(text, Kind::InvalidParameter);
    let kind: Option<EventType> = query.text("type").map(read).transpose()?;
    let limit = query.limit()?.min(MAX_PAGE);
    let scope = Scope::new(List::Schemas, &[query.text("type")]);
    let after = match query.text("cursor") {
        Some(cursor) => scope.decode_as(cursor)?,
        None => Position::BuiltIn(0),
    };
    let mut page: Vec<(Position, Entry)> = Vec::new();
    if let Position::BuiltIn(passed) = after {
        let wanted = |(_, (name, ..)): &(usize, &(&'static str, i16, &'static str))| {
            kind.as_ref().is_none_or(|kind| kind.as_str() == *name)
        };
        let catalogue = schema::catalogue().iter().enumerate().skip(passed);
        for (index, entry) in catalogue.filter(wanted).take(limit + 1) {
            page.push((Position::BuiltIn(index + 1), Entry::BuiltIn(built_in(entry)?)));
        }
    }
    if page.len() <= limit {
        let wanted = schema::Query {
            tenant_id: caller.tenant_id.clone(),
            event_type: kind.map(|kind| kind.as_str().to_owned()),
            after: match after {
                Position::BuiltIn(_) => None,
                Position::Registered(name, version) => Some((name, version)),
            },
            limit: limit + 1 - page.len(),
        };
        for one in schema::list(&app.services.postgres, &wanted).await? {
            let position = Position::Registered(one.event_type.clone(), one.version);
            page.push((position, Entry::Registered(one)));
        }
    }
    let more = page.len() > limit;
    page.truncate(limit);
    let next_cursor = page
        .last()
        .filter(|_| more)
        .map(|(position, _)| scope.encode(&position.to_string()));
    let schemas = page.into_iter().map(|(_, entry)| entry).collect();
    reply::json(StatusCode::OK, &Page { schemas, next_cursor })
}

/// Where a page ends.
enum Position {
    /// After so many of the catalogue.
    BuiltIn(usize),
    /// After this type and version, which is not one of the catalogue.
    Registered(String, i16),
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BuiltIn(passed) => write!(f, "{passed}"),
            Self::Registered(name, version) => write!(f, "{name}/{version}"),
        }
    }
}

impl std::str::FromStr for Position {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rsplit_once('/') {
            None => text.parse().map(Self::BuiltIn),
            Some((name, version)) => Ok(Self::Registered(name.to_owned(), version.parse()?)),
        }
    }
}

fn built_in((kind, version, text): &(&'static str, i16, &'static str)) -> Result<BuiltIn, Problem> {
    Ok(BuiltIn {
        r#type: kind,
        version: *version,
        schema: serde_json::from_str(text).map_err(Problem::internal)?,
    })
}

fn event_type(text: &str, kind: Kind) -> Result<EventType, Problem> {
    text.parse()
        .map_err(|_| Problem::new(kind, "type must be a dotted lower-case name, such as build.finished"))
}

/// All versions of a type, the oldest first.
pub(crate) async fn of_type(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let name: String = segment("eventType", path)?;
    let schemas = versions(&app, &caller, &name).await?;
    if schemas.is_empty() {
        return Err(Problem::new(
            Kind::NotFound,
            format!("there is no schema of type {}", shortened(&name)),
        ));
    }
    reply::json(StatusCode::OK, &Versions { schemas })
}

/// One version of a type.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Result<Path<(String, String)>, PathRejection>,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let Path((name, version)) =
        path.map_err(|_| invalid("eventType", "it is not UTF-8 once its escapes are decoded"))?;
    let Ok(version) = version.parse::<i16>() else {
        return Err(invalid("version", "it must be a number"));
    };
    let schemas = versions(&app, &caller, &name).await?;
    let found = schemas.into_iter().find(|entry| match entry {
        Entry::BuiltIn(one) => one.version == version,
        Entry::Registered(one) => one.version == version,
    });
    match found {
        Some(entry) => reply::json(StatusCode::OK, &entry),
        None => Err(Problem::new(
            Kind::NotFound,
            format!("there is no schema of type {} and version {version}", shortened(&name)),
        )),
    }
}

async fn versions(app: &App, caller: &Caller, name: &str) -> Result<Vec<Entry>, Problem> {
    let Ok(kind) = name.parse::<EventType>() else {
        return Ok(Vec::new());
    };
    let Ok(subject) = Subject::new(caller.tenant_id.clone(), &kind) else {
        let known = schema::catalogue().iter().filter(|(known, ..)| *known == name);
        return known.map(|entry| built_in(entry).map(Entry::BuiltIn)).collect();
    };
    let newest_first = schema::versions(&app.services.postgres, &subject).await?;
    Ok(newest_first.into_iter().rev().map(Entry::Registered).collect())
}

/// What is to be registered, or to be checked.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "NewSchema")]
pub(crate) struct Given {
    #[schemars(length(max = 128), regex(pattern = r"^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+$"))]
    r#type: String,
    schema: Map<String, Value>,
    #[serde(default)]
    compatibility: Compatibility,
    version: Option<i16>,
}

impl Given {
    /// Reads a schema where that keeps nobody waiting: a small text can mean much work.
    async fn read(self, tenant: TenantId) -> Result<Proposal, Problem> {
        let kind = event_type(&self.r#type, Kind::InvalidSchema)?;
        let subject = Subject::new(tenant, &kind)?;
        let schema = Value::Object(self.schema);
        let reading = tokio::task::spawn_blocking(move || Document::new(schema));
        let document = reading.await.map_err(Problem::internal)?;
        Ok(Proposal {
            subject,
            document: document.map_err(schema::Error::from)?,
            compatibility: self.compatibility,
            version: self.version,
        })
    }
}

/// Registers a schema: 201, or 200 where it was there already.
pub(crate) async fn register(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    Query::parse(request.uri().query(), &[])?;
    let given: Given = object::read(&app, request).await?;
    let proposal = given.read(caller.tenant_id.clone()).await?;
    let services = app.services.clone();
    let by = caller.clone();
    // A caller that hangs up must not come between registering it and telling whoever checks by it.
    let registered = app.to_the_end(async move {
        let registered = schema::register(&services.postgres, &proposal, (&by.actor_id, &by.id)).await?;
        services.publisher.schemas().forget();
        let (schema, new) = &registered;
        if *new {
            let object = format!("{}/{}", schema.event_type, schema.version);
            audit::recorded(&by, schema::REGISTERED, &by.tenant_id, &object);
        }
        Ok(registered)
    });
    let (registered, new) = registered.await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    reply::json(status, &registered)
}

#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "CheckedSchema")]
pub(crate) struct Checked {
    compatible: bool,
    /// The version that it has or would have.
    version: i16,
    /// The version that it was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<i16>,
    problems: Vec<Break>,
}

/// Says what registering would do; changes nothing.
pub(crate) async fn check(State(app): State<Arc<App>>, caller: Caller, request: Request) -> Result<Response, Problem> {
    Query::parse(request.uri().query(), &[])?;
    let given: Given = object::read(&app, request).await?;
    let proposal = given.read(caller.tenant_id.clone()).await?;
    let checked = match schema::propose(&app.services.postgres, &proposal).await? {
        Fate::Known(registered) => Checked {
            compatible: true,
            version: registered.version,
            against: None,
            problems: Vec::new(),
        },
        Fate::New {
            version,
            against,
            breaks,
        } => Checked {
            compatible: breaks.is_empty(),
            version,
            against,
            problems: breaks,
        },
    };
    reply::json(StatusCode::OK, &checked)
}

/// A payload that is to be held against a schema.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "PayloadToValidate")]
pub(crate) struct Example {
    #[schemars(length(max = 128), regex(pattern = r"^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+$"))]
    r#type: String,
    /// As with events.
    #[serde(default = "first")]
    schema_version: i16,
    payload: Map<String, Value>,
}

fn first() -> i16 {
    1
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "ValidatedPayload")]
pub(crate) struct Validated {
    valid: bool,
    problems: Vec<Misfit>,
}

/// Says whether an event with this payload would be taken.
pub(crate) async fn validate(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    Query::parse(request.uri().query(), &[])?;
    let given: Example = object::read(&app, request).await?;
    let kind = event_type(&given.r#type, Kind::InvalidRequest)?;
    let payload = Value::Object(given.payload);
    let schemas = app.services.publisher.schemas();
    let problems = schemas
        .validate(&caller.tenant_id, &kind, given.schema_version, payload)
        .await?;
    let valid = problems.is_empty();
    reply::json(StatusCode::OK, &Validated { valid, problems })
}
