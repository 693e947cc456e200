//! The end of a history: faults stop, everybody works, time moves on, and every task must come to its end.

use super::{
    Rule, Violation,
    names::{AGENTS, NAMES, TASKS},
    step::{Say, Step, Way},
    world::World,
};
use crate::decide::TaskStatus;

/// Enough for a chain of all tasks, each with every attempt that it may have.
const ROUNDS: usize = 40;
/// Longer than every lease, delay and backoff of the world.
const ROUND_MS: i64 = 600_000;

pub(super) fn close(world: &mut World) -> Result<(), Violation> {
    for agent in 0..AGENTS {
        world.take(&Step::GoOn(agent))?;
    }
    // Two agents between which there is one that fits every task.
    for (agent, role) in [(AGENTS - 2, "worker"), (AGENTS - 1, "reviewer")] {
        world.take(&Step::Register {
            agent,
            push: false,
            role,
            gpu: true,
            capacity: None,
        })?;
    }
    for _ in 0..ROUNDS {
        world.take(&Step::Clock(ROUND_MS))?;
        world.take(&Step::Settle(u16::MAX))?;
        for agent in 0..AGENTS {
            world.heartbeat(agent, Way::Well)?;
            work(world, agent)?;
        }
        if (0..TASKS).all(|task| is_done(world, task)) {
            return Ok(());
        }
    }
    let stuck: Vec<String> = (0..TASKS)
        .filter(|task| !is_done(world, *task))
        .filter_map(|task| world.state.task(&NAMES.tasks[task]).map(|task| format!("{task:?}")))
        .collect();
    Err(Violation {
        rule: Rule::Stuck,
        detail: stuck.join("; "),
    })
}

fn is_done(world: &World, task: usize) -> bool {
    let stored = world.state.task(&NAMES.tasks[task]);
    stored.is_none_or(|stored| stored.status.is_terminal()) || world.oracle.may_wait(task, &world.state)
}

/// An agent claims what it may, asks what it was given, and completes it all.
fn work(world: &mut World, agent: usize) -> Result<(), Violation> {
    world.workers[agent].beliefs.clear();
    world.claim(agent, TASKS, 60_000, Way::Well)?;
    let id = &NAMES.agents[agent];
    for (task, name) in NAMES.tasks.iter().enumerate() {
        let given = world
            .state
            .task(name)
            .is_some_and(|task| task.status.is_held() && task.lease.is_none() && task.assignee.as_ref() == Some(id));
        if given {
            world.workers[agent].learn(task, None);
        }
    }
    for _ in 0..world.workers[agent].beliefs.len() {
        let Some(belief) = world.workers[agent].beliefs.first() else {
            break;
        };
        let task = belief.task;
        world.say(agent, 0, Say::Running, Way::Well)?;
        world.say(agent, 0, Say::Complete, Way::Well)?;
        world.check()?;
        let status = world.state.task(&NAMES.tasks[task]).map(|task| task.status);
        if status != Some(TaskStatus::Completed) {
            return Err(Violation {
                rule: Rule::HolderRefused,
                detail: format!("a{agent} completed t{task}, which is {status:?}"),
            });
        }
    }
    Ok(())
}
