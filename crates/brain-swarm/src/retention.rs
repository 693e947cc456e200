//! Retention: what is old is removed, in small batches, by one replica; what anything still needs stays.
//!
//! Invariants: events go as a beginning of their swarm's history, and `pruned_seq` says how far; nothing younger than the retention
//! time goes, nothing at or past an outbox row, a stream's cursor, an open run or an open task; a task goes with the event that
//! ended it. Two who prune at once do no harm: each batch is decided under the lock of its swarm.

mod job;
mod letters;
mod pass;
mod rule;
mod swarm;

use std::time::Duration;

use brain_connectivity::postgres::{self, Postgres};
use deadpool_postgres::{Object, Transaction};
use serde_json::json;
use tokio_util::sync::CancellationToken;

pub(crate) use self::job::newest_cutoff;
pub use self::pass::{Counts, Pass};
use crate::{bus::StreamNames, orchestrator::Handle};

/// Rows of one batch, at most: the swarm is locked for as long as it takes to remove them.
const BATCH: i64 = 1000;
/// Swarms that are looked at in one step.
const SWARMS: i64 = 100;

/// A transaction that reads no table whole: a plan that was made and kept while a table was small must not do so later.
async fn begin(client: &mut Object) -> Result<Transaction<'_>, postgres::Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute("SET LOCAL enable_seqscan = off").await?;
    Ok(transaction)
}

/// How often what is done.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From the beginning of one pass to that of the next.
    pub every: Duration,
    /// The same after one that failed.
    pub again: Duration,
    /// How often it is asked whether a pass is due here.
    pub look: Duration,
    /// Between two batches, so that publishing goes on.
    pub pause: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(60 * 60),
            again: Duration::from_secs(5 * 60),
            look: Duration::from_secs(60),
            pause: Duration::from_millis(20),
        }
    }
}

/// What the service works with.
#[derive(Debug)]
pub struct Options {
    /// Where the rows are.
    pub postgres: Postgres,
    /// Which stream a swarm's events travel on.
    pub streams: StreamNames,
    /// Tells whether the first stream is consumed here: that replica prunes.
    pub orchestrator: Handle,
    /// The age from which a row is old, in days.
    pub days: u32,
    /// How often.
    pub pace: Pace,
}

/// The pruning of one process.
#[derive(Debug)]
pub struct Service {
    options: Options,
}

impl Service {
    /// A service that begins to work when it is run.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// Runs until `shutdown`, finishing the batch in hand. The first pass comes a while after the start, when what waited on the
    /// streams has been read.
    pub async fn run(self, shutdown: CancellationToken) {
        let pace = self.options.pace;
        let mut due = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pace.look) => {}
            }
            let now = tokio::time::Instant::now();
            if now < due || !self.leads() {
                continue;
            }
            due = match self.pass(&shutdown).await {
                Ok(()) => now + pace.every,
                Err(error) => {
                    tracing::warn!(error = %error, "the retention pass failed and will be tried again");
                    tokio::time::Instant::now() + pace.again
                }
            };
        }
    }

    /// Whether the first stream is consumed here.
    fn leads(&self) -> bool {
        let Options {
            streams, orchestrator, ..
        } = &self.options;
        let first = streams.all().first();
        first.is_some_and(|first| orchestrator.streams().contains(first))
    }

    /// One pass with its record. It ends early, without harm, when the service stops or another replica has to go on.
    async fn pass(&self, shutdown: &CancellationToken) -> Result<(), postgres::Error> {
        let Options {
            postgres,
            streams,
            days,
            pace,
            ..
        } = &self.options;
        let started = std::time::Instant::now();
        let mut pass = Pass::begin(postgres.clone(), streams.clone(), *days).await?;
        let cutoff = pass.cutoff();
        let id = job::begin(postgres, cutoff, &json!({ "cutoff": cutoff })).await?;
        let steps = async {
            while pass.step().await? {
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(false),
                    () = tokio::time::sleep(pace.pause) => {}
                }
                if !self.leads() {
                    return Ok(false);
                }
            }
            Ok::<bool, postgres::Error>(true)
        };
        let ended = steps.await;
        let counts = pass.counts();
        let complete = *ended.as_ref().unwrap_or(&false);
        let summary = json!({ "cutoff": cutoff, "complete": complete, "removed": counts });
        let problem = ended.as_ref().err().map(ToString::to_string);
        let recorded = job::end(postgres, id, &summary, problem.as_deref()).await;
        if counts.parked > 0 {
            tracing::warn!(
                dead_letters = counts.parked,
                "parked dead letters grew too old and were removed"
            );
        }
        tracing::info!(
            cutoff = %cutoff, complete, events = counts.events, tasks = counts.tasks, runs = counts.runs, budgets = counts.budgets,
            dead_letters = counts.dead_letters, held = ?counts.held, duration_ms = started.elapsed().as_millis(),
            "retention pass ended"
        );
        ended?;
        recorded
    }
}
