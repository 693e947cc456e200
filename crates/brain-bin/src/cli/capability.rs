//! `brain capability`: its commands and options.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Format, ListArgs, ListFormat, OneArgs, ServerArgs};

/// `brain capability ...`
#[derive(Debug, Subcommand)]
pub(crate) enum CapabilityCommand {
    /// List the capabilities that the server was started with
    List {
        /// How to print
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        output: ListFormat,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show how one capability is defined
    Show {
        /// Id of the capability
        #[arg(value_name = "CAPABILITY")]
        id: String,
        #[command(flatten)]
        one: OneArgs,
    },
    /// Show the rules for all capabilities, what is looked for in proposals, and the kill switches
    Policy {
        #[command(flatten)]
        one: OneArgs,
    },
    /// Say what the policy of the server should say and does not
    Lint {
        /// Exit code 1 when there is a finding
        #[arg(long)]
        strict: bool,
        /// How to print
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        output: ListFormat,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List the quotas that are used in this hour
    Quotas {
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Set what was used of a quota in this hour back to nothing
    ResetQuota {
        /// Name of the quota, as `quotas` lists it
        bucket: String,
        /// Why, in at least 10 characters
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        one: OneArgs,
    },
    /// Check a capabilities file without a server; exit code 1 when it cannot be used
    Check {
        /// The file
        file: PathBuf,
        /// Exit code 1 also when the linter finds something
        #[arg(long)]
        strict: bool,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Table)]
        output: Format,
    },
}
