//! Rows of the database as what decisions are made of.

use serde_json::Value;
use tokio_postgres::Row;

use crate::{
    decide::{
        Agent, Budget, BudgetState, DependencyPolicy, Dependent, Key, Lease, Origin, Reservation, Run, RunState, State,
        Task, TaskStatus, Totals,
    },
    event::Context,
    ids::{ActorId, BudgetId, EventId, FencingToken, RunId, TaskId},
};

/// A row of `task_state_columns.sql`: the task with its concurrency key, budget and run.
pub(super) fn put_task(state: &mut State, row: &Row) {
    let (lease_ms, expires_at): (Option<i32>, Option<jiff::Timestamp>) = (row.get(16), row.get(17));
    let task = Task {
        id: TaskId::trusted(row.get(2)),
        run_id: RunId::trusted(row.get(3)),
        status: row.get::<_, &str>(4).parse().unwrap_or(TaskStatus::Cancelled),
        waiting_for: row.get::<_, Option<&str>>(5).and_then(|word| word.parse().ok()),
        run_at: row.get(6),
        assignee: row.get::<_, Option<&str>>(7).map(ActorId::trusted),
        wanted_agent: row.get::<_, Option<&str>>(8).map(ActorId::trusted),
        role: row.get(9),
        capability: row.get(10),
        priority: row.get(11),
        position: row.get(12),
        attempt: row.get(13),
        max_attempts: row.get(14),
        token: FencingToken(row.get(15)),
        lease: expires_at.map(|expires_at| Lease {
            expires_at,
            ms: lease_ms.unwrap_or(0),
        }),
        concurrency_key: row.get(18),
        parent: row.get::<_, Option<&str>>(19).map(TaskId::trusted),
        budget: row.get::<_, Option<&str>>(20).map(BudgetId::trusted),
        reserved_units: row.get(21),
        unmet: row.get(22),
        policy: row.get::<_, &str>(23).parse().unwrap_or(DependencyPolicy::Cancel),
        backoff: row
            .get::<_, Option<Value>>(24)
            .and_then(|given| serde_json::from_value(given).ok())
            .unwrap_or_default(),
        inputs: row
            .get::<_, Option<&str>>(45)
            .and_then(|text| serde_json::from_str(text).ok()),
        outputs: None,
        error: None,
        progress: row
            .get::<_, Option<&str>>(46)
            .and_then(|text| serde_json::from_str(text).ok()),
        ended_attempts: Vec::new(),
        started_at: row.get(30),
        origin: Origin {
            event_id: EventId::trusted(row.get(25)),
            context: Context {
                correlation_id: row.get(26),
                causation_id: None,
                runbook_id: row.get(27),
                traceparent: row.get(28),
                tracestate: row.get(29),
            },
        },
    };
    if let (Some(name), Some(limit)) = (&task.concurrency_key, row.get::<_, Option<i32>>(31)) {
        let key = Key {
            limit,
            held: row.get(32),
            ready: row.get(33),
        };
        state.load_key(name, key);
    }
    if let (Some(id), Some(unit)) = (&task.budget, row.get::<_, Option<String>>(34)) {
        state.load_budget(Budget {
            id: id.clone(),
            unit,
            max_units: row.get(35),
            reserved: row.get(36),
            spent: row.get(37),
            state: row.get::<_, &str>(38).parse().unwrap_or(BudgetState::Stopped),
        });
    }
    if let Some(word) = row.get::<_, Option<&str>>(39) {
        state.load_run(Run {
            state: word.parse().unwrap_or(RunState::Open),
            tasks: Totals {
                created: row.get(41),
                completed: row.get(42),
                failed: row.get(43),
                cancelled: row.get(44),
            },
            ..Run::new(task.run_id.clone(), row.get(40))
        });
    }
    state.load_task(task);
}

pub(super) fn agent(row: &Row) -> Agent {
    Agent {
        id: ActorId::trusted(row.get(2)),
        run_id: RunId::trusted(row.get(3)),
        role: row.get(4),
        capabilities: row.get(5),
        capacity: row.get(6),
        live: row.get::<_, &str>(7) == "live",
        load: row.get(8),
        last_seen_at: row.get(9),
        pulls: row.get::<_, &str>(10) == "pull",
        draining: row.get(11),
    }
}

pub(super) fn put_edge(state: &mut State, row: &Row) {
    let dependent = Dependent {
        task: TaskId::trusted(row.get(2)),
        satisfied: row.get(4),
    };
    state.load_dependent(TaskId::trusted(row.get(3)), dependent);
}

pub(super) fn put_key(state: &mut State, row: &Row) {
    let key = Key {
        limit: row.get(3),
        held: row.get(4),
        ready: row.get(5),
    };
    state.load_key(row.get(2), key);
}

pub(super) fn budget(row: &Row) -> Budget {
    Budget {
        id: BudgetId::trusted(row.get(2)),
        unit: row.get(3),
        max_units: row.get(4),
        reserved: row.get(5),
        spent: row.get(6),
        state: row.get::<_, &str>(7).parse().unwrap_or(BudgetState::Stopped),
    }
}

pub(super) fn reservation(row: &Row) -> Reservation {
    Reservation {
        id: row.get(2),
        budget: BudgetId::trusted(row.get(3)),
        task: TaskId::trusted(row.get(4)),
        token: FencingToken(row.get(5)),
        units: row.get(6),
        settled: row.get(7),
    }
}

pub(super) fn run(row: &Row) -> Run {
    Run {
        state: row.get::<_, &str>(3).parse().unwrap_or(RunState::Open),
        tasks: Totals {
            created: row.get(5),
            completed: row.get(6),
            failed: row.get(7),
            cancelled: row.get(8),
        },
        ..Run::new(RunId::trusted(row.get(2)), row.get(4))
    }
}
