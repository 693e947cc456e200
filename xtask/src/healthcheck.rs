//! `cargo xtask healthcheck`: asks every dependency whether it works.

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::run_brain;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A table for people, or the report for programs
    #[arg(long, value_parser = ["table", "json"], default_value = "table")]
    output: String,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    run_brain(&["healthcheck", "--output", &args.output])
}
