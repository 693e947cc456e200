//! The state of one swarm, as far as a batch needs it, and what an effect does to it.
//!
//! Invariant: `by_load` holds exactly the live agents that may be given tasks, each under its current load.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::{Effect, ORCHESTRATOR_ROLE};
use crate::{
    event::{Context, Event},
    ids::{ActorId, EventId, RunId, TaskId},
};

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// It waits for an agent.
    Created,
    /// An agent has it, but has not begun.
    Assigned,
    /// Its agent works on it.
    Running,
    /// It ended well.
    Completed,
    /// It ended badly.
    Failed,
    /// It was called off.
    Cancelled,
}

impl TaskStatus {
    /// All of them, in the order of a task's life.
    pub const ALL: [Self; 6] = [
        Self::Created,
        Self::Assigned,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The word in the database and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Assigned => "assigned",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing can follow.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    fn is_held(self) -> bool {
        matches!(self, Self::Assigned | Self::Running)
    }
}

impl std::str::FromStr for TaskStatus {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or_else(|| {
                format!(
                    "{word:?} is not a task status; valid: {}",
                    Self::ALL.map(Self::as_str).join(", ")
                )
            })
    }
}

/// The event that created a task: the cause of what later happens to it without another event.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// Its id.
    pub event_id: EventId,
    /// Its context.
    pub context: Context,
}

impl Origin {
    pub(super) fn of(event: &Event) -> Self {
        Self {
            event_id: event.id.clone(),
            context: event.context.clone(),
        }
    }
}

/// A task, as far as decisions need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The run it belongs to.
    pub run_id: RunId,
    /// Where it stands.
    pub status: TaskStatus,
    /// Who holds it, or held it last.
    pub assignee: Option<ActorId>,
    /// The only role that fits.
    pub role: Option<String>,
    /// The capability an agent must have.
    pub capability: Option<String>,
    /// Higher goes first.
    pub priority: i16,
    /// How often it has been started.
    pub attempt: i32,
    /// How often it may be started.
    pub max_attempts: i32,
    /// What its worker needs to know; `None` when not loaded or not given.
    pub inputs: Option<Value>,
    /// What came out of it.
    pub outputs: Option<Value>,
    /// Why it failed.
    pub error: Option<String>,
    /// What created it.
    pub origin: Origin,
}

/// An agent, as far as decisions need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Its id.
    pub id: ActorId,
    /// The run it joined with.
    pub run_id: RunId,
    /// What it is.
    pub role: String,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// How many tasks it may hold; `None`: any number.
    pub capacity: Option<i32>,
    /// Whether it sends heartbeats.
    pub live: bool,
    /// How many tasks it holds.
    pub load: i32,
    /// When it was last heard, by the clock of the database.
    pub last_seen_at: jiff::Timestamp,
}

impl Agent {
    fn may_take_tasks(&self) -> bool {
        self.live && self.role != ORCHESTRATOR_ROLE
    }

    fn fits(&self, task: &Task) -> bool {
        self.may_take_tasks()
            && self.capacity.is_none_or(|capacity| self.load < capacity)
            && task.role.as_ref().is_none_or(|role| *role == self.role)
            && task
                .capability
                .as_ref()
                .is_none_or(|wanted| self.capabilities.contains(wanted))
    }
}

/// One swarm. Rows that effects touched are marked, so that only those are written back.
#[derive(Debug, Default)]
pub struct State {
    tasks: HashMap<TaskId, Task>,
    agents: HashMap<ActorId, Agent>,
    by_load: BTreeSet<(i32, ActorId)>,
    /// Waiting tasks in the order in which they are handed out.
    queue: Vec<TaskId>,
    is_new: HashSet<TaskId>,
    pub(crate) new_tasks: Vec<TaskId>,
    pub(crate) changed_tasks: BTreeSet<TaskId>,
    pub(crate) changed_agents: BTreeSet<ActorId>,
    /// Agents that acted in this batch.
    pub(crate) seen_agents: BTreeSet<ActorId>,
    /// The event that ended a task in this batch.
    pub(crate) terminal_events: HashMap<TaskId, EventId>,
}

impl State {
    /// Puts in a task that was read from the database. Waiting ones are handed out in the order they are put in.
    pub fn load_task(&mut self, task: Task) {
        if task.status == TaskStatus::Created && !self.tasks.contains_key(&task.id) {
            self.queue.push(task.id.clone());
        }
        self.tasks.entry(task.id.clone()).or_insert(task);
    }

    /// Puts in an agent that was read from the database.
    pub fn load_agent(&mut self, agent: Agent) {
        if agent.may_take_tasks() {
            self.by_load.insert((agent.load, agent.id.clone()));
        }
        self.agents.insert(agent.id.clone(), agent);
    }

    /// A task by id.
    #[must_use]
    pub fn task(&self, id: &TaskId) -> Option<&Task> {
        self.tasks.get(id)
    }

    /// Whether a task was created by this batch.
    pub(crate) fn is_new(&self, id: &TaskId) -> bool {
        self.is_new.contains(id)
    }

    /// An agent by id.
    #[must_use]
    pub fn agent(&self, id: &ActorId) -> Option<&Agent> {
        self.agents.get(id)
    }

    /// Whether an agent of that id is in the swarm and sends heartbeats.
    #[must_use]
    pub fn is_live(&self, id: &ActorId) -> bool {
        self.agent(id).is_some_and(|agent| agent.live)
    }

    /// The live agent that fits the task and holds the fewest; the smallest id among equals.
    #[must_use]
    pub fn least_loaded(&self, task: &Task) -> Option<ActorId> {
        self.by_load
            .iter()
            .find(|(_, id)| self.agents.get(id).is_some_and(|agent| agent.fits(task)))
            .map(|(_, id)| id.clone())
    }

    /// Tasks that agents hold who are lost, in order of id.
    #[must_use]
    pub fn held_by_lost_agents(&self) -> Vec<TaskId> {
        let lost = |task: &&Task| {
            task.status.is_held()
                && task
                    .assignee
                    .as_ref()
                    .and_then(|id| self.agents.get(id))
                    .is_none_or(|agent| !agent.live)
        };
        let mut ids: Vec<TaskId> = self.tasks.values().filter(lost).map(|task| task.id.clone()).collect();
        ids.sort();
        ids
    }

    /// Tasks that wait, in the order in which they are handed out.
    #[must_use]
    pub fn waiting(&self) -> Vec<TaskId> {
        let waits = |id: &&TaskId| {
            self.tasks
                .get(*id)
                .is_some_and(|task| task.status == TaskStatus::Created)
        };
        self.queue.iter().filter(waits).cloned().collect()
    }

    /// Applies one effect. Effects on what is not there do nothing: the decision that made them saw it.
    pub fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::CreateTask(task) => {
                self.is_new.insert(task.id.clone());
                self.new_tasks.push(task.id.clone());
                self.queue.push(task.id.clone());
                self.tasks.insert(task.id.clone(), *task);
            }
            Effect::Assign { task, agent } => {
                self.let_go(&task);
                self.add_load(&agent, 1);
                self.change(&task, |task| {
                    task.status = TaskStatus::Assigned;
                    task.assignee = Some(agent);
                });
            }
            Effect::Start(task) => self.change(&task, |task| {
                task.status = TaskStatus::Running;
                task.attempt += 1;
            }),
            Effect::Finish {
                task,
                status,
                outputs,
                error,
            } => {
                self.let_go(&task);
                self.change(&task, |task| {
                    task.status = status;
                    task.outputs = outputs;
                    task.error = error;
                });
            }
            Effect::Release(id) => {
                self.let_go(&id);
                self.change(&id, |task| {
                    task.status = TaskStatus::Created;
                    task.assignee = None;
                });
                self.queue.push(id);
            }
            Effect::Join(agent) => {
                self.seen_agents.insert(agent.id.clone());
                self.join(*agent);
            }
            Effect::Seen(id) => {
                self.seen_agents.insert(id.clone());
                self.set_live(&id, true);
            }
            Effect::Lose(id) => self.set_live(&id, false),
        }
    }

    fn change(&mut self, id: &TaskId, edit: impl FnOnce(&mut Task)) {
        if let Some(task) = self.tasks.get_mut(id) {
            edit(task);
            self.changed_tasks.insert(id.clone());
        }
    }

    /// Takes the task off its holder's load.
    fn let_go(&mut self, id: &TaskId) {
        let holder = self
            .tasks
            .get(id)
            .filter(|task| task.status.is_held())
            .and_then(|task| task.assignee.clone());
        if let Some(holder) = holder {
            self.add_load(&holder, -1);
        }
    }

    fn add_load(&mut self, id: &ActorId, change: i32) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        let eligible = self.by_load.remove(&(agent.load, agent.id.clone()));
        agent.load = (agent.load + change).max(0);
        if eligible {
            self.by_load.insert((agent.load, agent.id.clone()));
        }
        self.changed_agents.insert(id.clone());
    }

    fn join(&mut self, mut agent: Agent) {
        let id = agent.id.clone();
        if let Some(known) = self.agents.get(&id) {
            self.by_load.remove(&(known.load, id.clone()));
            agent.load = known.load;
            agent.last_seen_at = known.last_seen_at;
        }
        if agent.may_take_tasks() {
            self.by_load.insert((agent.load, id.clone()));
        }
        self.agents.insert(id.clone(), agent);
        self.changed_agents.insert(id);
    }

    fn set_live(&mut self, id: &ActorId, live: bool) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        self.changed_agents.insert(id.clone());
        if agent.live == live {
            return;
        }
        self.by_load.remove(&(agent.load, agent.id.clone()));
        agent.live = live;
        if agent.may_take_tasks() {
            self.by_load.insert((agent.load, agent.id.clone()));
        }
    }
}
