//! `cargo xtask bench`: what the system does in a second, next to what this machine could do at best.
//!
//! Each figure that claims speed is a ratio to a ceiling taken in the same run, on the same servers and tables.

mod brain;
mod ceiling;
mod footprint;
mod latency;
mod pipeline;
mod report;
mod workload;

use std::{
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context as _, Result};
use brain_devstack::{Binaries, Stack};

use self::report::Report;
use crate::{progress::Progress, workspace};

/// What `cargo xtask bench` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, clap::Subcommand)]
enum Bench {
    /// From published event to stored task and follow-up: throughput, latency, footprint
    Pipeline(PipelineArgs),
}

#[derive(Debug, clap::Args)]
struct PipelineArgs {
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
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs a benchmark. Measuring is done by an optimised build of this program, which replaces an unoptimised one.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    if cfg!(debug_assertions) {
        eprintln!("building the optimised benchmark (once) ...");
        let error = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["run", "--quiet", "--release", "--package", "xtask", "--"])
            .args(std::env::args_os().skip(1))
            .exec();
        return Err(error).context("cannot start cargo");
    }
    let Bench::Pipeline(args) = args.bench;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let brain = workspace::build_brain(true).await?;
        pipeline_on_a_stack(brain, &args).await
    })?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", report.table());
    }
    Ok(ExitCode::SUCCESS)
}

async fn pipeline_on_a_stack(brain: PathBuf, args: &PipelineArgs) -> Result<Report> {
    let progress = Progress::start("starting a throw-away stack");
    let binaries = Binaries::locate_or_install(&|line| progress.change(line))?;
    let stack = Stack::start(&binaries).await?;
    drop(progress);
    let result = tokio::select! {
        result = pipeline(&stack, brain, args) => result,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            Err(anyhow::anyhow!("interrupted"))
        }
    };
    stack.stop().await?;
    result
}

async fn pipeline(stack: &Stack, brain: PathBuf, args: &PipelineArgs) -> Result<Report> {
    let servers = brain::Servers::of(stack)?;
    let window = Duration::from_secs(args.seconds.max(1));
    let mut report = Report::new(args.batch, args.partitions, window);
    let progress = Progress::start("measuring");
    // What is quiet comes first: after millions of rows the database is busy with itself for a while.
    if !args.throughput_only {
        progress.change("measuring an idle brain");
        let footprint = footprint::measure(&servers, &brain).await?;
        report.footprint(&footprint);
        progress.change("measuring latency at 500 events/s");
        let latency = latency::measure(&servers, &brain).await?;
        report.latency(&latency);
    }
    progress.change("measuring the ceiling");
    let ceiling = ceiling::measure(&servers, args.batch, window).await?;
    servers.forget("ceiling").await?;
    report.ceiling(ceiling);
    progress.change("measuring the pipeline");
    let ours = pipeline::measure(
        &servers,
        &brain,
        args.batch,
        args.partitions,
        window,
        ceiling,
        &progress,
    )
    .await?;
    report.pipeline(&ours, ceiling);
    drop(progress);
    Ok(report)
}
