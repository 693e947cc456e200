//! Schedules: tasks that are created again and again, by cron in a time zone.
//!
//! Invariants: a stored schedule has passed every check of [`Definition`]; each planned time creates at most one task, however
//! many replicas look and whenever one dies, because the ids of its event and task are made of the schedule and that time.

mod calendar;
mod fields;
mod missed;
mod service;
mod store;
mod template;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use self::template::Template;
pub use self::{
    calendar::Calendar,
    missed::{AT_ONCE, Due, GRACE, MissedRuns, due},
    service::{Error, Handle, Look, Options, Service},
    store::{Page, Query, delete, get, list, put},
};
use crate::ids::{ActorId, ScheduleId, SwarmId, TaskId, TenantId};

/// What is wrong with a schedule, by its field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The cron expression.
    #[error("cron: {0}")]
    Cron(String),
    /// The time zone.
    #[error("timeZone: {0}")]
    TimeZone(String),
    /// The task.
    #[error("task: {0}")]
    Task(String),
}

/// What time it is for schedules: the clock of the database, which all replicas share, moved by a fixed amount.
///
/// The amount is zero but in rehearsals: what will happen on the day on which clocks change can be played through today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    /// What is added to the time of the database.
    pub offset: SignedDuration,
}

impl Clock {
    fn offset_micros(self) -> i64 {
        i64::try_from(self.offset.as_micros()).unwrap_or_default()
    }
}

/// Which schedule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Who owns it.
    pub tenant_id: TenantId,
    /// The swarm that gets the tasks.
    pub swarm_id: SwarmId,
    /// Its name there.
    pub schedule_id: ScheduleId,
}

/// What a caller says about a schedule.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Five or six cron fields, or a nickname.
    pub cron: String,
    /// An IANA time zone.
    pub time_zone: String,
    /// What becomes of firings that were missed.
    pub missed_runs: MissedRuns,
    /// The payload of `task.created` without its `taskId`; `runId` may name the run of all its tasks.
    pub task: Map<String, Value>,
    /// Whether it fires.
    pub enabled: bool,
    /// Who creates the tasks.
    pub actor_id: ActorId,
}

/// A schedule that has passed all checks and may be stored.
#[derive(Debug, Clone)]
pub struct Definition {
    key: Key,
    calendar: Calendar,
    missed_runs: MissedRuns,
    template: Template,
    enabled: bool,
}

impl Definition {
    /// Checks a schedule: its times, its zone, and that its tasks would be stored.
    ///
    /// # Errors
    /// [`Invalid`] names the field and what to write instead.
    pub fn new(key: Key, wish: Wish, max_event_bytes: usize) -> Result<Self, Invalid> {
        let calendar = Calendar::new(&wish.cron, &wish.time_zone)?;
        if calendar.after(Timestamp::now()).is_none() {
            return Err(Invalid::Cron(format!(
                "{:?} never fires: no month has such a day",
                calendar.cron()
            )));
        }
        let template = Template::new(wish.task, wish.actor_id)?;
        template
            .event(&key, Timestamp::UNIX_EPOCH, max_event_bytes)
            .map_err(|error| Invalid::Task(error.to_string()))?;
        Ok(Self {
            key,
            calendar,
            missed_runs: wish.missed_runs,
            template,
            enabled: wish.enabled,
        })
    }
}

/// A schedule, as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Its id.
    pub schedule_id: ScheduleId,
    /// The swarm that gets the tasks.
    pub swarm_id: SwarmId,
    /// Its cron expression.
    pub cron: String,
    /// The time zone of the expression.
    pub time_zone: String,
    /// What becomes of firings that were missed.
    pub missed_runs: MissedRuns,
    /// What its tasks are made of.
    pub task: Value,
    /// Whether it fires.
    pub enabled: bool,
    /// Who creates the tasks.
    pub actor_id: ActorId,
    /// The planned time that comes next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// The planned time of the newest firing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_fired_at: Option<Timestamp>,
    /// The task that it created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_task_id: Option<TaskId>,
    /// When it was first stored.
    pub created_at: Timestamp,
    /// When somebody last changed it.
    pub updated_at: Timestamp,
}
