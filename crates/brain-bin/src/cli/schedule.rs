//! `brain schedule`: its commands and options.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Format, ListArgs, ServerArgs};

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
