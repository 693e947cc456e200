//! The state of one swarm, as far as a batch needs it.
//!
//! Invariants, kept by [`State::update`], through which every change of a task goes: the load of an agent is the number of
//! tasks it holds; a concurrency key counts the tasks that are held and ready; a run counts its tasks by how they ended;
//! `by_load` holds exactly the agents that may be given tasks; `queue` holds exactly the ready tasks.

mod touched;

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};

use jiff::Timestamp;

pub(crate) use self::touched::Touched;
use super::{Agent, Budget, Reservation, Run, Task, TaskStatus};
use crate::ids::{ActorId, BudgetId, EventId, RunId, TaskId};

/// How many tasks of a key agents hold, and how many are ready for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// How many may be held at once.
    pub limit: i32,
    /// How many are.
    pub held: i32,
    /// How many wait for nothing but an agent.
    pub ready: i32,
}

/// A task that waits for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependent {
    /// The task that waits.
    pub task: TaskId,
    /// Whether it has stopped waiting for that one.
    pub satisfied: bool,
}

/// One swarm, as far as a batch needs it.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq))]
pub struct State {
    /// The time of the batch, by the clock of the database.
    pub now: Timestamp,
    /// The seq of the event that is being decided.
    pub seq: i64,
    tasks: HashMap<TaskId, Task>,
    agents: HashMap<ActorId, Agent>,
    by_load: BTreeSet<(i32, ActorId)>,
    queue: BTreeSet<(Reverse<i16>, i64, TaskId)>,
    /// What was loaded to be settled, in order.
    idle: Vec<TaskId>,
    keys: HashMap<String, Key>,
    dependents: HashMap<TaskId, Vec<Dependent>>,
    runs: HashMap<RunId, Run>,
    budgets: HashMap<BudgetId, Budget>,
    reservations: HashMap<String, Reservation>,
    pub(crate) touched: Touched,
    /// The event that ended a task in this batch.
    pub(crate) terminal_events: HashMap<TaskId, EventId>,
}

impl Default for State {
    fn default() -> Self {
        Self::at(Timestamp::UNIX_EPOCH)
    }
}

/// What a task counts for.
struct Count {
    queued: Option<(Reverse<i16>, i64)>,
    key: Option<(String, bool, bool)>,
    holder: Option<ActorId>,
    run: RunId,
    end: Option<TaskStatus>,
}

impl Count {
    fn of(task: &Task) -> Self {
        let (held, ready) = (task.status.is_held(), task.is_ready());
        Self {
            queued: ready.then_some((Reverse(task.priority), task.position)),
            key: task.concurrency_key.clone().map(|key| (key, held, ready)),
            holder: task.assignee.clone().filter(|_| held),
            run: task.run_id.clone(),
            end: task.status.is_terminal().then_some(task.status),
        }
    }
}

impl State {
    /// An empty swarm at this time.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            now,
            seq: 0,
            tasks: HashMap::new(),
            agents: HashMap::new(),
            by_load: BTreeSet::new(),
            queue: BTreeSet::new(),
            idle: Vec::new(),
            keys: HashMap::new(),
            dependents: HashMap::new(),
            runs: HashMap::new(),
            budgets: HashMap::new(),
            reservations: HashMap::new(),
            touched: Touched::default(),
            terminal_events: HashMap::new(),
        }
    }

    /// Forgets which rows were touched, as after they were written.
    pub fn written(&mut self) {
        self.touched = Touched::default();
        self.terminal_events.clear();
        self.idle.clear();
    }

    // What is read from the database.

    /// Puts in a task that was read from the database, once.
    pub fn load_task(&mut self, task: Task) {
        if self.tasks.contains_key(&task.id) {
            return;
        }
        if task.is_ready() {
            self.queue
                .insert((Reverse(task.priority), task.position, task.id.clone()));
        }
        self.tasks.insert(task.id.clone(), task);
    }

    /// Marks a task as one that [`super::settle`] is to look at.
    pub fn load_idle(&mut self, id: TaskId) {
        self.idle.push(id);
    }

    /// Puts in an agent that was read from the database.
    pub fn load_agent(&mut self, agent: Agent) {
        if self.agents.contains_key(&agent.id) {
            return;
        }
        if agent.is_pushed() {
            self.by_load.insert((agent.load, agent.id.clone()));
        }
        self.agents.insert(agent.id.clone(), agent);
    }

    /// Puts in a concurrency key that was read from the database.
    pub fn load_key(&mut self, name: &str, key: Key) {
        if !self.keys.contains_key(name) {
            self.keys.insert(name.to_owned(), key);
        }
    }

    /// Puts in a run that was read from the database.
    pub fn load_run(&mut self, run: Run) {
        self.runs.entry(run.id.clone()).or_insert(run);
    }

    /// Puts in a budget that was read from the database.
    pub fn load_budget(&mut self, budget: Budget) {
        self.budgets.entry(budget.id.clone()).or_insert(budget);
    }

    /// Puts in a reservation that was read from the database.
    pub fn load_reservation(&mut self, reservation: Reservation) {
        self.reservations.insert(reservation.id.clone(), reservation);
    }

    /// Puts in an edge that was read from the database.
    pub fn load_dependent(&mut self, on: TaskId, dependent: Dependent) {
        let dependents = self.dependents.entry(on).or_default();
        if !dependents.iter().any(|known| known.task == dependent.task) {
            dependents.push(dependent);
        }
    }

    // Questions.

    /// A task by id.
    #[must_use]
    pub fn task(&self, id: &TaskId) -> Option<&Task> {
        self.tasks.get(id)
    }

    /// All tasks that are known, in no order.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values()
    }

    /// Whether a task was created by this batch.
    pub(crate) fn is_new(&self, id: &TaskId) -> bool {
        self.touched.is_new.contains(id)
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

    /// A run by id.
    #[must_use]
    pub fn run(&self, id: &RunId) -> Option<&Run> {
        self.runs.get(id)
    }

    /// A budget by id.
    #[must_use]
    pub fn budget(&self, id: &BudgetId) -> Option<&Budget> {
        self.budgets.get(id)
    }

    /// A concurrency key by name.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&Key> {
        self.keys.get(name)
    }

    pub(super) fn reservation(&self, id: &str) -> Option<&Reservation> {
        self.reservations.get(id)
    }

    pub(super) fn dependents(&self, id: &TaskId) -> Vec<Dependent> {
        self.dependents.get(id).cloned().unwrap_or_default()
    }

    /// The tasks that a task still waits for, as far as their edges are known.
    pub(super) fn unsatisfied(&self, task: &TaskId) -> Vec<TaskId> {
        let waits = |edge: &Dependent| edge.task == *task && !edge.satisfied;
        let edges = self.dependents.iter().filter(|(_, edges)| edges.iter().any(waits));
        let mut on: Vec<TaskId> = edges.map(|(on, _)| on.clone()).collect();
        on.sort();
        on
    }

    /// Whether one more task of this task's key may be held.
    #[must_use]
    pub fn key_is_free(&self, task: &Task) -> bool {
        let key = task.concurrency_key.as_ref().and_then(|name| self.keys.get(name));
        key.is_none_or(|key| key.held < key.limit)
    }

    /// The agent that is to be given the task: among those that fit the one that holds the fewest, the smallest id among
    /// equals. `None` while its concurrency key is in use.
    #[must_use]
    pub fn least_loaded(&self, task: &Task) -> Option<ActorId> {
        if !self.key_is_free(task) {
            return None;
        }
        let named = task.wanted_agent.as_ref().and_then(|id| self.agents.get(id));
        if let Some(agent) = named.filter(|agent| agent.live && !agent.draining) {
            return Some(agent.id.clone());
        }
        let fits = |id: &ActorId| {
            let agent = self.agents.get(id);
            agent.is_some_and(|agent| agent.room() > 0 && agent.fits(task))
        };
        self.by_load.iter().find(|(_, id)| fits(id)).map(|(_, id)| id.clone())
    }

    /// Whether agents that are given tasks are here at all.
    pub(super) fn has_pushed_agents(&self) -> bool {
        !self.by_load.is_empty()
    }

    /// Ready tasks in the order in which they are handed out.
    pub(super) fn queue(&self) -> Vec<TaskId> {
        self.queue.iter().map(|(_, _, id)| id.clone()).collect()
    }

    /// Whether anything is ready and would be found by a claim.
    pub(crate) fn has_ready(&self) -> bool {
        self.queue.iter().any(|(_, _, id)| {
            self.touched.tasks.contains(id) && self.tasks.get(id).is_some_and(|task| self.key_is_free(task))
        })
    }

    /// The agents that held tasks name and that are not known here. Ready tasks count only by whom their creators named.
    pub(crate) fn unknown_agents(&self) -> impl Iterator<Item = &ActorId> {
        let named = self.tasks.values().flat_map(|task| {
            let holder = task.assignee.as_ref().filter(|_| task.status.is_held());
            let wanted = task
                .wanted_agent
                .as_ref()
                .filter(|_| task.status == TaskStatus::Created);
            holder.into_iter().chain(wanted)
        });
        named.filter(|id| !self.agents.contains_key(*id))
    }

    /// The tasks that were loaded to be settled.
    pub(crate) fn idle_tasks(&self) -> impl Iterator<Item = &Task> {
        self.idle.iter().filter_map(|id| self.tasks.get(id))
    }

    pub(super) fn idle(&self) -> Vec<TaskId> {
        self.idle.clone()
    }

    // Changes.

    /// Changes a task, and everything that is counted over tasks with it.
    pub(super) fn update(&mut self, id: &TaskId, edit: impl FnOnce(&mut Task)) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let before = Count::of(task);
        edit(task);
        let after = Count::of(task);
        self.touched.tasks.insert(id.clone());
        self.recount(id, Some(before), &after);
    }

    /// Puts in a task that is new.
    pub(super) fn create(&mut self, task: Task) {
        let (id, count) = (task.id.clone(), Count::of(&task));
        self.touched.is_new.insert(id.clone());
        self.touched.new_tasks.push(id.clone());
        self.touched.tasks.insert(id.clone());
        self.edit_run(&task.run_id, |run| run.tasks.created += 1);
        self.tasks.insert(id.clone(), task);
        self.recount(&id, None, &count);
    }

    fn recount(&mut self, id: &TaskId, before: Option<Count>, after: &Count) {
        let was = before.unwrap_or(Count {
            queued: None,
            key: None,
            holder: None,
            run: after.run.clone(),
            end: None,
        });
        if was.queued != after.queued {
            if let Some((priority, position)) = was.queued {
                self.queue.remove(&(priority, position, id.clone()));
            }
            if let Some((priority, position)) = after.queued {
                self.queue.insert((priority, position, id.clone()));
            }
        }
        if was.holder != after.holder {
            if let Some(agent) = &was.holder {
                self.add_load(agent, -1);
            }
            if let Some(agent) = &after.holder {
                self.add_load(agent, 1);
            }
        }
        if was.key != after.key {
            for (count, sign) in [(&was.key, -1), (&after.key, 1)] {
                if let Some((name, held, ready)) = count {
                    if let Some(key) = self.keys.get_mut(name) {
                        key.held += sign * i32::from(*held);
                        key.ready += sign * i32::from(*ready);
                    }
                    self.touched.keys.insert(name.clone());
                    if sign > 0 && *held {
                        self.touched.served.insert(name.clone());
                    }
                }
            }
        }
        if was.end != after.end {
            self.edit_run(&after.run, |run| {
                run.tasks.count(was.end, -1);
                run.tasks.count(after.end, 1);
            });
        }
    }

    fn add_load(&mut self, id: &ActorId, change: i32) {
        self.edit_agent(id, |agent| agent.load = (agent.load + change).max(0));
    }

    /// Changes an agent that is known.
    pub(super) fn edit_agent(&mut self, id: &ActorId, edit: impl FnOnce(&mut Agent)) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        self.by_load.remove(&(agent.load, agent.id.clone()));
        edit(agent);
        if agent.is_pushed() {
            self.by_load.insert((agent.load, agent.id.clone()));
        }
        self.touched.agents.insert(id.clone());
    }

    /// An agent joins, or joins again with other properties: it keeps what it holds.
    pub(super) fn join(&mut self, agent: Agent) {
        let id = agent.id.clone();
        if self.agents.contains_key(&id) {
            self.edit_agent(&id, |known| {
                *known = Agent {
                    load: known.load,
                    last_seen_at: agent.last_seen_at.max(known.last_seen_at),
                    ..agent
                };
            });
        } else {
            self.load_agent(agent);
            self.touched.agents.insert(id.clone());
        }
        self.touched.seen.insert(id);
    }

    /// An agent was heard.
    pub(super) fn seen(&mut self, id: &ActorId) {
        if self.agents.contains_key(id) {
            let now = self.now;
            self.edit_agent(id, |agent| {
                agent.live = true;
                agent.last_seen_at = agent.last_seen_at.max(now);
            });
            self.touched.seen.insert(id.clone());
        }
    }

    /// Changes a run, which appears when it is first spoken of.
    pub(super) fn edit_run(&mut self, id: &RunId, edit: impl FnOnce(&mut Run)) {
        let seq = self.seq;
        let run = self.runs.entry(id.clone()).or_insert_with(|| Run::new(id.clone(), seq));
        edit(run);
        self.touched.runs.insert(id.clone());
    }

    /// Sets the limit of a key, which appears when it is first spoken of.
    pub(super) fn limit_key(&mut self, name: &str, limit: i32) {
        let key = self.keys.entry(name.to_owned()).or_insert(Key {
            limit,
            held: 0,
            ready: 0,
        });
        key.limit = limit;
        self.touched.keys.insert(name.to_owned());
    }

    pub(super) fn edit_budget(&mut self, id: &BudgetId, edit: impl FnOnce(&mut Budget)) {
        if let Some(budget) = self.budgets.get_mut(id) {
            edit(budget);
            self.touched.budgets.insert(id.clone());
        }
    }

    pub(super) fn create_budget(&mut self, budget: Budget) {
        self.touched.budgets.insert(budget.id.clone());
        self.budgets.insert(budget.id.clone(), budget);
    }

    pub(super) fn put_reservation(&mut self, reservation: Reservation) {
        self.touched.reservations.insert(reservation.id.clone());
        self.reservations.insert(reservation.id.clone(), reservation);
    }

    pub(crate) fn written_reservation(&self, id: &str) -> Option<&Reservation> {
        self.reservations.get(id)
    }

    /// The open reservations of a task are over.
    pub(super) fn close_reservations(&mut self, id: &TaskId, spent: bool) {
        for reservation in self.reservations.values_mut() {
            if reservation.task == *id && reservation.settled.is_none() {
                reservation.settled = Some(if spent { reservation.units } else { 0 });
            }
        }
        self.touched.closed_reservations.push((id.clone(), spent));
    }

    /// A new edge.
    pub(super) fn add_edge(&mut self, task: &TaskId, on: &TaskId, satisfied: bool) {
        self.touched.edges.push((task.clone(), on.clone(), satisfied));
        self.load_dependent(
            on.clone(),
            Dependent {
                task: task.clone(),
                satisfied,
            },
        );
    }

    /// The task need not wait for that one any longer.
    pub(super) fn satisfy(&mut self, task: &TaskId, on: &TaskId) {
        let dependents = self.dependents.get_mut(on);
        if let Some(dependent) = dependents.and_then(|all| all.iter_mut().find(|dependent| dependent.task == *task)) {
            dependent.satisfied = true;
        }
        self.touched.satisfied.push((task.clone(), on.clone()));
    }
}
