//! The world that a history plays in: one state as the database, agents with beliefs of their own, calls under way.
//!
//! Invariant: agents know only what they were told. What they say is built from that, and may be wrong or late.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{
    Brain, Rule, Violation, checks,
    names::{AGENTS, BUDGETS, NAMES, RUNS, TASKS, number},
    oracle::{Cause, Oracle},
    step::{NewTask, Say, Step, Way},
};
use crate::{
    decide::{BudgetState, Claim, Decision, FollowUp, Lease, Refusal, State, TaskStatus},
    event::{Context, Event, EventType},
    ids::{ActorId, EventId, FencingToken, TenantId},
};

/// A task that an agent believes to have.
#[derive(Debug, Clone)]
pub(super) struct Belief {
    pub(super) task: usize,
    /// `None`: it was given to it, as to an agent that listens.
    pub(super) token: Option<FencingToken>,
    reservations: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Worker {
    pub(super) paused: bool,
    pub(super) beliefs: Vec<Belief>,
}

/// What an agent said of a task, on its way.
#[derive(Debug, Clone)]
struct Call {
    agent: usize,
    task: usize,
    token: Option<FencingToken>,
    say: Say,
    reservation: Option<String>,
    event: Event,
}

pub(super) struct World {
    brain: Brain,
    pub(super) state: State,
    pub(super) oracle: Oracle,
    pub(super) workers: [Worker; AGENTS],
    under_way: Vec<Call>,
    looked: [Option<Timestamp>; AGENTS],
    /// Everything that is made gets a number.
    made: u32,
}

impl World {
    pub(super) fn new(brain: Brain) -> Self {
        Self {
            brain,
            state: State::at(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1_000)),
            oracle: Oracle::default(),
            workers: Default::default(),
            under_way: Vec::new(),
            looked: [None; AGENTS],
            made: 0,
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
            Step::Look(agent) => {
                self.looked[*agent] = self.state.agent(&NAMES.agents[*agent]).map(|agent| agent.last_seen_at);
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
        checks::check(&self.state, &self.oracle)
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

    /// An event is decided: one that is refused has changed nothing.
    fn decide(&mut self, event: &Event) -> Result<Decision, Violation> {
        debug_assert_eq!(event.check(65_536), Ok(()), "an event of the simulation is not valid");
        self.state.seq += 1;
        let mut before = self.state.clone();
        let decision = (self.brain.decide)(&mut self.state, event);
        self.heard(&event.actor_id);
        let Some(refusal) = decision.refusal else {
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

    pub(super) fn claim(&mut self, agent: usize, max: usize, lease_ms: i32, way: Way) -> Result<(), Violation> {
        if self.workers[agent].paused {
            return Ok(());
        }
        let claim = Claim {
            agent: NAMES.agents[agent].clone(),
            max,
            lease_ms,
        };
        let before = self.state.clone();
        let claimed = match (self.brain.claim)(&mut self.state, &claim) {
            Ok(claimed) => claimed,
            Err(refusal) if before == self.state => {
                debug_assert_eq!(refusal, Refusal::UnknownAgent);
                return Ok(());
            }
            Err(refusal) => {
                return Err(Violation {
                    rule: Rule::RefusedChanged,
                    detail: format!("a claim of a{agent} was refused ({refusal})"),
                });
            }
        };
        self.heard(&claim.agent);
        let ends: Vec<usize> = ended(&claimed.follow_ups);
        self.oracle
            .observe(&self.state, Cause::Claimed { agent, lease_ms }, &ends)?;
        let tasks: Vec<usize> = claimed.tasks.iter().map(|id| number(id.as_str())).collect();
        self.oracle.claimed(&claim, &tasks, &self.state)?;
        self.told(&claimed.follow_ups);
        if way == Way::Well || way == Way::Bare {
            for task in tasks {
                let token = self.state.task(&NAMES.tasks[task]).map(|task| task.token);
                self.workers[agent].learn(task, token);
            }
        }
        Ok(())
    }

    /// As `renew_task_leases.sql` and `heartbeat_agent.sql` do it, beside the batches.
    pub(super) fn heartbeat(&mut self, agent: usize, way: Way) -> Result<(), Violation> {
        let id = &NAMES.agents[agent];
        if self.workers[agent].paused || self.state.agent(id).is_none() {
            return Ok(());
        }
        self.state.written();
        let now = self.state.now;
        let mut lost = Vec::new();
        for belief in &self.workers[agent].beliefs {
            let Some(token) = belief.token else { continue };
            let renewed = (self.brain.renew)(&mut self.state, &NAMES.tasks[belief.task], id, token);
            self.oracle.renewed((belief.task, agent, token), renewed, now)?;
            if renewed.is_none() {
                lost.push((belief.task, token));
            }
        }
        self.state.edit_agent(id, |agent| {
            agent.live = true;
            agent.last_seen_at = agent.last_seen_at.max(now);
        });
        self.oracle.heard(agent, now);
        self.state.written();
        if way != Way::AnswerLost {
            self.workers[agent].forget(|belief| {
                lost.iter()
                    .any(|lost| (belief.task, belief.token) == (lost.0, Some(lost.1)))
            });
        }
        Ok(())
    }

    pub(super) fn say(&mut self, agent: usize, which: usize, say: Say, way: Way) -> Result<(), Violation> {
        let worker = &self.workers[agent];
        if worker.paused || worker.beliefs.is_empty() {
            return Ok(());
        }
        let belief = worker.beliefs[which % worker.beliefs.len()].clone();
        let token = belief.token.filter(|_| way != Way::Bare);
        let mut payload = json!({ "taskId": NAMES.tasks[belief.task], "agentId": NAMES.agents[agent] });
        if let Some(token) = token {
            payload["fencingToken"] = json!(token);
        }
        let mut reservation = None;
        let mut put = |field: &str, value: Value| payload[field] = value;
        let kind = match say {
            Say::Running => {
                put("state", json!("running"));
                EventType::AgentMessage
            }
            Say::Complete => {
                put("outputs", json!({ "by": agent, "call": self.made }));
                if self.made % 2 == 0 || token.is_some() {
                    EventType::TaskCompleted
                } else {
                    put("state", json!("done"));
                    EventType::AgentMessage
                }
            }
            Say::Fail { retryable, after_ms } => {
                put("state", json!("failed"));
                put("error", json!("it did not work"));
                put("retryable", json!(retryable));
                if let Some(ms) = after_ms {
                    put("retryAfterMs", json!(ms));
                }
                EventType::AgentMessage
            }
            Say::Release { delay_ms } => {
                put("state", json!("released"));
                put("delayMs", json!(delay_ms));
                EventType::AgentMessage
            }
            Say::Progress => {
                put("progress", json!({ "call": self.made }));
                EventType::TaskProgress
            }
            Say::Emit => EventType::Custom("build.noted".into()),
            Say::Reserve { units } => {
                // The same id for every attempt: what was reserved by an earlier one is not reserved for this one.
                let id = format!("{}-{}", NAMES.tasks[belief.task], belief.reservations.len());
                put("reservationId", json!(id));
                put("units", json!(units));
                reservation = Some(id);
                EventType::BudgetReserved
            }
            Say::Settle { units } => {
                let Some(id) = belief.reservations.last() else {
                    return Ok(());
                };
                put("reservationId", json!(id));
                put("units", json!(units));
                reservation = Some(id.clone());
                EventType::BudgetSettled
            }
        };
        let call = Call {
            agent,
            task: belief.task,
            token,
            say,
            reservation,
            event: self.event(kind, &NAMES.agents[agent], payload),
        };
        if way == Way::Late {
            self.under_way.push(call);
            Ok(())
        } else {
            self.arrive(&call, way == Way::AnswerLost)
        }
    }

    fn arrive(&mut self, call: &Call, answer_lost: bool) -> Result<(), Violation> {
        let cause = Cause::Said {
            task: call.task,
            agent: call.agent,
        };
        let known = self
            .state
            .reservation(call.reservation.as_deref().unwrap_or_default())
            .is_some();
        let decision = self.decide(&call.event)?;
        let who = (call.task, call.agent, call.token);
        self.oracle.answered(who, call.say, decision.refusal, self.state.now)?;
        self.follow(&decision, cause)?;
        let accepted = decision.refusal.is_none();
        if let (Say::Reserve { .. }, Some(id), true, false) = (call.say, &call.reservation, accepted, known) {
            let budget = self
                .state
                .reservation(id)
                .map_or(0, |made| number(made.budget.as_str()));
            self.oracle.reservations.push((id.clone(), budget, call.task));
        }
        if answer_lost {
            return Ok(());
        }
        let worker = &mut self.workers[call.agent];
        let over = call.say.ends() || decision.refusal == Some(Refusal::LeaseLost);
        if over {
            worker.forget(|belief| belief.task == call.task && (belief.token == call.token || call.token.is_none()));
        } else if let (Say::Reserve { .. }, Some(id), true) = (call.say, &call.reservation, accepted) {
            let belief = worker.beliefs.iter_mut().find(|belief| belief.task == call.task);
            belief
                .into_iter()
                .for_each(|belief| belief.reservations.push(id.clone()));
        }
        Ok(())
    }

    pub(super) fn settle(&mut self, mask: u16) -> Result<(), Violation> {
        for (index, id) in NAMES.tasks.iter().enumerate() {
            let open = self.state.task(id).is_some_and(|task| !task.status.is_terminal());
            if open && mask & (1 << index) != 0 {
                self.state.load_idle(id.clone());
            }
        }
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

impl Worker {
    pub(super) fn learn(&mut self, task: usize, token: Option<FencingToken>) {
        self.beliefs.push(Belief {
            task,
            token,
            reservations: Vec::new(),
        });
    }

    fn forget(&mut self, which: impl Fn(&Belief) -> bool) {
        self.beliefs.retain(|belief| !which(belief));
    }
}

/// The tasks that these events end.
fn ended(follow_ups: &[FollowUp]) -> Vec<usize> {
    let ends = follow_ups.iter().filter_map(|follow_up| follow_up.ends.as_ref());
    ends.map(|id| number(id.as_str())).collect()
}

/// The rule of `renew_task_leases.sql`.
pub(super) fn renew(
    state: &mut State,
    task: &crate::ids::TaskId,
    agent: &ActorId,
    token: FencingToken,
) -> Option<Timestamp> {
    let now = state.now;
    let held = state.task(task).filter(|task| {
        task.status == TaskStatus::Running && task.assignee.as_ref() == Some(agent) && task.token == token
    });
    let ms = held
        .and_then(|task| task.lease)
        .filter(|lease| now < lease.expires_at)?
        .ms;
    let expires_at = now + SignedDuration::from_millis(i64::from(ms));
    state.update(task, |task| task.lease = Some(Lease { expires_at, ms }));
    Some(expires_at)
}

const _: () = assert!(
    TASKS <= 16 && BUDGETS <= 10 && RUNS <= 10,
    "names end in one digit, masks have 16 bits"
);
