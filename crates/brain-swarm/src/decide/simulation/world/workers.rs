//! Agents with beliefs of their own: what they were told, what they say by it, and what of that is still under way.
//!
//! Invariant: agents know only what they were told. What they say is built from that, and may be wrong or late.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{World, ended};
use crate::{
    decide::{
        Claim, Lease, Refusal, State, TaskStatus,
        simulation::{
            Rule, Violation,
            names::{NAMES, number},
            oracle::Cause,
            step::{Say, Way},
        },
    },
    event::{Event, EventType},
    ids::{ActorId, FencingToken, TaskId},
};

/// A task that an agent believes to have.
#[derive(Debug, Clone)]
pub(in crate::decide::simulation) struct Belief {
    pub(in crate::decide::simulation) task: usize,
    /// `None`: it was given to it, as to an agent that listens.
    pub(in crate::decide::simulation) token: Option<FencingToken>,
    reservations: Vec<String>,
}

#[derive(Debug, Default)]
pub(in crate::decide::simulation) struct Worker {
    pub(in crate::decide::simulation) paused: bool,
    pub(in crate::decide::simulation) beliefs: Vec<Belief>,
}

/// What an agent said of a task, on its way.
#[derive(Debug, Clone)]
pub(super) struct Call {
    agent: usize,
    task: usize,
    token: Option<FencingToken>,
    say: Say,
    reservation: Option<String>,
    event: Event,
}

impl Worker {
    pub(in crate::decide::simulation) fn learn(&mut self, task: usize, token: Option<FencingToken>) {
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

impl World {
    pub(in crate::decide::simulation) fn claim(
        &mut self,
        agent: usize,
        max: usize,
        lease_ms: i32,
        way: Way,
    ) -> Result<(), Violation> {
        if self.workers[agent].paused {
            return Ok(());
        }
        let asked = Claim {
            agent: NAMES.agents[agent].clone(),
            max,
            lease_ms,
        };
        let before = self.snapshot();
        let claimed = (self.brain.claim)(&mut self.state, &asked).unwrap_or_default();
        self.heard(&asked.agent);
        if claimed.follow_ups.is_empty() && !claimed.look_again {
            let changed = before.is_some_and(|mut before| {
                before.seen(&asked.agent);
                before != self.state
            });
            return match changed {
                false => Ok(()),
                true => Err(Violation {
                    rule: Rule::RefusedChanged,
                    detail: format!("a{agent} claimed, and got nothing"),
                }),
            };
        }
        self.changed = true;
        let ends: Vec<usize> = ended(&claimed.follow_ups);
        self.oracle
            .observe(&self.state, Cause::Claimed { agent, lease_ms }, &ends)?;
        let tasks: Vec<usize> = claimed.tasks.iter().map(|id| number(id.as_str())).collect();
        self.oracle.claimed(&asked, &tasks, &self.state)?;
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
    pub(in crate::decide::simulation) fn heartbeat(&mut self, agent: usize, way: Way) -> Result<(), Violation> {
        let id = &NAMES.agents[agent];
        if self.workers[agent].paused || self.state.agent(id).is_none() {
            return Ok(());
        }
        self.state.written();
        self.changed = true;
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

    pub(in crate::decide::simulation) fn say(
        &mut self,
        agent: usize,
        which: usize,
        say: Say,
        way: Way,
    ) -> Result<(), Violation> {
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
                if self.made.is_multiple_of(2) || token.is_some() {
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

    pub(super) fn arrive(&mut self, call: &Call, answer_lost: bool) -> Result<(), Violation> {
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
            self.oracle.reservations.push(id.clone());
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
}

/// The rule of `renew_task_leases.sql`.
pub(in crate::decide::simulation) fn renew(
    state: &mut State,
    task: &TaskId,
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
