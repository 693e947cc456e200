//! What must hold at any moment while everything runs: the invariants of `brain doctor`, and the limits of concurrency keys.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;
use brain_connectivity::postgres::Postgres;
use brain_connectivity::redis::Redis;
use brain_swarm::doctor;
use tokio_postgres::Client;

use super::publisher::Press;
use super::verify::Violation;
use super::workload::KEY_LIMIT;
use super::world::World;

/// How often running tasks are counted.
const PROBE_EVERY: Duration = Duration::from_millis(200);
/// How long a check waits for connections of its own that a fault took away.
const PATIENCE: Duration = Duration::from_secs(10);

/// Handles for the checks; lost connections come back by themselves.
pub(super) struct Watch {
    world: Arc<World>,
    postgres: Postgres,
    redis: Redis,
    over: Arc<Mutex<BTreeSet<String>>>,
}

impl Watch {
    pub(super) fn new(world: Arc<World>) -> Result<Self> {
        Ok(Self {
            postgres: Postgres::open(&world.config.postgres)?,
            redis: Redis::open(&world.config.redis)?,
            world,
            over: Arc::default(),
        })
    }

    /// Checks every invariant now.
    pub(super) async fn check(&self) -> Vec<Violation> {
        let deadline = self.world.lease * 4;
        let began = Instant::now();
        let findings = loop {
            match doctor::check(&self.postgres, Some(&self.redis), &self.world.config.bus, deadline).await {
                Ok(findings) => break findings,
                Err(_) if began.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => {
                    let words = format!("the invariants could not be checked: {:#}", anyhow::Error::from(error));
                    return vec![Violation::new("check failed", words)];
                }
            }
        };
        let broken = findings.iter().filter(|finding| finding.violations > 0);
        broken
            .map(|finding| {
                let words = format!(
                    "invariant {} ({}): {} times, such as {}",
                    finding.invariant,
                    finding.title,
                    finding.violations,
                    finding.samples.join("; ")
                );
                Violation::new("invariant", words)
            })
            .collect()
    }

    /// Counts open tasks for the publishers, and running ones by their keys, for ever.
    pub(super) async fn probe(&self, press: &Press) {
        let mut client: Option<Client> = None;
        loop {
            if client.as_ref().is_none_or(Client::is_closed) {
                client = self.world.connect().await.ok();
            }
            if let Some(client) = &client {
                let sql = include_str!("sql/select_load.sql");
                // What is not answered now is asked again in a moment.
                if let Ok(row) = client.query_one(sql, &[&KEY_LIMIT]).await {
                    let open: i64 = row.get("open");
                    press.open.store(usize::try_from(open).unwrap_or(0), Ordering::Relaxed);
                    if let Some(over) = row.get::<_, Option<String>>("over") {
                        self.over
                            .lock()
                            .unwrap_or_else(|broken| broken.into_inner())
                            .insert(over);
                    }
                }
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
    }

    /// The keys that had more running than their limit.
    pub(super) fn over_limit(&self) -> Vec<Violation> {
        let over = std::mem::take(&mut *self.over.lock().unwrap_or_else(|broken| broken.into_inner()));
        over.into_iter()
            .map(|words| Violation::new("over the limit", words))
            .collect()
    }

    /// Entries in each stream.
    pub(super) async fn stream_lengths(&self) -> Result<Vec<(String, u64)>> {
        use fred::interfaces::StreamsInterface as _;
        let mut lengths = Vec::new();
        for stream in self.world.streams.all() {
            let length: u64 = self.redis.commands().xlen(stream.as_str()).await?;
            lengths.push((stream.to_string(), length));
        }
        Ok(lengths)
    }
}
