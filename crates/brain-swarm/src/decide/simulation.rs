//! The decision under simulation: thousands of histories from seeds, judged after every step.
//!
//! A history is a list of steps that a seed gives: agents that claim, work, stand still, die and speak too late or twice;
//! people who create, cancel, reassign and retry; a clock that jumps; settling whenever it likes. [`oracle`] keeps its own book
//! of who was promised what, [`checks`] counts the state again, [`closing`] lets everything come to its end. A history that
//! breaks a rule is made as short as it gets and printed with its seed.
//!
//! `BRAIN_SIMULATION_SEED=n` plays one seed, `BRAIN_SIMULATION_RUNS=n` plays that many instead of what five seconds allow:
//! `BRAIN_SIMULATION_RUNS=1000000 cargo test -p brain-swarm simulation -- --nocapture`.

mod checks;
mod closing;
mod names;
mod oracle;
mod planted;
mod random;
mod step;
mod world;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    thread::available_parallelism,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use self::{
    step::{Step, steps},
    world::{Met, World, renew},
};
use super::{Claim, Decision, FollowUp, Refusal, State, claims::Claimed};
use crate::{
    event::Event,
    ids::{ActorId, FencingToken, TaskId},
};

/// Steps of one history.
const LENGTH: usize = 100;
/// Histories of one test run, if they fit into [`TIME`].
const RUNS: u64 = 20_000;
const TIME: Duration = Duration::from_secs(5);
/// In one of so many histories the state is compared as a whole before and after each refusal.
const COMPARE_EVERY: u64 = 4;

/// What is under test. Tests of the simulation itself put something wrong in one place.
#[derive(Clone, Copy)]
struct Brain {
    decide: fn(&mut State, &Event) -> Decision,
    claim: fn(&mut State, &Claim) -> Result<Claimed, Refusal>,
    settle: fn(&mut State) -> Vec<FollowUp>,
    renew: fn(&mut State, &TaskId, &ActorId, FencingToken) -> Option<Timestamp>,
}

const REAL: Brain = Brain {
    decide: super::decide,
    claim: super::claim,
    settle: super::settle,
    renew,
};

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Nothing is accepted by a lease that is over or a token that is old.
    StaleAccepted,
    /// Who holds a task is heard.
    HolderRefused,
    /// What is answered as stored before was.
    NeverSaid,
    /// What is refused changes nothing.
    RefusedChanged,
    /// Nobody loses a task while the lease lasts, except to a person, or when lost.
    HoldTaken,
    /// A lease moves by claims and heartbeats alone.
    LeaseMoved,
    Heartbeat,
    Claim,
    /// Fencing tokens only grow.
    Token,
    Attempts,
    /// A task ends with exactly one event, and stays so.
    TerminalEvent,
    Dependencies,
    Unmet,
    KeyLimit,
    KeyCount,
    /// Nothing is handed out of a cancelled run, or under a budget that is paused or stopped.
    HeldBack,
    CalledOff,
    /// Tasks go to agents that fit and have room.
    Unfit,
    LostAgent,
    UnknownAgent,
    Load,
    Queue,
    RunTotals,
    Budget,
    Reserved,
    /// A task is held, leased and waiting as its status says.
    Shape,
    /// What settling brings about names its cause.
    NoCause,
    /// Every task ends.
    Stuck,
    Panic,
}

#[derive(Debug)]
struct Violation {
    rule: Rule,
    detail: String,
}

/// A history that breaks a rule, made short.
struct Failure {
    seed: u64,
    violation: Violation,
    steps: Vec<Step>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {} breaks {:?}: {}",
            self.seed, self.violation.rule, self.violation.detail
        )?;
        for step in &self.steps {
            writeln!(f, "    {step:?}")?;
        }
        write!(f, "play it again with BRAIN_SIMULATION_SEED={}", self.seed)
    }
}

/// Plays a history to its end.
fn play(brain: Brain, seed: u64, steps: &[Step]) -> Result<(), Violation> {
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(brain, seed.is_multiple_of(COMPARE_EVERY));
        for step in steps {
            world.take(step)?;
        }
        closing::close(&mut world)
    }));
    played.unwrap_or_else(|_| {
        Err(Violation {
            rule: Rule::Panic,
            detail: "it panicked; see above".to_owned(),
        })
    })
}

/// Plays the history of a seed.
fn run(brain: Brain, seed: u64) -> Result<(), Failure> {
    let steps = steps(seed, LENGTH);
    play(brain, seed, &steps).map_err(|violation| shrink(brain, seed, steps, violation))
}

/// Leaves out steps, many at first and single ones at last, while the same rule is broken.
fn shrink(brain: Brain, seed: u64, mut steps: Vec<Step>, mut violation: Violation) -> Failure {
    let mut size = steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        let mut shorter = false;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + size).min(steps.len()));
            match play(brain, seed, &fewer) {
                Err(found) if found.rule == violation.rule => {
                    (steps, violation, shorter) = (fewer, found, true);
                }
                _ => at += size,
            }
        }
        if !(shorter && size == 1) {
            size /= 2;
        }
    }
    Failure { seed, violation, steps }
}

/// A number from the environment, for replaying and soaking by hand.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
#[allow(clippy::print_stderr, reason = "shown with --nocapture")]
fn every_interleaving_keeps_the_invariants() {
    let (runs, first) = (setting("BRAIN_SIMULATION_RUNS"), setting("BRAIN_SIMULATION_SEED"));
    let range = match (runs, first) {
        (None, Some(seed)) => seed..seed + 1,
        (runs, first) => first.unwrap_or(0)..first.unwrap_or(0) + runs.unwrap_or(RUNS),
    };
    let begun = Instant::now();
    // Which seeds are played depends on nothing but how far the time goes: each is taken in turn.
    let (next, played) = (AtomicU64::new(range.start), AtomicU32::new(0));
    let play_on = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= range.end || (runs.is_none() && begun.elapsed() > TIME) {
                return;
            }
            if let Err(failure) = run(REAL, seed) {
                next.store(range.end, Ordering::Relaxed);
                panic!("{failure}");
            }
            played.fetch_add(1, Ordering::Relaxed);
        }
    };
    let threads = available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(play_on);
        }
    });
    let played = played.into_inner();
    let rate = f64::from(played) / begun.elapsed().as_secs_f64();
    eprintln!("{played} interleavings of {LENGTH} steps, {rate:.0} a second");
}

#[test]
fn the_same_seed_is_the_same_history() {
    assert_eq!(steps(7, LENGTH), steps(7, LENGTH));
    assert_ne!(steps(7, LENGTH), steps(8, LENGTH));
}

/// A simulation in which nothing happens finds nothing: what may come up does.
#[test]
fn histories_are_rich_and_their_events_valid() {
    let mut met = Met::default();
    for seed in 0..300 {
        let mut world = World::new(REAL, false);
        world.met = Some(met);
        let steps = steps(seed, LENGTH);
        let played = steps.iter().try_for_each(|step| world.take(step));
        played
            .and_then(|()| closing::close(&mut world))
            .unwrap_or_else(|violation| panic!("{violation:?}"));
        met = world.met.unwrap_or_default();
    }
    let events = "task.assigned task.started task.progress task.completed task.cancelled task.failed task.retrying \
        agent.lost agent.draining agent.resumed run.cancelled run.finished budget.reserved budget.settled budget.exhausted \
        budget.raised budget.stopped build.noted";
    let reasons = ["failed", "released", "lease_expired", "agent_lost"].map(|reason| format!("task.retrying {reason}"));
    let wanted = events.split_whitespace().map(str::to_owned).chain(reasons);
    // Of what follows there may be a reason behind the type.
    let is_met = |event: &String| met.events.iter().any(|met| met.trim() == event);
    assert_eq!(
        wanted.filter(|event| !is_met(event)).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
    let refusals = [
        Refusal::LeaseLost,
        Refusal::Repeated,
        Refusal::HeldByAnother,
        Refusal::NotHeld,
        Refusal::TaskEnded,
        Refusal::TaskNotEnded,
        Refusal::RunningAlready,
        Refusal::KeyInUse,
        Refusal::AgentHeardSince,
        Refusal::AgentLostAlready,
        Refusal::RunCancelled,
        Refusal::BudgetExhausted,
        Refusal::BudgetPaused,
        Refusal::BudgetStopped,
        Refusal::BudgetTooSmall,
        Refusal::MoreThanReserved,
        Refusal::UnknownReservation,
    ];
    let missing: Vec<_> = refusals
        .iter()
        .filter(|refusal| !met.refusals.contains(refusal))
        .collect();
    assert!(missing.is_empty(), "{missing:?} never came up");
}
