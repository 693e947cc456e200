//! `brain profile`: its commands and options.

use clap::{Args, Subcommand};

use super::ListFormat;

/// `brain profile ...`
#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// List profiles, without their tokens
    List {
        /// How to print
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        output: ListFormat,
    },
    /// Keep a profile, new or in place of the one with its name
    Set(ProfileSetArgs),
    /// Remove a profile
    Remove {
        /// Its name
        name: String,
    },
}

/// Options of `brain profile set`.
#[derive(Debug, Args)]
pub(crate) struct ProfileSetArgs {
    /// Its name
    pub(crate) name: String,
    /// URL of the brain
    #[arg(long, value_name = "URL")]
    pub(crate) server: String,
    /// Read the token from standard input, where no list of processes shows it
    #[arg(long)]
    pub(crate) token_stdin: bool,
}
