//! Runs and what is decided about them: they open, they are summed up, they are called off.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Decision, FollowUp, Refusal, State, TaskStatus, agents, task::words};
use crate::{
    event::{Event, EventType},
    ids::RunId,
};

words! {
    /// Where a run stands.
    RunState, "a run state" {
        /// It goes on.
        Open = "open",
        /// Somebody said that it ended.
        Finished = "finished",
        /// It was called off, with all its tasks.
        Cancelled = "cancelled",
    }
}

/// The tasks of a run by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "TaskTotals")]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// All.
    pub created: i64,
    /// Those that ended well.
    pub completed: i64,
    /// Those that ended badly.
    pub failed: i64,
    /// Those that were called off.
    pub cancelled: i64,
}

impl Totals {
    pub(super) fn count(&mut self, end: Option<TaskStatus>, change: i64) {
        match end {
            Some(TaskStatus::Completed) => self.completed += change,
            Some(TaskStatus::Failed) => self.failed += change,
            Some(TaskStatus::Cancelled) => self.cancelled += change,
            _ => {}
        }
    }

    /// Those that have not ended.
    #[must_use]
    pub const fn open(&self) -> i64 {
        self.created - self.completed - self.failed - self.cancelled
    }
}

/// A run, as far as decisions need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Where it stands.
    pub state: RunState,
    /// The first event that spoke of it.
    pub first_seq: i64,
    /// Its tasks.
    pub tasks: Totals,
    /// What was said at its end; kept when nothing is said.
    pub summary: Option<Value>,
    /// When it was started in this batch.
    pub started_at: Option<Timestamp>,
    /// When it ended in this batch.
    pub finished_at: Option<Timestamp>,
}

impl Run {
    /// A run that nobody knew.
    #[must_use]
    pub fn new(id: RunId, first_seq: i64) -> Self {
        Self {
            id,
            state: RunState::Open,
            first_seq,
            tasks: Totals::default(),
            summary: None,
            started_at: None,
            finished_at: None,
        }
    }
}

/// A run began: its actor joins the swarm as an agent.
pub(super) fn started(state: &mut State, event: &Event) -> Decision {
    let now = state.now;
    agents::join(state, event, false);
    state.edit_run(&event.run_id, |run| {
        run.started_at = Some(now);
        // A run that is started again goes on; one that was called off stays so.
        if run.state == RunState::Finished {
            run.state = RunState::Open;
        }
    });
    Decision::default()
}

/// A run ended: what became of its tasks is added to what its finisher says.
pub(super) fn finished(state: &mut State, event: &Event) -> Decision {
    if state.run(&event.run_id).is_some_and(|run| run.state != RunState::Open) {
        return Decision::refused(Refusal::RunEnded);
    }
    let now = state.now;
    let mut said = event.payload.get("summary").cloned().unwrap_or_else(|| json!({}));
    state.edit_run(&event.run_id, |run| {
        run.state = RunState::Finished;
        run.finished_at = Some(now);
        if let Some(fields) = said.as_object_mut() {
            fields.insert("tasks".to_owned(), totals(&run.tasks));
        }
        run.summary = Some(said.clone());
    });
    let follow_up = FollowUp {
        kind: EventType::RunSummarised,
        run_id: event.run_id.clone(),
        payload: json!({ "runId": event.run_id, "summary": said }),
        origin: None,
        ends: None,
        attempt: None,
    };
    Decision {
        follow_ups: vec![follow_up],
        ..Decision::default()
    }
}

/// A run is called off. Its tasks are cancelled by [`super::settle`], of which this batch does the first part.
pub(super) fn cancelled(state: &mut State, event: &Event) -> Decision {
    if state
        .run(&event.run_id)
        .is_some_and(|run| run.state == RunState::Cancelled)
    {
        return Decision::refused(Refusal::RunEnded);
    }
    let now = state.now;
    state.edit_run(&event.run_id, |run| {
        run.state = RunState::Cancelled;
        run.finished_at = Some(now);
        run.summary = event.payload.get("reason").map(|reason| json!({ "reason": reason }));
    });
    Decision::default()
}

fn totals(tasks: &Totals) -> Value {
    json!({ "created": tasks.created, "completed": tasks.completed, "failed": tasks.failed, "cancelled": tasks.cancelled,
        "open": tasks.open() })
}
