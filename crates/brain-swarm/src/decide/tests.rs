//! Properties of the decision: whatever comes, in whatever order, the invariants hold after every step.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;

use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{event::Defaults, ids::BudgetId};

mod regressions;

/// One step of a history: an event, or a look at what nobody works on.
#[derive(Debug, Clone)]
enum Step {
    Event {
        kind: &'static str,
        actor: u8,
        payload: Value,
    },
    Claim {
        actor: u8,
        max: usize,
    },
    Settle,
    Later(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let (task, agent) = (
        || (0..6_u8).prop_map(|n| format!("t{n}")),
        || (0..4_u8).prop_map(|n| format!("a{n}")),
    );
    let event = |kind: &'static str, payload: BoxedStrategy<Value>| {
        (0..4_u8, payload)
            .prop_map(move |(actor, payload)| Step::Event { kind, actor, payload })
            .boxed()
    };
    prop_oneof![
        3 => event("task.created", (task(), 0..3_u8, 1..3_i32).prop_map(|(task, role, max)| match role {
            0 => json!({ "taskId": task, "maxAttempts": max, "concurrencyKey": "k", "budgetId": "b" }),
            1 => json!({ "taskId": task, "role": "worker", "capability": "gpu" }),
            _ => json!({ "taskId": task, "assignedAgentId": "a1" }),
        }).boxed()),
        1 => event("task.assigned", (task(), agent()).prop_map(|(task, agent)| json!({ "taskId": task, "agentId": agent })).boxed()),
        4 => event("agent.message", (task(), prop_oneof![Just("running"), Just("done"), Just("failed")])
            .prop_map(|(task, state)| json!({ "taskId": task, "state": state })).boxed()),
        1 => event("task.completed", task().prop_map(|task| json!({ "taskId": task })).boxed()),
        1 => event("task.failed", task().prop_map(|task| json!({ "taskId": task })).boxed()),
        2 => event("run.started", (0..3_u8).prop_map(|kind| match kind {
            0 => json!({}),
            1 => json!({ "capabilities": ["gpu"], "capacity": 1 }),
            _ => json!({ "role": "orchestrator" }),
        }).boxed()),
        1 => event("agent.lost", agent().prop_map(|agent| json!({ "agentId": agent, "lastSeenAt": "2030-01-01T00:00:00Z" })).boxed()),
        1 => event("task.created", (task(), task(), prop_oneof![Just("cancel"), Just("wait"), Just("run")])
            .prop_map(|(task, on, policy)| json!({ "taskId": task, "dependsOn": [on], "onDependencyFailure": policy })).boxed()),
        1 => event("task.cancelled", task().prop_map(|task| json!({ "taskId": task })).boxed()),
        1 => event("task.retrying", task().prop_map(|task| json!({ "taskId": task })).boxed()),
        4 => event("agent.message", (task(), 0..5_i64, prop_oneof![Just("done"), Just("failed"), Just("released")])
            .prop_map(|(task, token, state)| json!({ "taskId": task, "fencingToken": token, "state": state, "retryable": true })).boxed()),
        1 => event("task.progress", (task(), 0..5_i64)
            .prop_map(|(task, token)| json!({ "taskId": task, "fencingToken": token, "progress": {} })).boxed()),
        2 => event("agent.registered", prop_oneof![Just(json!({})), Just(json!({ "capacity": 1 }))].boxed()),
        1 => event("agent.draining", agent().prop_map(|agent| json!({ "agentId": agent })).boxed()),
        1 => event("agent.resumed", agent().prop_map(|agent| json!({ "agentId": agent })).boxed()),
        1 => event("run.cancelled", Just(json!({})).boxed()),
        1 => event("budget.created", (0..9_i64).prop_map(|max| json!({ "budgetId": "b", "maxUnits": max })).boxed()),
        2 => event("budget.reserved", (task(), 0..5_i64, 1..5_i64).prop_map(|(task, token, units)| {
            json!({ "taskId": task, "fencingToken": token, "reservationId": format!("{task}-{token}"), "units": units })
        }).boxed()),
        1 => event("budget.settled", (task(), 0..5_i64, 0..5_i64).prop_map(|(task, token, units)| {
            json!({ "taskId": task, "fencingToken": token, "reservationId": format!("{task}-{token}"), "units": units })
        }).boxed()),
        1 => event("budget.raised", (0..20_i64).prop_map(|max| json!({ "budgetId": "b", "maxUnits": max })).boxed()),
        4 => (0..4_u8, 1..3_usize).prop_map(|(actor, max)| Step::Claim { actor, max }),
        2 => Just(Step::Settle),
        1 => prop_oneof![Just(1_i64), Just(20_000)].prop_map(Step::Later),
    ]
}

fn event(number: usize, kind: &str, actor: u8, payload: &Value) -> Event {
    let json = json!({ "id": format!("e{number}"), "type": kind, "swarmId": "s", "runId": "r", "actorId": format!("a{actor}"),
        "payload": payload, "createdAt": "2026-01-01T00:00:00Z" });
    Event::parse(json.to_string().as_bytes(), 4096, &Defaults::default()).unwrap()
}

/// What must hold after every step.
fn check(state: &State, ended: &mut HashMap<TaskId, (TaskStatus, u32)>, finished: &[TaskId], retried: Option<&TaskId>) {
    let tasks: Vec<Task> = (0..6)
        .filter_map(|n| state.task(&TaskId::new(format!("t{n}")).unwrap()).cloned())
        .collect();
    for n in 0..4 {
        let id = ActorId::new(format!("a{n}")).unwrap();
        let held = tasks.iter().filter(|task| {
            task.assignee.as_ref() == Some(&id) && matches!(task.status, TaskStatus::Assigned | TaskStatus::Running)
        });
        let held = i32::try_from(held.count()).unwrap();
        assert_eq!(state.agent(&id).map_or(0, |agent| agent.load), held, "load of {id}");
    }
    for task in &tasks {
        assert!(task.attempt <= task.max_attempts);
        if matches!(task.status, TaskStatus::Assigned | TaskStatus::Running) {
            assert!(
                state.agent(task.assignee.as_ref().unwrap()).is_some(),
                "assigned to an unknown agent"
            );
        }
        if retried == Some(&task.id) && !task.status.is_terminal() {
            assert_ne!(
                ended.remove(&task.id).map(|(status, _)| status),
                Some(TaskStatus::Completed)
            );
        } else if let Some((status, _)) = ended.get(&task.id) {
            assert_eq!(*status, task.status, "an ended task changed");
        } else if task.status.is_terminal() {
            ended.insert(task.id.clone(), (task.status, 0));
        }
    }
    if let Some(budget) = state.budget(&BudgetId::new("b").unwrap()) {
        let reserved: i64 = tasks.iter().map(|task| task.reserved_units).sum();
        assert_eq!(budget.reserved, reserved);
        assert!(budget.available() >= 0, "{budget:?}");
    }
    let held = tasks
        .iter()
        .filter(|task| task.concurrency_key.is_some() && task.status.is_held());
    assert_eq!(
        state.key("k").map_or(0, |key| key.held),
        i32::try_from(held.count()).unwrap()
    );
    for task in finished {
        let (_, count) = ended.get_mut(task).unwrap();
        *count += 1;
        assert_eq!(*count, 1, "a second terminal event for {task}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_invariants(steps in proptest::collection::vec(step(), 1..60)) {
        let mut state = State::default();
        let mut ended = HashMap::new();
        for (number, step) in steps.into_iter().enumerate() {
            let mut finished = Vec::new();
            let mut retried = None;
            match step {
                Step::Event { kind, actor, payload } => {
                    let event = event(number, kind, actor, &payload);
                    let decision = decide(&mut state, &event);
                    if kind == "task.retrying" && decision.refusal.is_none() {
                        retried = task_id(&event);
                    }
                    finished.extend(decision.ends);
                    finished.extend(decision.follow_ups.into_iter().filter_map(|follow_up| follow_up.ends));
                }
                Step::Claim { actor, max } => {
                    let agent = ActorId::new(format!("a{actor}")).unwrap();
                    let claimed = claim(&mut state, &Claim { agent, max, lease_ms: 10_000 });
                    prop_assert!(claimed.is_err() || claimed.unwrap().follow_ups.iter().all(|follow_up| follow_up.ends.is_none()));
                }
                Step::Settle => {
                    for n in 0..6 {
                        state.load_idle(TaskId::new(format!("t{n}")).unwrap());
                    }
                    finished.extend(settle(&mut state).into_iter().filter_map(|follow_up| follow_up.ends));
                    state.written();
                }
                Step::Later(ms) => {
                    state.written();
                    state.now += SignedDuration::from_millis(ms);
                }
            }
            check(&state, &mut ended, &finished, retried.as_ref());
        }
    }
}

#[test]
fn a_task_goes_to_the_least_loaded_agent_that_fits() {
    let mut state = State::default();
    let mut number = 0;
    let mut give = |state: &mut State, kind, actor, payload: Value| {
        number += 1;
        decide(state, &event(number, kind, actor, &payload))
    };
    give(&mut state, "run.started", 0, json!({}));
    give(
        &mut state,
        "run.started",
        1,
        json!({ "capabilities": ["gpu"], "capacity": 2 }),
    );
    let chosen: Vec<Value> = (0..5)
        .map(|n| {
            give(&mut state, "task.created", 3, json!({ "taskId": format!("t{n}") })).follow_ups[0].payload["agentId"]
                .clone()
        })
        .collect();
    assert_eq!(
        chosen,
        [json!("a0"), json!("a1"), json!("a0"), json!("a1"), json!("a0")]
    );
    let full = give(
        &mut state,
        "task.created",
        3,
        json!({ "taskId": "t5", "capability": "gpu" }),
    );
    assert!(full.follow_ups.is_empty(), "its only agent is at its capacity");
}
