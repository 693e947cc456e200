//! `/api/swarm/schedules`: storing, reading and removing schedules.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::Response,
};
use brain_swarm::{
    calls::NewTask,
    ids::{ActorId, ScheduleId},
    schedules::{self, Clock, Definition, Key, MissedRuns, Schedule, Wish},
};
use schemars::{JsonSchema as _, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Segment, segment, swarm};
use crate::{
    access::Caller,
    app::App,
    audit, body,
    cursor::{List, Scope},
    problem::{Kind, Problem, shortened},
    query::Query,
    reply,
};

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "SchedulePage")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    schedules: Vec<Schedule>,
    next_cursor: Option<String>,
}

/// A schedule as callers write it.
#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "NewSchedule")]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a schedule as a JSON object"
)]
pub(crate) struct Given {
    #[schemars(length(min = 1, max = 256), example = "30 2 * * MON-FRI")]
    cron: String,
    #[serde(default = "utc")]
    #[schemars(length(min = 1), example = "Europe/Berlin")]
    time_zone: String,
    #[serde(default)]
    missed_runs: MissedRuns,
    #[schemars(schema_with = "template")]
    task: Map<String, Value>,
    #[serde(default = "enabled")]
    enabled: bool,
    actor_id: Option<ActorId>,
}

/// A new task without what a schedule says itself. What is left out of it stays out: no field is null.
fn template(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = NewTask::json_schema(generator);
    if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        fields.retain(|name, _| !REFUSED.contains(&name.as_str()));
        fields.values_mut().for_each(without_null);
    }
    schema
}

/// What the template of a schedule cannot have; `brain-swarm` says why.
const REFUSED: [&str; 4] = ["taskId", "idempotencyKey", "runAt", "actorId"];

fn without_null(schema: &mut Value) {
    let null = Value::from("null");
    if let Some(kinds) = schema.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| *kind != null);
    }
    if let Some(choices) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        choices.retain(|choice| choice.get("type") != Some(&null));
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

fn enabled() -> bool {
    true
}

/// Stores a schedule, new or in place of the one with its id.
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let query = Query::parse(request.uri().query(), &["swarmId"])?;
    let key = key(&app, &caller, path, &query)?;
    let body = body::read(request, app.body_limits).await?;
    let given = read(&body)?;
    let actor_id = caller.actor(given.actor_id)?;
    let wish = Wish {
        cron: given.cron,
        time_zone: given.time_zone,
        missed_runs: given.missed_runs,
        task: given.task,
        enabled: given.enabled,
        actor_id,
    };
    let definition = Definition::new(key.clone(), wish, app.services.max_event_bytes)?;
    let services = app.services.clone();
    // A caller that hangs up must not come between storing it and telling whoever fires it.
    let stored = app.to_the_end(async move {
        let stored = schedules::put(&services.postgres, Clock::default(), &definition).await?;
        if let Some(service) = &services.schedules {
            service.ring();
        }
        let place = (&key.tenant_id, &key.swarm_id);
        audit::done(
            &services.postgres,
            &caller,
            "schedule.put",
            place,
            (&key.schedule_id, None),
        )
        .await;
        Ok(stored)
    });
    reply::json(StatusCode::OK, &stored.await?)
}

/// Schedules of a swarm by id, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["swarmId", "cursor", "limit"])?;
    let mut wanted = schedules::Query {
        tenant_id: caller.tenant_id.clone(),
        swarm_id: swarm(&app, &query)?,
        after: None,
        limit: query.limit()?,
    };
    let scope = Scope::new(List::Schedules, &[Some(wanted.swarm_id.as_str())]);
    wanted.after = query.text("cursor").map(|cursor| scope.decode_as(cursor)).transpose()?;
    let page = schedules::list(&app.services.postgres, &wanted).await?;
    let next_cursor = page.next.map(|schedule| scope.encode(schedule.as_str()));
    reply::json(
        StatusCode::OK,
        &Page {
            schedules: page.schedules,
            next_cursor,
        },
    )
}

/// One schedule.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["swarmId"])?;
    let key = key(&app, &caller, path, &query)?;
    match schedules::get(&app.services.postgres, &key).await? {
        Some(schedule) => reply::thing(&schedule),
        None => Err(unknown(&key)),
    }
}

/// Removes a schedule; the tasks that it created stay.
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["swarmId"])?;
    let key = key(&app, &caller, path, &query)?;
    let postgres = app.services.postgres.clone();
    let removing = app.to_the_end(async move {
        if !schedules::delete(&postgres, &key).await? {
            return Err(unknown(&key));
        }
        let place = (&key.tenant_id, &key.swarm_id);
        audit::done(&postgres, &caller, "schedule.remove", place, (&key.schedule_id, None)).await;
        Ok(())
    });
    removing.await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

fn key(app: &App, caller: &Caller, path: Segment, query: &Query<'_>) -> Result<Key, Problem> {
    let schedule_id: ScheduleId = segment("scheduleId", path)?;
    Ok(Key {
        tenant_id: caller.tenant_id.clone(),
        swarm_id: swarm(app, query)?,
        schedule_id,
    })
}

fn unknown(key: &Key) -> Problem {
    let (schedule, swarm) = (&key.schedule_id, &key.swarm_id);
    Problem::new(
        Kind::NotFound,
        format!("there is no schedule {schedule} in swarm {swarm}"),
    )
}

fn read(body: &[u8]) -> Result<Given, Problem> {
    // A list of the values in their order would be taken for the object.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::new(
            Kind::InvalidSchedule,
            "the body is not a schedule: write a JSON object, not a list",
        ));
    }
    serde_json::from_slice(body).map_err(|error| {
        let kind = if error.is_data() {
            Kind::InvalidSchedule
        } else {
            Kind::MalformedJson
        };
        Problem::new(kind, shortened(&format!("the body is not a schedule: {error}")))
    })
}
