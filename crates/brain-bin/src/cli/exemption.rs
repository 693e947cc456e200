//! `brain exemption`: its commands and options.

use clap::{Args, Subcommand};

use super::{ListArgs, OneArgs, ServerArgs};

/// `brain exemption ...`
#[derive(Debug, Subcommand)]
pub(crate) enum ExemptionCommand {
    /// Let a capability do without approvals for a time; for administrators
    Grant(ExemptionGrantArgs),
    /// List exemptions, those that are over among them
    List {
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Revoke an exemption
    Revoke {
        /// Id of the exemption
        exemption: String,
        /// Why, in at least 10 characters
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        one: OneArgs,
    },
}

/// Options of `brain exemption grant`.
#[derive(Debug, Args)]
pub(crate) struct ExemptionGrantArgs {
    /// What needs no approval
    #[arg(long, value_name = "ID")]
    pub(crate) capability: String,
    /// When it ends, such as 2h or 7d; 30 days at most
    #[arg(long, value_name = "TIME")]
    pub(crate) expires_in: String,
    /// Why, in at least 10 characters
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) one: OneArgs,
}
