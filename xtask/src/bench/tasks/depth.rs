//! What a claim costs when the queue is long: single claims from a short queue and from a long one, in process.
//!
//! The tables are not analysed by hand: a claim must find its task without that.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::bench::{
    Run,
    desk::{Desk, Library, LibraryDesk, task_id},
    report::{Report, ratio},
    samples::{Percentiles, Samples},
};

const SHORT: usize = 1_000;
const DATABASE: &str = "tasks_depth";
/// Tasks that one call creates while the queue is filled.
const FILL: usize = 4_000;
const WARM_UP: usize = 500;
const CLAIMS: usize = 5_000;

pub(super) async fn measure(run: &Run, report: &mut Report, long: usize) -> Result<()> {
    let client = run.servers.database(DATABASE, None).await?;
    let library = Library::start(&run.servers, DATABASE, FILL)?;
    let mut desk = library.desk(0, 1)?;
    desk.join().await?;
    let mut queued = 0;
    let mut times = Vec::new();
    for depth in [SHORT, long.max(SHORT)] {
        while queued < depth {
            let count = (depth - queued).min(FILL);
            desk.create((0..count).map(|_| task_id()).collect::<Result<_>>()?)
                .await?;
            queued += count;
            if queued % 100_000 == 0 {
                run.progress
                    .change(&format!("filling the queue: {queued} of {depth} tasks"));
            }
        }
        // Filling is over when the disk has it: its rest would be measured with the claims.
        client.batch_execute("CHECKPOINT").await?;
        run.progress.change(&format!("claims from a queue of {depth} tasks"));
        let claims = claims(&mut desk).await?;
        report.times(&format!("single claim, {depth} tasks queued"), &claims, None);
        times.push(claims);
    }
    let (short, long) = (times[0], times[1]);
    for (word, long, short) in [("p50", long.p50, short.p50), ("p99", long.p99, short.p99)] {
        report.at_most(
            format!("single claim: ratio of the long queue to the short one, {word}"),
            ratio(long, short),
            "",
            1.3,
        );
    }
    drop((desk, library, client));
    run.servers.forget(DATABASE).await
}

/// Times claims, and keeps the queue as long as it is: for each task that is claimed, one is created.
async fn claims(desk: &mut LibraryDesk) -> Result<Percentiles> {
    let samples = Samples::new()?;
    for n in 0..WARM_UP + CLAIMS {
        desk.create(vec![task_id()?]).await?;
        let started = Instant::now();
        let held = desk.claim(1, Duration::ZERO).await?;
        let took = started.elapsed();
        if held.len() != 1 {
            bail!("a claim from a full queue got {} tasks", held.len());
        }
        if n >= WARM_UP {
            samples.record(took);
        }
        desk.complete(held).await?;
    }
    Ok(samples.percentiles())
}
