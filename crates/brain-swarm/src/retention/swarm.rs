//! One batch of one swarm: its oldest events with the tasks that they ended, then its runs and budgets.
//!
//! Invariants: everything happens under the row lock of the swarm, as ingest does, so the two agree; `pruned_seq` rises in the
//! transaction in which the events go; a task and the event that ended it go together.

use brain_connectivity::postgres::{self, Postgres};
use deadpool_postgres::Transaction;
use jiff::Timestamp;

use super::{
    BATCH, begin,
    rule::{self, Candidate, Hold, Limits},
};
use crate::ids::{StreamName, SwarmId, TenantId};

pub(super) type SwarmKey = (TenantId, SwarmId);

/// What a batch of events removed.
#[derive(Debug, Default)]
pub(super) struct Pruned {
    pub(super) events: u64,
    pub(super) tasks: u64,
    /// Why the batch ended before it was full; `None`: there may be more.
    pub(super) stopped: Option<Stop>,
}

/// Why a swarm has nothing more to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its history ends here.
    End,
    /// The next event must stay.
    Held(Hold),
}

/// The event that created the oldest open task. Not under the lock, because it reads every open task: one that is created
/// later stands behind, and one that is opened again is seen by the events that speak of it.
pub(super) async fn first_open_task(
    postgres: &Postgres,
    (tenant, swarm): &SwarmKey,
) -> Result<Option<i64>, postgres::Error> {
    let mut client = postgres.client().await?;
    let transaction = begin(&mut client).await?;
    let select = transaction
        .prepare_cached(include_str!("../sql/select_first_open_task.sql"))
        .await?;
    let row = transaction
        .query_one(&select, &[&tenant.as_str(), &swarm.as_str()])
        .await?;
    transaction.commit().await?;
    Ok(row.get(0))
}

/// Removes a batch of events and the tasks that they ended.
pub(super) async fn prune_events(
    postgres: &Postgres,
    key: &SwarmKey,
    stream: &StreamName,
    cutoff: Timestamp,
    open_task: Option<i64>,
) -> Result<Pruned, postgres::Error> {
    let (tenant, swarm) = (key.0.as_str(), key.1.as_str());
    let mut client = postgres.client().await?;
    let transaction = begin(&mut client).await?;
    let Some(pruned_seq) = lock(&transaction, key).await? else {
        return Ok(Pruned {
            stopped: Some(Stop::End),
            ..Pruned::default()
        });
    };
    let limits = limits(&transaction, key, stream, cutoff, open_task).await?;
    let (first_kept, kept_by) = limits.first_kept().unwrap_or((i64::MAX, Hold::Age));
    let select = transaction
        .prepare_cached(include_str!("../sql/select_prune_candidates.sql"))
        .await?;
    let rows = transaction
        .query(&select, &[&tenant, &swarm, &pruned_seq, &first_kept, &cutoff, &BATCH])
        .await?;
    let candidates: Vec<Candidate> = rows
        .iter()
        .map(|row| Candidate {
            seq: row.get(0),
            stored_at: row.get(1),
            entry: row.get::<_, Option<&str>>(2).and_then(|entry| entry.parse().ok()),
            held: row.get(3),
        })
        .collect();
    let (count, hold) = rule::prunable(&limits, cutoff, &candidates);
    let stopped = match hold {
        Some(hold) => Some(Stop::Held(hold)),
        None if i64::try_from(count).is_ok_and(|count| count >= BATCH) => None,
        None if first_kept < i64::MAX => Some(Stop::Held(kept_by)),
        None => Some(Stop::End),
    };
    let Some(last) = candidates[..count].last() else {
        return Ok(Pruned {
            stopped,
            ..Pruned::default()
        });
    };
    let ended: Vec<&str> = rows[..count].iter().filter_map(|row| row.get(4)).collect();
    let mut tasks = 0;
    if !ended.is_empty() {
        let delete = transaction
            .prepare_cached(include_str!("../sql/delete_ended_tasks.sql"))
            .await?;
        let gone: i64 = transaction.query_one(&delete, &[&tenant, &swarm, &ended]).await?.get(0);
        tasks = u64::try_from(gone).unwrap_or(0);
    }
    let delete = transaction
        .prepare_cached(include_str!("../sql/delete_old_events.sql"))
        .await?;
    let events = transaction
        .execute(&delete, &[&tenant, &swarm, &last.seq, &pruned_seq])
        .await?;
    transaction.commit().await?;
    Ok(Pruned { events, tasks, stopped })
}

/// Removes a batch of runs that are over. Returns how many.
pub(super) async fn prune_runs(postgres: &Postgres, key: &SwarmKey, cutoff: Timestamp) -> Result<u64, postgres::Error> {
    let mut client = postgres.client().await?;
    let transaction = begin(&mut client).await?;
    let Some(pruned_seq) = lock(&transaction, key).await? else {
        return Ok(0);
    };
    let delete = transaction
        .prepare_cached(include_str!("../sql/delete_old_runs.sql"))
        .await?;
    let gone = transaction
        .execute(
            &delete,
            &[&key.0.as_str(), &key.1.as_str(), &cutoff, &pruned_seq, &BATCH],
        )
        .await?;
    transaction.commit().await?;
    Ok(gone)
}

/// Removes a batch of budgets that nothing belongs to. Returns how many.
pub(super) async fn prune_budgets(
    postgres: &Postgres,
    key: &SwarmKey,
    cutoff: Timestamp,
) -> Result<u64, postgres::Error> {
    let mut client = postgres.client().await?;
    let transaction = begin(&mut client).await?;
    if lock(&transaction, key).await?.is_none() {
        return Ok(0);
    }
    let delete = transaction
        .prepare_cached(include_str!("../sql/delete_old_budgets.sql"))
        .await?;
    let gone = transaction
        .execute(&delete, &[&key.0.as_str(), &key.1.as_str(), &cutoff, &BATCH])
        .await?;
    transaction.commit().await?;
    Ok(gone)
}

/// Locks the swarm. Returns how much of it is gone already.
async fn lock(transaction: &Transaction<'_>, (tenant, swarm): &SwarmKey) -> Result<Option<i64>, postgres::Error> {
    let lock = transaction
        .prepare_cached(include_str!("../sql/lock_pruned_swarm.sql"))
        .await?;
    let row = transaction
        .query_opt(&lock, &[&tenant.as_str(), &swarm.as_str()])
        .await?;
    Ok(row.map(|row| row.get(0)))
}

async fn limits(
    transaction: &Transaction<'_>,
    (tenant, swarm): &SwarmKey,
    stream: &StreamName,
    cutoff: Timestamp,
    open_task: Option<i64>,
) -> Result<Limits, postgres::Error> {
    let select = transaction
        .prepare_cached(include_str!("../sql/select_prune_limits.sql"))
        .await?;
    let row = transaction
        .query_one(&select, &[&tenant.as_str(), &swarm.as_str(), &stream.as_str(), &cutoff])
        .await?;
    Ok(Limits {
        outbox: row.get(0),
        open_run: row.get(1),
        open_task,
        cursor: row.get::<_, Option<&str>>(2).and_then(|cursor| cursor.parse().ok()),
    })
}
