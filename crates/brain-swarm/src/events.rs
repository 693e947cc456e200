//! Reading the events of a swarm, in the order in which they were committed.
//!
//! Invariant: what a page leaves out because it is gone, the page says.

use brain_connectivity::postgres::{self, Postgres};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Row;

use crate::ids::{ActorId, EventId, RunId, SwarmId, TaskId, TenantId};

/// How many events one page looks at, at most: a rare filter makes short pages, not slow ones.
const SCAN: i64 = 20_000;

/// Which events to read.
#[derive(Debug, Clone)]
pub struct Query {
    /// Of this tenant.
    pub tenant_id: TenantId,
    /// Of this swarm.
    pub swarm_id: SwarmId,
    /// Of this run.
    pub run_id: Option<RunId>,
    /// Of this type.
    pub kind: Option<String>,
    /// By this actor.
    pub actor_id: Option<ActorId>,
    /// After this `seq`; 0 for all.
    pub after: i64,
    /// At most this many.
    pub limit: usize,
}

/// A stored event, as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Event")]
#[serde(rename_all = "camelCase")]
pub struct StoredEvent {
    /// Its id.
    pub id: EventId,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its swarm.
    pub swarm_id: SwarmId,
    /// Its run.
    pub run_id: RunId,
    /// Who published it.
    pub actor_id: ActorId,
    /// What it says.
    pub payload: Value,
    /// When, by the publisher's clock.
    pub created_at: Timestamp,
    /// Its place in the swarm.
    pub seq: i64,
    /// When it was stored, by the database's clock.
    pub stored_at: Timestamp,
    /// The version of its schema.
    pub schema_version: i16,
    /// The work it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The event that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<EventId>,
    /// The runbook that governs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook_id: Option<String>,
    /// Its W3C trace context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Its W3C trace state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
    /// Why it changed nothing, when it was meant to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Events that were asked for and are gone, because they grew too old. Both numbers are part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// The first that is gone.
    pub from_seq: i64,
    /// The last that is gone.
    pub to_seq: i64,
}

/// Some events, in order of `seq`.
#[derive(Debug, Clone)]
pub struct Page {
    /// What is missing before the events, whatever the query filters: nobody knows any more what it was.
    pub gap: Option<Gap>,
    /// The events.
    pub events: Vec<StoredEvent>,
    /// Read on after this `seq`; `None` when nothing newer exists now. A page may be short and still have one.
    pub next_after: Option<i64>,
    /// The newest `seq` of the swarm; 0 when it has none.
    pub last_seq: i64,
}

/// Reads a page of events.
///
/// # Errors
/// Those of the database.
pub async fn list(postgres: &Postgres, query: &Query) -> Result<Page, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client.prepare_cached(include_str!("sql/select_events.sql")).await?;
    let (tenant, swarm) = (query.tenant_id.as_str(), query.swarm_id.as_str());
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let run = query.run_id.as_ref().map(AsRef::<str>::as_ref);
    let actor = query.actor_id.as_ref().map(AsRef::<str>::as_ref);
    let rows = client
        .query(
            &statement,
            &[&tenant, &swarm, &query.after, &SCAN, &run, &query.kind, &actor, &limit],
        )
        .await?;
    let (last_seq, pruned_seq): (i64, i64) = rows.first().map_or((0, 0), |row| (row.get(15), row.get(16)));
    let events: Vec<StoredEvent> = rows
        .iter()
        .filter(|row| row.get::<_, Option<i64>>(0).is_some())
        .map(|row| stored_event(&query.swarm_id, row))
        .collect();
    let begin = query.after.max(pruned_seq);
    let full = events.len() >= query.limit;
    let reached = if full {
        events.last().map_or(begin, |event| event.seq)
    } else {
        begin.saturating_add(SCAN).min(last_seq)
    };
    Ok(Page {
        gap: (query.after < pruned_seq).then(|| Gap {
            from_seq: query.after + 1,
            to_seq: pruned_seq,
        }),
        next_after: (reached < last_seq).then_some(reached),
        events,
        last_seq,
    })
}

/// The newest events, newest first.
#[derive(Debug, Clone)]
pub struct Latest {
    /// The events.
    pub events: Vec<StoredEvent>,
    /// Read on before this `seq`; `None` when nothing older is stored. A page may be short and still have one.
    pub next_before: Option<i64>,
    /// The newest `seq` of the swarm; 0 when it has none.
    pub last_seq: i64,
}

/// Reads events from the newest on, those before `before` where it is given; `after` of the query is not looked at.
///
/// # Errors
/// Those of the database.
pub async fn latest(postgres: &Postgres, query: &Query, before: Option<i64>) -> Result<Latest, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client
        .prepare_cached(include_str!("sql/select_latest_events.sql"))
        .await?;
    let (tenant, swarm) = (query.tenant_id.as_str(), query.swarm_id.as_str());
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let run = query.run_id.as_ref().map(AsRef::<str>::as_ref);
    let actor = query.actor_id.as_ref().map(AsRef::<str>::as_ref);
    let before = before.unwrap_or(i64::MAX);
    let rows = client
        .query(
            &statement,
            &[&tenant, &swarm, &before, &SCAN, &run, &query.kind, &actor, &limit],
        )
        .await?;
    let (last_seq, pruned_seq): (i64, i64) = rows.first().map_or((0, 0), |row| (row.get(15), row.get(16)));
    let events: Vec<StoredEvent> = rows
        .iter()
        .filter(|row| row.get::<_, Option<i64>>(0).is_some())
        .map(|row| stored_event(&query.swarm_id, row))
        .collect();
    let begin = before.min(last_seq + 1);
    let reached = if events.len() >= query.limit {
        events.last().map_or(begin, |event| event.seq)
    } else {
        begin.saturating_sub(SCAN)
    };
    Ok(Latest {
        events,
        next_before: (reached > pruned_seq + 1).then_some(reached),
        last_seq,
    })
}

/// Reads the events that name a task, oldest first: those among the first 20,000 after its creation, up to `limit`, and the one
/// that ended it. Nothing for a task that nobody knows.
///
/// # Errors
/// Those of the database.
pub async fn of_task(
    postgres: &Postgres,
    (tenant, swarm): (&TenantId, &SwarmId),
    task: &TaskId,
    limit: usize,
) -> Result<Vec<StoredEvent>, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client
        .prepare_cached(include_str!("sql/select_task_events.sql"))
        .await?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = client
        .query(
            &statement,
            &[&tenant.as_str(), &swarm.as_str(), &task.as_str(), &SCAN, &limit],
        )
        .await?;
    Ok(rows.iter().map(|row| stored_event(swarm, row)).collect())
}

/// Reads what a statement finds that was said to somebody after that number.
pub(crate) async fn messages(
    postgres: &Postgres,
    sql: &str,
    (tenant, swarm): (&TenantId, &SwarmId),
    to: &str,
    after: i64,
    limit: usize,
) -> Result<Vec<StoredEvent>, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client.prepare_cached(sql).await?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = client
        .query(&statement, &[&tenant.as_str(), &swarm.as_str(), &to, &after, &limit])
        .await?;
    Ok(rows.iter().map(|row| stored_event(swarm, row)).collect())
}

fn stored_event(swarm: &SwarmId, row: &Row) -> StoredEvent {
    StoredEvent {
        seq: row.get(0),
        id: EventId::trusted(row.get(1)),
        kind: row.get(2),
        swarm_id: swarm.clone(),
        schema_version: row.get(3),
        run_id: RunId::trusted(row.get(4)),
        actor_id: ActorId::trusted(row.get(5)),
        payload: row.get(6),
        correlation_id: row.get(7),
        causation_id: row.get::<_, Option<&str>>(8).map(EventId::trusted),
        runbook_id: row.get(9),
        traceparent: row.get(10),
        tracestate: row.get(11),
        created_at: row.get(12),
        stored_at: row.get(13),
        note: row.get(14),
    }
}
