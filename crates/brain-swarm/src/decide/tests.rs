//! Properties of the decision: whatever comes, in whatever order, the invariants hold after every step.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::event::Defaults;

/// One step of a history: an event, or a look at what nobody works on.
#[derive(Debug, Clone)]
enum Step {
    Event {
        kind: &'static str,
        actor: u8,
        payload: Value,
    },
    Settle,
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
            0 => json!({ "taskId": task, "maxAttempts": max }),
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
        2 => Just(Step::Settle),
    ]
}

fn event(number: usize, kind: &str, actor: u8, payload: &Value) -> Event {
    let json = json!({ "id": format!("e{number}"), "type": kind, "swarmId": "s", "runId": "r", "actorId": format!("a{actor}"),
        "payload": payload, "createdAt": "2026-01-01T00:00:00Z" });
    Event::parse(json.to_string().as_bytes(), 4096, &Defaults::default()).unwrap()
}

/// What must hold after every step.
fn check(state: &State, ended: &mut HashMap<TaskId, (TaskStatus, u32)>, finished: &[TaskId]) {
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
        if let Some((status, _)) = ended.get(&task.id) {
            assert_eq!(*status, task.status, "an ended task changed");
        } else if task.status.is_terminal() {
            ended.insert(task.id.clone(), (task.status, 0));
        }
    }
    for task in finished {
        let (_, count) = ended.get_mut(task).unwrap();
        *count += 1;
        assert_eq!(*count, 1, "a second terminal event for {task}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_invariants(steps in proptest::collection::vec(step(), 1..60)) {
        let mut state = State::default();
        let mut ended = HashMap::new();
        for (number, step) in steps.into_iter().enumerate() {
            let mut finished = Vec::new();
            match step {
                Step::Event { kind, actor, payload } => {
                    let event = event(number, kind, actor, &payload);
                    let decision = decide(&mut state, &event);
                    finished.extend(decision.ends);
                    finished.extend(decision.follow_ups.into_iter().filter_map(|follow_up| follow_up.ends));
                }
                Step::Settle => finished.extend(settle(&mut state).into_iter().filter_map(|follow_up| follow_up.ends)),
            }
            check(&state, &mut ended, &finished);
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
