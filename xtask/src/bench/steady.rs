//! `bench steady`: the stream's memory under a steady load, and what an idle brain costs after it.

use std::time::{Duration, Instant};

use anyhow::Result;
use fred::{
    clients::Client as Redis,
    interfaces::{ClientLike as _, StreamsInterface as _},
    types::{ClusterHash, CustomCommand, Value},
};
use tokio::time::MissedTickBehavior;

use super::{
    Run,
    brain::Brain,
    footprint,
    report::{Report, mib, ratio},
    workload::{self, AGENTS},
};

const DATABASE: &str = "steady";
/// How often the publisher sends what has become due.
const TICKS: u32 = 100;
/// By default consumed entries stay for ten seconds and are removed every ten: what comes before is filling, not steady.
const FILLING: Duration = Duration::from_secs(25);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The second half may hold so much more than the first and still count as bounded.
const BOUNDED: f64 = 1.2;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long the load lasts
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Events a second, each of which brings about another one
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    rate: u32,
}

/// The stream at one moment.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Duration,
    entries: u64,
    bytes: u64,
}

pub(super) async fn run(run: &Run, args: &Args, report: &mut Report) -> Result<()> {
    let lasts = Duration::from_secs_f64(args.minutes.clamp(1.0, 1440.0) * 60.0);
    report.condition("events published a second", args.rate);
    report.condition("minutes", args.minutes);
    let database = run.servers.database(DATABASE, Some(&run.brain)).await?;
    let brain = Brain::start(&run.servers, &run.brain, DATABASE, &[]).await?;
    let redis = run.servers.redis().await?;
    let stream = format!("bench.{DATABASE}");
    for agent in 0..AGENTS {
        let fields = vec![("event", workload::agent_joined(workload::SWARM, agent))];
        let _: Value = redis.xadd(&stream, false, None::<()>, "*", fields).await?;
    }
    run.progress.change("a steady load");
    let watcher = run.servers.redis().await?;
    let (looks, published) = tokio::try_join!(
        watch(&watcher, &stream, lasts, run),
        publish(&redis, &stream, args.rate, lasts),
    )?;
    describe(report, &looks);
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    report.add("events published", published as f64, "events");
    report.at_most(
        "memory of the brain, most",
        mib(footprint::peak_rss(brain.pid())?),
        "MiB",
        120.0,
    );
    drop(database);
    run.progress.change("idle after the load");
    footprint::idle(&run.servers, &brain, DATABASE)
        .await?
        .add_to(report, "idle after the load");
    let after = look(&redis, &stream, Duration::ZERO).await?;
    report.add("stream after the load, idle", mib(after.bytes), "MiB");
    Ok(())
}

async fn publish(redis: &Redis, stream: &str, rate: u32, lasts: Duration) -> Result<u64> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / TICKS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let from = Instant::now();
    let mut published = 0;
    while from.elapsed() < lasts {
        ticks.tick().await;
        let pipeline = redis.pipeline();
        for _ in 0..rate / TICKS {
            let fields = vec![("event", workload::task_created(workload::SWARM))];
            let () = pipeline.xadd(stream, false, None::<()>, "*", fields).await?;
            published += 1;
        }
        let _: Value = pipeline.all().await?;
    }
    Ok(published)
}

async fn watch(redis: &Redis, stream: &str, lasts: Duration, run: &Run) -> Result<Vec<Look>> {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let from = Instant::now();
    let mut looks = Vec::new();
    while from.elapsed() < lasts {
        ticks.tick().await;
        let seen = look(redis, stream, from.elapsed()).await?;
        if looks.len() % 30 == 0 {
            let Look { at, entries, bytes } = seen;
            run.progress.change(&format!(
                "after {} s: {entries} entries, {:.1} MiB",
                at.as_secs(),
                mib(bytes)
            ));
        }
        looks.push(seen);
    }
    Ok(looks)
}

async fn look(redis: &Redis, stream: &str, at: Duration) -> Result<Look> {
    let entries: u64 = redis.xlen(stream).await?;
    let memory = CustomCommand::new_static("MEMORY", ClusterHash::Custom(0), false);
    let bytes: Option<u64> = redis.custom(memory, vec!["USAGE", stream]).await?;
    Ok(Look {
        at,
        entries,
        bytes: bytes.unwrap_or(0),
    })
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn describe(report: &mut Report, looks: &[Look]) {
    let steady: Vec<&Look> = looks.iter().filter(|look| look.at >= FILLING).collect();
    let (first_half, second_half) = steady.split_at(steady.len() / 2);
    let most = |looks: &[&Look], of: fn(&Look) -> u64| looks.iter().map(|look| of(look)).max().unwrap_or(0) as f64;
    let (Some(first), Some(last)) = (steady.first(), steady.last()) else {
        report.note("the load was too short to see whether the stream is bounded");
        return;
    };
    report.add(
        "entries of the stream, first (after 25 s)",
        first.entries as f64,
        "entries",
    );
    report.add(
        "entries of the stream, most",
        most(&steady, |look| look.entries),
        "entries",
    );
    report.add("entries of the stream, last", last.entries as f64, "entries");
    report.add("memory of the stream, first (after 25 s)", mib(first.bytes), "MiB");
    report.add(
        "memory of the stream, most",
        most(&steady, |look| look.bytes) / f64::from(1 << 20),
        "MiB",
    );
    report.add("memory of the stream, last", mib(last.bytes), "MiB");
    report.at_most(
        "bounded: most memory of the second half to that of the first",
        ratio(
            most(second_half, |look| look.bytes),
            most(first_half, |look| look.bytes),
        ),
        "",
        BOUNDED,
    );
}
