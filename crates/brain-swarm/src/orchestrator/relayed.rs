//! Entries that claim to be the relay's own, when this process does not remember that it wrote them: the database knows.
//!
//! Invariant: a claim is true only of the tenant that it names.

use brain_connectivity::postgres::{self, Postgres};

use crate::{
    bus::entry::{RawEntry, RelayMark},
    ids::EntryId,
};

/// Which of these entries are what the relay wrote.
pub(super) async fn confirmed(postgres: &Postgres, entries: &[&RawEntry]) -> Result<Vec<EntryId>, postgres::Error> {
    let (marked, marks): (Vec<EntryId>, Vec<RelayMark>) = entries
        .iter()
        .filter_map(|entry| Some((entry.id, entry.relay_mark()?)))
        .unzip();
    let tenants: Vec<&str> = marks.iter().map(|mark| mark.tenant.as_str()).collect();
    let swarms: Vec<&str> = marks.iter().map(|mark| mark.swarm.as_str()).collect();
    let seqs: Vec<i64> = marks.iter().map(|mark| mark.seq).collect();
    let ids: Vec<&str> = marks.iter().map(|mark| mark.id.as_str()).collect();
    let ordinals: Vec<i32> = (0..i32::try_from(marks.len()).unwrap_or(i32::MAX)).collect();
    let client = postgres.client().await?;
    let statement = client.prepare_cached(include_str!("../sql/select_relayed.sql")).await?;
    let rows = client
        .query(&statement, &[&tenants, &swarms, &seqs, &ids, &ordinals])
        .await?;
    Ok(rows
        .iter()
        .filter_map(|row| marked.get(usize::try_from(row.get::<_, i32>(0)).ok()?).copied())
        .collect())
}
