//! Leases on streams: who consumes which.
//!
//! Invariants: time is the database's; each change of owner raises the fencing token; a replica takes no more than its fair
//! share while others live, and gives back what is above it.

use std::time::Duration;

use brain_connectivity::postgres::{self, Postgres};

use crate::{
    bus::StreamNames,
    ids::{EntryId, FencingToken, StreamName},
    metric_names,
};

/// A replica that has not been heard for the lease time is forgotten after this many lease times.
const FORGET_AFTER: i64 = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) stream: StreamName,
    pub(super) token: FencingToken,
    /// How far the stream was consumed when the lease was taken.
    pub(super) cursor: Option<EntryId>,
}

/// What a look at the leases says.
#[derive(Debug)]
pub(super) struct Tick {
    /// The leases that are still ours.
    pub(super) held: Vec<(StreamName, FencingToken)>,
    /// Those just taken.
    pub(super) taken: Vec<Lease>,
    /// How many of the held ones should be given back.
    pub(super) surplus: usize,
    /// Whether other replicas live.
    pub(super) accompanied: bool,
    /// When to look again.
    pub(super) next: Duration,
}

pub(super) struct Leases {
    postgres: Postgres,
    base: String,
    replica_id: String,
    host: String,
    lease: Duration,
}

impl Leases {
    pub(super) fn new(postgres: Postgres, streams: &StreamNames, replica_id: &str, lease: Duration) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self {
            postgres,
            base: streams.base().to_owned(),
            replica_id: replica_id.to_owned(),
            host: host.trim().to_owned(),
            lease,
        }
    }

    fn lease_ms(&self) -> f64 {
        self.lease.as_secs_f64() * 1000.0
    }

    /// Makes a row for each stream.
    pub(super) async fn register(&self, streams: &StreamNames) -> Result<(), postgres::Error> {
        let client = self.postgres.client().await?;
        let names: Vec<&str> = streams.all().iter().map(AsRef::as_ref).collect();
        client
            .execute(include_str!("../sql/register_streams.sql"), &[&names, &self.base])
            .await?;
        let forget =
            "DELETE FROM swarm_replicas WHERE last_seen_at < clock_timestamp() - $1 * interval '1 millisecond'";
        #[allow(clippy::cast_precision_loss, reason = "a small whole number")]
        client
            .execute(forget, &[&(self.lease_ms() * FORGET_AFTER as f64)])
            .await?;
        Ok(())
    }

    /// Renews what is held, takes what is free up to the fair share.
    pub(super) async fn tick(&self) -> Result<Tick, postgres::Error> {
        let client = self.postgres.client().await?;
        let renew = client.prepare_cached(include_str!("../sql/renew_leases.sql")).await?;
        let state = client
            .prepare_cached(include_str!("../sql/select_lease_state.sql"))
            .await?;
        let rows = client
            .query(&renew, &[&self.base, &self.replica_id, &self.host, &self.lease_ms()])
            .await?;
        let mut held: Vec<(StreamName, FencingToken)> = rows
            .iter()
            .map(|row| (StreamName::trusted(row.get(0)), FencingToken(row.get(1))))
            .collect();
        held.sort();
        let row = client
            .query_one(&state, &[&self.base, &self.replica_id, &self.lease_ms()])
            .await?;
        let replicas: Vec<String> = row.get(0);
        let streams = usize::try_from(row.get::<_, i64>(1)).unwrap_or(0);
        let expiry: Option<f64> = row.get(2);
        let share = fair_share(&replicas, &self.replica_id, streams);
        let mut taken = Vec::new();
        if held.len() < share && expiry.is_some_and(|ms| ms <= 0.0) {
            let claim = client.prepare_cached(include_str!("../sql/claim_leases.sql")).await?;
            let limit = i64::try_from(share - held.len()).unwrap_or(0);
            let rows = client
                .query(&claim, &[&self.base, &self.replica_id, &self.lease_ms(), &limit])
                .await?;
            for row in &rows {
                metric_names::stream_taken(row.get(3));
            }
            taken.extend(rows.iter().map(|row| Lease {
                stream: StreamName::trusted(row.get(0)),
                token: FencingToken(row.get(1)),
                cursor: row.get::<_, Option<&str>>(2).and_then(|cursor| cursor.parse().ok()),
            }));
        }
        let surplus = held.len().saturating_sub(share);
        Ok(Tick {
            held,
            taken,
            surplus,
            accompanied: replicas.iter().any(|id| *id != self.replica_id),
            next: self.next_tick(expiry),
        })
    }

    /// In a third of the lease time, or as soon as a foreign lease runs out.
    fn next_tick(&self, expiry_ms: Option<f64>) -> Duration {
        let renew = self.lease / 3;
        match expiry_ms {
            Some(ms) if ms > 0.0 => renew.min(Duration::from_secs_f64(ms / 1000.0) + Duration::from_millis(5)),
            _ => renew,
        }
    }

    /// Gives a lease back, so that another replica need not wait for its end.
    pub(super) async fn release(&self, stream: &StreamName, token: FencingToken) -> Result<(), postgres::Error> {
        let client = self.postgres.client().await?;
        let released = client
            .execute(
                include_str!("../sql/release_lease.sql"),
                &[&stream.as_str(), &self.replica_id, &token.0],
            )
            .await?;
        metrics::counter!(metric_names::STREAM_LEASES_RELEASED).increment(released);
        Ok(())
    }

    /// Takes this replica off the list.
    pub(super) async fn leave(&self) -> Result<(), postgres::Error> {
        let client = self.postgres.client().await?;
        client
            .execute("DELETE FROM swarm_replicas WHERE replica_id = $1", &[&self.replica_id])
            .await?;
        Ok(())
    }
}

/// How many of `streams` the replica may hold: an equal part, and one of the rest for the first replicas in order.
fn fair_share(replicas: &[String], replica_id: &str, streams: usize) -> usize {
    let others = replicas.iter().filter(|id| *id != replica_id).count();
    let rank = replicas.iter().filter(|id| id.as_str() < replica_id).count();
    let count = others + 1;
    streams / count + usize::from(rank < streams % count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_all_streams() {
        for count in 1..=7_usize {
            let replicas: Vec<String> = (0..count).map(|n| format!("replica-{n}")).collect();
            for streams in 0..20 {
                let shares: Vec<usize> = replicas.iter().map(|id| fair_share(&replicas, id, streams)).collect();
                assert_eq!(
                    shares.iter().sum::<usize>(),
                    streams,
                    "{count} replicas, {streams} streams: {shares:?}"
                );
                assert!(
                    shares
                        .iter()
                        .max()
                        .zip(shares.iter().min())
                        .is_none_or(|(most, least)| most - least <= 1)
                );
            }
        }
    }
}
