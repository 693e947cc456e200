//! `brain delegation`: its commands and options.

use clap::{Args, Subcommand};

use super::{ListArgs, OneArgs, ServerArgs};

/// `brain delegation ...`
#[derive(Debug, Subcommand)]
pub(crate) enum DelegationCommand {
    /// Let an agent act for an owner, within scopes and for a time
    Create(DelegationCreateArgs),
    /// List delegations
    List {
        /// Only those that this owner gave or this agent has
        #[arg(long, value_name = "ID")]
        actor: Option<String>,
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Revoke a delegation for good
    Revoke {
        /// Id of the delegation
        delegation: String,
        /// Why, in at least 10 characters
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        one: OneArgs,
    },
}

/// Options of `brain delegation create`.
#[derive(Debug, Args)]
pub(crate) struct DelegationCreateArgs {
    /// Who is let
    #[arg(long, value_name = "ID")]
    pub(crate) agent: String,
    /// Who lets it; somebody else than the caller for administrators alone [default: the caller]
    #[arg(long, value_name = "ID")]
    pub(crate) owner: Option<String>,
    /// What it covers: capability:ID:execute or capability:*:execute; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    pub(crate) scopes: Vec<String>,
    /// When it ends, such as 12h or 30d; a year at most
    #[arg(long, value_name = "TIME")]
    pub(crate) expires_in: String,
    /// Why, in at least 10 characters
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) one: OneArgs,
}
