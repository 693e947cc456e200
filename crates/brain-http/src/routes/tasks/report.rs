//! What a worker says of the tasks that it holds: progress, events, and how they end.
//!
//! Each report is one commit: what was handed over is stored, also when the caller hangs up.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use brain_swarm::{
    calls::{self, Changed, Emitted, Finished, Holder, Outcome},
    event::EventType,
    ids::{ActorId, FencingToken, TaskId},
};
use schemars::Schema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::{Segment, call_scope, segment};
use crate::{
    access::Caller,
    app::App,
    object::{self, Object},
    problem::{Fault, Kind, Problem},
    reply,
};

/// The longest error, as the schema of the event has it.
const MAX_ERROR_CHARS: usize = 8192;
/// The longest delay of the next attempt, as the schema of the event has it.
const MAX_RETRY_AFTER_MS: u64 = 2_592_000_000;
/// The most events of one request.
pub(crate) const MAX_EVENTS: usize = 4096;

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "TaskCompletion")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Completion {
    agent_id: ActorId,
    fencing_token: FencingToken,
    #[serde(default)]
    outputs: Map<String, Value>,
}

/// A task ended well.
pub(crate) async fn complete(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (task_id, scope) = (segment("taskId", path)?, call_scope(&app, &caller, request.uri())?);
    let given: Completion = object::read(&app, request).await?;
    caller.speaks_as(&given.agent_id)?;
    let finished = Finished {
        task_id,
        fencing_token: given.fencing_token,
        outcome: Outcome::Completed {
            outputs: Value::Object(given.outputs),
        },
    };
    ended(&app, &scope, &given.agent_id, finished).await
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "TaskFailure")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Failure {
    agent_id: ActorId,
    fencing_token: FencingToken,
    #[schemars(length(max = 8192))]
    error: String,
    #[serde(default = "yes")]
    retryable: bool,
    #[schemars(range(max = 2_592_000_000_u64))]
    retry_after_ms: Option<u64>,
}

fn yes() -> bool {
    true
}

/// An attempt ended badly.
pub(crate) async fn fail(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (task_id, scope) = (segment("taskId", path)?, call_scope(&app, &caller, request.uri())?);
    let given: Failure = object::read(&app, request).await?;
    caller.speaks_as(&given.agent_id)?;
    let finished = Finished {
        task_id,
        fencing_token: given.fencing_token,
        outcome: Outcome::Failed {
            error: given.error,
            retryable: given.retryable,
            retry_after: given.retry_after_ms.map(Duration::from_millis),
        },
    };
    ended(&app, &scope, &given.agent_id, finished).await
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "TaskRelease")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Return {
    agent_id: ActorId,
    fencing_token: FencingToken,
    #[serde(default)]
    #[schemars(range(max = 2_592_000_000_u64))]
    delay_ms: u64,
}

/// A worker gives a task back.
pub(crate) async fn release(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (task_id, scope) = (segment("taskId", path)?, call_scope(&app, &caller, request.uri())?);
    let given: Return = object::read(&app, request).await?;
    caller.speaks_as(&given.agent_id)?;
    let finished = Finished {
        task_id,
        fencing_token: given.fencing_token,
        outcome: Outcome::Released {
            delay: Duration::from_millis(given.delay_ms),
        },
    };
    ended(&app, &scope, &given.agent_id, finished).await
}

async fn ended(app: &App, scope: &calls::Scope, agent: &ActorId, finished: Finished) -> Result<Response, Problem> {
    let changed = app.services.calls.finish(scope, agent, finished).await?;
    reply::json(StatusCode::OK, &changed)
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "TaskProgress")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Advance {
    agent_id: ActorId,
    fencing_token: FencingToken,
    progress: Map<String, Value>,
}

/// A worker says how far it is.
pub(crate) async fn progress(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (task, scope): (TaskId, _) = (segment("taskId", path)?, call_scope(&app, &caller, request.uri())?);
    let given: Advance = object::read(&app, request).await?;
    caller.speaks_as(&given.agent_id)?;
    let holder = Holder {
        agent_id: given.agent_id,
        fencing_token: given.fencing_token,
    };
    let noted = app
        .services
        .calls
        .progress(&scope, &task, &holder, Value::Object(given.progress));
    reply::json(StatusCode::OK, &noted.await?)
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "TaskEvents")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Emission {
    agent_id: ActorId,
    fencing_token: FencingToken,
    #[schemars(length(min = 1, max = 4096))]
    events: Vec<Object<Said>>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "TaskEvent")]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    #[serde(rename = "type")]
    #[schemars(length(max = 128), regex(pattern = r"^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+$"))]
    kind: String,
    #[serde(default)]
    payload: Map<String, Value>,
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "EmittedEvents")]
pub(crate) struct Receipt {
    events: Vec<Emitted>,
}

/// A worker publishes events that belong to a task.
pub(crate) async fn emit(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let (task, scope): (TaskId, _) = (segment("taskId", path)?, call_scope(&app, &caller, request.uri())?);
    let given: Emission = object::read(&app, request).await?;
    caller.speaks_as(&given.agent_id)?;
    if given.events.is_empty() || given.events.len() > MAX_EVENTS {
        let detail = format!("a call emits 1 to {MAX_EVENTS} events, not {}", given.events.len());
        return Err(Problem::new(Kind::InvalidRequest, detail));
    }
    let mut events = Vec::with_capacity(given.events.len());
    for Object(said) in given.events {
        let kind: EventType = said.kind.parse().map_err(calls::Error::from)?;
        events.push((kind, Value::Object(said.payload)));
    }
    let holder = Holder {
        agent_id: given.agent_id,
        fencing_token: given.fencing_token,
    };
    let events = app.services.calls.emit(&scope, &task, &holder, events).await?;
    reply::json(StatusCode::OK, &Receipt { events })
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "TaskResults")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Ends {
    agent_id: ActorId,
    #[schemars(length(min = 1, max = 1000))]
    results: Vec<Object<End>>,
}

/// How one task ended: with outputs or with an error.
#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "TaskResult", transform = either)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct End {
    task_id: TaskId,
    fencing_token: FencingToken,
    outputs: Option<Map<String, Value>>,
    #[schemars(length(max = 8192))]
    error: Option<String>,
    retryable: Option<bool>,
    #[schemars(range(max = 2_592_000_000_u64))]
    retry_after_ms: Option<u64>,
}

/// It has outputs or an error, and what belongs to an error comes with one.
fn either(schema: &mut Schema) {
    let absent = json!({ "type": "null" });
    schema.insert(
        "oneOf".to_owned(),
        json!([
            {
                "required": ["outputs"],
                "properties": { "outputs": { "type": "object" }, "error": absent, "retryable": absent, "retryAfterMs": absent },
            },
            { "required": ["error"], "properties": { "outputs": absent, "error": { "type": "string" } } },
        ]),
    );
}

impl End {
    fn read(self) -> Result<Finished, &'static str> {
        let outcome = match (self.outputs, self.error) {
            (Some(_), None) if self.retryable.is_some() || self.retry_after_ms.is_some() => {
                return Err("retryable and retryAfterMs belong to an error");
            }
            (Some(outputs), None) => Outcome::Completed {
                outputs: Value::Object(outputs),
            },
            (None, Some(error)) if error.chars().count() > MAX_ERROR_CHARS => {
                return Err("the error is longer than 8192 characters");
            }
            (None, Some(_)) if self.retry_after_ms.is_some_and(|after| after > MAX_RETRY_AFTER_MS) => {
                return Err("retryAfterMs is more than 30 days");
            }
            (None, Some(error)) => Outcome::Failed {
                error,
                retryable: self.retryable.unwrap_or(true),
                retry_after: self.retry_after_ms.map(Duration::from_millis),
            },
            (None, None) => return Err("it has neither outputs nor an error"),
            (Some(_), Some(_)) => return Err("it has both outputs and an error"),
        };
        Ok(Finished {
            task_id: self.task_id,
            fencing_token: self.fencing_token,
            outcome,
        })
    }
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "TaskVerdicts")]
pub(crate) struct Verdicts {
    results: Vec<Verdict>,
}

/// What became of one result.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "TaskVerdict")]
#[serde(untagged, rename_all_fields = "camelCase")]
pub(crate) enum Verdict {
    Stored(Changed),
    Refused { task_id: TaskId, problem: Refused },
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "RefusedResult")]
pub(crate) struct Refused {
    #[serde(rename = "type", serialize_with = "Kind::as_type")]
    kind: Kind,
    detail: String,
}

/// Several tasks ended, each for itself.
pub(crate) async fn finish(State(app): State<Arc<App>>, caller: Caller, request: Request) -> Result<Response, Problem> {
    let scope = call_scope(&app, &caller, request.uri())?;
    let given: Ends = object::read(&app, request).await?;
    caller.speaks_as(&given.agent_id)?;
    let mut finished = Vec::with_capacity(given.results.len());
    let mut faults = Vec::new();
    for (index, Object(end)) in given.results.into_iter().enumerate() {
        match end.read() {
            Ok(end) => finished.push(end),
            Err(detail) => faults.push(Fault {
                index,
                kind: Kind::InvalidRequest,
                detail: detail.to_owned(),
            }),
        }
    }
    if !faults.is_empty() {
        let detail = "some results cannot be read; none was stored";
        return Err(Problem::new(Kind::InvalidRequest, detail).with_faults(faults));
    }
    let tasks: Vec<TaskId> = finished.iter().map(|end| end.task_id.clone()).collect();
    let answers = app.services.calls.finish_all(&scope, &given.agent_id, finished).await?;
    let results = tasks.into_iter().zip(answers).map(|(task_id, answer)| match answer {
        Ok(changed) => Verdict::Stored(changed),
        Err(error) => {
            let problem = Problem::from(error);
            Verdict::Refused {
                task_id,
                problem: Refused {
                    kind: problem.kind(),
                    detail: problem.detail().to_owned(),
                },
            }
        }
    });
    reply::json(
        StatusCode::OK,
        &Verdicts {
            results: results.collect(),
        },
    )
}
