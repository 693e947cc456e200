//! `/dashboard/tasks`: tasks, one task with what happened to it, and steering it.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri, response::Response};
use brain_swarm::{
    events,
    ids::TaskId,
    tasks::{self, StoredTask, TaskStatus},
};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    action::{self, Action},
    events::Row,
    form::{Posted, TOKEN},
    frame::{Frame, Pager, Place, ROWS, TASKS, chosen, filled},
    reply,
    session::Visitor,
    text::{self, Cut, When},
};
use crate::{
    app::App,
    cursor::{List, Scope},
    problem::{Kind, Problem},
    query::Query,
    routes::{self, Segment, segment},
};

/// The most events of a task that are shown.
const EVENTS: usize = 200;

#[derive(Template)]
#[template(path = "tasks.html")]
struct ListPage<'a> {
    frame: Frame,
    tasks: &'a [StoredTask],
    status: &'a str,
    run: &'a str,
    agent: &'a str,
    pager: Pager,
}

impl ListPage<'_> {
    fn statuses(&self) -> &'static [TaskStatus] {
        TaskStatus::ALL
    }
}

/// Tasks of a swarm by id, by page.
pub(crate) async fn list(State(app): State<Arc<App>>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(
        uri.query(),
        &["swarmId", "runId", "status", "agentId", "cursor", "done"],
    )?;
    let place = Place::of(&app, &query)?;
    let scope = place.scope(&visitor);
    let [run, status, agent] = ["runId", "status", "agentId"].map(|name| filled(&query, name));
    let cursors = Scope::new(List::Tasks, &[Some(scope.swarm_id.as_str()), run, status, agent]);
    let wanted = tasks::Query {
        tenant_id: scope.tenant_id,
        swarm_id: scope.swarm_id,
        run_id: chosen(&query, "runId")?,
        status: chosen(&query, "status")?,
        assigned_agent_id: chosen(&query, "agentId")?,
        after: query
            .text("cursor")
            .map(|cursor| cursors.decode_as(cursor))
            .transpose()?,
        limit: ROWS,
    };
    let page = tasks::list(&app.services.postgres, &wanted).await?;
    let [run, status, agent] = [run, status, agent].map(Option::unwrap_or_default);
    let next = page.next.map(|task| cursors.encode(task.as_str()));
    let filters = [("runId", run), ("status", status), ("agentId", agent)];
    let pager = place.pager("tasks", &filters, (query.text("cursor"), next));
    let list = ListPage {
        tasks: &page.tasks,
        status,
        run,
        agent,
        pager,
        frame: Frame::new(&visitor, TASKS, "Tasks", place),
    };
    reply::page(&visitor, &list)
}

/// An attempt at a task.
struct Attempt {
    number: String,
    agent: String,
    outcome: String,
    error: String,
    began: Option<When>,
    ended: Option<When>,
}

impl Attempt {
    /// Those that ended without success, and the last one.
    fn all(task: &StoredTask) -> Vec<Self> {
        let past = task.history.as_ref().and_then(Value::as_array);
        let mut attempts: Vec<Self> = past.into_iter().flatten().map(Self::past).collect();
        let last = task.attempt.to_string();
        let is_there = attempts.iter().any(|one| one.number == last);
        if task.attempt > 0 && !is_there {
            attempts.push(Self {
                number: last,
                agent: task
                    .assigned_agent_id
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                outcome: task.status.as_str().to_owned(),
                error: task.error.as_deref().map(text::field).unwrap_or_default(),
                began: task.started_at.map(When),
                ended: task.status.is_terminal().then_some(When(task.updated_at)),
            });
        }
        attempts
    }

    fn past(entry: &Value) -> Self {
        let word = |name: &str| entry[name].as_str().map(text::field).unwrap_or_default();
        let time = |name: &str| {
            let time = entry[name].as_str().and_then(|text| text.parse::<Timestamp>().ok());
            time.map(When)
        };
        Self {
            number: entry["attempt"].to_string(),
            agent: word("agentId"),
            outcome: word("outcome"),
            error: word("error"),
            began: time("startedAt"),
            ended: time("endedAt"),
        }
    }
}

#[derive(Template)]
#[template(path = "task.html")]
struct OnePage<'a> {
    frame: Frame,
    task: &'a StoredTask,
    attempts: Vec<Attempt>,
    inputs: Cut,
    outputs: Option<Cut>,
    progress: Option<Cut>,
    error: Option<Cut>,
    /// For those who may see events.
    events: Option<Vec<Row>>,
    may_cancel: bool,
    may_retry: bool,
}

/// One task.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    path: Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let id: TaskId = segment("taskId", path)?;
    let place = Place::of(&app, &Query::parse(uri.query(), &["swarmId", "done"])?)?;
    let (postgres, scope) = (&app.services.postgres, place.scope(&visitor));
    let task = tasks::get(postgres, &scope.tenant_id, &scope.swarm_id, &id).await?;
    let task = task.ok_or_else(|| {
        let detail = format!("there is no task {id} in swarm {}", scope.swarm_id);
        Problem::new(Kind::NotFound, detail)
    })?;
    let events = match visitor.may("events", "read") {
        true => {
            let of = (&scope.tenant_id, &scope.swarm_id);
            let events = events::of_task(postgres, of, &id, EVENTS).await?;
            Some(events.iter().map(Row::of).collect())
        }
        false => None,
    };
    let steers = visitor.may("tasks", "manage");
    let whole = |value: &Value| text::pretty(value, text::MAX_BYTES);
    let page = OnePage {
        attempts: Attempt::all(&task),
        inputs: whole(&task.inputs),
        outputs: task.outputs.as_ref().map(whole),
        progress: task.progress.as_ref().map(whole),
        error: task.error.clone().map(|error| text::cut(error, text::MAX_BYTES)),
        events,
        may_cancel: steers && !task.status.is_terminal(),
        may_retry: steers && matches!(task.status, TaskStatus::Failed | TaskStatus::Cancelled),
        task: &task,
        frame: Frame::new(&visitor, TASKS, format!("Task {id}"), place),
    };
    reply::page(&visitor, &page)
}

fn path_of(task: &TaskId) -> String {
    format!("tasks/{}", text::encoded(task.as_str()))
}

/// Calls a task off.
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    path: Segment,
    uri: Uri,
    posted: Posted,
) -> Result<Response, Problem> {
    let action: Action<TaskId> = Action::read(&app, ("taskId", path), &uri, &posted)?;
    let reason = action::reason(&posted.fields(&[TOKEN, "reason"])?);
    let after = action.after(&path_of(&action.id), "task-cancelled")?;
    routes::tasks::steer::call_off(&app, action.by, (action.scope, action.id), action.actor, reason).await?;
    Ok(after)
}

/// Gives a task that ended badly another try.
pub(crate) async fn retry(
    State(app): State<Arc<App>>,
    path: Segment,
    uri: Uri,
    posted: Posted,
) -> Result<Response, Problem> {
    let action: Action<TaskId> = Action::read(&app, ("taskId", path), &uri, &posted)?;
    posted.fields(&[TOKEN])?;
    let after = action.after(&path_of(&action.id), "task-retried")?;
    routes::tasks::steer::try_again(&app, action.by, (action.scope, action.id), action.actor).await?;
    Ok(after)
}
