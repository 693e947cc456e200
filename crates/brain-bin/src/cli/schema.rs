//! `brain schema`: its commands and options.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Format, ListArgs, ServerArgs};

/// `brain schema ...`
#[derive(Debug, Subcommand)]
pub(crate) enum SchemaCommand {
    /// List the schemas of event types, those of the brain itself first
    List {
        /// Only of this event type
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show a schema: the newest version of a type, or the one that is named
    Show {
        /// Event type
        #[arg(value_name = "TYPE")]
        kind: String,
        /// Version of its schema [default: the newest]
        #[arg(long, value_name = "N")]
        schema_version: Option<u16>,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Table)]
        output: Format,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Register a schema as the next version of a type
    Register(SchemaFileArgs),
    /// Say whether a schema could be registered; exit code 1 when it could not
    Check(SchemaFileArgs),
    /// Say whether a payload would be taken; exit code 1 when it would not
    Validate {
        /// Event type
        #[arg(long = "type", value_name = "TYPE")]
        kind: String,
        /// Version of its schema [default: 1, as with events]
        #[arg(long, value_name = "N")]
        schema_version: Option<u16>,
        /// The payload as a JSON object
        #[arg(long, value_name = "JSON", required_unless_present = "file", conflicts_with = "file")]
        payload: Option<String>,
        /// Read the payload from this file; - reads standard input
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Table)]
        output: Format,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Options of `brain schema register` and `check`.
#[derive(Debug, Args)]
pub(crate) struct SchemaFileArgs {
    /// The JSON Schema; - reads standard input
    pub(crate) file: PathBuf,
    /// Event type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: String,
    /// What must be proven against the version before: none, backward, forward or full [default: backward]
    #[arg(long, value_name = "WHAT")]
    pub(crate) compatibility: Option<String>,
    /// The version that it is to have [default: the next]
    #[arg(long, value_name = "N")]
    pub(crate) schema_version: Option<u16>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}
