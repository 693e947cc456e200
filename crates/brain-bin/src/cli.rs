//! The command line: every command, option and help text.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// Read tasks
    #[command(subcommand)]
    Task(TaskCommand),
    /// Read agents
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Store, read and remove schedules that create tasks
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Inspect, replay and drop what could not be stored
    #[command(subcommand)]
    DeadLetter(DeadLetterCommand),
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
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerArgs {
    /// URL of the brain to ask [default: from STUDIO_BRAIN_HOST and STUDIO_BRAIN_PORT]
    #[arg(long, value_name = "URL", help_heading = "Server")]
    pub(crate) server: Option<String>,
    /// Admin token for changes [default: STUDIO_BRAIN_ADMIN_TOKEN]
    #[arg(long, value_name = "TOKEN", help_heading = "Server")]
    pub(crate) token: Option<String>,
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

/// `brain event ...`
#[derive(Debug, Subcommand)]
pub(crate) enum EventCommand {
    /// Publish one event, or all events of a file; done when they are stored
    Publish(PublishArgs),
    /// Print stored events in their order
    Tail(TailArgs),
}

/// Options of `brain event publish`.
#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// Type of the event, such as task.created
    #[arg(long = "type", value_name = "TYPE", required_unless_present = "file")]
    pub(crate) kind: Option<String>,
    /// Payload as a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}", conflicts_with = "file")]
    pub(crate) payload: String,
    /// Id of the event; an id that is stored already is not stored again [default: a new one]
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    pub(crate) id: Option<String>,
    /// Events as one JSON object, an array, {"events": [...]} or JSON lines; - reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "kind")]
    pub(crate) file: Option<PathBuf>,
    /// Swarm of events that name none [default: the server's STUDIO_BRAIN_SWARM_ID]
    #[arg(long, value_name = "ID")]
    pub(crate) swarm: Option<String>,
    /// Run of events that name none [default: the server's run]
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
    /// Actor of events that name none
    #[arg(long, value_name = "ID", default_value = "cli")]
    pub(crate) actor: String,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub(crate) output: ListFormat,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// Options of `brain event tail`.
#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// Events of this swarm [default: the server's STUDIO_BRAIN_SWARM_ID]
    #[arg(long, value_name = "ID")]
    pub(crate) swarm: Option<String>,
    /// Only events of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    /// Begin with this sequence number; 1 is the first event [default: the last 20 of the swarm]
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) from: Option<i64>,
    /// Stop after this many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
    /// Keep waiting for new events
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// How to print; json cannot follow
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub(crate) output: ListFormat,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// `brain task ...`
#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// List tasks
    List {
        /// Tasks of this swarm [default: the server's STUDIO_BRAIN_SWARM_ID]
        #[arg(long, value_name = "ID")]
        swarm: Option<String>,
        /// Only tasks of this run
        #[arg(long, value_name = "ID")]
        run: Option<String>,
        /// Only tasks of this status: created, assigned, running, completed, failed or cancelled
        #[arg(long)]
        status: Option<String>,
        /// Only tasks that this agent holds or held last
        #[arg(long, value_name = "ID")]
        agent: Option<String>,
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show one task with its inputs and outputs
    Show {
        /// Id of the task
        task: String,
        /// The swarm it belongs to [default: the server's STUDIO_BRAIN_SWARM_ID]
        #[arg(long, value_name = "ID")]
        swarm: Option<String>,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Table)]
        output: Format,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// `brain agent ...`
#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// List agents
    List {
        /// Agents of this swarm [default: the server's STUDIO_BRAIN_SWARM_ID]
        #[arg(long, value_name = "ID")]
        swarm: Option<String>,
        /// Only agents of this status: live or lost
        #[arg(long)]
        status: Option<String>,
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// `brain schedule ...`
#[derive(Debug, Subcommand)]
pub(crate) enum ScheduleCommand {
    /// List schedules
    List {
        /// Schedules of this swarm [default: the server's STUDIO_BRAIN_SWARM_ID]
        #[arg(long, value_name = "ID")]
        swarm: Option<String>,
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show one schedule with its task
    Show {
        /// Id of the schedule
        schedule: String,
        /// The swarm it belongs to [default: the server's STUDIO_BRAIN_SWARM_ID]
        #[arg(long, value_name = "ID")]
        swarm: Option<String>,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Table)]
        output: Format,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Store a schedule, new or in place of the one with its id
    Put(SchedulePutArgs),
    /// Remove a schedule; the tasks that it created stay
    Delete {
        /// Id of the schedule
        schedule: String,
        /// The swarm it belongs to [default: the server's STUDIO_BRAIN_SWARM_ID]
        #[arg(long, value_name = "ID")]
        swarm: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Options of `brain schedule put`.
#[derive(Debug, Args)]
pub(crate) struct SchedulePutArgs {
    /// Id of the schedule
    pub(crate) schedule: String,
    /// When: minute hour day month weekday, such as "30 2 * * MON-FRI", six fields with the second first, or @daily
    #[arg(long, value_name = "CRON")]
    pub(crate) cron: String,
    /// IANA time zone of the times [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<String>,
    /// What becomes of firings that were missed: skip, once or all [default: skip]
    #[arg(long, value_name = "POLICY")]
    pub(crate) missed_runs: Option<String>,
    /// The task as a JSON object, such as '{"inputs":{"n":1}}'
    #[arg(long, value_name = "JSON", default_value = "{}", conflicts_with = "file")]
    pub(crate) task: String,
    /// Read the task from this file; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Store it without letting it fire
    #[arg(long)]
    pub(crate) disabled: bool,
    /// Who creates the tasks
    #[arg(long, value_name = "ID", default_value = "cli")]
    pub(crate) actor: String,
    /// The swarm that gets the tasks [default: the server's STUDIO_BRAIN_SWARM_ID]
    #[arg(long, value_name = "ID")]
    pub(crate) swarm: Option<String>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// `brain dead-letter ...`
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetterCommand {
    /// List dead letters, newest first
    List {
        /// Only those of this status: parked, replayed or dropped
        #[arg(long)]
        status: Option<String>,
        /// Only those of this reason: malformed, too_large, schema_violation, duplicate or apply_failed
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show one dead letter with its raw bytes
    Show {
        /// Id of the dead letter
        id: String,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Table)]
        output: Format,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Publish a parked dead letter again
    Replay {
        /// Id of the dead letter
        id: String,
        /// Publish this mended event instead of the raw bytes; - reads standard input
        #[arg(long, value_name = "FILE")]
        with: Option<PathBuf>,
        /// How to print the result
        #[arg(long, value_enum, default_value_t = Format::Table)]
        output: Format,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Give a parked dead letter up; it stays listed as dropped
    Drop {
        /// Id of the dead letter
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
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
