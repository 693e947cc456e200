//! `brain event`: its commands and options.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ListFormat, ServerArgs};

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
