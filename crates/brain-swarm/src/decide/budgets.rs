//! Budgets: what a tree of tasks may spend is reserved before it is spent.
//!
//! Invariant: `reserved + spent` never exceeds `max_units`, whoever asks and in whatever order.

use serde_json::{Value, json};

use super::{Decision, FollowUp, Refusal, State, number, task::words, tasks::held, text};
use crate::{
    event::{Event, EventType},
    ids::{BudgetId, FencingToken, TaskId},
};

words! {
    /// Where a budget stands.
    BudgetState, "a budget state" {
        /// It gives.
        Open = "open",
        /// It was asked for more than it has: a person must raise or stop it.
        Paused = "paused",
        /// It is over, and so is its tree.
        Stopped = "stopped",
    }
}

/// A budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Its id.
    pub id: BudgetId,
    /// What its units count.
    pub unit: String,
    /// How many there are.
    pub max_units: i64,
    /// How many are promised to tasks that have not said yet what they spent.
    pub reserved: i64,
    /// How many are gone.
    pub spent: i64,
    /// Where it stands.
    pub state: BudgetState,
}

impl Budget {
    /// What it can still give.
    #[must_use]
    pub const fn available(&self) -> i64 {
        self.max_units - self.reserved - self.spent
    }
}

/// Units promised to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Its id.
    pub id: String,
    /// Of which budget.
    pub budget: BudgetId,
    /// To which task.
    pub task: TaskId,
    /// Under which claim.
    pub token: FencingToken,
    /// How many.
    pub units: i64,
    /// What was spent of them; `None` while that is open.
    pub settled: Option<i64>,
}

fn budget_id(event: &Event) -> Option<BudgetId> {
    text(&event.payload, "budgetId").and_then(|id| BudgetId::new(id).ok())
}

/// A budget appears.
pub(super) fn created(state: &mut State, event: &Event) -> Decision {
    let Some(id) = budget_id(event) else {
        return Refusal::UnknownBudget.into();
    };
    if state.budget(&id).is_some() {
        return Refusal::BudgetExists.into();
    }
    state.create_budget(Budget {
        id,
        unit: text(&event.payload, "unit").unwrap_or_else(|| "units".to_owned()),
        max_units: number(&event.payload, "maxUnits").unwrap_or(0),
        reserved: 0,
        spent: 0,
        state: BudgetState::Open,
    });
    Decision::default()
}

/// The holder of a task asks for units. What does not fit pauses the budget.
pub(super) fn reserved(state: &mut State, event: &Event) -> Decision {
    let task = match held(state, event) {
        Ok(id) => id,
        Err(Refusal::Repeated) => return Refusal::LeaseLost.into(),
        Err(refusal) => return refusal.into(),
    };
    let (Some(id), Some(units)) = (text(&event.payload, "reservationId"), number(&event.payload, "units")) else {
        return Refusal::UnknownReservation.into();
    };
    let Some(stored) = state.task(&task) else {
        return Refusal::UnknownTask.into();
    };
    if let Some(known) = state.reservation(&id) {
        // What an earlier attempt reserved is over: it is not reserved for this one.
        return if known.task == task && known.units == units && known.token == stored.token {
            Decision::repeated()
        } else {
            Refusal::UnknownReservation.into()
        };
    }
    let (token, run, origin) = (stored.token, stored.run_id.clone(), stored.origin.clone());
    let Some(budget) = stored.budget.as_ref().and_then(|id| state.budget(id)).cloned() else {
        return Refusal::NoBudget.into();
    };
    match budget.state {
        BudgetState::Stopped => return Refusal::BudgetStopped.into(),
        BudgetState::Paused => return Refusal::BudgetPaused.into(),
        BudgetState::Open if units > budget.available() => {
            state.edit_budget(&budget.id, |budget| budget.state = BudgetState::Paused);
            let payload = json!({ "budgetId": budget.id, "taskId": task, "units": units, "available": budget.available(),
                "maxUnits": budget.max_units, "unit": budget.unit });
            return Decision {
                follow_ups: vec![FollowUp {
                    kind: EventType::BudgetExhausted,
                    run_id: run,
                    payload,
                    origin: Some(origin),
                    ends: None,
                    attempt: None,
                }],
                ..Decision::refused(Refusal::BudgetExhausted)
            };
        }
        BudgetState::Open => {}
    }
    state.edit_budget(&budget.id, |budget| budget.reserved += units);
    state.update(&task, |task| task.reserved_units += units);
    state.put_reservation(Reservation {
        id,
        budget: budget.id,
        task,
        token,
        units,
        settled: None,
    });
    Decision::default()
}

/// The holder of a task says what it spent of a reservation; the rest is free again.
pub(super) fn settled(state: &mut State, event: &Event) -> Decision {
    let task = match held(state, event) {
        Ok(id) => id,
        Err(Refusal::Repeated) => return Refusal::LeaseLost.into(),
        Err(refusal) => return refusal.into(),
    };
    let known = text(&event.payload, "reservationId").and_then(|id| state.reservation(&id).cloned());
    let token = state.task(&task).map(|task| task.token);
    let Some(known) = known.filter(|known| known.task == task && Some(known.token) == token) else {
        return Refusal::UnknownReservation.into();
    };
    let spent = event
        .payload
        .get("units")
        .and_then(Value::as_i64)
        .unwrap_or(known.units);
    match known.settled {
        Some(settled) if settled == spent => return Decision::repeated(),
        Some(_) => return Refusal::UnknownReservation.into(),
        None if spent > known.units => return Refusal::MoreThanReserved.into(),
        None => {}
    }
    state.edit_budget(&known.budget, |budget| {
        budget.reserved -= known.units;
        budget.spent += spent;
    });
    state.update(&task, |task| task.reserved_units -= known.units);
    state.put_reservation(Reservation {
        settled: Some(spent),
        ..known
    });
    Decision::default()
}

/// A person gives more; a paused budget is open again. Its waiting tasks are let go on by [`super::settle`].
pub(super) fn raised(state: &mut State, event: &Event) -> Decision {
    let Some(budget) = budget_id(event).and_then(|id| state.budget(&id)).cloned() else {
        return Refusal::UnknownBudget.into();
    };
    let max_units = number(&event.payload, "maxUnits").unwrap_or(budget.max_units);
    if budget.state == BudgetState::Stopped {
        return Refusal::BudgetStopped.into();
    }
    if max_units < budget.reserved + budget.spent {
        return Refusal::BudgetTooSmall.into();
    }
    state.edit_budget(&budget.id, |budget| {
        budget.max_units = max_units;
        budget.state = BudgetState::Open;
    });
    Decision::default()
}

/// A person stops a budget. The tasks of its tree are cancelled by [`super::settle`].
pub(super) fn stopped(state: &mut State, event: &Event) -> Decision {
    let Some(budget) = budget_id(event).and_then(|id| state.budget(&id)) else {
        return Refusal::UnknownBudget.into();
    };
    if budget.state == BudgetState::Stopped {
        return Decision::repeated();
    }
    let id = budget.id.clone();
    state.edit_budget(&id, |budget| budget.state = BudgetState::Stopped);
    Decision::default()
}
