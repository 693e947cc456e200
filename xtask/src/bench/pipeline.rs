//! Our throughput: a stream full of published tasks, and a brain that works it off.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use fred::{interfaces::StreamsInterface as _, types::Value};

use super::{
    Run,
    brain::Brain,
    ceiling, footprint, latency,
    report::{Report, mib, ratio},
    workload::{self, AGENTS},
};

const WARM_UP: Duration = Duration::from_secs(5);
pub(super) const DATABASE: &str = "pipeline";
/// Entries of one XADD pipeline.
const CHUNK: usize = 1000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long each throughput is measured, after five seconds of warm-up
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Events of one transaction
    #[arg(long, default_value_t = 512)]
    batch: usize,
    /// Partitions of the stream
    #[arg(long, default_value_t = 1)]
    partitions: u16,
    /// Only the throughput, not latency and footprint
    #[arg(long)]
    throughput_only: bool,
}

/// Everything from a published event to the stored task: footprint and latency first, then throughput.
pub(super) async fn run(run: &Run, args: &Args, report: &mut Report) -> Result<()> {
    let (servers, progress) = (&run.servers, &run.progress);
    let window = Duration::from_secs(args.seconds.max(1));
    report.condition("events of a transaction, at most", args.batch);
    report.condition("partitions", args.partitions);
    report.condition("seconds, after 5 of warm-up", args.seconds);
    // What is quiet comes first: after millions of rows the database is busy with itself for a while.
    if !args.throughput_only {
        progress.change("measuring an idle brain");
        footprint::measure(servers, &run.brain).await?.add_to(report);
        latency::published(run, report, latency::WINDOW).await?;
    }
    progress.change("measuring the ceiling");
    let ceiling = ceiling::measure(servers, args.batch, window).await?;
    servers.forget("ceiling").await?;
    report.add(
        "ceiling: one task's worth and its XADD in a bare loop, one connection",
        ceiling,
        "tasks/s",
    );
    progress.change("measuring the pipeline");
    let shape = Shape {
        batch: args.batch,
        partitions: args.partitions,
        replicas: 1,
    };
    let ours = measure(run, &shape, window, ceiling).await?;
    report.add(
        "pipeline: published on the stream to stored with follow-up",
        ours.tasks_per_second,
        "tasks/s",
    );
    report.at_least(
        "ratio of the pipeline to the ceiling",
        ratio(ours.tasks_per_second, ceiling),
        "",
        if args.partitions > 1 { 1.0 } else { 0.6 },
    );
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    report.add(
        "tasks stored in the run, each with its follow-up",
        ours.stored as f64,
        "tasks",
    );
    report.at_most("memory of the brain under full load", mib(ours.peak_rss), "MiB", 120.0);
    Ok(())
}

/// What works the stream off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Events of one transaction, at most.
    pub(super) batch: usize,
    /// Streams, each with a swarm of its own.
    pub(super) partitions: u16,
    /// Processes.
    pub(super) replicas: u16,
}

/// What was measured.
#[derive(Debug, Clone)]
pub(super) struct Throughput {
    /// Tasks stored with their follow-up, a second.
    pub(super) tasks_per_second: f64,
    /// The most memory the brain used, in bytes.
    peak_rss: u64,
    /// Tasks published and found stored in the end.
    stored: u64,
    /// Cores that the brains, PostgreSQL and Valkey kept busy.
    pub(super) cores: [f64; 3],
}

/// Fills the stream first, so that the publisher takes no processor time from what is measured.
pub(super) async fn measure(run: &Run, shape: &Shape, window: Duration, ceiling: f64) -> Result<Throughput> {
    let (servers, program, progress) = (&run.servers, &run.brain, &run.progress);
    let Shape {
        batch,
        partitions,
        replicas,
    } = *shape;
    let database = servers.database(DATABASE, Some(program)).await?;
    let redis = servers.redis().await?;
    let swarms: Vec<String> = (0..u32::from(partitions))
        .map(|n| {
            if partitions == 1 {
                workload::SWARM.to_owned()
            } else {
                swarm_of(n, partitions)
            }
        })
        .collect();
    let stream = |n: u32| {
        if partitions == 1 {
            format!("bench.{DATABASE}")
        } else {
            format!("bench.{DATABASE}:{n}")
        }
    };
    let seconds = (WARM_UP + window).as_secs_f64();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of events"
    )]
    let wanted = (ceiling * seconds * if partitions > 1 { 1.6 } else { 1.1 }) as usize;
    for (n, swarm) in (0..).zip(&swarms) {
        for agent in 0..AGENTS {
            let fields = vec![("event", workload::agent_joined(swarm, agent))];
            let _: Value = redis.xadd(stream(n), false, None::<()>, "*", fields).await?;
        }
    }
    let mut published = 0;
    while published < wanted {
        for (n, swarm) in (0..).zip(&swarms) {
            let pipeline = redis.pipeline();
            for _ in 0..CHUNK {
                let fields = vec![("event", workload::task_created(swarm))];
                let () = pipeline.xadd(stream(n), false, None::<()>, "*", fields).await?;
            }
            let _: Value = pipeline.all().await?;
            published += CHUNK;
        }
        progress.change(&format!("filling the stream: {published} of {wanted} events"));
    }
    progress.change("measuring the pipeline");
    let extra = [
        ("STUDIO_BRAIN_EVENT_BUS_BATCH_SIZE", batch.to_string()),
        ("STUDIO_BRAIN_EVENT_BUS_PARTITIONS", partitions.to_string()),
    ];
    let mut brains = Vec::new();
    for _ in 0..replicas {
        brains.push(Brain::start(servers, program, DATABASE, &extra).await?);
    }
    tokio::time::sleep(WARM_UP).await;
    let count = async || -> Result<i64> {
        let row = database
            .query_one("SELECT COALESCE(sum(last_seq), 0)::bigint FROM swarm_sequences", &[])
            .await?;
        Ok(row.get(0))
    };
    let (from, first, busy) = (Instant::now(), count().await?, footprint::busy()?);
    tokio::time::sleep(window).await;
    let (last, took) = (count().await?, from.elapsed());
    let now_busy = footprint::busy()?;
    let cores = [0, 1, 2].map(|n| (now_busy[n] - busy[n]) / took.as_secs_f64());
    let peaks = brains.iter().map(|brain| footprint::peak_rss(brain.pid()));
    let peak_rss = peaks.collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or(0);
    drop(brains);
    let rows = database
        .query_one("SELECT count(*) FILTER (WHERE event_type = 'task.created'), count(*) FILTER (WHERE event_type = 'task.assigned') FROM swarm_events", &[])
        .await?;
    let (created, assigned): (i64, i64) = (rows.get(0), rows.get(1));
    if created != assigned {
        bail!("{created} tasks are stored, but {assigned} follow-ups");
    }
    if u64::try_from(created).unwrap_or(0) as usize >= published {
        bail!("the stream ran empty before the time was over: the figure would be too low");
    }
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    let tasks = (last - first) as f64 / 2.0;
    Ok(Throughput {
        tasks_per_second: tasks / took.as_secs_f64(),
        peak_rss,
        stored: u64::try_from(created).unwrap_or(0),
        cores,
    })
}

/// A swarm whose events travel on partition `wanted`.
fn swarm_of(wanted: u32, partitions: u16) -> String {
    let names = (0_u32..).map(|n| format!("bench-{n}"));
    let fits = |name: &String| crc32fast::hash(name.as_bytes()) % u32::from(partitions) == wanted;
    names.into_iter().find(fits).unwrap_or_default()
}
