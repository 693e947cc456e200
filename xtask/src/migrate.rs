//! `cargo xtask migrate`: brings the development database up to date, or says how it stands.

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::run_brain;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `up` applies what is pending, `status` compares
    #[arg(value_parser = ["up", "status"], default_value = "up")]
    command: String,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    run_brain(&["migrate", &args.command])
}
