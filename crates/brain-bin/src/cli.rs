//! The command line: every command, option and help text.

mod agent;
mod audit;
mod budget;
mod capability;
mod dead_letter;
mod delegation;
mod event;
mod exemption;
mod kill_switch;
mod profile;
mod proposal;
mod run;
mod schedule;
mod schema;
mod skill;
mod skill_registry;
mod task;
mod token;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::{
    agent::{AgentCommand, AgentRegisterArgs},
    audit::{AuditCommand, AuditExportArgs, AuditKeyCommand, AuditListArgs, AuditVerifyArgs},
    budget::BudgetCommand,
    capability::CapabilityCommand,
    dead_letter::DeadLetterCommand,
    delegation::DelegationCommand,
    event::{EventCommand, PublishArgs, TailArgs},
    exemption::ExemptionCommand,
    kill_switch::{KillSwitchArgs, KillSwitchCommand},
    profile::{ProfileCommand, ProfileSetArgs},
    proposal::{ProposalApproveArgs, ProposalCommand, ProposalExecuteArgs, ProposalReasonArgs},
    run::RunCommand,
    schedule::{ScheduleCommand, SchedulePutArgs},
    schema::{SchemaCommand, SchemaFileArgs},
    skill::{SandboxCommand, SkillCallArgs, SkillCommand, SkillInstallArgs},
    skill_registry::{
        RegistryChangeArgs, RegistryKeyCommand, RegistryPublisherCommand, RoleArgs, SkillRegistryCommand,
    },
    task::{TaskCommand, TaskCreateArgs},
    token::{TokenCommand, TokenCreateArgs},
};

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or what was checked is ok
  1  what was checked is not ok, or the operation failed
  2  wrong usage or wrong configuration; nothing was done

Settings are environment variables, read from --set, then the environment, then the file .env;
`brain config check` shows them all.";

/// Studio Brain: a local-first backend for swarms of AI agents.
#[derive(Debug, Parser)]
#[command(name = "brain", version, propagate_version = true, max_term_width = 110)]
#[command(after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where settings come from.
#[derive(Debug, Clone, Args)]
pub(crate) struct SettingsArgs {
    /// Read settings from this file; the environment wins over it [default: .env, where there is one]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Settings")]
    pub(crate) env_file: Option<PathBuf>,
    /// Set one setting; wins over the environment and may be repeated
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = name_and_value, help_heading = "Settings")]
    pub(crate) set: Vec<(String, String)>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server and, where it is enabled, the orchestrator
    Serve(ServeArgs),
    /// Check every dependency; exit code 1 when one is not ok
    Healthcheck(HealthcheckArgs),
    /// Apply or inspect database migrations
    Migrate(MigrateArgs),
    /// Publish and read events
    #[command(subcommand)]
    Event(EventCommand),
    /// Create, read and steer tasks
    #[command(subcommand)]
    Task(TaskCommand),
    /// Register, read and steer agents
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Read, cancel and finish runs
    #[command(subcommand)]
    Run(RunCommand),
    /// Make, read, raise and stop budgets
    #[command(subcommand)]
    Budget(BudgetCommand),
    /// Store, read and remove schedules that create tasks
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Register, read and check the schemas of event types
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Inspect, replay and drop what could not be stored
    #[command(subcommand)]
    DeadLetter(DeadLetterCommand),
    /// Make, list and revoke API tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Read what agents may do to the world outside and under which rules, and check a file that says so
    #[command(subcommand)]
    Capability(CapabilityCommand),
    /// Propose uses of capabilities, decide about them, execute and undo them
    #[command(subcommand)]
    Proposal(ProposalCommand),
    /// Let agents act for their owners
    #[command(subcommand)]
    Delegation(DelegationCommand),
    /// Let a capability do without approvals for a time
    #[command(subcommand)]
    Exemption(ExemptionCommand),
    /// Stop everything that would be done to the world outside, at once and on every replica
    #[command(subcommand)]
    KillSwitch(KillSwitchCommand),
    /// Install, call and remove skills, and keep signed registries of them
    #[command(subcommand)]
    Skill(SkillCommand),
    /// Look at what confines skills on this machine
    #[command(subcommand)]
    Sandbox(SandboxCommand),
    /// List, export and verify the audit trail, and keep the key that signs it
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Say who the server takes this caller for, and what it may do
    Whoami {
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Table)]
        output: Format,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Keep servers with their tokens under names, for --profile
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Check stored data for what must always hold; exit code 1 on violations
    Doctor(DoctorArgs),
    /// Inspect the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Options of `brain serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Leave pending migrations alone; /readyz is not ok while there are any
    #[arg(long)]
    pub(crate) no_migrate: bool,
}

/// Options of `brain healthcheck`.
#[derive(Debug, Args)]
pub(crate) struct HealthcheckArgs {
    /// How to print the report
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    /// Ask a running brain only: no answer is exit code 1 instead of checks from here
    #[arg(long)]
    pub(crate) running: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// Options of `brain migrate`.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    #[command(subcommand)]
    pub(crate) action: Option<MigrateAction>,
    /// How to print the result
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

/// What to do with migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum MigrateAction {
    /// Apply what is pending (the default)
    Up,
    /// Compare the database with this version; exit code 1 when something is pending, changed or missing
    Status,
}

/// How to reach a server.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServerArgs {
    /// URL of the brain to ask [default: that of the profile, or from STUDIO_BRAIN_HOST and STUDIO_BRAIN_PORT]
    #[arg(long, value_name = "URL", env = "BRAIN_SERVER", help_heading = "Server")]
    pub(crate) server: Option<String>,
    /// Token to present [default: that of the profile, or STUDIO_BRAIN_ADMIN_TOKEN]
    #[arg(
        long,
        value_name = "TOKEN",
        env = "BRAIN_TOKEN",
        hide_env_values = true,
        help_heading = "Server"
    )]
    pub(crate) token: Option<String>,
    /// Take server and token from this profile, see `brain profile`
    #[arg(long, value_name = "NAME", env = "BRAIN_PROFILE", help_heading = "Server")]
    pub(crate) profile: Option<String>,
}

/// What every command about one thing of a swarm can be told.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShowArgs {
    /// The swarm it belongs to [default: the server's STUDIO_BRAIN_SWARM_ID]
    #[arg(long, value_name = "ID")]
    pub(crate) swarm: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// What every command that changes something in a swarm can be told.
#[derive(Debug, Clone, Args)]
pub(crate) struct ChangeArgs {
    /// Who does it, in the event that tells of it
    #[arg(long, value_name = "ID", default_value = "cli")]
    pub(crate) actor: String,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
}

/// What every command about one thing of a tenant can be told.
#[derive(Debug, Clone, Args)]
pub(crate) struct OneArgs {
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// How to print a list.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListArgs {
    /// How to print
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub(crate) output: ListFormat,
    /// Print at most this many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
}

/// Options of `brain doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Check the invariants of stored data
    #[arg(long, required = true)]
    pub(crate) invariants: bool,
    /// Age in milliseconds from which an event that no stream has seen counts as stuck
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    pub(crate) relay_deadline_ms: u64,
    /// How to print the findings
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

/// `brain config ...`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting without secrets, with warnings and problems; exit code 2 on problems
    Check {
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Table)]
        output: Format,
    },
}

/// How to print one result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// How to print a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Jsonl,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE, such as PGPORT=5432".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_event_comes_from_options_or_a_file_but_not_both() {
        let parse = |words: &str| Cli::try_parse_from(words.split(' '));
        assert!(parse("brain event publish").is_err());
        assert!(parse("brain event publish --type a.b --file x").is_err());
        assert!(parse("brain event publish --file -").is_ok());
        assert!(parse("brain event publish --type a.b --server http://127.0.0.1:1").is_ok());
        assert!(parse("brain doctor").is_err());
        assert!(parse("brain migrate").is_ok());
    }

    #[test]
    fn the_reference_names_every_command_and_option() {
        let reference = include_str!("../../../docs/CLI.md");
        let mut waiting = vec![Cli::command()];
        while let Some(command) = waiting.pop() {
            assert!(
                reference.contains(command.get_name()),
                "docs/CLI.md lacks the command {}",
                command.get_name()
            );
            for option in command.get_arguments().filter_map(|argument| argument.get_long()) {
                assert!(
                    reference.contains(&format!("--{option}")),
                    "docs/CLI.md lacks --{option}"
                );
            }
            waiting.extend(command.get_subcommands().cloned());
        }
    }
}
