//! `cargo xtask dev-down`: stops everything that `dev-up` left running.

use std::process::ExitCode;

use anyhow::Result;

use super::engine;
use super::layout::{Layout, Service};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> Result<ExitCode> {
    let layout = Layout::of_this_clone()?;
    if !layout.dev().is_dir() {
        println!("nothing was running");
        return Ok(ExitCode::SUCCESS);
    }
    let _lock = layout.lock()?;
    if !stop_all(&layout, false)? {
        println!("nothing was running");
    }
    Ok(ExitCode::SUCCESS)
}

/// Stops every service, the dependants first; tries all of them even when one resists. Says whether anything ran.
pub(super) fn stop_all(layout: &Layout, data: bool) -> Result<bool> {
    let mut any = false;
    let mut problem = None;
    for service in Service::ALL.into_iter().rev() {
        match layout.stop(service) {
            Ok(true) => {
                any = true;
                println!("stopped {}", service.title());
            }
            Ok(false) => {}
            Err(error) => problem = Some(error),
        }
    }
    match engine::down(layout, data) {
        Ok(stopped) => any |= stopped,
        Err(error) => problem = Some(error),
    }
    problem.map_or(Ok(any), Err)
}
