//! `cargo xtask dev-logs`: what the services wrote.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use brain_devstack::process::log;

use super::engine;
use super::layout::{Layout, Service};

/// How often a followed log is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this service
    #[arg(value_parser = ["postgres", "redis", "s3", "brain"])]
    service: Option<String>,
    /// Go on showing what is added
    #[arg(short, long)]
    follow: bool,
    /// How many lines of what is there
    #[arg(short = 'n', long, default_value_t = 50)]
    lines: usize,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let layout = Layout::of_this_clone()?;
    let by_engine = layout.engine_note().is_file();
    let chosen = |service: &Service| args.service.as_deref().is_none_or(|name| name == service.name());
    let services: Vec<Service> = Service::ALL.into_iter().filter(chosen).collect();
    if by_engine && args.service.as_deref() != Some("brain") {
        let name = args
            .service
            .as_deref()
            .map(|name| if name == "s3" { "minio" } else { name });
        engine::logs(name, args.follow && name.is_some())?;
        if name.is_some() {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let titles = services.len() > 1;
    let mut files: Vec<_> = services.iter().map(|service| (layout.log(*service), 0)).collect();
    for (file, end) in &mut files {
        *end = log::length(file);
        let tail = log::tail(file, 0, args.lines);
        if titles && !tail.is_empty() {
            println!("==> {} <==", file.display());
        }
        if !tail.is_empty() {
            println!("{tail}");
        }
    }
    if !args.follow {
        return Ok(ExitCode::SUCCESS);
    }
    let mut last = None;
    loop {
        std::thread::sleep(LOOK_AGAIN);
        for (number, (file, end)) in files.iter_mut().enumerate() {
            if log::length(file) != *end {
                if titles && last != Some(number) {
                    println!("==> {} <==", file.display());
                    last = Some(number);
                }
                *end = print_new(file, *end)?;
            }
        }
    }
}

/// Prints what was added to a log after byte `from`, and returns where it ends now.
pub(super) fn print_new(log_file: &Path, from: u64) -> Result<u64> {
    let length = log::length(log_file);
    if length == from {
        return Ok(from);
    }
    // A log that became shorter was started anew.
    let from = if length < from { 0 } else { from };
    let mut file = std::fs::File::open(log_file).with_context(|| format!("cannot read {}", log_file.display()))?;
    file.seek(SeekFrom::Start(from))
        .with_context(|| format!("cannot read {}", log_file.display()))?;
    let mut bytes = Vec::new();
    file.take(length - from)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", log_file.display()))?;
    let mut out = std::io::stdout();
    out.write_all(&bytes)
        .and_then(|()| out.flush())
        .context("cannot print the log")?;
    Ok(from + u64::try_from(bytes.len()).unwrap_or(u64::MAX - from))
}
