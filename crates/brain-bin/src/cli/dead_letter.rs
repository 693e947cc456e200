//! `brain dead-letter`: its commands and options.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Format, ListArgs, ServerArgs};

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
