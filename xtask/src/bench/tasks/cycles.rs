//! Workers that create tasks, claim tasks and complete them, as fast as they are answered.
//!
//! Invariant: what is counted is in the database in the end, each task with its three events.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use tokio::task::JoinSet;
use tokio_postgres::Client;

use crate::bench::{
    desk::{Desk, task_id},
    samples::{Percentiles, Samples},
};

const WARM_UP: Duration = Duration::from_secs(5);
/// How long a claim waits for tasks that others may just be creating.
const WAIT: Duration = Duration::from_secs(1);

/// How the workers work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) workers: usize,
    /// Tasks of each call.
    pub(super) batch: usize,
    /// Swarms among which the workers are divided.
    pub(super) swarms: usize,
    pub(super) window: Duration,
}

/// What was measured.
#[derive(Debug)]
pub(super) struct Cycles {
    pub(super) per_second: f64,
    pub(super) create: Percentiles,
    pub(super) claim: Percentiles,
    pub(super) complete: Percentiles,
}

/// What the workers share.
struct Board {
    batch: usize,
    stop: AtomicBool,
    completed: AtomicU64,
    create: Samples,
    claim: Samples,
    complete: Samples,
}

/// `database`: where the tasks end up, to count them.
pub(super) async fn measure<D: Desk>(desks: Vec<D>, plan: Plan, database: &Client) -> Result<Cycles> {
    let board = Arc::new(Board {
        batch: plan.batch,
        stop: AtomicBool::new(false),
        completed: AtomicU64::new(0),
        create: Samples::new()?,
        claim: Samples::new()?,
        complete: Samples::new()?,
    });
    let mut workers = JoinSet::new();
    for mut desk in desks {
        let board = Arc::clone(&board);
        workers.spawn(async move {
            desk.join().await?;
            while !board.stop.load(Relaxed) {
                board.cycle(&mut desk).await?;
            }
            anyhow::Ok(())
        });
    }
    let timing = async {
        tokio::time::sleep(WARM_UP).await;
        let (from, first) = (Instant::now(), board.completed.load(Relaxed));
        tokio::time::sleep(plan.window).await;
        let (last, took) = (board.completed.load(Relaxed), from.elapsed());
        board.stop.store(true, Relaxed);
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        let cycles = (last - first) as f64;
        anyhow::Ok(cycles / took.as_secs_f64())
    };
    let working = async {
        while let Some(ended) = workers.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    };
    let (per_second, ()) = tokio::try_join!(timing, working)?;
    verify(database, board.completed.load(Relaxed)).await?;
    Ok(Cycles {
        per_second,
        create: board.create.percentiles(),
        claim: board.claim.percentiles(),
        complete: board.complete.percentiles(),
    })
}

impl Board {
    /// A worker creates as many tasks as it claims, so that there are always enough for all.
    async fn cycle(&self, desk: &mut impl Desk) -> Result<()> {
        let ids = (0..self.batch).map(|_| task_id()).collect::<Result<Vec<_>>>()?;
        let started = Instant::now();
        desk.create(ids).await?;
        let created = Instant::now();
        self.create.record(created - started);
        let held = desk.claim(self.batch, WAIT).await?;
        let claimed = Instant::now();
        self.claim.record(claimed - created);
        let count = held.len();
        if count > 0 {
            desk.complete(held).await?;
            self.complete.record(claimed.elapsed());
            self.completed.fetch_add(count as u64, Relaxed);
        }
        Ok(())
    }
}

async fn verify(database: &Client, counted: u64) -> Result<()> {
    let sql = include_str!("../sql/count_life_cycles.sql");
    let row = database.query_one(sql, &[]).await?;
    let [completed, created_events, started_events, completed_events]: [i64; 4] =
        [row.get(0), row.get(1), row.get(2), row.get(3)];
    if u64::try_from(completed)? != counted || completed_events != completed {
        bail!("{counted} tasks were completed, {completed} are stored so, with {completed_events} events");
    }
    if created_events < completed || started_events != completed {
        bail!(
            "{completed} tasks are completed, but {created_events} and {started_events} events tell of their creation and start"
        );
    }
    Ok(())
}
