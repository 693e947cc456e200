//! Which rows a batch has touched.

use std::collections::{BTreeSet, HashSet};

use crate::ids::{ActorId, BudgetId, RunId, TaskId};

/// Which rows a batch has touched, so that only those are written back.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone, PartialEq))]
pub(crate) struct Touched {
    pub(crate) new_tasks: Vec<TaskId>,
    pub(super) is_new: HashSet<TaskId>,
    pub(crate) tasks: BTreeSet<TaskId>,
    pub(crate) agents: BTreeSet<ActorId>,
    /// Agents that acted in this batch.
    pub(crate) seen: BTreeSet<ActorId>,
    pub(crate) keys: BTreeSet<String>,
    /// Keys of which a task was started.
    pub(crate) served: HashSet<String>,
    pub(crate) runs: BTreeSet<RunId>,
    pub(crate) budgets: BTreeSet<BudgetId>,
    pub(crate) reservations: BTreeSet<String>,
    /// Tasks whose open reservations end with them; `true`: what they reserved is spent.
    pub(crate) closed_reservations: Vec<(TaskId, bool)>,
    /// New edges: task, dependency, whether it is done already.
    pub(crate) edges: Vec<(TaskId, TaskId, bool)>,
    /// Edges that are done now: task, dependency.
    pub(crate) satisfied: Vec<(TaskId, TaskId)>,
    /// Why tasks were taken back from who held them: one for each.
    pub(crate) reclaimed: Vec<&'static str>,
}
