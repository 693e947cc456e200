//! What must hold of the state after every step, counted again from its tasks and reservations.

use std::cmp::Reverse;

use super::{Rule, Violation, names::NAMES, oracle::Oracle};
use crate::decide::{BudgetState, RunState, State, Task, TaskStatus, Totals};

/// Counts everything again.
pub(super) fn check(state: &State, oracle: &Oracle) -> Result<(), Violation> {
    let tasks: Vec<&Task> = NAMES.tasks.iter().filter_map(|id| state.task(id)).collect();
    agents(state, &tasks)?;
    keys(state, &tasks)?;
    runs(state, &tasks)?;
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

fn count<'a>(tasks: &[&'a Task], is: impl Fn(&'a Task) -> bool) -> usize {
    tasks.iter().filter(|task| is(task)).count()
}

fn agents(state: &State, tasks: &[&Task]) -> Result<(), Violation> {
    for id in &NAMES.agents {
        let held = count(tasks, |task| {
            task.status.is_held() && task.assignee.as_ref() == Some(id)
        });
        match state.agent(id) {
            Some(agent) if usize::try_from(agent.load) == Ok(held) => {}
            None if held == 0 => {}
            Some(agent) => {
                return Err(wrong(
                    Rule::Load,
                    format!("{id} holds {held} tasks, its load is {}", agent.load),
                ));
            }
            None => {
                return Err(wrong(
                    Rule::UnknownAgent,
                    format!("{id} is unknown and holds {held} tasks"),
                ));
            }
        }
    }
    for task in tasks {
        let fits = match task.status {
            TaskStatus::Running => task.waiting_for.is_none() && task.assignee.is_some(),
            TaskStatus::Assigned => task.waiting_for.is_none() && task.assignee.is_some() && task.lease.is_none(),
            TaskStatus::Created => task.lease.is_none(),
            _ => task.lease.is_none() && task.waiting_for.is_none(),
        };
        if !fits {
            return Err(wrong(Rule::Shape, format!("{task:?}")));
        }
    }
    Ok(())
}

fn keys(state: &State, tasks: &[&Task]) -> Result<(), Violation> {
    for name in &NAMES.keys {
        let of = |task: &Task| task.concurrency_key.as_ref() == Some(name);
        let (held, ready) = (
            count(tasks, |task| of(task) && task.status.is_held()),
            count(tasks, |task| of(task) && task.is_ready()),
        );
        let counted = state.key(name).map_or((0, 0), |key| (key.held, key.ready));
        if (usize::try_from(counted.0), usize::try_from(counted.1)) != (Ok(held), Ok(ready)) {
            return Err(wrong(
                Rule::KeyCount,
                format!("{name}: {held} held and {ready} ready, counted {counted:?}"),
            ));
        }
    }
    Ok(())
}

fn runs(state: &State, tasks: &[&Task]) -> Result<(), Violation> {
    for id in &NAMES.runs {
        let of = |status: Option<TaskStatus>| {
            let tasks = count(tasks, |task| {
                task.run_id == *id && status.is_none_or(|status| task.status == status)
            });
            i64::try_from(tasks).unwrap_or(i64::MAX)
        };
        let totals = Totals {
            created: of(None),
            completed: of(Some(TaskStatus::Completed)),
            failed: of(Some(TaskStatus::Failed)),
            cancelled: of(Some(TaskStatus::Cancelled)),
        };
        let counted = state.run(id).map_or(Totals::default(), |run| run.tasks);
        if totals != counted {
            return Err(wrong(Rule::RunTotals, format!("{id}: {totals:?}, counted {counted:?}")));
        }
    }
    Ok(())
}

fn budgets(state: &State, tasks: &[&Task], oracle: &Oracle) -> Result<(), Violation> {
    let open = |reservation: &&crate::decide::Reservation| reservation.settled.is_none();
    let all = || oracle.reservations.iter().filter_map(|(id, ..)| state.reservation(id));
    for id in &NAMES.budgets {
        let Some(budget) = state.budget(id) else { continue };
        let reserved: i64 = all().filter(|r| r.budget == *id).filter(open).map(|r| r.units).sum();
        let spent: i64 = all().filter(|r| r.budget == *id).filter_map(|r| r.settled).sum();
        let sound = budget.reserved == reserved && budget.spent == spent && reserved + spent <= budget.max_units;
        if !sound {
            return Err(wrong(
                Rule::Budget,
                format!("{budget:?}: reserved {reserved}, spent {spent}"),
            ));
        }
    }
    for task in tasks {
        let units: i64 = all().filter(|r| r.task == task.id).filter(open).map(|r| r.units).sum();
        if units != task.reserved_units || (units > 0 && !task.status.is_held()) {
            let facts = format!("{} is {} with {} units", task.id, task.status, task.reserved_units);
            return Err(wrong(Rule::Reserved, format!("{facts}, {units} are reserved for it")));
        }
    }
    Ok(())
}

fn edges(state: &State, tasks: &[&Task]) -> Result<(), Violation> {
    for task in tasks.iter().filter(|task| !task.status.is_terminal()) {
        let mut unmet = 0;
        for on in tasks {
            for edge in state.dependents(&on.id).iter().filter(|edge| edge.task == task.id) {
                unmet += i32::from(!edge.satisfied);
                if !edge.satisfied && on.status == TaskStatus::Completed {
                    return Err(wrong(
                        Rule::Unmet,
                        format!("{} waits for {}, which has completed", task.id, on.id),
                    ));
                }
            }
        }
        if unmet != task.unmet {
            return Err(wrong(
                Rule::Unmet,
                format!("{} waits for {unmet}, counted {}", task.id, task.unmet),
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
