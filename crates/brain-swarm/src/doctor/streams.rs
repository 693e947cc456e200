//! Invariant 6: nothing acknowledged in Redis is missing from both events and dead letters.
//!
//! What was stored before the cutoff of a retention pass may be gone, so entries from before it are not missed.

use std::collections::{HashMap, HashSet};

use brain_connectivity::{
    postgres::{self, Postgres},
    redis::{self, Redis},
};
use fred::{interfaces::StreamsInterface as _, types::Value};
use serde::Deserialize;

use super::{Error, Finding, SAMPLES};
use crate::{
    bus::{StreamNames, reader},
    ids::{EntryId, StreamName},
    retention,
};

/// Entries of one page.
const PAGE: u64 = 1000;
/// Entries of one stream that are looked at, from its start.
const ENTRIES: usize = 100_000;

/// What of an entry the check needs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Names {
    id: String,
    swarm_id: String,
}

pub(super) async fn check(postgres: &Postgres, redis: &Redis, bus: &brain_config::Bus) -> Result<Finding, Error> {
    let mut checked = 0;
    let mut missing = Vec::new();
    for stream in StreamNames::new(bus).all() {
        let (count, lost) = check_stream(postgres, redis, bus, stream).await?;
        checked += count;
        missing.extend(
            lost.into_iter()
                .map(|entry| format!("{stream}: entry {entry} is acknowledged but neither stored nor a dead letter")),
        );
    }
    Ok(Finding {
        invariant: 6,
        title: "nothing acknowledged in Redis is missing from both events and dead letters",
        checked: format!("{checked} stream entries"),
        violations: missing.len() as u64,
        samples: missing.into_iter().take(SAMPLES).collect(),
    })
}

async fn check_stream(
    postgres: &Postgres,
    redis: &Redis,
    bus: &brain_config::Bus,
    stream: &StreamName,
) -> Result<(usize, Vec<String>), Error> {
    let commands = redis.commands();
    let exists: u64 = commands.xlen(stream.as_str()).await.map_err(redis::Error::from)?;
    if exists == 0 {
        return Ok((0, Vec::new()));
    }
    let groups: Vec<HashMap<String, Value>> = commands
        .xinfo_groups(stream.as_str())
        .await
        .map_err(redis::Error::from)?;
    let own = groups
        .iter()
        .find(|group| group.get("name").and_then(Value::as_string).as_deref() == Some(bus.group.as_str()));
    let Some(reached) = own
        .and_then(|group| group.get("last-delivered-id"))
        .and_then(Value::as_str)
        .and_then(|id| id.parse::<EntryId>().ok())
    else {
        return Ok((0, Vec::new()));
    };
    let pending = pending(redis, bus, stream).await?;
    let cutoff = retention::newest_cutoff(&**postgres.client().await?)
        .await
        .map_err(postgres::Error::from)?;
    let may_be_gone = |id: &str| {
        let id: Option<EntryId> = id.parse().ok();
        id.zip(cutoff)
            .is_some_and(|(id, cutoff)| i64::try_from(id.ms).is_ok_and(|ms| ms < cutoff.as_millisecond()))
    };
    let mut from = "-".to_owned();
    let mut checked = 0;
    let mut missing = Vec::new();
    while checked < ENTRIES {
        let page: Value = commands
            .xrange(stream.as_str(), from.as_str(), reached.to_string(), Some(PAGE))
            .await
            .map_err(redis::Error::from)?;
        let entries: Vec<_> = page.into_array().into_iter().filter_map(reader::entry_of).collect();
        let Some(last) = entries.last().map(|entry| entry.id) else {
            break;
        };
        let mut ids = Vec::new();
        let mut tenants = Vec::new();
        let mut swarms = Vec::new();
        let mut events = Vec::new();
        let mut seqs = Vec::new();
        for entry in entries.iter().filter(|entry| !pending.contains(&entry.id)) {
            let names = entry
                .event()
                .and_then(|json| serde_json::from_slice::<Names>(json).ok());
            // What no id can be is stored under no id, and PostgreSQL could not even be asked about it.
            let names = names.filter(|names| !names.id.contains('\0') && !names.swarm_id.contains('\0'));
            ids.push(entry.id.to_string());
            // Without a tenant it can only be a dead letter.
            tenants.push(entry.tenant().ok().map(|tenant| tenant.to_string()));
            swarms.push(names.as_ref().map(|names| names.swarm_id.clone()));
            events.push(names.map(|names| names.id));
            seqs.push(entry.relay_mark().map(|mark| mark.seq));
        }
        checked += ids.len();
        let client = postgres.client().await?;
        let rows = client
            .query(
                include_str!("../sql/select_entry_fates.sql"),
                &[&stream.as_str(), &ids, &tenants, &swarms, &events, &seqs],
            )
            .await
            .map_err(postgres::Error::from)?;
        let lost = rows.iter().map(|row| row.get::<_, String>(0));
        missing.extend(lost.filter(|id| !may_be_gone(id)));
        from = format!("({last}");
    }
    Ok((checked, missing))
}

async fn pending(redis: &Redis, bus: &brain_config::Bus, stream: &StreamName) -> Result<HashSet<EntryId>, Error> {
    let mut ids = HashSet::new();
    let mut from = "-".to_owned();
    loop {
        let page: Value = redis
            .commands()
            .xpending(stream.as_str(), bus.group.as_str(), (from.as_str(), "+", PAGE))
            .await
            .map_err(redis::Error::from)?;
        let before = ids.len();
        let mut last = None;
        for row in page.into_array() {
            if let Some(id) = row
                .into_array()
                .first()
                .and_then(Value::as_str)
                .and_then(|id| id.parse().ok())
            {
                ids.insert(id);
                last = Some(id);
            }
        }
        match last {
            Some(last) if ids.len() > before => from = format!("({last}"),
            _ => return Ok(ids),
        }
    }
}
