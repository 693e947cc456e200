//! `POST /api/swarm/tasks`: one task, or several that are stored together or not at all.

use std::sync::Arc;

use axum::{
    extract::{Extension, Request, State},
    http::StatusCode,
    response::Response,
};
use brain_swarm::calls::{Created, NewTask};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::{call_scope, default_run};
use crate::{
    access::Caller,
    app::App,
    body,
    object::{self, Object},
    problem::{Fault, Kind, Problem, shortened},
    reply,
    trace::Trace,
};

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "CreatedTasks")]
pub(crate) struct Receipt {
    tasks: Vec<Created>,
}

/// The tasks of a body.
#[derive(Debug)]
enum Given {
    One(Box<NewTask>),
    Several(Vec<NewTask>),
}

/// Stores tasks. What was handed over is stored, also when the caller hangs up.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(trace): Extension<Trace>,
    request: Request,
) -> Result<Response, Problem> {
    let scope = call_scope(&app, &caller, request.uri())?;
    let bytes = body::read(request, app.body_limits).await?;
    let given = object::aside(bytes, read).await?;
    let (run, actor) = (default_run(&app)?, caller.actor(None)?);
    let store = async |mut tasks: Vec<NewTask>| {
        for task in &mut tasks {
            if let Some(actor) = &task.actor_id {
                caller.speaks_as(actor)?;
            }
            task.traceparent = Some(trace.traceparent());
        }
        let stored = app.services.calls.create_tasks(&scope, (&run, &actor), tasks);
        stored.await.map_err(Problem::from)
    };
    match given {
        Given::One(task) => {
            let created = store(vec![*task]).await?.pop();
            let created = created.ok_or_else(|| Problem::internal("a task was stored without an answer"))?;
            reply::json(StatusCode::CREATED, &created)
        }
        Given::Several(tasks) => reply::json(
            StatusCode::CREATED,
            &Receipt {
                tasks: store(tasks).await?,
            },
        ),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapper<'a> {
    #[serde(borrow)]
    tasks: Vec<&'a RawValue>,
}

fn read(body: &[u8]) -> Result<Given, Problem> {
    if !is_list(body) {
        if body.trim_ascii().is_empty() {
            let detail = "the body is empty; it must be a task, or {\"tasks\": [...]}";
            return Err(Problem::new(Kind::MalformedJson, detail));
        }
        return Ok(Given::One(Box::new(object::of(body)?)));
    }
    let wrapper: Object<Wrapper<'_>> = serde_json::from_slice(body).map_err(|error| object::unreadable(&error))?;
    let items = wrapper.0.tasks;
    let mut tasks = Vec::with_capacity(items.len());
    let mut faults = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match serde_json::from_str::<Object<NewTask>>(item.get()) {
            Ok(Object(task)) => tasks.push(task),
            Err(error) => faults.push(Fault {
                index,
                kind: Kind::InvalidRequest,
                detail: shortened(&error.to_string()),
            }),
        }
    }
    if faults.is_empty() {
        return Ok(Given::Several(tasks));
    }
    let verb = if faults.len() == 1 { "is" } else { "are" };
    let detail = format!(
        "{} of {} tasks {verb} not valid; nothing was stored",
        faults.len(),
        items.len()
    );
    Err(Problem::new(Kind::InvalidRequest, detail).with_faults(faults))
}

/// No task has a field `tasks`, so the first key tells a task from the object with a list.
fn is_list(body: &[u8]) -> bool {
    body.trim_ascii_start()
        .strip_prefix(b"{")
        .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\"tasks\""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn refused(body: &str) -> String {
        String::from_utf8(read(body.as_bytes()).unwrap_err().document("r-1")).unwrap()
    }

    #[test]
    fn one_task_or_several() {
        assert!(matches!(read(b"{}"), Ok(Given::One(_))));
        assert!(
            matches!(read(b" { \"tasks\" : [{}, {\"taskId\": \"a\"}] }"), Ok(Given::Several(tasks)) if tasks.len() == 2)
        );
    }

    #[test]
    fn every_bad_task_is_named() {
        insta::assert_snapshot!(refused(r#"{"tasks": [{}, {"taskid": "a"}, ["t"], {"priority": 1e9}]}"#), @r#"{"type":"urn:studio-brain:problem:invalid-request","title":"Invalid request","status":422,"detail":"3 of 4 tasks are not valid; nothing was stored","instance":"r-1","errors":[{"index":1,"type":"urn:studio-brain:problem:invalid-request","detail":"unknown field `taskid`, expected one of `taskId`, `runId`, `actorId`, `inputs`, `role`, `capability`, `assignedAgentId`, `priority`, `maxAttempts`, `runAt`, `delayMs`, `idempotencyKey`, `dependsOn`, `onDependencyFailure`, `concurrencyKey`, `concurrencyLimit`, `backoff`, `parentTaskId`, `budgetId`, `runbookId` at line 1 column 9"},{"index":2,"type":"urn:studio-brain:problem:invalid-request","detail":"invalid type: sequence, expected a JSON object at line 1 column 0"},{"index":3,"type":"urn:studio-brain:problem:invalid-request","detail":"invalid type: floating point `1000000000.0`, expected i16 at line 1 column 16"}]}"#);
        for body in [
            "",
            "[]",
            "[{}]",
            "5",
            "{\"tasks\": {}}",
            "{\"tasks\": [], \"more\": 1}",
            "{\"tasks\": [], \"tasks\": []}",
        ] {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = read(&bytes);
        }
    }
}
