//! The simulation is not blind: with something wrong planted in the decision it reports a rule that is broken.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Brain, COMPARE_EVERY, LENGTH, REAL, Rule, names::NAMES, run, step::Step};
use crate::{
    decide::{self, BudgetState, Claim, Decision, FollowUp, Refusal, State, TaskStatus, claims::Claimed},
    event::{Event, EventType},
    ids::FencingToken,
};

/// So many histories are enough to find each of them.
const SEEDS: u64 = 4_000;

/// Plays histories until one breaks one of `rules`; what it prints is short.
fn finds(brain: Brain, rules: &[Rule]) {
    // What is planted may leave traces that only a comparison finds: that is not what is looked for.
    let compares = rules == [Rule::RefusedChanged];
    let mut seeds = (0..SEEDS).filter(|seed| seed.is_multiple_of(COMPARE_EVERY) == compares);
    let failure = seeds.find_map(|seed| run(brain, seed).err());
    let failure = failure.unwrap_or_else(|| panic!("{SEEDS} histories show nothing, {rules:?} were to be broken"));
    assert!(rules.contains(&failure.violation.rule), "{failure}");
    let steps = failure
        .steps
        .iter()
        .filter(|step| !matches!(step, Step::Register { .. }));
    assert!(steps.count() <= LENGTH / 4, "{failure}");
}

/// The decision with an event that says something else.
fn about(state: &mut State, event: &Event, edit: impl FnOnce(&mut Event)) -> Decision {
    let mut event = event.clone();
    edit(&mut event);
    decide::decide(state, &event)
}

#[test]
fn a_token_that_is_not_looked_at() {
    let decide = |state: &mut State, event: &Event| {
        let task = decide::task_id(event).and_then(|id| state.task(&id));
        let (token, holder) = task.map(|task| (task.token, task.assignee.clone())).unwrap_or_default();
        about(state, event, |event| {
            if let (Some(said), Some(holder)) = (event.payload.get_mut("fencingToken"), holder) {
                *said = json!(token);
                event.actor_id = holder;
            }
        })
    };
    finds(Brain { decide, ..REAL }, &[Rule::StaleAccepted, Rule::NeverSaid]);
}

#[test]
fn a_lease_that_is_not_looked_at() {
    let decide = |state: &mut State, event: &Event| {
        let now = state.now;
        if event.payload.get("fencingToken").is_some() {
            state.now -= SignedDuration::from_hours(2);
        }
        let decision = decide::decide(state, event);
        state.now = now;
        decision
    };
    finds(Brain { decide, ..REAL }, &[Rule::StaleAccepted]);
}

#[test]
fn a_claim_that_forgets_the_limit_of_a_key() {
    let claim = |state: &mut State, claim: &Claim| -> Result<Claimed, Refusal> {
        let limits: Vec<_> = NAMES
            .keys
            .iter()
            .map(|name| (name, state.key(name).map(|key| key.limit)))
            .collect();
        let known = || {
            limits
                .iter()
                .filter_map(|(name, limit)| limit.map(|limit| (*name, limit)))
        };
        known().for_each(|(name, _)| state.limit_key(name, i32::MAX));
        let claimed = decide::claim(state, claim);
        known().for_each(|(name, limit)| state.limit_key(name, limit));
        claimed
    };
    finds(Brain { claim, ..REAL }, &[Rule::KeyLimit]);
}

#[test]
fn a_claim_of_what_was_claimed() {
    let claim = |state: &mut State, claim: &Claim| -> Result<Claimed, Refusal> {
        let running = NAMES
            .tasks
            .iter()
            .find(|id| state.task(id).is_some_and(|task| task.lease.is_some()));
        if let Some(id) = running {
            state.update(id, |task| {
                task.status = TaskStatus::Created;
                task.lease = None;
            });
        }
        decide::claim(state, claim)
    };
    finds(Brain { claim, ..REAL }, &[Rule::HoldTaken]);
}

#[test]
fn a_token_that_does_not_grow() {
    let claim = |state: &mut State, claim: &Claim| -> Result<Claimed, Refusal> {
        let claimed = decide::claim(state, claim)?;
        for id in &claimed.tasks {
            state.update(id, |task| task.token = FencingToken(task.token.0 - 1));
        }
        Ok(claimed)
    };
    finds(Brain { claim, ..REAL }, &[Rule::Token, Rule::LeaseMoved]);
}

#[test]
fn a_load_that_is_not_counted() {
    let claim = |state: &mut State, claim: &Claim| -> Result<Claimed, Refusal> {
        let claimed = decide::claim(state, claim)?;
        let tasks = i32::try_from(claimed.tasks.len()).unwrap_or(0);
        state.edit_agent(&claim.agent, |agent| agent.load -= tasks);
        Ok(claimed)
    };
    finds(Brain { claim, ..REAL }, &[Rule::Load]);
}

#[test]
fn a_claim_beyond_the_last_attempt() {
    let claim = |state: &mut State, claim: &Claim| -> Result<Claimed, Refusal> {
        let claimed = decide::claim(state, claim)?;
        for id in &claimed.tasks {
            state.update(id, |task| task.attempt += 1);
        }
        Ok(claimed)
    };
    finds(Brain { claim, ..REAL }, &[Rule::Attempts]);
}

#[test]
fn a_claim_from_a_paused_budget() {
    let claim = |state: &mut State, claim: &Claim| -> Result<Claimed, Refusal> {
        let paused = |state: &State, id| {
            state
                .budget(id)
                .is_some_and(|budget| budget.state == BudgetState::Paused)
        };
        let paused: Vec<_> = NAMES.budgets.iter().filter(|id| paused(state, *id)).collect();
        for id in &paused {
            state.edit_budget(id, |budget| budget.state = BudgetState::Open);
        }
        let claimed = decide::claim(state, claim);
        for id in paused {
            state.edit_budget(id, |budget| budget.state = BudgetState::Paused);
        }
        claimed
    };
    finds(Brain { claim, ..REAL }, &[Rule::HeldBack]);
}

#[test]
fn dependencies_that_are_forgotten() {
    let decide = |state: &mut State, event: &Event| {
        about(state, event, |event| {
            if event.kind == EventType::TaskCreated {
                event.payload["dependsOn"] = json!([]);
            }
        })
    };
    finds(Brain { decide, ..REAL }, &[Rule::Dependencies]);
}

#[test]
fn a_completion_without_its_event() {
    let decide = |state: &mut State, event: &Event| {
        let mut decision = decide::decide(state, event);
        decision.ends = None;
        decision
    };
    finds(Brain { decide, ..REAL }, &[Rule::TerminalEvent]);
}

#[test]
fn a_refusal_that_changes_something() {
    let decide = |state: &mut State, event: &Event| {
        let decision = decide::decide(state, event);
        if let (Some(Refusal::LeaseLost), Some(id)) = (decision.refusal, decide::task_id(event)) {
            state.update(&id, |task| task.progress = event.payload.get("progress").cloned());
        }
        decision
    };
    finds(Brain { decide, ..REAL }, &[Rule::RefusedChanged]);
}

#[test]
fn a_reservation_that_is_not_counted() {
    let decide = |state: &mut State, event: &Event| {
        let decision = decide::decide(state, event);
        let units = event.payload.get("units").and_then(Value::as_i64).unwrap_or(0);
        let task = decide::task_id(event).and_then(|id| state.task(&id));
        let budget = task.and_then(|task| task.budget.clone());
        if let (EventType::BudgetReserved, None, Some(id)) = (&event.kind, decision.refusal, budget) {
            state.edit_budget(&id, |budget| budget.reserved -= units);
        }
        decision
    };
    finds(Brain { decide, ..REAL }, &[Rule::Budget]);
}

#[test]
fn a_lease_that_is_taken_before_it_is_over() {
    let settle = |state: &mut State| -> Vec<FollowUp> {
        let now = state.now;
        state.now += SignedDuration::from_secs(30);
        let follow_ups = decide::settle(state);
        state.now = now;
        follow_ups
    };
    finds(Brain { settle, ..REAL }, &[Rule::HoldTaken]);
}

#[test]
fn a_sweep_that_does_nothing() {
    let settle = |_: &mut State| -> Vec<FollowUp> { Vec::new() };
    finds(Brain { settle, ..REAL }, &[Rule::Stuck, Rule::CalledOff]);
}

#[test]
fn a_heartbeat_that_revives_a_lease() {
    let renew = |state: &mut State, task: &_, agent: &_, token| {
        let now = state.now;
        state.now -= SignedDuration::from_hours(2);
        let renewed = super::renew(state, task, agent, token);
        state.now = now;
        renewed
    };
    finds(Brain { renew, ..REAL }, &[Rule::Heartbeat]);
}
