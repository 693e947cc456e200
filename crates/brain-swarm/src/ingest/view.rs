//! How what a call speaks of stands after it: the answer to the caller.

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    decide::{State, TaskStatus, Wait, task_id},
    event::Event,
    ids::{ActorId, TaskId},
};

/// How what a call speaks of stands after it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct View {
    pub(crate) task: Option<TaskView>,
    /// The id of the reservation and its units.
    pub(crate) reservation: Option<(String, i64)>,
    /// What the task's budget can still give.
    pub(crate) available: Option<i64>,
}

/// How a task stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TaskView {
    pub(crate) id: TaskId,
    pub(crate) status: TaskStatus,
    pub(crate) waiting_for: Option<Wait>,
    pub(crate) run_at: Option<Timestamp>,
    pub(crate) assignee: Option<ActorId>,
}

impl View {
    pub(super) fn of(state: &State, event: &Event) -> Self {
        let task = task_id(event).and_then(|id| state.task(&id));
        let reservation = event.payload.get("reservationId").and_then(Value::as_str);
        let budget = task
            .and_then(|task| task.budget.as_ref())
            .and_then(|id| state.budget(id));
        Self {
            task: task.map(|task| TaskView {
                id: task.id.clone(),
                status: task.status,
                waiting_for: task.waiting_for.filter(|_| task.status == TaskStatus::Created),
                run_at: task.run_at.filter(|_| task.waiting_for == Some(Wait::Time)),
                assignee: task.assignee.clone().filter(|_| task.status.is_held()),
            }),
            reservation: reservation
                .and_then(|id| state.written_reservation(id))
                .map(|reservation| (reservation.id.clone(), reservation.units)),
            available: budget
                .filter(|_| reservation.is_some())
                .map(|budget| budget.available()),
        }
    }
}
