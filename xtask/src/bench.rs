//! `cargo xtask bench`: what the system does in a second, next to what this machine could do at best.
//!
//! Each figure that claims speed is a ratio to a ceiling taken in the same run, on the same servers and tables.
//! `docs/PERFORMANCE.md` explains every figure.

mod brain;
mod ceiling;
mod desk;
mod footprint;
mod http;
mod latency;
mod machine;
mod pipeline;
mod report;
mod samples;
mod scaling;
mod sse;
mod steady;
mod tasks;
mod wire;
mod workload;

use std::{
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result};
use brain_devstack::{Binaries, Stack};

pub(crate) use self::http::bare;
use self::{brain::Servers, report::Report};
use crate::{progress::Progress, workspace};

/// What `cargo xtask bench` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    bench: Bench,
    /// Print JSON instead of a table
    #[arg(long, global = true)]
    json: bool,
    /// Use this program instead of building one
    #[arg(long, global = true, value_name = "PATH")]
    brain: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Bench {
    /// From published event to stored task and follow-up: throughput, latency, footprint
    Pipeline(pipeline::Args),
    /// Life cycles of tasks: create, claim, complete
    Tasks(tasks::Args),
    /// From publishing to stored, and from creating a task to a waiting worker that has it
    Latency(latency::Args),
    /// Requests a second and their latency, next to a bare hyper server
    Http(http::Args),
    /// An event to everybody who follows a swarm
    Sse(sse::Args),
    /// The pipeline with 1, 2, 4 replicas and 1, 2, 4, 8 partitions
    Scaling(scaling::Args),
    /// What an idle brain costs, and how long it takes to start
    Idle,
    /// The memory of the stream under a steady load, and what an idle brain costs after it
    Steady(steady::Args),
}

/// What a benchmark runs with.
struct Run {
    servers: Servers,
    /// The optimised program.
    brain: PathBuf,
    progress: Progress,
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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(on_a_stack(&args.bench, args.brain))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", report.table());
    }
    Ok(ExitCode::SUCCESS)
}

async fn on_a_stack(bench: &Bench, brain: Option<PathBuf>) -> Result<Report> {
    let brain = match brain {
        Some(path) => path,
        None => workspace::build_brain(true).await?,
    };
    let progress = Progress::start("starting a throw-away stack");
    let binaries = Binaries::locate_or_install(&|line| progress.change(line))?;
    let stack = Stack::start(&binaries).await?;
    let run = Run {
        servers: Servers::of(&stack)?,
        brain,
        progress,
    };
    let result = tokio::select! {
        result = measure(&run, bench) => result,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            Err(anyhow::anyhow!("interrupted"))
        }
    };
    drop(run);
    stack.stop().await?;
    result
}

async fn measure(run: &Run, bench: &Bench) -> Result<Report> {
    let mut report = Report::new(match bench {
        Bench::Pipeline(_) => "pipeline",
        Bench::Tasks(_) => "tasks",
        Bench::Latency(_) => "latency",
        Bench::Http(_) => "http",
        Bench::Sse(_) => "sse",
        Bench::Scaling(_) => "scaling",
        Bench::Idle => "idle",
        Bench::Steady(_) => "steady",
    });
    machine::describe(&run.servers, &mut report).await?;
    match bench {
        Bench::Pipeline(args) => pipeline::run(run, args, &mut report).await?,
        Bench::Tasks(args) => tasks::run(run, args, &mut report).await?,
        Bench::Latency(args) => latency::run(run, args, &mut report).await?,
        Bench::Http(args) => http::run(run, args, &mut report).await?,
        Bench::Sse(args) => sse::run(run, args, &mut report).await?,
        Bench::Scaling(args) => scaling::run(run, args, &mut report).await?,
        Bench::Idle => {
            run.progress.change("measuring an idle brain");
            footprint::measure(&run.servers, &run.brain).await?.add_to(&mut report);
        }
        Bench::Steady(args) => steady::run(run, args, &mut report).await?,
    }
    Ok(report)
}
