//! `/api/swarm/budgets`.

use axum::http::Method;
use brain_swarm::{budgets::StoredBudget, calls::NewBudget, decide::BudgetState, ids::BudgetId};
use serde_json::json;

use super::{Described, described, operation::Operation};
use crate::{
    problem::Kind,
    routes::{Order, budgets},
};

const OWN_ACTOR: &str = "A token that is bound acts as its own name alone: `actorId` is left out or that name.";

pub(super) const OPERATIONS: &[Described] = &[
    described(Method::GET, "/api/swarm/budgets", |it| {
        it.named("listBudgets", "Budgets of a swarm by id, by page")
            .swarm()
            .query::<BudgetState>("state", "Only budgets that stand there.")
            .paged()
            .gives::<budgets::Page>(200, "A page of budgets.")
    }),
    described(Method::POST, "/api/swarm/budgets", |it| {
        it.named("createBudget", "Make a budget")
            .says("Tasks name it with `budgetId`; the tasks of their trees spend from it too.")
            .swarm()
            .body::<NewBudget>()
            .example(json!({ "budgetId": "tokens", "maxUnits": 100_000, "unit": "tokens" }))
            .gives::<StoredBudget>(201, "The budget.")
            .leads_to(201, "getBudget", "budgetId", "/budgetId")
            .leads_to(201, "raiseBudget", "budgetId", "/budgetId")
            .stores()
    }),
    described(Method::GET, "/api/swarm/budgets/{budgetId}", |it| {
        of_budget(it.named("getBudget", "One budget")).gives_thing::<StoredBudget>("The budget.")
    }),
    described(Method::POST, "/api/swarm/budgets/{budgetId}/raise", |it| {
        of_budget(it.named("raiseBudget", "Give a budget more"))
            .says("A paused one is open again, and the tasks of its tree go on.")
            .rule(OWN_ACTOR)
            .body::<budgets::Raise>()
            .example(json!({ "maxUnits": 200_000 }))
            .gives::<StoredBudget>(200, "The budget.")
            .stores()
            .problems(&[Kind::BudgetExhausted])
    }),
    described(Method::POST, "/api/swarm/budgets/{budgetId}/stop", |it| {
        of_budget(it.named("stopBudget", "Stop a budget: the open tasks of its tree are cancelled"))
            .rule(OWN_ACTOR)
            .body_if_any::<Order>()
            .gives::<StoredBudget>(200, "The budget.")
            .stores()
            .problems(&[Kind::BudgetExhausted])
    }),
];

fn of_budget(it: Operation<'_>) -> Operation<'_> {
    it.path::<BudgetId>("budgetId", "tokens").swarm()
}
