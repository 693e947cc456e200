//! A swarm at a glance: what is open, who is there, and how the last hour went.
//!
//! Invariant: each question has a bound that does not grow with the history of the swarm.

use brain_connectivity::postgres::{self, Postgres};
use jiff::{SignedDuration, Timestamp};

use crate::ids::{SwarmId, TenantId};

/// How far anything is counted.
pub const MOST: i64 = 10_000;
/// Events of each minute that are looked at for ends of tasks.
const SAMPLE: i64 = 200;

/// How many there are, up to [`MOST`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tasks that wait.
    pub created: i64,
    /// Tasks that an agent has and has not begun.
    pub assigned: i64,
    /// Tasks that are worked on.
    pub running: i64,
    /// Tasks that ended well; of all runs, up to [`MOST`] runs.
    pub completed: i64,
    /// Tasks that ended badly.
    pub failed: i64,
    /// Tasks that were called off.
    pub cancelled: i64,
    /// Agents that were heard lately and take tasks.
    pub live: i64,
    /// Agents that were heard lately and take nothing new.
    pub draining: i64,
    /// Agents that were not heard any more.
    pub lost: i64,
    /// Dead letters of the tenant that nobody has decided about.
    pub parked: i64,
}

/// A minute of the last hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Minute {
    /// When it began.
    pub begins: Timestamp,
    /// Events that were stored in it.
    pub events: i64,
    /// Ends of tasks in the sample of it.
    pub ended: i64,
    /// Of them those that ended well.
    pub completed: i64,
    /// How long 95 of 100 of them took at most, from creation to end.
    pub p95: Option<SignedDuration>,
}

/// Counts what is there now.
///
/// # Errors
/// Those of the database.
pub async fn counts(postgres: &Postgres, tenant: &TenantId, swarm: &SwarmId) -> Result<Counts, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client
        .prepare_cached(include_str!("sql/select_swarm_counts.sql"))
        .await?;
    let rows = client
        .query(&statement, &[&tenant.as_str(), &swarm.as_str(), &MOST])
        .await?;
    let mut counts = Counts::default();
    for row in rows {
        let (word, number): (&str, i64) = (row.get(1), row.get(2));
        let place = match word {
            "created" => &mut counts.created,
            "assigned" => &mut counts.assigned,
            "running" => &mut counts.running,
            "completed" => &mut counts.completed,
            "failed" => &mut counts.failed,
            "cancelled" => &mut counts.cancelled,
            "live" => &mut counts.live,
            "draining" => &mut counts.draining,
            "lost" => &mut counts.lost,
            _ => &mut counts.parked,
        };
        *place = number;
    }
    Ok(counts)
}

/// The last hour, minute by minute, the running one last; nothing for a swarm that nobody knows.
///
/// # Errors
/// Those of the database.
pub async fn last_hour(
    postgres: &Postgres,
    tenant: &TenantId,
    swarm: &SwarmId,
) -> Result<Vec<Minute>, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client
        .prepare_cached(include_str!("sql/select_minute_bounds.sql"))
        .await?;
    let rows = client.query(&statement, &[&tenant.as_str(), &swarm.as_str()]).await?;
    let firsts: Vec<i64> = rows.iter().map(|row| row.get(1)).collect();
    let end = rows.first().map_or(1, |row| row.get::<_, i64>(2) + 1);
    let nexts: Vec<i64> = firsts.iter().skip(1).copied().chain([end]).collect();
    let mut minutes: Vec<Minute> = rows
        .iter()
        .zip(firsts.iter().zip(&nexts))
        .map(|(row, (first, next))| Minute {
            begins: row.get(0),
            events: (next - first).max(0),
            ended: 0,
            completed: 0,
            p95: None,
        })
        .collect();
    let statement = client
        .prepare_cached(include_str!("sql/select_minute_latencies.sql"))
        .await?;
    let rows = client
        .query(
            &statement,
            &[&tenant.as_str(), &swarm.as_str(), &firsts, &nexts, &SAMPLE],
        )
        .await?;
    for row in rows {
        let place = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX);
        if let Some(minute) = minutes.get_mut(place) {
            minute.ended = row.get(1);
            minute.completed = row.get(2);
            minute.p95 = row
                .get::<_, Option<f64>>(3)
                .and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok());
        }
    }
    Ok(minutes)
}

/// The swarms of a tenant by name, so many of them at most.
///
/// # Errors
/// Those of the database.
pub async fn swarms(postgres: &Postgres, tenant: &TenantId, limit: usize) -> Result<Vec<SwarmId>, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client
        .prepare_cached(include_str!("sql/select_swarm_names.sql"))
        .await?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = client.query(&statement, &[&tenant.as_str(), &limit]).await?;
    Ok(rows.iter().map(|row| SwarmId::trusted(row.get(0))).collect())
}
