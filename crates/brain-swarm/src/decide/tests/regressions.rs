//! What went wrong once, by name.

use super::*;
use crate::ids::FencingToken;

/// A swarm in which things are said and claimed.
struct Story {
    state: State,
    number: usize,
}

/// A person; agents are `a0` to `a3`.
const PERSON: u8 = 9;

impl Story {
    fn new() -> Self {
        let state = State::at("2026-01-01T00:00:00Z".parse().unwrap());
        Self { state, number: 0 }
    }

    fn say(&mut self, kind: &str, actor: u8, payload: Value) -> Decision {
        self.number += 1;
        self.state.seq += 1;
        decide(&mut self.state, &event(self.number, kind, actor, &payload))
    }

    /// Says something that must take effect.
    fn done(&mut self, kind: &str, actor: u8, payload: Value) -> Decision {
        let decision = self.say(kind, actor, payload);
        assert_eq!(decision.refusal, None, "{kind}");
        decision
    }

    fn refused(&mut self, kind: &str, actor: u8, payload: Value) -> Refusal {
        self.say(kind, actor, payload).refusal.unwrap()
    }

    /// What an agent gets, as names of tasks.
    fn claim(&mut self, actor: u8) -> Vec<String> {
        self.claim_some(actor, 10)
    }

    fn claim_some(&mut self, actor: u8, max: usize) -> Vec<String> {
        let agent = ActorId::new(format!("a{actor}")).unwrap();
        let asked = Claim {
            agent,
            max,
            lease_ms: 10_000,
        };
        let claimed = claim(&mut self.state, &asked).unwrap();
        claimed.tasks.iter().map(ToString::to_string).collect()
    }

    fn settle(&mut self) -> Vec<FollowUp> {
        let mut open: Vec<TaskId> = self.state.tasks().map(|task| task.id.clone()).collect();
        open.sort();
        open.into_iter().for_each(|id| self.state.load_idle(id));
        let follow_ups = settle(&mut self.state);
        self.state.written();
        follow_ups
    }

    fn task(&self, id: &str) -> &Task {
        self.state.task(&TaskId::new(id).unwrap()).unwrap()
    }

    fn token(&self, id: &str) -> i64 {
        let FencingToken(token) = self.task(id).token;
        token
    }
}

#[test]
fn an_agent_that_was_heard_in_the_same_batch_is_not_lost() {
    let mut story = Story::new();
    let before = story.state.now;
    story.done("run.started", 0, json!({}));
    story.state.now += SignedDuration::from_secs(60);
    story.done("agent.message", 0, json!({}));
    let lost = json!({ "agentId": "a0", "lastSeenAt": before });
    assert_eq!(story.refused("agent.lost", PERSON, lost), Refusal::AgentHeardSince);
}

#[test]
fn an_agent_that_joined_again_in_the_same_batch_is_not_lost() {
    let mut story = Story::new();
    let before = story.state.now;
    story.done("agent.registered", 0, json!({}));
    story.state.now += SignedDuration::from_secs(60);
    story.done("agent.registered", 0, json!({}));
    let lost = json!({ "agentId": "a0", "lastSeenAt": before });
    assert_eq!(story.refused("agent.lost", PERSON, lost), Refusal::AgentHeardSince);
}

#[test]
fn nobody_speaks_for_a_task_that_nobody_holds() {
    let mut story = Story::new();
    story.done("budget.created", PERSON, json!({ "budgetId": "b", "maxUnits": 9 }));
    story.done("task.created", PERSON, json!({ "taskId": "t0", "budgetId": "b" }));
    let reserve = json!({ "taskId": "t0", "reservationId": "r", "units": 1 });
    assert_eq!(story.refused("budget.reserved", 0, reserve), Refusal::NotHeld);
    let progress = json!({ "taskId": "t0", "progress": {} });
    assert_eq!(story.refused("task.progress", 0, progress), Refusal::NotHeld);
    let release = json!({ "taskId": "t0", "state": "released", "delayMs": 60_000 });
    assert_eq!(story.refused("agent.message", 0, release), Refusal::NotHeld);
    let fail = json!({ "taskId": "t0", "state": "failed", "retryable": true });
    assert_eq!(story.refused("agent.message", 0, fail), Refusal::NotHeld);
    assert!(story.task("t0").is_ready());
    // Publishers without leases report the end of what was never handed out.
    story.done("task.completed", 0, json!({ "taskId": "t0" }));
}

#[test]
fn the_last_attempt_is_given_to_another_by_hand_and_can_be_begun() {
    let mut story = Story::new();
    story.done("agent.registered", 0, json!({}));
    story.done("agent.registered", 1, json!({}));
    story.done("task.created", PERSON, json!({ "taskId": "t0", "maxAttempts": 1 }));
    assert_eq!(story.claim(0), ["t0"]);
    story.done("task.assigned", PERSON, json!({ "taskId": "t0", "agentId": "a1" }));
    assert_eq!(story.claim(1), ["t0"]);
    assert_eq!((story.task("t0").attempt, story.task("t0").max_attempts), (2, 2));
}

#[test]
fn a_task_that_names_a_draining_agent_is_for_all() {
    let mut story = Story::new();
    story.done("agent.registered", 0, json!({}));
    story.done("agent.registered", 1, json!({}));
    story.done("agent.draining", PERSON, json!({ "agentId": "a0" }));
    story.done(
        "task.created",
        PERSON,
        json!({ "taskId": "t0", "assignedAgentId": "a0" }),
    );
    assert_eq!(story.claim(1), ["t0"]);
}

#[test]
fn a_task_that_names_another_does_not_stand_in_the_way_of_those_behind_it() {
    let mut story = Story::new();
    story.done("agent.registered", 1, json!({}));
    story.done(
        "task.created",
        PERSON,
        json!({ "taskId": "t0", "assignedAgentId": "a0" }),
    );
    story.done("agent.registered", 0, json!({}));
    let agent = ActorId::new("a1").unwrap();
    let asked = Claim {
        agent,
        max: 1,
        lease_ms: 10_000,
    };
    let claimed = claim(&mut story.state, &asked).unwrap();
    assert!(claimed.tasks.is_empty() && claimed.look_again);
    assert_eq!(claimed.follow_ups[0].kind, EventType::TaskAssigned);
    assert!(claimed.follow_ups[0].origin.is_some());
    assert_eq!(story.claim(0), ["t0"]);
}

#[test]
fn nothing_of_a_cancelled_run_is_handed_out_before_it_is_settled() {
    let mut story = Story::new();
    story.done("agent.registered", 0, json!({}));
    story.done("task.created", PERSON, json!({ "taskId": "t0" }));
    story.done("run.cancelled", PERSON, json!({}));
    assert!(story.claim(0).is_empty());
    let assign = json!({ "taskId": "t0", "agentId": "a0" });
    assert_eq!(story.refused("task.assigned", PERSON, assign), Refusal::RunCancelled);
    let run = json!({ "taskId": "t0", "state": "running" });
    assert_eq!(story.refused("agent.message", 0, run), Refusal::RunCancelled);
    story.settle();
    assert_eq!(story.task("t0").status, TaskStatus::Cancelled);
}

#[test]
fn nothing_of_a_paused_budget_is_handed_out_by_anybody() {
    let mut story = Story::new();
    story.done("run.started", 0, json!({ "capacity": 1 }));
    story.done("budget.created", PERSON, json!({ "budgetId": "b", "maxUnits": 1 }));
    for task in ["t0", "t1"] {
        story.done("task.created", PERSON, json!({ "taskId": task, "budgetId": "b" }));
    }
    let reserve = json!({ "taskId": "t0", "reservationId": "r", "units": 2 });
    assert_eq!(story.refused("budget.reserved", 0, reserve), Refusal::BudgetExhausted);
    // There is room for the second now, but nothing to spend.
    story.done("agent.message", 0, json!({ "taskId": "t0", "state": "done" }));
    assert!(story.settle().is_empty());
    assert_eq!(story.task("t1").waiting_for, Some(Wait::Budget));
    let assign = json!({ "taskId": "t1", "agentId": "a0" });
    assert_eq!(story.refused("task.assigned", PERSON, assign), Refusal::BudgetPaused);
    story.done("budget.raised", PERSON, json!({ "budgetId": "b", "maxUnits": 5 }));
    assert_eq!(story.settle()[0].kind, EventType::TaskAssigned);
}

#[test]
fn a_claim_of_another_gives_nothing_of_a_paused_budget_to_the_agent_that_is_named() {
    let mut story = Story::new();
    story.done("agent.registered", 1, json!({}));
    story.done("budget.created", PERSON, json!({ "budgetId": "b", "maxUnits": 1 }));
    story.done("task.created", PERSON, json!({ "taskId": "t0", "budgetId": "b" }));
    let named = json!({ "taskId": "t1", "budgetId": "b", "assignedAgentId": "a0" });
    story.done("task.created", PERSON, named);
    story.done("agent.registered", 0, json!({}));
    assert_eq!(story.claim_some(1, 1), ["t0"]);
    let reserve = json!({ "taskId": "t0", "fencingToken": 1, "reservationId": "r", "units": 2 });
    assert_eq!(story.refused("budget.reserved", 1, reserve), Refusal::BudgetExhausted);
    assert!(story.claim(1).is_empty());
    assert_eq!(story.task("t1").waiting_for, Some(Wait::Budget));
}

#[test]
fn a_task_is_not_begun_before_its_time() {
    let mut story = Story::new();
    story.done("run.started", 0, json!({}));
    story.done("task.created", PERSON, json!({ "taskId": "t0", "delayMs": 5_000 }));
    let run = json!({ "taskId": "t0", "state": "running" });
    assert_eq!(story.refused("agent.message", 0, run.clone()), Refusal::NotYet);
    story.state.now += SignedDuration::from_secs(5);
    story.done("agent.message", 0, run);
}

#[test]
fn a_retried_task_does_not_wait_for_what_completed_meanwhile() {
    for (policy, end, done) in [
        ("cancel", "task.completed", true),
        ("run", "task.failed", true),
        ("wait", "task.failed", false),
    ] {
        let mut story = Story::new();
        story.done("task.created", PERSON, json!({ "taskId": "t0" }));
        let dependent = json!({ "taskId": "t1", "dependsOn": ["t0"], "onDependencyFailure": policy });
        story.done("task.created", PERSON, dependent);
        story.done("task.cancelled", PERSON, json!({ "taskId": "t1" }));
        story.done(end, PERSON, json!({ "taskId": "t0" }));
        story.done("task.retrying", PERSON, json!({ "taskId": "t1" }));
        assert_eq!(story.task("t1").is_ready(), done, "{policy}");
    }
}

#[test]
fn what_an_attempt_reserved_is_not_reserved_for_the_next() {
    let mut story = Story::new();
    story.done("agent.registered", 0, json!({}));
    story.done("budget.created", PERSON, json!({ "budgetId": "b", "maxUnits": 9 }));
    story.done("task.created", PERSON, json!({ "taskId": "t0", "budgetId": "b" }));
    let reserve = |token: i64| json!({ "taskId": "t0", "fencingToken": token, "reservationId": "r", "units": 2 });
    story.claim(0);
    story.done("budget.reserved", 0, reserve(1));
    assert_eq!(story.refused("budget.reserved", 0, reserve(1)), Refusal::Repeated);
    let release = json!({ "taskId": "t0", "fencingToken": 1, "state": "released" });
    story.done("agent.message", 0, release);
    story.claim(0);
    assert_eq!(
        story.refused("budget.reserved", 0, reserve(2)),
        Refusal::UnknownReservation
    );
    let spend = json!({ "taskId": "t0", "fencingToken": 2, "reservationId": "r", "units": 0 });
    assert_eq!(story.refused("budget.settled", 0, spend), Refusal::UnknownReservation);
}

#[test]
fn what_was_reserved_before_the_first_word_ends_with_the_assignment() {
    for by_hand in [true, false] {
        let mut story = Story::new();
        story.done("run.started", 0, json!({}));
        story.done("budget.created", PERSON, json!({ "budgetId": "b", "maxUnits": 9 }));
        story.done("task.created", PERSON, json!({ "taskId": "t0", "budgetId": "b" }));
        story.done(
            "budget.reserved",
            0,
            json!({ "taskId": "t0", "reservationId": "r", "units": 2 }),
        );
        if by_hand {
            story.done("agent.registered", 1, json!({}));
            story.done("task.assigned", PERSON, json!({ "taskId": "t0", "agentId": "a1" }));
        } else {
            let now = story.state.now;
            story.done("agent.lost", PERSON, json!({ "agentId": "a0", "lastSeenAt": now }));
            story.settle();
        }
        assert_eq!(story.task("t0").reserved_units, 0);
        let budget = story.state.budget(&BudgetId::new("b").unwrap()).unwrap();
        assert_eq!((budget.reserved, budget.spent), (0, 2));
    }
}

#[test]
fn a_released_attempt_does_not_count_for_whom_it_is_given_to_next() {
    let mut story = Story::new();
    story.done("run.started", 0, json!({}));
    story.done("task.created", PERSON, json!({ "taskId": "t0" }));
    story.done("agent.message", 0, json!({ "taskId": "t0", "state": "running" }));
    let decision = story.done("agent.message", 0, json!({ "taskId": "t0", "state": "released" }));
    let assigned = decision.follow_ups.last().unwrap();
    assert_eq!(
        (&assigned.kind, &assigned.payload["attempt"]),
        (&EventType::TaskAssigned, &json!(0))
    );
    assert_eq!(story.task("t0").attempt, 0);
}

#[test]
fn the_last_holder_of_a_task_that_another_completed_is_not_told_that_it_did() {
    let mut story = Story::new();
    story.done("agent.registered", 0, json!({}));
    story.done("task.created", PERSON, json!({ "taskId": "t0" }));
    story.claim(0);
    let token = story.token("t0");
    story.done(
        "agent.message",
        0,
        json!({ "taskId": "t0", "fencingToken": token, "state": "released" }),
    );
    story.done("task.completed", PERSON, json!({ "taskId": "t0" }));
    let complete = json!({ "taskId": "t0", "fencingToken": token });
    assert_eq!(story.refused("task.completed", 0, complete), Refusal::LeaseLost);
}

#[test]
fn a_failure_is_repeated_until_the_task_moves_on() {
    let mut story = Story::new();
    story.done("agent.registered", 0, json!({}));
    story.done("task.created", PERSON, json!({ "taskId": "t0", "maxAttempts": 1 }));
    story.claim(0);
    let fail = json!({ "taskId": "t0", "fencingToken": 1, "state": "failed", "retryable": true });
    story.done("agent.message", 0, fail.clone());
    assert_eq!(story.refused("agent.message", 0, fail.clone()), Refusal::Repeated);
    story.done("task.retrying", PERSON, json!({ "taskId": "t0" }));
    assert_eq!(story.refused("agent.message", 0, fail), Refusal::LeaseLost);
    assert_eq!(story.task("t0").status, TaskStatus::Created);
}

#[test]
fn an_agent_that_is_read_twice_is_listed_once() {
    let mut story = Story::new();
    story.done("run.started", 0, json!({ "capacity": 1 }));
    let agent = story.state.agent(&ActorId::new("a0").unwrap()).unwrap().clone();
    story.done("task.created", PERSON, json!({ "taskId": "t0" }));
    // As it was read before the batch.
    story.state.load_agent(agent);
    let before = story.state.now;
    story.done("agent.lost", PERSON, json!({ "agentId": "a0", "lastSeenAt": before }));
    assert!(!story.state.has_pushed_agents());
}

#[test]
fn an_attempt_that_ended_is_of_who_had_it_although_another_has_the_task_now() {
    let mut story = Story::new();
    story.done("run.started", 0, json!({}));
    story.done("task.created", PERSON, json!({ "taskId": "t0" }));
    story.done("agent.message", 0, json!({ "taskId": "t0", "state": "running" }));
    story.done("run.started", 1, json!({}));
    let lost = json!({ "agentId": "a0", "lastSeenAt": "2030-01-01T00:00:00Z" });
    story.done("agent.lost", PERSON, lost);
    let told: Vec<(EventType, Option<String>, i32, bool)> = story
        .settle()
        .into_iter()
        .map(|follow_up| {
            let attempt = follow_up.attempt.unwrap();
            let agent = attempt.agent.map(|agent| agent.to_string());
            (follow_up.kind, agent, attempt.number, attempt.begun.is_some())
        })
        .collect();
    assert_eq!(
        told,
        [
            (EventType::TaskRetrying, Some("a0".to_owned()), 1, true),
            (EventType::TaskAssigned, Some("a1".to_owned()), 1, false),
        ]
    );
}
