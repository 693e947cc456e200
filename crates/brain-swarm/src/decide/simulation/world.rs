//! The world that a history plays in: one state as the database, a clock, people, the brain itself, and agents.
//!
//! Invariant: whatever is decided is judged before the next step, by the book of the oracle and by counting again.

mod workers;

use std::collections::{BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

pub(super) use self::workers::renew;
use self::workers::{Call, Worker};
use super::{
    Brain, Rule, Violation, checks,
    names::{AGENTS, BUDGETS, NAMES, RUNS, TASKS, number},
    oracle::{Cause, Oracle},
    step::{NewTask, Step},
};
use crate::{
    decide::{BudgetState, Decision, FollowUp, Refusal, State},
    event::{Context, Event, EventType},
    ids::{ActorId, EventId, TenantId},
};

pub(super) struct World {
    brain: Brain,
    pub(super) state: State,
    pub(super) oracle: Oracle,
    pub(super) workers: [Worker; AGENTS],
    under_way: Vec<Call>,
    looked: [Option<Timestamp>; AGENTS],
    /// Everything that is made gets a number.
    made: u32,
    /// The state may have changed since it was checked.
    changed: bool,
    /// Whether the state is compared with what it was before each refusal. That takes longer than everything else.
    compares: bool,
    /// What came up, for the test that histories are rich enough.
    pub(super) met: Option<Met>,
}

/// What came up in histories.
#[derive(Debug, Default)]
pub(super) struct Met {
    pub(super) refusals: HashSet<Refusal>,
    /// Types of events that took effect or followed, with the reason of a retry.
    pub(super) events: BTreeSet<String>,
}

impl World {
    pub(super) fn new(brain: Brain, compares: bool) -> Self {
        Self {
            brain,
            state: State::at(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1_000)),
            oracle: Oracle::default(),
            workers: Default::default(),
            under_way: Vec::new(),
            looked: [None; AGENTS],
            made: 0,
            changed: false,
            compares,
            met: None,
        }
    }

    /// Takes one step, and says what is wrong after it.
    pub(super) fn take(&mut self, step: &Step) -> Result<(), Violation> {
        match step {
            Step::Write => self.state.written(),
            Step::Clock(ms) => self.pass(*ms),
            Step::Register {
                agent,
                push,
                role,
                gpu,
                capacity,
            } => {
                let mut payload = json!({ "role": role, "capabilities": if *gpu { vec!["gpu"] } else { vec![] } });
                if let Some(capacity) = capacity {
                    payload["capacity"] = json!(capacity);
                }
                let kind = if *push {
                    EventType::RunStarted
                } else {
                    EventType::AgentRegistered
                };
                let event = self.event(kind, &NAMES.agents[*agent], payload);
                self.publish(&event, Cause::Other)?;
            }
            Step::Look => {
                let heard = |agent: usize| self.state.agent(&NAMES.agents[agent]).map(|agent| agent.last_seen_at);
                self.looked = std::array::from_fn(heard);
            }
            Step::Lose(agent) => self.lose(*agent)?,
            Step::Create(task) => self.create(task)?,
            Step::Cancel(task) => self.by_hand(EventType::TaskCancelled, *task, None, Cause::Cancelled(*task))?,
            Step::Reassign { task, agent } => {
                self.by_hand(EventType::TaskAssigned, *task, Some(*agent), Cause::Reassigned(*task))?;
            }
            Step::Retry(task) => self.by_hand(EventType::TaskRetrying, *task, None, Cause::Retried(*task))?,
            Step::FinishRun(run) => self.about_run(EventType::RunFinished, *run)?,
            Step::CancelRun(run) => self.about_run(EventType::RunCancelled, *run)?,
            Step::MakeBudget { budget, max } => self.about_budget(EventType::BudgetCreated, *budget, Some(*max))?,
            Step::Raise { budget, max } => self.about_budget(EventType::BudgetRaised, *budget, Some(*max))?,
            Step::StopBudget(budget) => self.about_budget(EventType::BudgetStopped, *budget, None)?,
            Step::Drain(agent) | Step::Resume(agent) => {
                let drain = matches!(step, Step::Drain(_));
                let kind = if drain {
                    EventType::AgentDraining
                } else {
                    EventType::AgentResumed
                };
                let event = self.event(kind, &NAMES.operator, json!({ "agentId": NAMES.agents[*agent] }));
                self.publish(&event, Cause::Other)?;
            }
            Step::Claim {
                agent,
                max,
                lease_ms,
                way,
            } => self.claim(*agent, *max, *lease_ms, *way)?,
            Step::Heartbeat { agent, way } => self.heartbeat(*agent, *way)?,
            Step::Say { agent, which, say, way } => self.say(*agent, *which, *say, *way)?,
            Step::Arrive { which, again } => {
                if !self.under_way.is_empty() {
                    let which = which % self.under_way.len();
                    let call = if *again {
                        self.under_way[which].clone()
                    } else {
                        self.under_way.remove(which)
                    };
                    self.arrive(&call, true)?;
                }
            }
            Step::Pause(agent) => self.workers[*agent].paused = true,
            Step::GoOn(agent) => self.workers[*agent].paused = false,
            Step::Die(agent) => self.workers[*agent] = Worker::default(),
            Step::Settle(mask) => self.settle(*mask)?,
        }
        self.check()
    }

    /// The state is sound, if it changed since that was last seen.
    pub(super) fn check(&mut self) -> Result<(), Violation> {
        if std::mem::take(&mut self.changed) {
            checks::check(&self.state, &self.oracle)
        } else {
            Ok(())
        }
    }

    /// Time moves, between two batches.
    fn pass(&mut self, ms: i64) {
        self.state.written();
        self.state.now += SignedDuration::from_millis(ms);
    }

    fn event(&mut self, kind: EventType, actor: &ActorId, payload: Value) -> Event {
        self.made += 1;
        Event {
            tenant_id: TenantId::single(),
            id: EventId::trusted(&format!("e{}", self.made)),
            kind,
            schema_version: 1,
            swarm_id: NAMES.swarm.clone(),
            run_id: NAMES.runs[0].clone(),
            actor_id: actor.clone(),
            payload,
            created_at: self.state.now,
            context: Context::default(),
        }
    }

    /// An event is decided and judged.
    fn publish(&mut self, event: &Event, cause: Cause) -> Result<Decision, Violation> {
        let decision = self.decide(event)?;
        self.follow(&decision, cause)?;
        Ok(decision)
    }

    /// The state as it is, to be compared with later.
    fn snapshot(&self) -> Option<State> {
        self.compares.then(|| self.state.clone())
    }

    /// An event is decided: one that is refused has changed nothing.
    fn decide(&mut self, event: &Event) -> Result<Decision, Violation> {
        self.state.seq += 1;
        let before = self.snapshot();
        let decision = (self.brain.decide)(&mut self.state, event);
        self.heard(&event.actor_id);
        self.changed = decision.refusal.is_none();
        if let Some(met) = &mut self.met {
            assert_eq!(event.check(65_536), Ok(()), "an event of the simulation is not valid");
            met.refusals.extend(decision.refusal);
            met.events
                .extend(decision.refusal.is_none().then(|| event.kind.to_string()));
        }
        let (Some(refusal), Some(mut before)) = (decision.refusal, before) else {
            return Ok(decision);
        };
        before.seen(&event.actor_id);
        let task = crate::decide::task_id(event).and_then(|id| before.task(&id));
        if let (Refusal::BudgetExhausted, Some(id)) = (refusal, task.and_then(|task| task.budget.clone())) {
            before.edit_budget(&id, |budget| budget.state = BudgetState::Paused);
        }
        if before != self.state {
            return Err(Violation {
                rule: Rule::RefusedChanged,
                detail: format!("{} {} was refused ({refusal})", event.kind, event.payload),
            });
        }
        Ok(decision)
    }

    /// What was decided is lawful, and those whom it concerns are told.
    fn follow(&mut self, decision: &Decision, cause: Cause) -> Result<(), Violation> {
        let mut ends: Vec<usize> = decision.ends.iter().map(|id| number(id.as_str())).collect();
        ends.extend(ended(&decision.follow_ups));
        self.oracle.observe(&self.state, cause, &ends)?;
        self.told(&decision.follow_ups);
        Ok(())
    }

    fn heard(&mut self, actor: &ActorId) {
        if actor.as_str().starts_with('a') && self.state.agent(actor).is_some() {
            self.oracle.heard(number(actor.as_str()), self.state.now);
        }
    }

    /// Agents that listen learn what was assigned to them; one that stands still or died does not.
    fn told(&mut self, follow_ups: &[FollowUp]) {
        if let Some(met) = &mut self.met {
            met.events.extend(follow_ups.iter().map(|follow_up| {
                let reason = follow_up.payload.get("reason").and_then(Value::as_str);
                [follow_up.kind.as_str(), reason.unwrap_or_default()].join(" ")
            }));
        }
        for follow_up in follow_ups
            .iter()
            .filter(|follow_up| follow_up.kind == EventType::TaskAssigned)
        {
            let named = |field: &str| follow_up.payload.get(field).and_then(Value::as_str).map(number);
            if let (Some(task), Some(agent)) = (named("taskId"), named("agentId")) {
                self.workers[agent].learn(task, None);
            }
        }
    }

    fn lose(&mut self, agent: usize) -> Result<(), Violation> {
        let id = &NAMES.agents[agent];
        let Some(until) = self.looked[agent] else { return Ok(()) };
        let event = self.event(
            EventType::AgentLost,
            &NAMES.brain,
            json!({ "agentId": id, "lastSeenAt": until }),
        );
        let decision = self.publish(&event, Cause::Other)?;
        match decision.refusal {
            None => self.oracle.lost(agent, until),
            Some(_) => Ok(()),
        }
    }

    fn create(&mut self, task: &NewTask) -> Result<(), Violation> {
        let mut payload = Map::new();
        let mut put = |field: &str, value: Value| _ = payload.insert(field.to_owned(), value);
        put("taskId", json!(NAMES.tasks[task.task]));
        put("priority", json!(task.priority));
        put("maxAttempts", json!(task.max_attempts));
        put("onDependencyFailure", json!(task.policy));
        put(
            "dependsOn",
            task.depends_on.iter().map(|on| json!(NAMES.tasks[*on])).collect(),
        );
        if let Some(agent) = task.wanted {
            put("assignedAgentId", json!(NAMES.agents[agent]));
        }
        if let Some(role) = task.role {
            put("role", json!(role));
        }
        if task.gpu {
            put("capability", json!("gpu"));
        }
        if let Some(ms) = task.delay_ms {
            put("delayMs", json!(ms));
        }
        if let Some((key, limit)) = task.key {
            put("concurrencyKey", json!(NAMES.keys[key]));
            put("concurrencyLimit", json!(limit));
        }
        if let Some(budget) = task.budget {
            put("budgetId", json!(NAMES.budgets[budget]));
        }
        if let Some(parent) = task.parent {
            put("parentTaskId", json!(NAMES.tasks[parent]));
        }
        let mut event = self.event(EventType::TaskCreated, &NAMES.operator, Value::Object(payload));
        event.run_id = NAMES.runs[task.run].clone();
        let decision = self.decide(&event)?;
        if decision.refusal.is_none() {
            self.oracle.created(task);
        }
        self.follow(&decision, Cause::Created(task.task))
    }

    fn by_hand(&mut self, kind: EventType, task: usize, agent: Option<usize>, cause: Cause) -> Result<(), Violation> {
        let mut payload = json!({ "taskId": NAMES.tasks[task] });
        if let Some(agent) = agent {
            payload["agentId"] = json!(NAMES.agents[agent]);
        }
        let event = self.event(kind, &NAMES.operator, payload);
        let decision = self.publish(&event, cause)?;
        if let (Some(agent), None) = (agent, decision.refusal) {
            self.workers[agent].learn(task, None);
        }
        Ok(())
    }

    fn about_run(&mut self, kind: EventType, run: usize) -> Result<(), Violation> {
        let mut event = self.event(kind, &NAMES.operator, json!({}));
        event.run_id = NAMES.runs[run].clone();
        self.publish(&event, Cause::Other).map(drop)
    }

    fn about_budget(&mut self, kind: EventType, budget: usize, max: Option<i64>) -> Result<(), Violation> {
        let mut payload = json!({ "budgetId": NAMES.budgets[budget] });
        if let Some(max) = max {
            payload["maxUnits"] = json!(max);
        }
        let event = self.event(kind, &NAMES.operator, payload);
        self.publish(&event, Cause::Other).map(drop)
    }

    pub(super) fn settle(&mut self, mask: u16) -> Result<(), Violation> {
        for (index, id) in NAMES.tasks.iter().enumerate() {
            let open = self.state.task(id).is_some_and(|task| !task.status.is_terminal());
            if open && mask & (1 << index) != 0 {
                self.state.load_idle(id.clone());
            }
        }
        self.changed = true;
        self.state.seq += 1;
        let follow_ups = (self.brain.settle)(&mut self.state);
        if let Some(bare) = follow_ups.iter().find(|follow_up| follow_up.origin.is_none()) {
            return Err(Violation {
                rule: Rule::NoCause,
                detail: format!("{bare:?}"),
            });
        }
        self.oracle.observe(&self.state, Cause::Settled, &ended(&follow_ups))?;
        self.told(&follow_ups);
        if mask == u16::MAX {
            checks::check_settled(&self.state)?;
        }
        self.state.written();
        Ok(())
    }
}

/// The tasks that these events end.
fn ended(follow_ups: &[FollowUp]) -> Vec<usize> {
    let ends = follow_ups.iter().filter_map(|follow_up| follow_up.ends.as_ref());
    ends.map(|id| number(id.as_str())).collect()
}

const _: () = assert!(
    TASKS <= 16 && BUDGETS <= 10 && RUNS <= 10,
    "names end in one digit, masks have 16 bits"
);
