//! `cargo xtask api-fuzz`: schemathesis reads the OpenAPI document of a running brain and tries everything that it says.
//!
//! Every answer is compared with the document: statuses, headers, media types, schemas; what the document forbids must be
//! refused, what it allows accepted; no credential, no answer. The servers exist only for the run.

mod brain;
mod python;
mod seed;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use brain_devstack::Stack;

use self::brain::Brain;
use self::python::Python;
use crate::signals::{Ending, runtime};
use crate::workspace::{build_brain, servers};

/// What `cargo xtask api-fuzz` takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Random requests for each operation, beside those that follow from the bounds of each schema
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    cases: u32,
    /// Which requests; the same seed gives the same ones [default: by chance]
    #[arg(long)]
    seed: Option<u32>,
    /// Only these kinds of requests: examples, coverage, fuzzing, stateful
    #[arg(long, value_delimiter = ',', value_name = "PHASE")]
    phases: Vec<String>,
    /// Use an optimised build of brain
    #[arg(long)]
    release: bool,
    /// Use this program instead of building one
    #[arg(long, hide = true, value_name = "PATH")]
    brain: Option<PathBuf>,
}

/// Runs it; the exit code is 1 when an answer was not as the document says.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u32(..1_000_000));
    eprintln!("seed {seed}");
    let binaries = servers()?;
    runtime()?.block_on(async {
        let mut ending = Ending::listen()?;
        let prepared = async {
            let python = Python::prepare().await?;
            let brain = match &args.brain {
                Some(brain) => std::path::absolute(brain)?,
                None => build_brain(args.release).await?,
            };
            Ok::<_, anyhow::Error>((python, brain, Stack::start(&binaries).await?))
        };
        let (python, program, stack) = tokio::select! {
            prepared = prepared => prepared?,
            // Dropping the preparation stops whatever was up already.
            signal = ending.next() => bail!("ended by {signal}"),
        };
        let outcome = tokio::select! {
            outcome = fuzz(&args, seed, &python, program, &stack) => outcome,
            signal = ending.next() => Err(anyhow::anyhow!("ended by {signal}")),
        };
        stack.stop().await?;
        outcome
    })
}

async fn fuzz(args: &Args, seed: u32, python: &Python, program: PathBuf, stack: &Stack) -> Result<ExitCode> {
    let mut brain = Brain::start(stack, program).await?;
    let seeds = seed::sow(&brain).await?;
    let document = reqwest::get(brain.url("/openapi.json")).await?.bytes().await?;
    python.validate(&document).await?;
    let settings = seeds.settings(&brain.token);
    let status = python
        .schemathesis(&brain.url("/openapi.json"), &settings, seed, args)
        .await?;
    brain
        .require_running()
        .context("brain did not survive what it was asked")?;
    brain.stop().await?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        eprintln!("again: cargo xtask api-fuzz --cases {} --seed {seed}", args.cases);
        ExitCode::FAILURE
    })
}
