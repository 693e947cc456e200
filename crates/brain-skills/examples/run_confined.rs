//! Runs a program of a directory in the sandbox, and says how it ended and what confined it.
//!
//! `cargo run -p brain-skills --example run_confined -- DIRECTORY PROGRAM [ARGUMENT]...`; with `--bench N` before the directory it
//! runs the program N times and prints how long that took.
#![allow(clippy::print_stdout, reason = "an example that is run in a terminal")]

use std::{
    collections::BTreeMap,
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use brain_skills::{
    digest::Digest,
    egress::Allowlist,
    launch::{Launch, Limits, Program, Running},
    sandbox::{Mechanism, Sandbox, Settings, launcher},
};
use tokio::io::AsyncReadExt;

fn main() -> Result<(), Box<dyn Error>> {
    // First of all: the sandbox executes this program again to start the confined one.
    launcher::run_if_asked();
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut rounds = None;
    if arguments.first().is_some_and(|first| first == "--bench") && arguments.len() > 1 {
        rounds = Some(arguments[1].parse()?);
        arguments.drain(..2);
    }
    if arguments.len() < 2 {
        return Err("usage: run_confined [--bench N] DIRECTORY PROGRAM [ARGUMENT]...".into());
    }
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(run(&arguments, rounds))
}

async fn run(arguments: &[String], rounds: Option<usize>) -> Result<(), Box<dyn Error>> {
    let mut settings = Settings::default();
    // What an ordinary user without a delegated group cannot have.
    settings
        .may_be_missing
        .extend([Mechanism::CgroupMemory, Mechanism::CgroupPids, Mechanism::CgroupCpu]);
    let sandbox = Sandbox::new(settings)?;
    let program = Program {
        digest: Digest::of(arguments[0].as_bytes()),
        code: std::fs::canonicalize(&arguments[0])?,
        argv: arguments[1..].to_vec(),
        environment: BTreeMap::new(),
        limits: Limits::default(),
        egress: Arc::new(Allowlist::default()),
        mounts: Vec::new(),
    };
    if let Some(rounds) = rounds {
        return measure(&sandbox, &program, rounds).await;
    }
    let Running {
        stdin,
        mut stdout,
        mut stderr,
        tree,
        enforced,
    } = sandbox.launch(&program).await?;
    drop(stdin);
    let (mut out, mut err) = (String::new(), String::new());
    tokio::try_join!(stdout.read_to_string(&mut out), stderr.read_to_string(&mut err))?;
    println!("{out}{err}{}", tree.ended().await);
    for one in enforced.iter() {
        println!("{:20} {:?}", one.mechanism, one.state);
    }
    Ok(())
}

async fn measure(sandbox: &Sandbox, program: &Program, rounds: usize) -> Result<(), Box<dyn Error>> {
    let mut times: Vec<[Duration; 2]> = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        let running = sandbox.launch(program).await?;
        let started = start.elapsed();
        running.tree.ended().await;
        times.push([started, start.elapsed()]);
    }
    for (at, what) in ["until it runs", "until it is gone"].into_iter().enumerate() {
        let mut sorted: Vec<Duration> = times.iter().map(|times| times[at]).collect();
        sorted.sort_unstable();
        let quantile = |of: usize| {
            sorted
                .get(rounds * of / 100)
                .or(sorted.last())
                .copied()
                .unwrap_or_default()
        };
        println!(
            "{what}: p50 {:?}, p99 {:?}, of {rounds} runs",
            quantile(50),
            quantile(99)
        );
    }
    Ok(())
}
