//! What must hold of the state after every step, counted again from its tasks and reservations.

use std::cmp::Reverse;

use super::{
    Rule, Violation,
    names::{AGENTS, BUDGETS, KEYS, NAMES, RUNS, TASKS, number},
    oracle::Oracle,
};
use crate::decide::{BudgetState, RunState, State, Task, TaskStatus, Totals};

/// Counts everything again.
pub(super) fn check(state: &State, oracle: &Oracle) -> Result<(), Violation> {
    let tasks: Vec<&Task> = NAMES.tasks.iter().filter_map(|id| state.task(id)).collect();
    let mut counted = Counted::default();
    for task in &tasks {
        counted.add(task)?;
    }
    counted.compare(state)?;
    budgets(state, &tasks, oracle)?;
    edges(state, &tasks)?;
    let mut queue: Vec<_> = tasks.iter().filter(|task| task.is_ready()).collect();
    queue.sort_by_key(|task| (Reverse(task.priority), task.position));
    let queued = state.queue();
    let same = queue.len() == queued.len() && queue.iter().zip(&queued).all(|(task, id)| task.id == *id);
    same.then_some(()).ok_or_else(|| {
        wrong(
            Rule::Queue,
            format!("{queued:?} are in the queue, {} are ready", queue.len()),
        )
    })
}

fn wrong(rule: Rule, detail: String) -> Violation {
    Violation { rule, detail }
}

/// What is counted over tasks.
#[derive(Default)]
struct Counted {
    load: [i32; AGENTS],
    held: [i32; KEYS],
    ready: [i32; KEYS],
    runs: [Totals; RUNS],
}

impl Counted {
    fn add(&mut self, task: &Task) -> Result<(), Violation> {
        let sound = match task.status {
            TaskStatus::Running => task.waiting_for.is_none() && task.assignee.is_some(),
            TaskStatus::Assigned => task.waiting_for.is_none() && task.assignee.is_some() && task.lease.is_none(),
            TaskStatus::Created => task.lease.is_none(),
            _ => task.lease.is_none() && task.waiting_for.is_none(),
        };
        if !sound {
            return Err(wrong(Rule::Shape, format!("{task:?}")));
        }
        let held = i32::from(task.status.is_held());
        if let Some(agent) = &task.assignee {
            self.load[number(agent.as_str())] += held;
        }
        if let Some(key) = &task.concurrency_key {
            self.held[number(key)] += held;
            self.ready[number(key)] += i32::from(task.is_ready());
        }
        let run = &mut self.runs[number(task.run_id.as_str())];
        run.created += 1;
        match task.status {
            TaskStatus::Completed => run.completed += 1,
            TaskStatus::Failed => run.failed += 1,
            TaskStatus::Cancelled => run.cancelled += 1,
            _ => {}
        }
        Ok(())
    }

    fn compare(&self, state: &State) -> Result<(), Violation> {
        for (id, held) in NAMES.agents.iter().zip(self.load) {
            match state.agent(id) {
                Some(agent) if agent.load != held => {
                    return Err(wrong(
                        Rule::Load,
                        format!("{id} holds {held} tasks, its load is {}", agent.load),
                    ));
                }
                None if held > 0 => {
                    return Err(wrong(
                        Rule::UnknownAgent,
                        format!("{id} is unknown and holds {held} tasks"),
                    ));
                }
                _ => {}
            }
        }
        for (name, counts) in NAMES.keys.iter().zip(self.held.into_iter().zip(self.ready)) {
            let kept = state.key(name).map_or((0, 0), |key| (key.held, key.ready));
            if kept != counts {
                return Err(wrong(
                    Rule::KeyCount,
                    format!("{name}: held and ready are {counts:?}, counted {kept:?}"),
                ));
            }
        }
        for (id, totals) in NAMES.runs.iter().zip(self.runs) {
            let kept = state.run(id).map_or(Totals::default(), |run| run.tasks);
            if kept != totals {
                return Err(wrong(Rule::RunTotals, format!("{id}: {totals:?}, counted {kept:?}")));
            }
        }
        Ok(())
    }
}

fn budgets(state: &State, tasks: &[&Task], oracle: &Oracle) -> Result<(), Violation> {
    let (mut reserved, mut spent) = ([0; BUDGETS], [0; BUDGETS]);
    let mut of_tasks = [0; TASKS];
    for made in oracle.reservations.iter().filter_map(|id| state.reservation(id)) {
        let budget = number(made.budget.as_str());
        if let Some(settled) = made.settled {
            spent[budget] += settled;
        } else {
            reserved[budget] += made.units;
            of_tasks[number(made.task.as_str())] += made.units;
        }
    }
    for (id, (reserved, spent)) in NAMES.budgets.iter().zip(reserved.into_iter().zip(spent)) {
        let Some(budget) = state.budget(id) else { continue };
        if budget.reserved != reserved || budget.spent != spent || reserved + spent > budget.max_units {
            return Err(wrong(
                Rule::Budget,
                format!("{budget:?}: reserved {reserved}, spent {spent}"),
            ));
        }
    }
    for task in tasks {
        let units = of_tasks[number(task.id.as_str())];
        if units != task.reserved_units || (units > 0 && !task.status.is_held()) {
            let facts = format!("{} is {} with {} units", task.id, task.status, task.reserved_units);
            return Err(wrong(Rule::Reserved, format!("{facts}, {units} are reserved for it")));
        }
    }
    Ok(())
}

fn edges(state: &State, tasks: &[&Task]) -> Result<(), Violation> {
    let mut unmet = [0; TASKS];
    let mut completed = [None; TASKS];
    for on in tasks {
        for edge in state.dependents(&on.id).iter().filter(|edge| !edge.satisfied) {
            let task = number(edge.task.as_str());
            unmet[task] += 1;
            if on.status == TaskStatus::Completed {
                completed[task] = Some(&on.id);
            }
        }
    }
    for task in tasks {
        let index = number(task.id.as_str());
        if unmet[index] != task.unmet {
            return Err(wrong(
                Rule::Unmet,
                format!("{} waits for {}, counted {}", task.id, unmet[index], task.unmet),
            ));
        }
        // One that has ended itself is told when it is retried.
        if let (Some(on), false) = (completed[index], task.status.is_terminal()) {
            return Err(wrong(
                Rule::Unmet,
                format!("{} waits for {on}, which has completed", task.id),
            ));
        }
    }
    Ok(())
}

/// After everything was settled nothing is open that was called off.
pub(super) fn check_settled(state: &State) -> Result<(), Violation> {
    for task in state.tasks().filter(|task| !task.status.is_terminal()) {
        if state
            .run(&task.run_id)
            .is_some_and(|run| run.state == RunState::Cancelled)
        {
            return Err(wrong(
                Rule::CalledOff,
                format!("{} is {} in a cancelled run", task.id, task.status),
            ));
        }
        let budget = task.budget.as_ref().and_then(|id| state.budget(id));
        if budget.is_some_and(|budget| budget.state == BudgetState::Stopped) {
            return Err(wrong(
                Rule::CalledOff,
                format!("{} is {} under a stopped budget", task.id, task.status),
            ));
        }
    }
    Ok(())
}
