//! The names of everything in the world: a letter and a number, made once.

use std::sync::LazyLock;

use crate::ids::{ActorId, BudgetId, RunId, SwarmId, TaskId};

pub(super) const TASKS: usize = 10;
pub(super) const AGENTS: usize = 8;
pub(super) const BUDGETS: usize = 2;
pub(super) const RUNS: usize = 2;
pub(super) const KEYS: usize = 2;

pub(super) struct Names {
    pub(super) swarm: SwarmId,
    pub(super) tasks: Vec<TaskId>,
    pub(super) agents: Vec<ActorId>,
    pub(super) budgets: Vec<BudgetId>,
    pub(super) runs: Vec<RunId>,
    pub(super) keys: Vec<String>,
    /// A person or a service.
    pub(super) operator: ActorId,
    pub(super) brain: ActorId,
}

pub(super) static NAMES: LazyLock<Names> = LazyLock::new(|| Names {
    swarm: SwarmId::trusted("s"),
    tasks: (0..TASKS).map(|n| TaskId::trusted(&format!("t{n}"))).collect(),
    agents: (0..AGENTS).map(|n| ActorId::trusted(&format!("a{n}"))).collect(),
    budgets: (0..BUDGETS).map(|n| BudgetId::trusted(&format!("b{n}"))).collect(),
    runs: (0..RUNS).map(|n| RunId::trusted(&format!("r{n}"))).collect(),
    keys: (0..KEYS).map(|n| format!("k{n}")).collect(),
    operator: ActorId::trusted("op"),
    brain: ActorId::trusted(crate::ingest::BRAIN_ACTOR),
});

/// The number in a name.
pub(super) fn number(name: &str) -> usize {
    name.as_bytes().get(1).map_or(0, |digit| usize::from(digit - b'0'))
}
