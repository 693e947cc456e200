//! The invariants of the system, checked on live data.
//!
//! Each check counts what breaks its invariant and shows a few examples; none changes anything. Numbers follow the
//! architecture; 8 belongs to governance.

mod audit;
mod streams;

use std::time::Duration;

use brain_connectivity::{
    postgres::{self, Postgres},
    redis::{self, Redis},
};
use serde::Serialize;

/// How many examples of a violation are shown.
const SAMPLES: usize = 5;

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The number of the invariant.
    pub invariant: u8,
    /// What must hold.
    pub title: &'static str,
    /// What was looked at.
    pub checked: String,
    /// How often it does not hold.
    pub violations: u64,
    /// Some of the violations.
    pub samples: Vec<String>,
}

/// Why a check could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database said no, or nothing.
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
    /// Redis said no, or nothing.
    #[error(transparent)]
    Redis(#[from] redis::Error),
}

/// A check in SQL: the first row has how many rows were looked at, all rows have a violation each, if any.
struct SqlCheck {
    invariant: u8,
    title: &'static str,
    unit: &'static str,
    counted: &'static str,
    violations: &'static str,
}

const CHECKS: [SqlCheck; 10] = [
    SqlCheck {
        invariant: 1,
        title: "per swarm, seq runs without gaps or repeats from where it was pruned, or from 1",
        unit: "swarms",
        counted: "SELECT count(*) FROM swarm_sequences",
        violations: include_str!("sql/violations_seq.sql"),
    },
    SqlCheck {
        invariant: 2,
        title: "every derived event names a cause that is stored, or was pruned",
        unit: "events",
        counted: "SELECT count(*) FROM swarm_events",
        violations: include_str!("sql/violations_cause.sql"),
    },
    SqlCheck {
        invariant: 3,
        title: "attempts never exceed the maximum, and what agents, keys and runs count is what there is",
        unit: "agents",
        counted: "SELECT count(*) FROM swarm_agents",
        violations: include_str!("sql/violations_load.sql"),
    },
    SqlCheck {
        invariant: 3,
        title: "a task has at most one live claim, and fencing tokens only grow",
        unit: "starts",
        counted: "SELECT count(*) FROM swarm_events WHERE event_type = 'task.started'",
        violations: include_str!("sql/violations_fencing.sql"),
    },
    SqlCheck {
        invariant: 3,
        title: "no budget is overspent, and what is reserved adds up",
        unit: "budgets",
        counted: "SELECT count(*) FROM swarm_budgets",
        violations: include_str!("sql/violations_budgets.sql"),
    },
    SqlCheck {
        invariant: 4,
        title: "every ended task has exactly one terminal event, and no other takes effect",
        unit: "ended tasks",
        counted: "SELECT count(*) FROM swarm_tasks WHERE status IN ('completed', 'failed', 'cancelled')",
        violations: include_str!("sql/violations_terminal.sql"),
    },
    SqlCheck {
        invariant: 5,
        title: "every outbox row is relayed or younger than the relay deadline",
        unit: "outbox rows",
        counted: "SELECT count(*) FROM swarm_outbox",
        violations: include_str!("sql/violations_outbox.sql"),
    },
    SqlCheck {
        invariant: 7,
        title: "no task is assigned to an unknown agent",
        unit: "tasks",
        counted: "SELECT count(*) FROM swarm_tasks",
        violations: include_str!("sql/violations_assignee.sql"),
    },
    SqlCheck {
        invariant: 7,
        title: "no dependent starts before its dependencies completed",
        unit: "dependencies",
        counted: "SELECT count(*) FROM swarm_task_dependencies",
        violations: include_str!("sql/violations_dependencies.sql"),
    },
    SqlCheck {
        invariant: 8,
        title: "every executed proposal has an approval or an exemption behind it, and is in the audit trail",
        unit: "executions",
        counted: "SELECT count(*) FROM brain_capability_executions",
        violations: include_str!("sql/violations_executions.sql"),
    },
];

/// Checks all invariants. Without `redis` the one about the streams is left out.
///
/// `relay_deadline`: how old an outbox row may be.
///
/// # Errors
/// A check that cannot be made is an error, not a finding.
pub async fn check(
    postgres: &Postgres,
    redis: Option<&Redis>,
    bus: &brain_config::Bus,
    relay_deadline: Duration,
) -> Result<Vec<Finding>, Error> {
    let mut findings = sql_checks(postgres, relay_deadline).await?;
    if let Some(redis) = redis {
        findings.push(streams::check(postgres, redis, bus).await?);
    }
    findings.push(audit::check(postgres).await?);
    findings.sort_by_key(|finding| finding.invariant);
    Ok(findings)
}

async fn sql_checks(postgres: &Postgres, relay_deadline: Duration) -> Result<Vec<Finding>, postgres::Error> {
    // One snapshot, so that the checks do not see each other's future; they read everything, which takes its time.
    let mut client = postgres.client().await?;
    let transaction = client
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    // The checks join whole tables. What the planner believes of new ones would have it look up each row by itself.
    transaction
        .batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '64MB'")
        .await?;
    let mut findings = Vec::with_capacity(CHECKS.len());
    for check in &CHECKS {
        let count: i64 = transaction.query_one(check.counted, &[]).await?.get(0);
        let rows = if check.invariant == 5 {
            transaction
                .query(check.violations, &[&(relay_deadline.as_secs_f64() * 1000.0)])
                .await?
        } else {
            transaction.query(check.violations, &[]).await?
        };
        findings.push(Finding {
            invariant: check.invariant,
            title: check.title,
            checked: format!("{count} {}", check.unit),
            violations: rows.len() as u64,
            samples: rows.iter().take(SAMPLES).map(|row| row.get(0)).collect(),
        });
    }
    transaction.rollback().await?;
    Ok(findings)
}
