//! The automation of Studio Brain: `cargo xtask --help`.
//!
//! This file only names the commands; each is a module of the same name.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line talks on the terminal"
)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod api_fuzz;
mod bench;
mod browser;
mod chaos;
mod ci;
mod compose;
mod demo;
mod dev;
mod docker;
mod generate;
mod healthcheck;
mod infra_deps;
mod layers;
mod migrate;
mod progress;
mod prose;
mod s3_server;
mod signals;
mod tenancy;
mod test;
mod workspace;

/// The allocator of `brain`, so that what is measured in this process is measured with it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "The automation of Studio Brain",
    version
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the dependencies and brain in the background, and wait until they are healthy
    DevUp(dev::up::Args),
    /// Stop what dev-up left running
    DevDown(dev::down::Args),
    /// Show what the services wrote
    DevLogs(dev::logs::Args),
    /// Stop everything and remove all data of the development stack
    DevReset(dev::reset::Args),
    /// Ask every dependency whether it works
    Healthcheck(healthcheck::Args),
    /// Check that PostgreSQL, Redis and the artifact store can be reached
    InfraDeps(infra_deps::Args),
    /// Bring the database up to date, or say how it stands
    Migrate(migrate::Args),
    /// Run every test against a throw-away stack; arguments are passed on to nextest
    Test(test::Args),
    /// Put a swarm to work on the running brain, and prove from the database that nothing is missing
    Demo(demo::Args),
    /// Measure speed and cost next to what this machine could do at best
    Bench(bench::Args),
    /// Break replicas, workers and servers again and again, and prove that nothing is lost or done twice
    Chaos(chaos::Args),
    /// Try everything that the OpenAPI document says of the running brain, and everything that it forbids
    ApiFuzz(api_fuzz::Args),
    /// Write the files that come from the definitions of the configuration
    Generate(generate::Args),
    /// Check the compose file
    ValidateCompose(compose::Args),
    /// Check that dependencies between crates run one way
    Layers(layers::Args),
    /// Check file headers, sizes, names and links
    Prose(prose::Args),
    /// Check that every statement over a table of tenants says of which tenant
    Tenancy(tenancy::Args),
    /// Run every gate that a change has to pass
    Ci(ci::Args),
    #[command(name = s3_server::COMMAND, hide = true)]
    S3Server(s3_server::Args),
    #[command(name = bench::bare::COMMAND, hide = true)]
    BareHyper(bench::bare::Args),
    #[command(name = chaos::worker::COMMAND, hide = true)]
    ChaosWorker(chaos::worker::Args),
}

fn main() -> ExitCode {
    let done = |result: anyhow::Result<()>| result.map(|()| ExitCode::SUCCESS);
    let outcome = match Cli::parse().command {
        Command::DevUp(args) => dev::up::run(args),
        Command::DevDown(args) => dev::down::run(args),
        Command::DevLogs(args) => dev::logs::run(args),
        Command::DevReset(args) => dev::reset::run(args),
        Command::Healthcheck(args) => healthcheck::run(args),
        Command::InfraDeps(args) => infra_deps::run(args),
        Command::Migrate(args) => migrate::run(args),
        Command::Test(args) => test::run(args),
        Command::Demo(args) => done(signals::runtime().and_then(|runtime| runtime.block_on(demo::run(args)))),
        Command::Bench(args) => bench::run(args),
        Command::Chaos(args) => chaos::run(args),
        Command::ApiFuzz(args) => api_fuzz::run(args),
        Command::Generate(args) => done(generate::run(args)),
        Command::ValidateCompose(args) => done(compose::run(args)),
        Command::Layers(args) => done(layers::run(args)),
        Command::Prose(args) => done(prose::run(args)),
        Command::Tenancy(args) => done(tenancy::run(args)),
        Command::Ci(args) => done(ci::run(args)),
        Command::S3Server(args) => s3_server::run(args),
        Command::BareHyper(args) => bench::bare::run(args),
        Command::ChaosWorker(args) => chaos::worker::run(args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
