//! `/api/swarm/budgets`, and what workers take from them.

use serde_json::json;

use crate::brain::Brain;

#[tokio::test]
async fn are_made_and_listed() {
    let brain = Brain::start().await;
    brain.show("budgets_none", "budgets").await;
    brain
        .show_call(
            "budget_made",
            "budgets",
            json!({"budgetId": "b/1", "maxUnits": 100, "unit": "tokens", "actorId": "boss"}),
        )
        .await;
    brain
        .show_call("budget_made_with_an_id_of_its_own", "budgets", json!({"maxUnits": 0}))
        .await;
    brain.show("budget", "budgets/b%2F1").await;
    brain.show("budget_unknown", "budgets/nowhere").await;
    let first = brain.read("budgets?limit=1&state=open").await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let second = brain.read(&format!("budgets?limit=1&state=open&cursor={cursor}")).await;
    assert_eq!(
        (&second["budgets"][0]["budgetId"], &second["nextCursor"]),
        (&json!("b/1"), &json!(null))
    );
    let cases = [
        ("taken", json!({"budgetId": "b/1", "maxUnits": 1})),
        ("without_units", json!({"budgetId": "b"})),
        ("negative", json!({"maxUnits": -1})),
        ("unknown_field", json!({"maxUnits": 1, "units": "tokens"})),
        ("list", json!(["b", 1])),
    ];
    for (name, body) in cases {
        brain
            .show_call(&format!("budget_refused_{name}"), "budgets", body)
            .await;
    }
}

#[tokio::test]
async fn give_what_they_have_and_then_wait_for_a_person() {
    let brain = Brain::start().await;
    brain.call("budgets", json!({"budgetId": "b", "maxUnits": 100})).await;
    brain.call("tasks", json!({"taskId": "t-1", "budgetId": "b"})).await;
    brain.call("tasks", json!({"taskId": "free"})).await;
    let token = brain.claim("a", "t-1").await;
    let with = |fields: serde_json::Value| {
        let mut body = json!({"agentId": "a", "fencingToken": token});
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        body
    };
    brain
        .show_call("reserved", "tasks/t-1/reserve", with(json!({"units": 60})))
        .await;
    let reserved = brain.call("tasks/t-1/reserve", with(json!({"units": 30}))).await;
    let settle = with(json!({"reservationId": reserved["reservationId"], "units": 10}));
    brain.show_call("settled", "tasks/t-1/settle", settle.clone()).await;
    brain.show_call("settled_again", "tasks/t-1/settle", settle).await;
    brain.show("budget_in_use", "budgets/b").await;
    let other = with(json!({"reservationId": "nowhere", "units": 1}));
    brain.show_call("settle_unknown", "tasks/t-1/settle", other).await;
    brain
        .show_call("reserve_too_much", "tasks/t-1/reserve", with(json!({"units": 31})))
        .await;
    brain
        .show_call("reserve_while_paused", "tasks/t-1/reserve", with(json!({"units": 1})))
        .await;
    assert_eq!(brain.stored("budget.exhausted").await, 1);
    brain
        .call("tasks", json!({"taskId": "t-2", "parentTaskId": "t-1", "priority": 9}))
        .await;
    let free = brain.claim("a", "free").await;
    let spend = json!({"agentId": "a", "fencingToken": free, "units": 1});
    brain
        .show_call("reserve_without_a_budget", "tasks/free/reserve", spend)
        .await;
    assert_eq!(
        brain.call("tasks/claim", json!({"agentId": "a"})).await["tasks"],
        json!([])
    );
    assert_eq!(brain.read("tasks/t-2").await["waitingFor"], "budget");

    brain
        .show_call("raise_too_little", "budgets/b/raise", json!({"maxUnits": 69}))
        .await;
    brain
        .show_call("raise_unknown", "budgets/nowhere/raise", json!({"maxUnits": 1}))
        .await;
    brain.show_call("raise_by_nothing", "budgets/b/raise", json!({})).await;
    brain
        .show_call(
            "raised",
            "budgets/b/raise",
            json!({"maxUnits": 200, "actorId": "boss", "reason": "worth it"}),
        )
        .await;
    brain.claim("a", "t-2").await;
    brain.call("tasks/t-1/reserve", with(json!({"units": 31}))).await;

    brain
        .show_call(
            "stopped",
            "budgets/b/stop",
            json!({"actorId": "boss", "reason": "enough"}),
        )
        .await;
    brain.show_call("stop_unknown", "budgets/nowhere/stop", json!({})).await;
    for task in ["t-1", "t-2"] {
        assert_eq!(brain.read(&format!("tasks/{task}")).await["status"], "cancelled");
    }
    brain
        .show_call("raise_after_stopping", "budgets/b/raise", json!({"maxUnits": 900}))
        .await;
    let late = json!({"taskId": "t-3", "budgetId": "b"});
    brain.show_call("task_of_a_stopped_budget", "tasks", late).await;
}
