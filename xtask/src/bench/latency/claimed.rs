//! From creating a task to a worker that has it: workers wait with parked claims, one creator works at a steady rate.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use brain_swarm::ids::TaskId;
use tokio::task::JoinSet;

use crate::bench::{
    desk::{Desk, task_id},
    samples::{Percentiles, Samples},
};

const WARM_UP: Duration = Duration::from_secs(3);
/// How long one claim waits; a worker whose claim got nothing asks again.
const WAIT: Duration = Duration::from_secs(2);

/// What was measured, from the call that creates a task.
pub(super) struct Times {
    /// Until it is answered.
    pub(super) created: Percentiles,
    /// Until a worker has the task.
    pub(super) claimed: Percentiles,
}

/// When each task was about to be created, if it counts.
type Begun = Mutex<HashMap<TaskId, Instant>>;

pub(super) async fn measure<D: Desk>(mut creator: D, workers: Vec<D>, rate: u32, window: Duration) -> Result<Times> {
    let begun = Arc::new(Begun::default());
    let claimed = Arc::new(Samples::new()?);
    let stop = Arc::new(AtomicBool::new(false));
    let mut working = JoinSet::new();
    for mut desk in workers {
        let (begun, claimed, stop) = (Arc::clone(&begun), Arc::clone(&claimed), Arc::clone(&stop));
        working.spawn(async move {
            desk.join().await?;
            while !stop.load(Relaxed) {
                let held = desk.claim(1, WAIT).await?;
                let now = Instant::now();
                for task in &held {
                    let started = begun
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .remove(&task.task_id);
                    if let Some(started) = started {
                        claimed.record(now - started);
                    }
                }
                if !held.is_empty() {
                    desk.complete(held).await?;
                }
            }
            anyhow::Ok(())
        });
    }
    let created = Samples::new()?;
    let creating = async {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
        let from = Instant::now();
        while from.elapsed() < WARM_UP + window {
            ticks.tick().await;
            let id = task_id()?;
            let counts = from.elapsed() > WARM_UP;
            let started = Instant::now();
            if counts {
                begun
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(id.clone(), started);
            }
            creator.create(vec![id]).await?;
            if counts {
                created.record(started.elapsed());
            }
        }
        stop.store(true, Relaxed);
        anyhow::Ok(())
    };
    let ending = async {
        while let Some(ended) = working.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(creating, ending)?;
    let left = begun.lock().unwrap_or_else(PoisonError::into_inner).len();
    // The workers went away when the last tasks were being created.
    if left > 2 {
        bail!("{left} tasks were never claimed");
    }
    Ok(Times {
        created: created.percentiles(),
        claimed: claimed.percentiles(),
    })
}
