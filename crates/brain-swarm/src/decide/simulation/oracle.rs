//! What an onlooker knows who sees only calls and answers, and by which it judges every step of the decision.
//!
//! Invariant: it keeps its own book of who was promised what and until when, and never takes it from the state that it judges.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::{
    Rule, Violation,
    names::{AGENTS, BUDGETS, KEYS, NAMES, RUNS, TASKS, number},
    step::{NewTask, Say},
};
use crate::{
    decide::{BudgetState, Claim, DependencyPolicy, Refusal, RunState, State, Task, TaskStatus},
    ids::FencingToken,
};

/// Why a step may change what it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// An agent spoke of a task.
    Said {
        task: usize,
        agent: usize,
    },
    Created(usize),
    Cancelled(usize),
    Reassigned(usize),
    Retried(usize),
    Claimed {
        agent: usize,
        lease_ms: i32,
    },
    Settled,
    /// Something that moves no task.
    Other,
}

/// The right of an agent to work on a task.
#[derive(Debug, Clone, Copy)]
struct Grant {
    agent: usize,
    token: FencingToken,
    /// `None`: it was given to an agent that listens.
    expires: Option<Timestamp>,
}

/// What is known of a task.
#[derive(Debug, Clone)]
struct Known {
    status: TaskStatus,
    token: FencingToken,
    outputs: Option<serde_json::Value>,
    grant: Option<Grant>,
    depends_on: Vec<usize>,
    policy: DependencyPolicy,
    completed: bool,
    /// It ended at least once, in whatever way.
    ended: bool,
    /// Which claims were ended by their holders, and how.
    said: HashMap<(usize, FencingToken), bool>,
}

/// The book.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    tasks: [Option<Known>; TASKS],
    limits: [i32; KEYS],
    heard: [Option<Timestamp>; AGENTS],
    /// Every reservation that was granted.
    pub(super) reservations: Vec<String>,
}

fn violation(rule: Rule, detail: String) -> Violation {
    Violation { rule, detail }
}

impl Oracle {
    /// An agent was heard.
    pub(super) fn heard(&mut self, agent: usize, now: Timestamp) {
        let last = self.heard[agent].get_or_insert(now);
        *last = (*last).max(now);
    }

    /// An agent was reported lost by what was seen at `until`, and that was accepted.
    pub(super) fn lost(&self, agent: usize, until: Timestamp) -> Result<(), Violation> {
        match self.heard[agent] {
            Some(heard) if heard > until => Err(violation(
                Rule::LostAgent,
                format!("a{agent} was heard at {heard} and lost by what was seen at {until}"),
            )),
            _ => Ok(()),
        }
    }

    /// A lease was renewed, or refused.
    pub(super) fn renewed(
        &mut self,
        (task, agent, token): (usize, usize, FencingToken),
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Violation> {
        let held = self.may_speak(task, agent, Some(token), now);
        if held != until.is_some() {
            return Err(violation(
                Rule::Heartbeat,
                format!("a{agent} holds t{task} by {token:?}: {held}, renewed until {until:?}"),
            ));
        }
        if let Some(grant) = self.tasks[task].as_mut().and_then(|known| known.grant.as_mut())
            && held
        {
            grant.expires = until;
        }
        Ok(())
    }

    /// Whether what the agent says of the task counts.
    fn may_speak(&self, task: usize, agent: usize, token: Option<FencingToken>, now: Timestamp) -> bool {
        let grant = self.tasks[task].as_ref().and_then(|known| known.grant);
        grant.is_some_and(|grant| {
            grant.agent == agent
                && match (token, grant.expires) {
                    (Some(token), expires) => token == grant.token && expires.is_none_or(|at| now < at),
                    (None, expires) => expires.is_none(),
                }
        })
    }

    /// Judges the answer to what an agent said of a task, by what was known before it.
    pub(super) fn answered(
        &mut self,
        (task, agent, token): (usize, usize, Option<FencingToken>),
        say: Say,
        answer: Option<Refusal>,
        now: Timestamp,
    ) -> Result<(), Violation> {
        let may = self.may_speak(task, agent, token, now);
        let Some(known) = self.tasks[task].as_mut() else {
            return Ok(());
        };
        let facts = || {
            format!(
                "a{agent} said {say:?} of t{task} with {token:?}, grant {:?}, now {now}",
                known.grant
            )
        };
        let of_nobody = matches!(say, Say::Running | Say::Complete | Say::Fail { retryable: false, .. });
        match (answer, token) {
            (None, Some(_)) if !may => return Err(violation(Rule::StaleAccepted, facts())),
            // Without a token anybody may report or begin what nobody holds, as publishers without leases do.
            (None, None) if !may && (known.grant.is_some() || !of_nobody) && say != Say::Emit => {
                return Err(violation(Rule::StaleAccepted, facts()));
            }
            (Some(Refusal::LeaseLost | Refusal::HeldByAnother), _) if may => {
                return Err(violation(Rule::HolderRefused, facts()));
            }
            (Some(Refusal::Repeated), Some(token)) if say.ends() => {
                let completed = matches!(say, Say::Complete);
                if known.said.get(&(agent, token)) != Some(&completed) {
                    return Err(violation(Rule::NeverSaid, facts()));
                }
            }
            (None, Some(token)) if say.ends() => {
                known.said.insert((agent, token), matches!(say, Say::Complete));
            }
            _ => {}
        }
        Ok(())
    }

    /// A task was created with these dependencies.
    pub(super) fn created(&mut self, task: &NewTask) {
        self.tasks[task.task] = Some(Known {
            status: TaskStatus::Created,
            token: FencingToken::default(),
            outputs: None,
            grant: None,
            depends_on: task.depends_on.clone(),
            policy: task.policy,
            completed: false,
            ended: false,
            said: HashMap::new(),
        });
        if let Some((key, limit)) = task.key {
            self.limits[key] = i32::try_from(limit).unwrap_or(i32::MAX);
        }
    }

    /// Judges what a step did to the tasks. `ends`: the tasks that its terminal events end.
    pub(super) fn observe(&mut self, state: &State, cause: Cause, ends: &[usize]) -> Result<(), Violation> {
        for (index, id) in NAMES.tasks.iter().enumerate() {
            let (Some(task), Some(known)) = (state.task(id), self.tasks[index].as_mut()) else {
                continue;
            };
            known.judge_end(index, task, cause, ends.iter().filter(|end| **end == index).count())?;
        }
        let mut started = [false; KEYS];
        for (index, id) in NAMES.tasks.iter().enumerate() {
            let (Some(task), Some(mut known)) = (state.task(id), self.tasks[index].take()) else {
                continue;
            };
            let judged = self.judge_hold(index, &mut known, (task, state), cause, &mut started);
            known.status = task.status;
            known.token = task.token;
            self.tasks[index] = Some(known);
            judged?;
        }
        for (index, key) in NAMES.keys.iter().enumerate().filter(|(index, _)| started[*index]) {
            let held = state
                .tasks()
                .filter(|task| task.status.is_held() && task.concurrency_key.as_ref() == Some(key));
            let held = i32::try_from(held.count()).unwrap_or(i32::MAX);
            if held > self.limits[index] {
                return Err(violation(
                    Rule::KeyLimit,
                    format!("{held} tasks of {key} are held, the limit is {}", self.limits[index]),
                ));
            }
        }
        Ok(())
    }

    fn judge_hold(
        &self,
        index: usize,
        known: &mut Known,
        (task, state): (&Task, &State),
        cause: Cause,
        started: &mut [bool; KEYS],
    ) -> Result<(), Violation> {
        let facts = |grant: Option<Grant>| {
            format!(
                "t{index}: {grant:?} became {:?} {:?} of {:?} by {cause:?}",
                task.status, task.token, task.assignee
            )
        };
        let holder = task
            .assignee
            .as_ref()
            .filter(|_| task.status.is_held())
            .map(|id| number(id.as_str()));
        let same = known
            .grant
            .filter(|grant| holder == Some(grant.agent) && task.token == grant.token);
        if let Some(grant) = same {
            if task.lease.map(|lease| lease.expires_at) != grant.expires {
                return Err(violation(Rule::LeaseMoved, facts(known.grant)));
            }
            return Ok(());
        }
        let before = known.grant.take();
        if let Some(grant) = before
            && !may_end(grant, index, (task, state), cause)
        {
            return Err(violation(Rule::HoldTaken, facts(before)));
        }
        let Some(holder) = holder else { return Ok(()) };
        if task.token <= known.token {
            return Err(violation(Rule::Token, facts(before)));
        }
        let expires = match (cause, task.status) {
            (Cause::Claimed { agent, lease_ms }, TaskStatus::Running) if agent == holder => {
                Some(state.now + SignedDuration::from_millis(i64::from(lease_ms)))
            }
            (Cause::Claimed { .. }, TaskStatus::Running) => return Err(violation(Rule::HoldTaken, facts(before))),
            _ => None,
        };
        if task.lease.map(|lease| lease.expires_at) != expires {
            return Err(violation(Rule::LeaseMoved, facts(before)));
        }
        let unmet = known.depends_on.iter().find(|on| {
            let other = self.tasks[**on].as_ref();
            !other.is_some_and(|on| on.completed || (known.policy == DependencyPolicy::Run && on.ended))
        });
        if let Some(on) = unmet {
            return Err(violation(
                Rule::Dependencies,
                format!("{}, but t{on} has not ended", facts(before)),
            ));
        }
        // A task may go from hand to hand, or be begun by whom it was assigned to, whatever holds back others.
        let own = matches!(cause, Cause::Claimed { .. }) && before.is_some_and(|grant| grant.agent == holder);
        let by_hand = matches!(cause, Cause::Reassigned(_));
        let goes_on = known.status.is_held() && (own || by_hand);
        if !goes_on && let Some(reason) = held_back(state, task) {
            return Err(violation(
                Rule::HeldBack,
                format!("{}, but its {reason}", facts(before)),
            ));
        }
        let itself = matches!(cause, Cause::Said { task, agent } if task == index && agent == holder);
        if !(own || by_hand || itself || suits(state, task, holder)) {
            return Err(violation(Rule::Unfit, facts(before)));
        }
        if let (Some(key), false) = (&task.concurrency_key, goes_on) {
            started[number(key)] = true;
        }
        known.grant = Some(Grant {
            agent: holder,
            token: task.token,
            expires,
        });
        Ok(())
    }

    /// Agents, keys, runs and budgets that a claim must respect are in the state; what it promised is in the claim.
    pub(super) fn claimed(&self, claim: &Claim, tasks: &[usize], state: &State) -> Result<(), Violation> {
        let agent = number(claim.agent.as_str());
        for task in tasks {
            let token = state.task(&NAMES.tasks[*task]).map(|task| task.token);
            if tasks.len() > claim.max || !self.may_speak(*task, agent, token, state.now) {
                return Err(violation(
                    Rule::Claim,
                    format!("a{agent} was told {tasks:?} by {claim:?}"),
                ));
            }
        }
        Ok(())
    }

    /// Tasks that will never end by themselves: whoever put them there must act.
    pub(super) fn may_wait(&self, index: usize, state: &State) -> bool {
        let (Some(task), Some(known)) = (state.task(&NAMES.tasks[index]), &self.tasks[index]) else {
            return true;
        };
        let paused = |id| {
            state
                .budget(id)
                .is_some_and(|budget| budget.state == BudgetState::Paused)
        };
        let on = |on: &usize| {
            let other = self.tasks[*on].as_ref();
            let failed = other.is_some_and(|on| on.status.is_terminal() && !on.completed);
            (failed && known.policy != DependencyPolicy::Run)
                || (other.is_some_and(|on| !on.status.is_terminal()) && self.may_wait(*on, state))
        };
        task.status == TaskStatus::Created
            && (task.budget.as_ref().is_some_and(paused) || known.depends_on.iter().any(on))
    }
}

impl Known {
    fn judge_end(&mut self, index: usize, task: &Task, cause: Cause, ends: usize) -> Result<(), Violation> {
        let facts = || {
            format!(
                "t{index} was {:?} and is {:?} after {cause:?} with {ends} ends",
                self.status, task.status
            )
        };
        if task.token < self.token {
            return Err(violation(Rule::Token, format!("{} before {:?}", facts(), self.token)));
        }
        if task.attempt > task.max_attempts || task.attempt < 0 {
            return Err(violation(
                Rule::Attempts,
                format!("{}: attempt {} of {}", facts(), task.attempt, task.max_attempts),
            ));
        }
        let (before, after) = (self.status.is_terminal(), task.status.is_terminal());
        let fits = match (before, after) {
            (false, true) => ends == 1,
            (true, true) => ends == 0 && self.status == task.status && self.outputs == task.outputs,
            (true, false) => ends == 0 && cause == Cause::Retried(index) && self.status != TaskStatus::Completed,
            (false, false) => ends == 0,
        };
        if !fits {
            return Err(violation(Rule::TerminalEvent, facts()));
        }
        if after {
            self.outputs.clone_from(&task.outputs);
            self.ended = true;
            self.completed |= task.status == TaskStatus::Completed;
        }
        Ok(())
    }
}

/// Whether a hold may end by this cause.
fn may_end(grant: Grant, index: usize, (task, state): (&Task, &State), cause: Cause) -> bool {
    match cause {
        Cause::Said { task, agent } => task == index && agent == grant.agent,
        Cause::Cancelled(task) | Cause::Reassigned(task) => task == index,
        // What was assigned to it, it may claim.
        Cause::Claimed { agent, .. } => agent == grant.agent && grant.expires.is_none(),
        Cause::Settled => {
            let lost = !state.is_live(&NAMES.agents[grant.agent]);
            lost || grant.expires.is_some_and(|at| at <= state.now) || called_off(state, task).is_some()
        }
        Cause::Created(_) | Cause::Retried(_) | Cause::Other => false,
    }
}

fn called_off(state: &State, task: &Task) -> Option<&'static str> {
    let run = (0..RUNS)
        .find(|run| NAMES.runs[*run] == task.run_id)
        .and_then(|run| state.run(&NAMES.runs[run]));
    if run.is_some_and(|run| run.state == RunState::Cancelled) {
        return Some("run was cancelled");
    }
    let budget = (0..BUDGETS).find(|budget| task.budget.as_ref() == Some(&NAMES.budgets[*budget]));
    let budget = budget.and_then(|budget| state.budget(&NAMES.budgets[budget]));
    budget
        .is_some_and(|budget| budget.state == BudgetState::Stopped)
        .then_some("budget was stopped")
}

/// Why a task may not be handed out.
fn held_back(state: &State, task: &Task) -> Option<&'static str> {
    let budget = task.budget.as_ref().and_then(|id| state.budget(id));
    let paused = budget.is_some_and(|budget| budget.state == BudgetState::Paused);
    called_off(state, task).or(paused.then_some("budget is paused"))
}

/// Whether an agent may be given a task that nobody gave it by hand.
fn suits(state: &State, task: &Task, agent: usize) -> bool {
    let named = task.wanted_agent.as_ref().and_then(|id| state.agent(id));
    let named = named.filter(|agent| agent.live && !agent.draining);
    // Whom a task names gets it whether there is room or not.
    let names = |task: &&Task| task.status.is_held() && task.wanted_agent.as_ref() == Some(&NAMES.agents[agent]);
    let by_name = i32::try_from(state.tasks().filter(names).count()).unwrap_or(i32::MAX);
    state.agent(&NAMES.agents[agent]).is_some_and(|agent| {
        let fits = task.role.as_ref().is_none_or(|role| *role == agent.role)
            && task
                .capability
                .as_ref()
                .is_none_or(|wanted| agent.capabilities.contains(wanted))
            && agent.capacity.is_none_or(|capacity| agent.load - by_name <= capacity);
        agent.live && !agent.draining && named.map_or(fits, |named| named.id == agent.id)
    })
}
