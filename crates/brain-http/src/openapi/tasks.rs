//! `/api/swarm/tasks`: reading and creating; what workers say and what people do is beside it.

use axum::http::Method;
use brain_swarm::{
    calls::{self, Changed, Claimed, Created},
    decide::TaskStatus,
    ids::{ActorId, RunId, TaskId},
    tasks::StoredTask,
};
use serde_json::json;

use super::{Described, described, operation::Operation};
use crate::{
    problem::Kind,
    routes::{
        Order,
        tasks::{self, claim, create, report, spend, steer},
    },
};

/// What holds wherever a worker speaks.
const OWN_NAME: &str = "A token that is bound speaks for its own name alone: `agentId` must be that name.";
/// What holds wherever a person is named.
const OWN_ACTOR: &str = "A token that is bound acts as its own name alone: `actorId` is left out or that name.";

pub(super) const OPERATIONS: &[Described] = &[
    described(Method::GET, "/api/swarm/tasks", |it| {
        it.named("listTasks", "Tasks of a swarm by id, by page")
            .swarm()
            .query::<RunId>("runId", "Only tasks of this run.")
            .query::<TaskStatus>("status", "Only tasks that stand there.")
            .query::<ActorId>("agentId", "Only tasks that this agent holds, or held last.")
            .paged()
            .gives::<tasks::Page>(200, "A page of tasks.")
    }),
    described(Method::POST, "/api/swarm/tasks", |mut it| {
        let one = it.schema_of::<calls::NewTask>();
        let created = (it.written::<Created>(), it.written::<create::Receipt>());
        let several = json!({
            "type": "object", "required": ["tasks"], "additionalProperties": false,
            "properties": { "tasks": { "type": "array", "items": one, "minItems": 1, "maxItems": calls::MAX_TASKS } },
        });
        it.named("createTasks", "Create one task, or several that are stored together or not at all")
            .says(
                "The tasks of one call may depend on each other, in any order. With an `idempotencyKey` the call can be repeated: \
                 the same key creates one task, however often it is used.",
            )
            .swarm()
            .body_as("application/json", json!({ "anyOf": [one, several] }))
            .example(json!({ "taskId": "build", "capability": "rust", "inputs": { "branch": "main" } }))
            .gives_as(201, "The task, or the tasks in the order of the request.", "application/json", json!({ "anyOf": [created.0, created.1] }))
            .leads_to(201, "getTask", "taskId", "/taskId")
            .leads_to(201, "cancelTask", "taskId", "/taskId")
            .leads_to(201, "completeTask", "taskId", "/taskId")
            .stores()
            .problems(&[Kind::EventConflict, Kind::DependencyCycle, Kind::BudgetExhausted, Kind::NotFound])
            .limit("tasks", calls::MAX_TASKS)
    }),
    described(Method::GET, "/api/swarm/tasks/{taskId}", |it| {
        of_task(it.named("getTask", "One task")).gives_thing::<StoredTask>("The task.")
    }),
    described(Method::POST, "/api/swarm/tasks/claim", |it| {
        it.named("claimTasks", "Give an agent tasks, by priority and age")
            .says(
                "The agent must have joined. With `waitMs` an answer without tasks comes only when the time is over. Each task \
                 comes with a fencing token, which every later word about it must carry.",
            )
            .rule(OWN_NAME)
            .swarm()
            .body::<claim::Given>()
            .example(json!({ "agentId": "builder-1", "max": 2, "waitMs": 100 }))
            .gives::<Claimed>(200, "The tasks; none where there were none in time.")
            .stores()
            .problems(&[Kind::NotFound])
            .limit("waitMs", claim::MAX_WAIT.as_millis() as u64)
    }),
    described(Method::POST, "/api/swarm/tasks/finish", |it| {
        it.named("finishTasks", "Say how several tasks ended, each for itself")
            .says("A result has either `outputs` or an `error`. What became of each is in the answer, in their order.")
            .rule(OWN_NAME)
            .swarm()
            .body::<report::Ends>()
            .gives::<report::Verdicts>(200, "What became of each result.")
            .stores()
            .problems(&[Kind::LeaseLost, Kind::NotFound])
            .limit("results", calls::MAX_RESULTS)
    }),
    described(Method::POST, "/api/swarm/tasks/{taskId}/complete", |it| {
        held(it.named("completeTask", "Say that a task ended well"))
            .body::<report::Completion>()
            .gives::<Changed>(200, "How the task stands.")
    }),
    described(Method::POST, "/api/swarm/tasks/{taskId}/fail", |it| {
        held(it.named("failTask", "Say that an attempt ended badly"))
            .says("Where it is `retryable` and attempts are left the task waits for the next one.")
            .body::<report::Failure>()
            .gives::<Changed>(200, "How the task stands.")
    }),
    described(Method::POST, "/api/swarm/tasks/{taskId}/release", |it| {
        held(it.named("releaseTask", "Give a task back"))
            .says("The attempt does not count.")
            .body::<report::Return>()
            .gives::<Changed>(200, "How the task stands.")
    }),
    described(Method::POST, "/api/swarm/tasks/{taskId}/progress", |it| {
        held(it.named("reportProgress", "Say how far a task is"))
            .body::<report::Advance>()
            .gives::<Changed>(200, "How the task stands.")
    }),
    described(Method::POST, "/api/swarm/tasks/{taskId}/emit", |it| {
        held(it.named(
            "emitEvents",
            "Publish events that belong to a task, while the claim holds",
        ))
        .body::<report::Emission>()
        .gives::<report::Receipt>(200, "Where the events are.")
        .limit("events", report::MAX_EVENTS)
    }),
    described(Method::POST, "/api/swarm/tasks/{taskId}/reserve", |it| {
        held(it.named("reserveUnits", "Reserve units of the task's budget"))
            .body::<spend::Reservation>()
            .gives::<calls::Reserved>(200, "The reservation.")
            .problems(&[Kind::BudgetExhausted])
    }),
    described(Method::POST, "/api/swarm/tasks/{taskId}/settle", |it| {
        held(it.named("settleUnits", "Say what was spent of a reservation"))
            .body::<spend::Settlement>()
            .gives::<calls::Reserved>(200, "The reservation, settled.")
            .problems(&[Kind::BudgetExhausted])
    }),
    described(Method::POST, "/api/swarm/tasks/{taskId}/cancel", |it| {
        steered(it.named("cancelTask", "Call a task off"))
            .body_if_any::<Order>()
            .gives::<Changed>(200, "How the task stands.")
    }),
    described(Method::POST, "/api/swarm/tasks/{taskId}/reassign", |it| {
        steered(it.named(
            "reassignTask",
            "Give a task to an agent, and take it from whoever has it",
        ))
        .body::<steer::Reassignment>()
        .example(json!({ "agentId": "builder-1" }))
        .gives::<Changed>(200, "How the task stands.")
    }),
    described(Method::POST, "/api/swarm/tasks/{taskId}/retry", |it| {
        steered(it.named("retryTask", "Give a task that failed or was cancelled another try"))
            .body_if_any::<steer::Retry>()
            .gives::<Changed>(200, "How the task stands.")
    }),
];

fn of_task(it: Operation<'_>) -> Operation<'_> {
    it.path::<TaskId>("taskId", "build").swarm()
}

/// What a worker says of a task that it holds.
fn held(it: Operation<'_>) -> Operation<'_> {
    of_task(it).rule(OWN_NAME).stores().problems(&[Kind::LeaseLost])
}

/// What people do to a task.
fn steered(it: Operation<'_>) -> Operation<'_> {
    of_task(it)
        .rule(OWN_ACTOR)
        .stores()
        .problems(&[Kind::LeaseLost, Kind::BudgetExhausted])
}
