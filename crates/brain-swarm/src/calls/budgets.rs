//! Calls about budgets.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Calls, Error, Holder, Scope};
use crate::{
    budgets::{self, StoredBudget},
    decide::Refusal,
    event::EventType,
    ids::{ActorId, BudgetId, RunId, TaskId},
    publish::{self, Answer},
};

/// A budget that is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewBudget {
    /// Its id; made when none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<BudgetId>,
    /// How many units there are.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub max_units: i64,
    /// What they count, such as `tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"))]
    pub unit: Option<String>,
    /// Who makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<ActorId>,
}

/// Units that are promised to a task, or settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Reservation")]
#[serde(rename_all = "camelCase")]
pub struct Reserved {
    /// The id of the reservation.
    pub reservation_id: String,
    /// How many were reserved; how many were spent, once settled.
    pub units: i64,
    /// What the budget can still give.
    pub available: i64,
}

impl Calls {
    /// Makes a budget.
    ///
    /// # Errors
    /// A budget of that id must not be there.
    pub async fn create_budget(
        &self,
        scope: &Scope,
        (run, actor): (&RunId, &ActorId),
        budget: NewBudget,
    ) -> Result<StoredBudget, Error> {
        let id = match budget.budget_id {
            Some(id) => id,
            None => BudgetId::new(uuid::Uuid::now_v7().to_string())?,
        };
        let unit = budget.unit.unwrap_or_else(|| "units".to_owned());
        let payload = json!({ "budgetId": id, "maxUnits": budget.max_units, "unit": unit });
        let actor = budget.actor_id.as_ref().unwrap_or(actor);
        let event = self.event(scope, Some(run.clone()), EventType::BudgetCreated, actor, payload)?;
        self.one(event).await?;
        self.budget(scope, &id).await
    }

    /// Gives a budget more; a paused one is open again, and the tasks of its tree go on.
    ///
    /// # Errors
    /// It cannot be less than what is spent and reserved.
    pub async fn raise_budget(
        &self,
        scope: &Scope,
        (run, actor): (&RunId, &ActorId),
        budget: &BudgetId,
        max_units: i64,
        reason: Option<&str>,
    ) -> Result<StoredBudget, Error> {
        let mut payload = json!({ "budgetId": budget, "maxUnits": max_units });
        if let Some(reason) = reason {
            payload["reason"] = json!(reason);
        }
        let event = self.event(scope, Some(run.clone()), EventType::BudgetRaised, actor, payload)?;
        self.one(event).await?;
        self.settle_all(scope).await?;
        self.budget(scope, budget).await
    }

    /// Stops a budget: the open tasks of its tree are cancelled.
    ///
    /// # Errors
    /// The budget must be known.
    pub async fn stop_budget(
        &self,
        scope: &Scope,
        (run, actor): (&RunId, &ActorId),
        budget: &BudgetId,
        reason: Option<&str>,
    ) -> Result<StoredBudget, Error> {
        let mut payload = json!({ "budgetId": budget });
        if let Some(reason) = reason {
            payload["reason"] = json!(reason);
        }
        let event = self.event(scope, Some(run.clone()), EventType::BudgetStopped, actor, payload)?;
        self.one(event).await?;
        self.settle_all(scope).await?;
        self.budget(scope, budget).await
    }

    async fn budget(&self, scope: &Scope, budget: &BudgetId) -> Result<StoredBudget, Error> {
        budgets::get(&self.postgres, &scope.tenant_id, &scope.swarm_id, budget)
            .await?
            .ok_or(Error::NotFound(Refusal::UnknownBudget))
    }

    /// Reserves units of a task's budget.
    ///
    /// # Errors
    /// [`Error::Budget`]: it has not that much left, and waits for a person now. [`Error::LeaseLost`]: stop.
    pub async fn reserve(&self, scope: &Scope, task: &TaskId, holder: &Holder, units: i64) -> Result<Reserved, Error> {
        let id = uuid::Uuid::now_v7().to_string();
        let payload = json!({ "taskId": task, "agentId": holder.agent_id, "fencingToken": holder.fencing_token,
            "reservationId": id, "units": units });
        let event = self.event(scope, None, EventType::BudgetReserved, &holder.agent_id, payload)?;
        let (answer, ..) = self.one(event).await?;
        reserved(&answer, units)
    }

    /// Says what was spent of a reservation; the rest is free again.
    ///
    /// # Errors
    /// No more can be settled than was reserved. [`Error::LeaseLost`]: stop.
    pub async fn settle(
        &self,
        scope: &Scope,
        task: &TaskId,
        holder: &Holder,
        reservation: &str,
        units: i64,
    ) -> Result<Reserved, Error> {
        let payload = json!({ "taskId": task, "agentId": holder.agent_id, "fencingToken": holder.fencing_token,
            "reservationId": reservation, "units": units });
        let event = self.event(scope, None, EventType::BudgetSettled, &holder.agent_id, payload)?;
        let (answer, ..) = self.one(event).await?;
        reserved(&answer, units)
    }
}

fn reserved(answer: &Answer, units: i64) -> Result<Reserved, Error> {
    let view = answer.view.as_ref().ok_or(Error::Publish(publish::Error::Closed))?;
    let (id, _) = view
        .reservation
        .clone()
        .ok_or(Error::NotFound(Refusal::UnknownReservation))?;
    Ok(Reserved {
        reservation_id: id,
        units,
        available: view.available.unwrap_or(0),
    })
}
