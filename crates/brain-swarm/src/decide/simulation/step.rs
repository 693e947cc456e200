//! The steps of a history: what agents, people and the brain itself may do, in whatever order chance puts it.
//!
//! Invariant: every step makes sense, or does nothing, after any other steps. So a history that fails can be made shorter by
//! leaving steps out.

use super::{
    names::{AGENTS, BUDGETS, KEYS, RUNS, TASKS},
    random::Random,
};
use crate::decide::DependencyPolicy;

/// What a worker says of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Say {
    Running,
    Complete,
    Fail { retryable: bool, after_ms: Option<i64> },
    Release { delay_ms: i64 },
    Progress,
    Emit,
    Reserve { units: i64 },
    Settle { units: i64 },
}

impl Say {
    /// Whether it ends the attempt.
    pub(super) fn ends(self) -> bool {
        matches!(self, Self::Complete | Self::Fail { .. } | Self::Release { .. })
    }
}

/// How a call travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It arrives, and so does its answer.
    Well,
    /// It arrives, but its answer does not: whoever made it does not know.
    AnswerLost,
    /// It arrives later, perhaps after others, perhaps twice, perhaps never.
    Late,
    /// As [`Way::Well`], but the fencing token is left out.
    Bare,
}

/// A task to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewTask {
    pub(super) task: usize,
    pub(super) run: usize,
    pub(super) wanted: Option<usize>,
    pub(super) role: Option<&'static str>,
    pub(super) gpu: bool,
    pub(super) priority: i64,
    pub(super) max_attempts: i64,
    pub(super) delay_ms: Option<i64>,
    pub(super) depends_on: Vec<usize>,
    pub(super) policy: DependencyPolicy,
    pub(super) key: Option<(usize, i64)>,
    pub(super) budget: Option<usize>,
    pub(super) parent: Option<usize>,
}

/// One step. Numbers stand for names: task 3, agent 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// What was changed is written; the next batch begins.
    Write,
    /// The clock jumps, in milliseconds, and a batch begins.
    Clock(i64),
    Register {
        agent: usize,
        push: bool,
        role: &'static str,
        gpu: bool,
        capacity: Option<i64>,
    },
    /// The sweep looks at when agents were last heard.
    Look,
    /// It reports an agent as lost by what it saw.
    Lose(usize),
    Create(NewTask),
    Cancel(usize),
    Reassign {
        task: usize,
        agent: usize,
    },
    Retry(usize),
    FinishRun(usize),
    CancelRun(usize),
    MakeBudget {
        budget: usize,
        max: i64,
    },
    Raise {
        budget: usize,
        max: i64,
    },
    StopBudget(usize),
    Drain(usize),
    Resume(usize),
    Claim {
        agent: usize,
        max: usize,
        lease_ms: i32,
        way: Way,
    },
    Heartbeat {
        agent: usize,
        way: Way,
    },
    /// A worker speaks of one of the tasks that it believes to have.
    Say {
        agent: usize,
        which: usize,
        say: Say,
        way: Way,
    },
    /// One of the calls that are under way arrives; `again`: it will arrive once more.
    Arrive {
        which: usize,
        again: bool,
    },
    /// A worker stands still: it does nothing until it goes on, and knows no better then.
    Pause(usize),
    GoOn(usize),
    /// A worker dies, and knows nothing when it is back.
    Die(usize),
    /// The tasks whose bit is set are settled.
    Settle(u16),
}

const KINDS: usize = 22;
/// How often each kind of step comes, in the order of the arms in [`step`].
const WEIGHTS: [usize; KINDS] = [14, 8, 4, 4, 2, 4, 3, 1, 1, 2, 5, 1, 2, 2, 13, 5, 32, 6, 2, 3, 2, 10];
/// Kinds that may be missing from a history altogether: rare meetings of the others come more often then.
const OPTIONAL: std::ops::Range<usize> = 3..22;

/// The steps of a seed.
pub(super) fn steps(seed: u64, length: usize) -> Vec<Step> {
    let mut random = Random::new(seed);
    let mut weights = WEIGHTS;
    for kind in OPTIONAL {
        if kind != 14 && kind != 16 && random.chance(25) {
            weights[kind] = 0;
        }
    }
    let total: usize = weights.iter().sum();
    // Most agents stay what they are: the first claim, the others listen.
    let listen_from = random.below(AGENTS - 1);
    let mut steps: Vec<Step> = (0..AGENTS - 2)
        .map(|agent| register(&mut random, agent, listen_from))
        .collect();
    steps.extend((0..BUDGETS).map(|budget| Step::MakeBudget {
        budget,
        max: random.pick(&[4, 10, 40]),
    }));
    while steps.len() < length {
        let mut at = random.below(total);
        let kind = weights.iter().position(|weight| {
            let here = at < *weight;
            at = at.saturating_sub(*weight);
            here
        });
        let step = step(&mut random, kind.unwrap_or(0), listen_from);
        // Left to chance alone, an agent that holds something is seldom silent for long enough to be lost, and what was reserved
        // is seldom settled.
        let next = match step {
            Step::Die(agent) if random.chance(60) => vec![Step::Look, Step::Lose(agent)],
            Step::Say {
                agent,
                which,
                say: Say::Reserve { .. },
                ..
            } if random.chance(60) => {
                let units = random.pick(&[0, 1, 3, 50]);
                let (say, way) = (Say::Settle { units }, way(&mut random));
                vec![Step::Say { agent, which, say, way }]
            }
            _ => Vec::new(),
        };
        steps.push(step);
        steps.extend(next);
        if random.chance(30) {
            steps.push(Step::Write);
        }
    }
    steps
}

fn step(random: &mut Random, kind: usize, listen_from: usize) -> Step {
    // The last two agents are kept for the end, when everything is put right.
    let agent = random.below(AGENTS - 2);
    let (task, run, budget) = (random.below(TASKS), random.below(RUNS), random.below(BUDGETS));
    match kind {
        0 => Step::Create(new_task(random, task)),
        1 => Step::Clock(random.pick(&[1, 500, 5_000, 20_000, 40_000, 90_000, -1, -3_000, -120_000])),
        2 => register(random, agent, listen_from),
        3 => Step::Look,
        4 => Step::Cancel(task),
        5 => Step::Reassign { task, agent },
        6 => Step::Retry(task),
        7 => Step::FinishRun(run),
        8 => Step::CancelRun(run),
        9 => Step::Raise {
            budget,
            max: random.pick(&[0, 5, 20, 60, 100]),
        },
        10 => Step::Lose(agent),
        11 => Step::StopBudget(budget),
        12 => Step::Drain(agent),
        13 => Step::Resume(agent),
        14 => Step::Claim {
            agent,
            max: random.pick(&[1, 1, 2, 5]),
            lease_ms: random.pick(&[1_000, 10_000, 30_000, 60_000]),
            way: way(random),
        },
        15 => Step::Heartbeat {
            agent,
            way: way(random),
        },
        16 => Step::Say {
            agent,
            which: random.below(8),
            say: say(random),
            way: way(random),
        },
        17 => Step::Arrive {
            which: random.below(8),
            again: random.chance(30),
        },
        18 => Step::Pause(agent),
        19 => Step::GoOn(agent),
        20 => Step::Die(agent),
        _ => Step::Settle(match random.below(3) {
            0 => u16::try_from(random.below(1 << TASKS)).unwrap_or(u16::MAX),
            _ => u16::MAX,
        }),
    }
}

fn register(random: &mut Random, agent: usize, listen_from: usize) -> Step {
    Step::Register {
        agent,
        push: (agent >= listen_from) != random.chance(10),
        role: random.pick(&["worker", "worker", "worker", "reviewer", "orchestrator"]),
        gpu: random.chance(50),
        capacity: random.pick(&[None, None, Some(1), Some(2)]),
    }
}

fn new_task(random: &mut Random, task: usize) -> NewTask {
    let depends_on = match random.below(3) {
        0 => (0..1 + random.below(3)).map(|_| random.below(TASKS)).collect(),
        _ => Vec::new(),
    };
    let some = |random: &mut Random, percent, limit| random.chance(percent).then(|| random.below(limit));
    NewTask {
        task,
        run: random.below(RUNS),
        wanted: some(random, 15, AGENTS - 2),
        role: random.pick(&[None, None, None, Some("worker"), Some("reviewer")]),
        gpu: random.chance(15),
        priority: random.pick(&[0, 0, 0, 5, -5]),
        max_attempts: random.pick(&[1, 1, 2, 3]),
        delay_ms: random.pick(&[None, None, None, Some(1_000), Some(30_000)]),
        depends_on,
        policy: random.pick(DependencyPolicy::ALL),
        key: some(random, 40, KEYS).map(|key| (key, random.pick(&[1, 1, 2, 3]))),
        budget: some(random, 50, BUDGETS),
        parent: some(random, 10, TASKS),
    }
}

fn say(random: &mut Random) -> Say {
    match random.below(18) {
        0..=1 => Say::Running,
        2..=4 => Say::Complete,
        5..=6 => Say::Fail {
            retryable: random.chance(75),
            after_ms: random.pick(&[None, Some(0), Some(2_000)]),
        },
        7..=8 => Say::Release {
            delay_ms: random.pick(&[0, 0, 1_000, 40_000]),
        },
        9..=10 => Say::Progress,
        11 => Say::Emit,
        12..=15 => Say::Reserve {
            units: random.pick(&[1, 3, 8, 30]),
        },
        _ => Say::Settle {
            units: random.pick(&[0, 1, 3, 50]),
        },
    }
}

fn way(random: &mut Random) -> Way {
    random.pick(&[
        Way::Well,
        Way::Well,
        Way::Well,
        Way::Well,
        Way::AnswerLost,
        Way::Late,
        Way::Late,
        Way::Bare,
    ])
}
