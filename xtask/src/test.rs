//! `cargo xtask test`: every test, against a stack that exists only for this run.

use std::io::IsTerminal;
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result};
use brain_devstack::{Binaries, Stack};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::browser;
use crate::progress::Progress;
use crate::signals::{Ending, runtime};
use crate::workspace::{build_brain, cargo, servers};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only start the stack and print where it is, to run tests by hand; Ctrl-C stops it
    #[arg(long)]
    stack_only: bool,
    /// Passed on to `cargo nextest run`, for example `-p brain-swarm ingest`
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "NEXTEST ARGUMENTS"
    )]
    arguments: Vec<String>,
}

/// Runs the tests and returns the exit code of the first runner that failed.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let binaries = servers()?;
    runtime()?.block_on(async {
        let mut ending = Ending::listen()?;
        let prepared = tokio::select! {
            prepared = prepare(&args, &binaries) => prepared,
            // Dropping the preparation stops whatever part of the stack was up already.
            signal = ending.next() => return Ok(ExitCode::from(code_of(signal))),
        };
        let (stack, environment) = prepared?;
        let outcome = if args.stack_only {
            print_exports(&environment);
            ending.next().await;
            Ok(0)
        } else {
            run_all(&args.arguments, &environment, &mut ending).await
        };
        stack.stop().await?;
        outcome.map(ExitCode::from)
    })
}

type Environment = Vec<(&'static str, String)>;

async fn prepare(args: &Args, binaries: &Binaries) -> Result<(Stack, Environment)> {
    let brain = if !args.stack_only && wants_brain(&args.arguments) {
        Some(build_brain(false).await?)
    } else {
        None
    };
    let progress = Progress::start("starting a throw-away stack");
    let stack = Stack::start(binaries).await?;
    drop(progress);
    let mut environment = stack.environment();
    environment.extend(brain.map(|brain| ("BRAIN_TEST_BRAIN_BIN", brain.display().to_string())));
    if !args.stack_only && wants_browser(&args.arguments) {
        // Those tests fail and say so themselves; the others need not wait for somebody to install a browser.
        match browser::missing() {
            Some(missing) => eprintln!("{missing}"),
            None => environment.push(("BRAIN_TEST_AXE", browser::axe().await?.display().to_string())),
        }
    }
    Ok((stack, environment))
}

/// Tests that start the program live in these packages; others need not wait for it to build.
fn wants_brain(arguments: &[String]) -> bool {
    let needs_it = |argument: &String| argument.contains("brain-bin") || argument.contains("xtask");
    !names_package(arguments) || arguments.iter().any(needs_it)
}

/// The tests that steer a browser live in this package.
fn wants_browser(arguments: &[String]) -> bool {
    !names_package(arguments) || arguments.iter().any(|argument| argument.contains("brain-bin"))
}

fn names_package(arguments: &[String]) -> bool {
    arguments
        .iter()
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
}

fn print_exports(environment: &[(&'static str, String)]) {
    for (variable, value) in environment {
        println!("export {variable}='{value}'");
    }
    eprintln!("the stack is up; set these variables to run tests by hand, Ctrl-C stops it");
}

async fn run_all(arguments: &[String], environment: &[(&str, String)], ending: &mut Ending) -> Result<u8> {
    let mut runner: Vec<&str> = if has_nextest() {
        vec!["nextest", "run"]
    } else {
        eprintln!("nextest is not installed (`cargo install --locked cargo-nextest`); using `cargo test`");
        vec!["test"]
    };
    let everything = arguments.is_empty();
    if !names_package(arguments) {
        runner.push("--workspace");
    }
    if runner.first() == Some(&"test") {
        runner.push("--all-targets");
    }
    runner.extend(arguments.iter().map(String::as_str));
    let code = run_one(&runner, environment, ending).await?;
    if code != 0 || !everything {
        return Ok(code);
    }
    run_one(&["test", "--doc", "--workspace"], environment, ending).await
}

fn has_nextest() -> bool {
    let mut probe = cargo();
    probe
        .args(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// Runs cargo to its end, handing on what asks this program to end.
async fn run_one(arguments: &[&str], environment: &[(&str, String)], ending: &mut Ending) -> Result<u8> {
    let line = format!("cargo {}", arguments.join(" "));
    let mut command = cargo();
    command
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (*name, value)));
    let mut child = tokio::process::Command::from(command)
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
    let mut asked_to_end = None;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.with_context(|| format!("cannot wait for `{line}`"))?,
            signal = ending.next() => {
                asked_to_end = Some(signal);
                // A Ctrl-C at the terminal has reached the runner already; a second one would make it give up its
                // own orderly end.
                let from_terminal = signal == Signal::SIGINT && std::io::stdin().is_terminal();
                if let (Some(pid), false) = (pid, from_terminal) {
                    let _ = kill(pid, signal);
                }
            }
        }
    };
    if let Some(signal) = asked_to_end {
        return Ok(code_of(signal));
    }
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// The exit code by which shells tell that a signal ended a program.
fn code_of(signal: Signal) -> u8 {
    128_u8.saturating_add(u8::try_from(signal as i32).unwrap_or(1))
}
