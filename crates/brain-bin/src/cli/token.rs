//! `brain token`: its commands and options.

use clap::{Args, Subcommand};

use super::{Format, ListArgs, ServerArgs};

/// `brain token ...`
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; it is printed once and never again
    Create(TokenCreateArgs),
    /// List tokens, without their secrets
    List {
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show one token, without its secret
    Show {
        /// Id of the token: the 16 digits between the underscores
        #[arg(value_name = "TOKEN")]
        id: String,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Table)]
        output: Format,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Revoke a token for good
    Revoke {
        /// Id of the token: the 16 digits between the underscores
        #[arg(value_name = "TOKEN")]
        id: String,
        /// Write to the database of the settings, without a server
        #[arg(long)]
        database: bool,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Table)]
        output: Format,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Options of `brain token create`.
#[derive(Debug, Args)]
pub(crate) struct TokenCreateArgs {
    /// Who its holder is: the actor of events that name none
    #[arg(long)]
    pub(crate) name: String,
    /// What its holder may do at most: viewer, agent, operator or admin
    #[arg(long)]
    pub(crate) role: String,
    /// Narrow it to this, such as tasks:work or *:read; may be repeated
    #[arg(long = "scope", value_name = "RESOURCE:ACTION")]
    pub(crate) scopes: Vec<String>,
    /// Whose rows its holder sees [default: the tenant of the caller]
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: Option<String>,
    /// Let its holder speak under its own name alone
    #[arg(long)]
    pub(crate) bound: bool,
    /// When it ends, such as 12h or 30d [default: never]
    #[arg(long, value_name = "TIME")]
    pub(crate) expires_in: Option<String>,
    /// Requests a second, in place of STUDIO_BRAIN_TOKEN_REQUESTS_PER_SECOND
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) requests_per_second: Option<i32>,
    /// Event streams at the same time, in place of STUDIO_BRAIN_TOKEN_STREAMS
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) max_streams: Option<i32>,
    /// Largest body of a request, where it is to be smaller than everybody's
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) max_body_bytes: Option<i32>,
    /// Write to the database of the settings, without a server: the first token is made this way
    #[arg(long)]
    pub(crate) database: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}
