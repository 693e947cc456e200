//! Storing and reading schedules.
//!
//! Invariant: what is planned is kept as long as cron, time zone and `enabled` say the same; so putting a schedule again, as
//! each start of a program may do, loses no firing.

use brain_connectivity::postgres::{self, Postgres};
use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;

use super::{Clock, Definition, Key, MissedRuns, Schedule};
use crate::ids::{ActorId, ScheduleId, SwarmId, TaskId, TenantId};

/// Which schedules to read.
#[derive(Debug, Clone)]
pub struct Query {
    /// Of this tenant.
    pub tenant_id: TenantId,
    /// Of this swarm.
    pub swarm_id: SwarmId,
    /// With an id after this one.
    pub after: Option<ScheduleId>,
    /// At most this many.
    pub limit: usize,
}

/// Some schedules, in order of id.
#[derive(Debug, Clone)]
pub struct Page {
    /// The schedules.
    pub schedules: Vec<Schedule>,
    /// Read on after this one; `None` at the end.
    pub next: Option<ScheduleId>,
}

/// Stores a schedule, new or in place of the one with its id. Ring the [`Handle`](super::Handle) of the service afterwards.
///
/// # Errors
/// Those of the database.
pub async fn put(postgres: &Postgres, clock: Clock, definition: &Definition) -> Result<Schedule, postgres::Error> {
    let client = postgres.client().await?;
    let now = "SELECT clock_timestamp() + $1::bigint * interval '1 microsecond'";
    let now: Timestamp = client.query_one(now, &[&clock.offset_micros()]).await?.get(0);
    let next_at = definition.calendar.after(now).filter(|_| definition.enabled);
    let statement = client
        .prepare_cached(include_str!("../sql/upsert_schedule.sql"))
        .await?;
    let Key {
        tenant_id,
        swarm_id,
        schedule_id,
    } = &definition.key;
    let row = client
        .query_one(
            &statement,
            &[
                &tenant_id.as_str(),
                &swarm_id.as_str(),
                &schedule_id.as_str(),
                &definition.calendar.cron(),
                &definition.calendar.time_zone(),
                &definition.missed_runs.as_str(),
                &Value::Object(definition.template.task.clone()),
                &definition.enabled,
                &next_at,
                &definition.template.actor_id.as_str(),
            ],
        )
        .await?;
    Ok(schedule(&row))
}

/// Reads one schedule.
///
/// # Errors
/// Those of the database.
pub async fn get(postgres: &Postgres, key: &Key) -> Result<Option<Schedule>, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client
        .prepare_cached(include_str!("../sql/select_schedule.sql"))
        .await?;
    let (tenant, swarm) = (key.tenant_id.as_str(), key.swarm_id.as_str());
    let row = client
        .query_opt(&statement, &[&tenant, &swarm, &key.schedule_id.as_str()])
        .await?;
    Ok(row.as_ref().map(schedule))
}

/// Reads a page of schedules.
///
/// # Errors
/// Those of the database.
pub async fn list(postgres: &Postgres, query: &Query) -> Result<Page, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client
        .prepare_cached(include_str!("../sql/select_schedule_page.sql"))
        .await?;
    let (tenant, swarm) = (query.tenant_id.as_str(), query.swarm_id.as_str());
    let after = query.after.as_ref().map_or("", ScheduleId::as_str);
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX).saturating_add(1);
    let rows = client.query(&statement, &[&tenant, &swarm, &after, &limit]).await?;
    let more = rows.len() > query.limit;
    let schedules: Vec<Schedule> = rows.iter().take(query.limit).map(schedule).collect();
    Ok(Page {
        next: schedules.last().filter(|_| more).map(|last| last.schedule_id.clone()),
        schedules,
    })
}

/// Removes a schedule, and says whether it was there. The tasks it created stay.
///
/// # Errors
/// Those of the database.
pub async fn delete(postgres: &Postgres, key: &Key) -> Result<bool, postgres::Error> {
    let client = postgres.client().await?;
    let delete = "DELETE FROM swarm_schedules WHERE tenant_id = $1 AND swarm_id = $2 AND schedule_id = $3";
    let (tenant, swarm) = (key.tenant_id.as_str(), key.swarm_id.as_str());
    let deleted = client
        .execute(delete, &[&tenant, &swarm, &key.schedule_id.as_str()])
        .await?;
    Ok(deleted == 1)
}

fn schedule(row: &Row) -> Schedule {
    Schedule {
        schedule_id: ScheduleId::trusted(row.get(0)),
        swarm_id: SwarmId::trusted(row.get(1)),
        cron: row.get(2),
        time_zone: row.get(3),
        // The table takes no other word.
        missed_runs: row.get::<_, &str>(4).parse().unwrap_or(MissedRuns::Skip),
        task: row.get(5),
        enabled: row.get(6),
        actor_id: ActorId::trusted(row.get(7)),
        next_at: row.get(8),
        last_fired_at: row.get(9),
        last_task_id: row.get::<_, Option<&str>>(10).map(TaskId::trusted),
        created_at: row.get(11),
        updated_at: row.get(12),
    }
}
