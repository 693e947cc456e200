//! `bench latency`: how long an event takes until it is stored, and a task until a waiting worker has it, at a steady rate.

mod claimed;
mod published;

use std::time::Duration;

use anyhow::Result;

use super::{
    Run,
    brain::Brain,
    desk::{Desk, HttpDesk, Library},
    report::Report,
};

/// How long each latency is measured where nobody says.
pub(super) const WINDOW: Duration = Duration::from_secs(20);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long each latency is measured, after three seconds of warm-up
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Workers that wait for tasks
    #[arg(long, default_value_t = 8)]
    workers: usize,
    /// Tasks that are created a second
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
}

pub(super) async fn run(run: &Run, args: &Args, report: &mut Report) -> Result<()> {
    let window = Duration::from_secs(args.seconds.max(1));
    report.condition("seconds, after 3 of warm-up", args.seconds);
    report.condition("waiting workers", args.workers);
    published(run, report, window).await?;

    run.progress.change("create to claimed, in process");
    let database = "latency_library";
    run.servers.database(database, None).await?;
    let library = Library::start(&run.servers, database, 512)?;
    let desks = (0..args.workers)
        .map(|worker| library.desk(worker, 1))
        .collect::<Result<Vec<_>>>()?;
    claimed(report, "in process", library.desk(args.workers, 1)?, desks, args).await?;
    drop(library);

    run.progress.change("create to claimed, over HTTP");
    let database = "latency_http";
    run.servers.database(database, Some(&run.brain)).await?;
    let brain = Brain::start(&run.servers, &run.brain, database, &[]).await?;
    if HttpDesk::is_served(&brain).await? {
        let mut desks = Vec::new();
        for worker in 0..args.workers {
            desks.push(HttpDesk::open(&brain, worker).await?);
        }
        let creator = HttpDesk::open(&brain, args.workers).await?;
        claimed(report, "over HTTP", creator, desks, args).await?;
    } else {
        report.note("create to claimed over HTTP: this brain does not hand out tasks over HTTP");
    }
    Ok(())
}

/// From publishing to stored, over HTTP and through the stream.
pub(super) async fn published(run: &Run, report: &mut Report, window: Duration) -> Result<()> {
    run.progress.change("publish to stored at 500 events/s");
    let latency = published::measure(&run.servers, &run.brain, window).await?;
    report.times(
        "500 events/s over HTTP, until the durable answer",
        &latency.http,
        Some((1.5, 5.0)),
    );
    report.times(
        "500 events/s by XADD, until stored",
        &latency.stream_stored,
        Some((1.5, 5.0)),
    );
    let name = "500 events/s by XADD, until the follow-up is on the stream";
    report.add(format!("{name}, p50"), latency.stream_follow_up.p50, "ms");
    report.at_most(format!("{name}, p99"), latency.stream_follow_up.p99, "ms", 8.0);
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    report.add("follow-ups timed", latency.stream_follow_up.samples as f64, "");
    Ok(())
}

async fn claimed<D: Desk>(report: &mut Report, way: &str, creator: D, workers: Vec<D>, args: &Args) -> Result<()> {
    let window = Duration::from_secs(args.seconds.max(1));
    let times = claimed::measure(creator, workers, args.rate, window).await?;
    let name = format!(
        "{} tasks/s, from creating one to a waiting worker that has it, {way}",
        args.rate
    );
    report.times(&name, &times.claimed, Some((3.0, 8.0)));
    report.times(
        &format!("{} tasks/s, until creating is answered, {way}", args.rate),
        &times.created,
        None,
    );
    Ok(())
}
