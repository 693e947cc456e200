//! The `brain` binary: reads the command line, runs one command and turns its end into an exit code.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line talks to people"
)]

mod app;
mod cli;
mod client;
mod commands;
mod exit;
mod health;
mod logs;
mod profiles;
mod recorder;
mod render;
mod settings;
mod traces;

use std::process::ExitCode;

use clap::Parser as _;

/// Events are made by one thread and dropped by another, which costs this allocator less than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // This program is its own launcher of skills, which must be alone in its process.
    brain_skills::sandbox::launcher::run_if_asked();
    // Every TLS user of the process shares this one provider; a second installation is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = cli::Cli::parse();
    exit::code_of(commands::run(cli))
}
