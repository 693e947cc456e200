//! The commands: one file each, and the runtimes they run on.

mod agent;
mod audit;
mod budget;
mod capability;
mod config;
mod dead_letter;
mod delegation;
mod doctor;
mod event;
mod exemption;
mod given;
mod healthcheck;
mod kill_switch;
mod listing;
mod migrate;
mod profile;
mod proposal;
mod run;
mod sandbox;
mod schedule;
mod schema;
mod serve;
mod skill;
mod steering;
mod task;
mod token;

use anyhow::Context as _;
use brain_config::Config;
use clap::CommandFactory as _;

use crate::cli::{Cli, Command, SettingsArgs};
use crate::exit::Verdict;
use crate::{logs, settings};

/// Runs the command that the command line names.
pub(crate) fn run(cli: Cli) -> anyhow::Result<Verdict> {
    let settings = &cli.settings;
    match cli.command {
        Command::Serve(args) => serve::run(settings, &args),
        Command::Healthcheck(args) => once(settings, async |config| healthcheck::run(&config, &args).await),
        Command::Migrate(args) => once(settings, async |config| migrate::run(&config, &args).await),
        Command::Event(command) => once(settings, async |config| event::run(&config, command).await),
        Command::Task(command) => once(settings, async |config| task::run(&config, command).await),
        Command::Agent(command) => once(settings, async |config| agent::run(&config, command).await),
        Command::Run(command) => once(settings, async |config| run::run(&config, command).await),
        Command::Budget(command) => once(settings, async |config| budget::run(&config, command).await),
        Command::Schedule(command) => once(settings, async |config| schedule::run(&config, command).await),
        Command::Schema(command) => once(settings, async |config| schema::run(&config, command).await),
        Command::DeadLetter(command) => once(settings, async |config| dead_letter::run(&config, command).await),
        Command::Token(command) => once(settings, async |config| token::run(&config, command).await),
        Command::Capability(command) => capability::run(settings, command),
        Command::Proposal(command) => once(settings, async |config| proposal::run(&config, command).await),
        Command::Delegation(command) => once(settings, async |config| delegation::run(&config, command).await),
        Command::Exemption(command) => once(settings, async |config| exemption::run(&config, command).await),
        Command::KillSwitch(command) => once(settings, async |config| kill_switch::run(&config, command).await),
        Command::Skill(command) => skill::run(settings, command),
        Command::Sandbox(command) => sandbox::run(settings, &command),
        Command::Audit(command) => audit::run(settings, command),
        Command::Whoami { output, server } => {
            once(settings, async |config| token::whoami(&config, &server, output).await)
        }
        Command::Profile(command) => profile::run(command),
        Command::Doctor(args) => once(settings, async |config| doctor::run(&config, &args).await),
        Command::Config(command) => config::run(settings, &command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "brain", &mut script);
            crate::render::print(&String::from_utf8_lossy(&script))?;
            Ok(Verdict::Ok)
        }
    }
}

/// Runs a command that ends by itself, on one thread.
fn once(
    settings: &SettingsArgs,
    command: impl AsyncFnOnce(Config) -> anyhow::Result<Verdict>,
) -> anyhow::Result<Verdict> {
    let config = settings::load(settings)?.config;
    logs::init_command(&config.log);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    let result = runtime.block_on(command(config));
    // A name lookup that hangs must not keep a finished command from ending.
    runtime.shutdown_background();
    result
}
