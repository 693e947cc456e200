//! How long it takes until work flows again.
//!
//! Recovered means: every partition has a consumer, and in every swarm a task created over HTTP and one added to the
//! stream, both after the fault, are completed; and what a struck worker held has moved on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;
use tokio_postgres::Client;

use super::publisher::Press;
use super::workload;
use super::world::World;

const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A task and the token with which a worker held it.
pub(super) type Hold = (String, i64);

pub(super) struct Recovery {
    world: Arc<World>,
    press: Arc<Press>,
    count: AtomicU64,
}

impl Recovery {
    pub(super) fn new(world: Arc<World>, press: Arc<Press>) -> Self {
        Self {
            world,
            press,
            count: AtomicU64::new(0),
        }
    }

    /// The time from `since` until work flows; an error says what is still not so when it is given up.
    pub(super) async fn measure(&self, since: Instant, held: &[Hold], patience: Duration) -> Result<Duration, String> {
        let (tasks, tokens): (Vec<String>, Vec<i64>) = held.iter().cloned().unzip();
        let mut canaries = Vec::new();
        let mut publishing = JoinSet::new();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        for (at, swarm) in self.world.swarms.iter().enumerate() {
            for way in ["http", "xadd"] {
                let task = format!("canary-{number}-{at}-{way}");
                let draft = workload::canary(swarm, &task);
                canaries.push(task);
                let press = Arc::clone(&self.press);
                publishing.spawn(async move {
                    match way {
                        "http" => press.create(draft).await,
                        _ => press.add(draft).await,
                    }
                });
            }
        }
        let partitions = i64::from(self.world.config.bus.partitions);
        let mut client: Option<Client> = None;
        let mut missing = "PostgreSQL does not answer".to_owned();
        let recovered = loop {
            if since.elapsed() > patience {
                break Err(missing);
            }
            if client.as_ref().is_none_or(Client::is_closed) {
                client = self.world.connect().await.ok();
            }
            if let Some(client) = &client {
                let sql = include_str!("sql/select_recovery.sql");
                match client.query_one(sql, &[&canaries, &partitions, &tasks, &tokens]).await {
                    Ok(row) => match row.get::<_, Option<String>>(0) {
                        None => break Ok(since.elapsed()),
                        Some(still) => missing = still,
                    },
                    Err(error) => missing = format!("PostgreSQL does not answer: {error}"),
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        };
        // Their promises belong into the ledger before the next fault, but nobody waits for what cannot come.
        if recovered.is_ok() {
            publishing.join_all().await;
        } else {
            publishing.detach_all();
        }
        recovered
    }
}
