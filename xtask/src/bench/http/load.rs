//! The generator: connections that ask as fast as they are answered, or at a fixed rate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Result, bail};
use tokio::{task::JoinSet, time::Instant};

use crate::bench::{
    footprint::cpu_ticks,
    samples::{Percentiles, Samples},
    wire::Connection,
    workload,
};

const WARM_UP: Duration = Duration::from_secs(2);

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// `GET /healthz`.
    Health,
    /// `POST /api/swarm/events` with one event that is stored and changes nothing.
    Note,
    /// `POST /api/swarm/events` with one task, which is given to an agent.
    Task,
}

/// What a server did under full load.
pub(super) struct Load {
    pub(super) per_second: f64,
    pub(super) times: Percentiles,
    /// Processor time of the server for each request, in microseconds.
    pub(super) cpu_micros: f64,
}

impl Request {
    pub(super) async fn send(self, connection: &mut Connection) -> Result<()> {
        let body = match self {
            Self::Health => String::new(),
            Self::Note => workload::noted(workload::SWARM),
            Self::Task => workload::task_created(workload::SWARM),
        };
        let (wanted, (status, answer)) = if self == Self::Health {
            (200, connection.get("/healthz").await?)
        } else {
            (201, connection.post("/api/swarm/events", body.as_bytes()).await?)
        };
        if status != wanted {
            bail!(
                "{self:?} was answered with {status}: {}",
                String::from_utf8_lossy(answer)
            );
        }
        Ok(())
    }
}

/// Asks as fast as the server answers.
pub(super) async fn saturate(
    url: &str,
    request: Request,
    connections: usize,
    window: Duration,
    server: u32,
) -> Result<Load> {
    let times = Arc::new(Samples::new()?);
    let (counts, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let answered = Arc::new(AtomicU64::new(0));
    let mut asking = JoinSet::new();
    for _ in 0..connections {
        let mut connection = Connection::open(url).await?;
        let (times, answered) = (Arc::clone(&times), Arc::clone(&answered));
        let (counts, stop) = (Arc::clone(&counts), Arc::clone(&stop));
        asking.spawn(async move {
            while !stop.load(Relaxed) {
                let started = Instant::now();
                request.send(&mut connection).await?;
                answered.fetch_add(1, Relaxed);
                if counts.load(Relaxed) {
                    times.record(started.elapsed());
                }
            }
            anyhow::Ok(())
        });
    }
    let timing = async {
        tokio::time::sleep(WARM_UP).await;
        counts.store(true, Relaxed);
        let (from, first, ticks) = (Instant::now(), answered.load(Relaxed), cpu_ticks(server)?);
        tokio::time::sleep(window).await;
        let (took, last) = (from.elapsed(), answered.load(Relaxed));
        stop.store(true, Relaxed);
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        let (answers, cpu) = ((last - first) as f64, (cpu_ticks(server)? - ticks) as f64 * 10_000.0);
        anyhow::Ok((answers / took.as_secs_f64(), cpu / answers))
    };
    let ((per_second, cpu_micros), ()) = tokio::try_join!(timing, all(&mut asking))?;
    Ok(Load {
        per_second,
        times: times.percentiles(),
        cpu_micros,
    })
}

/// Asks at a rate. A request waits for the answer before it on its connection, and that wait counts; how late the timer of this
/// process woke the connection does not.
pub(super) async fn at_rate(
    url: &str,
    request: Request,
    connections: usize,
    rate: f64,
    window: Duration,
) -> Result<Percentiles> {
    let times = Arc::new(Samples::new()?);
    let every = Duration::from_secs_f64(f64::from(u32::try_from(connections)?) / rate);
    let begun = Instant::now() + Duration::from_millis(100);
    let mut asking = JoinSet::new();
    for n in 0..connections {
        let mut connection = Connection::open(url).await?;
        let times = Arc::clone(&times);
        let mut due = begun + every.mul_f64(f64::from(u32::try_from(n)?) / f64::from(u32::try_from(connections)?));
        let mut free = due;
        asking.spawn(async move {
            while due < begun + WARM_UP + window {
                tokio::time::sleep_until(due).await;
                let sent = Instant::now();
                request.send(&mut connection).await?;
                free = due.max(free) + sent.elapsed();
                if due > begun + WARM_UP {
                    times.record(free - due);
                }
                due += every;
            }
            anyhow::Ok(())
        });
    }
    all(&mut asking).await?;
    Ok(times.percentiles())
}

async fn all(asking: &mut JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = asking.join_next().await {
        ended??;
    }
    Ok(())
}
