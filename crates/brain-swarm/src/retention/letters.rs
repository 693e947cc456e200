//! One batch of dead letters.
//!
//! Invariant: the letter of an entry that may be delivered again stays, because it is what the entry is recognised by.

use brain_connectivity::postgres::{self, Postgres};
use jiff::Timestamp;
use uuid::Uuid;

use super::{BATCH, begin};
use crate::ids::EntryId;

/// What a batch removed.
#[derive(Debug, Default)]
pub(super) struct Pruned {
    pub(super) letters: u64,
    /// Those of them that nobody had replayed or dropped.
    pub(super) parked: u64,
    /// Where the next batch goes on; `None`: there is none.
    pub(super) next: Option<Uuid>,
}

/// Removes the old ones among the dead letters that come `after` an id.
pub(super) async fn prune(postgres: &Postgres, after: Uuid, cutoff: Timestamp) -> Result<Pruned, postgres::Error> {
    let mut client = postgres.client().await?;
    let transaction = begin(&mut client).await?;
    let select = transaction
        .prepare_cached(include_str!("../sql/select_old_dead_letters.sql"))
        .await?;
    let rows = transaction
        .query(&select, &[&after, &first_id_at(cutoff), &cutoff, &BATCH])
        .await?;
    let old: Vec<Uuid> = rows
        .iter()
        .filter(|row| {
            let entry: Option<EntryId> = row.get::<_, &str>(2).parse().ok();
            let cursor: Option<EntryId> = row.get::<_, Option<&str>>(3).and_then(|cursor| cursor.parse().ok());
            let read_again = entry.zip(cursor).is_some_and(|(entry, cursor)| entry >= cursor);
            row.get(1) && !read_again
        })
        .map(|row| row.get(0))
        .collect();
    let full = i64::try_from(rows.len()).is_ok_and(|rows| rows >= BATCH);
    let mut pruned = Pruned {
        next: rows.last().filter(|_| full).map(|row| row.get(0)),
        ..Pruned::default()
    };
    if !old.is_empty() {
        let delete = transaction
            .prepare_cached(include_str!("../sql/delete_dead_letters.sql"))
            .await?;
        let gone = transaction.query(&delete, &[&old]).await?;
        pruned.letters = gone.len() as u64;
        pruned.parked = gone.iter().filter(|row| row.get(0)).count() as u64;
    }
    transaction.commit().await?;
    Ok(pruned)
}

/// The smallest id (UUID version 7) that was made at that time or later.
fn first_id_at(time: Timestamp) -> Uuid {
    let ms = u128::try_from(time.as_millisecond()).unwrap_or(0);
    Uuid::from_u128((ms << 80) | (7 << 76) | (2 << 62))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn ids_are_split_at_their_time() {
        let id = Uuid::now_v7();
        let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
        let made = i64::try_from(seconds * 1000).unwrap() + i64::from(nanos / 1_000_000);
        let at = |ms| first_id_at(Timestamp::from_millisecond(ms).unwrap());
        assert!(at(made) <= id && id < at(made + 1), "{id}");
        assert_eq!(at(made).get_version_num(), 7);
    }
}
