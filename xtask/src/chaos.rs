//! `cargo xtask chaos`: faults by the hundred against replicas, workers and servers that exist only for the run.
//!
//! Publishers and workers keep ledgers outside the system. After each fault the harness measures how long it takes until
//! work flows again and checks every invariant; at the end the ledgers are compared with the database. The seed alone
//! decides which faults come in which order.

mod client;
mod evidence;
mod facts;
mod fleet;
mod inject;
mod ledger;
mod live;
mod plan;
mod proxy;
mod publisher;
mod recovery;
mod replica;
mod report;
mod run;
mod verify;
pub(crate) mod worker;
mod workload;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use brain_devstack::Stack;

use self::report::Report;
use crate::signals::{Ending, runtime};
use crate::workspace::{build_brain, servers};

/// What `cargo xtask chaos` takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// How long faults are injected
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Which plan of faults; the same seed gives the same plan [default: by chance]
    #[arg(long)]
    seed: Option<u64>,
    /// Processes of `brain serve`
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=16))]
    replicas: u16,
    /// Worker processes
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(2..=64))]
    workers: u16,
    /// Publishers
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    publishers: u16,
    /// Lease of tasks, streams and agents
    #[arg(long, value_name = "MS", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(1_000..=60_000))]
    lease_ms: u64,
    /// Use an optimised build of brain
    #[arg(long)]
    release: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Use this program instead of building one
    #[arg(long, hide = true, value_name = "PATH")]
    brain: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Table,
    Json,
}

impl Args {
    fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// The command that gives the same plan again.
    fn replay(&self, seed: u64) -> String {
        let release = if self.release { " --release" } else { "" };
        format!(
            "cargo xtask chaos --minutes {} --seed {seed} --replicas {} --workers {} --publishers {} --lease-ms {}{release}",
            self.minutes, self.replicas, self.workers, self.publishers, self.lease_ms
        )
    }
}

/// Runs it; the exit code is 1 when something was violated.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    eprintln!("seed {seed}");
    let binaries = servers()?;
    runtime()?.block_on(async {
        let mut ending = Ending::listen()?;
        let brain = match &args.brain {
            Some(brain) => std::path::absolute(brain)?,
            None => tokio::select! {
                built = build_brain(args.release) => built?,
                signal = ending.next() => bail!("ended by {signal}"),
            },
        };
        let stack = tokio::select! {
            started = Stack::start(&binaries) => started?,
            // Dropping the start stops whatever was up already.
            signal = ending.next() => bail!("ended by {signal}"),
        };
        let report = run::run(&args, seed, brain, stack, &mut ending).await?;
        print(&report, args.output)?;
        Ok(match report.violations.as_slice() {
            [] => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        })
    })
}

fn print(report: &Report, output: Output) -> Result<()> {
    match output {
        Output::Table => println!("{}", report.text()),
        Output::Json => println!("{}", serde_json::to_string_pretty(report)?),
    }
    Ok(())
}
