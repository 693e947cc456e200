//! How throughput grows with replicas and partitions, and which process the processors work for.

use std::time::Duration;

use anyhow::Result;

use super::{
    Run, ceiling,
    pipeline::{self, Shape},
    report::{Report, ratio},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long each combination is measured, after five seconds of warm-up
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Events of one transaction
    #[arg(long, default_value_t = 512)]
    batch: usize,
    /// How many replicas to try
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4])]
    replicas: Vec<u16>,
    /// How many partitions to try
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4, 8])]
    partitions: Vec<u16>,
}

/// The pipeline with every combination of replicas and partitions.
pub(super) async fn run(run: &Run, args: &Args, report: &mut Report) -> Result<()> {
    let window = Duration::from_secs(args.seconds.max(1));
    report.condition("events of a transaction, at most", args.batch);
    report.condition("seconds each, after 5 of warm-up", args.seconds);
    report.note("cores: how many the brains / PostgreSQL / Valkey kept busy; one swarm for each partition");
    run.progress.change("measuring the ceiling");
    let ceiling = ceiling::measure(&run.servers, args.batch, window).await?;
    run.servers.forget("ceiling").await?;
    report.add("ceiling: one connection", ceiling, "tasks/s");
    for &replicas in &args.replicas {
        for &partitions in &args.partitions {
            let shape = Shape {
                batch: args.batch,
                partitions,
                replicas,
            };
            let ours = pipeline::measure(run, &shape, window, ceiling).await?;
            let [brains, postgres, valkey] = ours.cores;
            let name = format!(
                "{replicas} replicas, {partitions} partitions: ratio {:.2}, cores {brains:.2} / {postgres:.2} / {valkey:.2}",
                ratio(ours.tasks_per_second, ceiling)
            );
            report.add(name, ours.tasks_per_second, "tasks/s");
            run.servers.forget(pipeline::DATABASE).await?;
            run.servers.empty_redis().await?;
        }
    }
    Ok(())
}
