//! What is written and read, against the contract's own words.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use serde_json::json;

use super::*;

fn holding(task: &str) -> Holding {
    Holding {
        task_id: TaskId::new(task).unwrap(),
        fencing_token: FencingToken(7),
    }
}

#[test]
fn results_are_written_as_the_contract_says() {
    let finish = Finish {
        agent_id: ActorId::new("a").unwrap(),
        results: vec![
            TaskResult {
                holding: holding("t-1"),
                outcome: Outcome::Completed { outputs: json!({}) },
            },
            TaskResult {
                holding: holding("t-2"),
                outcome: Outcome::Failed {
                    error: "no".to_owned(),
                    retryable: true,
                    retry_after_ms: Some(5),
                },
            },
        ],
    };
    let written = json!({"agentId": "a", "results": [
        {"taskId": "t-1", "fencingToken": 7, "outputs": {}},
        {"taskId": "t-2", "fencingToken": 7, "error": "no", "retryable": true, "retryAfterMs": 5},
    ]});
    assert_eq!(serde_json::to_value(&finish).unwrap(), written);
    assert_eq!(serde_json::from_value::<Finish>(written).unwrap(), finish);
}

#[test]
fn what_is_optional_is_left_out() {
    let registration = Registration {
        agent_id: ActorId::new("a").unwrap(),
        run_id: None,
        role: "worker".to_owned(),
        capabilities: Vec::new(),
        capacity: None,
        assignment: Assignment::Pull,
    };
    assert_eq!(
        serde_json::to_string(&registration).unwrap(),
        r#"{"agentId":"a","role":"worker","capabilities":[],"assignment":"pull"}"#
    );
}

#[test]
fn answers_are_read_whatever_else_they_hold() {
    let claimed: Claimed = serde_json::from_value(json!({"tasks": [{"taskId": "t", "runId": "r", "attempt": 2,
        "maxAttempts": 3, "fencingToken": 9, "leaseMs": 30000, "leaseExpiresAt": "2026-01-01T00:00:00Z",
        "inputs": {"n": 1}, "priority": -1, "progress": {"at": 4}, "later": true}]}))
    .unwrap();
    assert_eq!(claimed.tasks[0].lease(), Duration::from_secs(30));
    assert_eq!(claimed.tasks[0].progress, Some(json!({"at": 4})));

    let pulse: Pulse = serde_json::from_value(json!({"agentId": "a", "status": "live",
        "held": [{"taskId": "t", "fencingToken": 7, "leaseExpiresAt": "2026-01-01T00:00:00Z"}],
        "lost": [{"taskId": "u", "fencingToken": 7, "reason": "cancelled"}]}))
    .unwrap();
    assert_eq!(pulse.held[0].holding, holding("t"));
    assert_eq!(pulse.lost[0].holding, holding("u"));

    let finished: Finished = serde_json::from_value(json!({"results": [
        {"taskId": "t", "status": "completed", "seq": 4, "duplicate": false},
        {"taskId": "u", "problem": {"type": "urn:studio-brain:problem:lease-lost", "detail": "late"}}]}))
    .unwrap();
    assert!(matches!(finished.results[0], Settled::Stored { seq: Some(4), .. }));
    let Settled::Refused { problem, .. } = finished.results[1].clone() else {
        panic!("the second result was refused");
    };
    assert!(matches!(problem.into_error(), Error::LeaseLost { .. }));
}
