//! The dependencies under a Docker engine, through `compose/compose.yaml`.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::layout::Layout;
use crate::docker::why_no_compose;
use crate::workspace::root;

/// Whether a Docker engine with the compose plug-in answers.
pub(super) fn answers() -> bool {
    why_no_compose().is_none()
}

/// The services that this run started. Dropping it stops them; their data stays.
pub(super) struct Engine {
    layout: Layout,
    keep: bool,
}

impl Engine {
    /// Starts the services and waits until they are healthy.
    pub(super) fn start(layout: &Layout) -> Result<Self> {
        let keep = layout.engine_note().is_file();
        std::fs::write(layout.engine_note(), "").context("cannot note that the dependencies run under Docker")?;
        let engine = Self {
            layout: layout.clone(),
            keep,
        };
        compose(&["up", "--detach", "--wait"])
            .context("the dependencies did not start under Docker; `--native` starts them without it")?;
        Ok(engine)
    }

    /// Lets the services live on.
    pub(super) fn leave_running(mut self) {
        self.keep = true;
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = down(&self.layout, false)
        {
            eprintln!("the services under Docker could not be stopped: {error:#}");
        }
    }
}

/// Stops the services if this clone started them; with `data`, their volumes go as well. Says whether it did.
pub(super) fn down(layout: &Layout, data: bool) -> Result<bool> {
    if !layout.engine_note().is_file() {
        return Ok(false);
    }
    compose(if data { &["down", "--volumes"] } else { &["down"] })?;
    std::fs::remove_file(layout.engine_note()).context("cannot remove the note about Docker")?;
    Ok(true)
}

/// Shows the logs of the services, or of one.
pub(super) fn logs(service: Option<&str>, follow: bool) -> Result<()> {
    let mut arguments = vec!["logs", "--tail", "100"];
    arguments.extend(follow.then_some("--follow"));
    arguments.extend(service);
    compose(&arguments)
}

fn compose(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("docker");
    command
        .current_dir(root())
        .args(["compose", "--file", "compose/compose.yaml"]);
    if root().join(".env").is_file() {
        command.args(["--env-file", ".env"]);
    }
    let status = command
        .args(arguments)
        .stdin(Stdio::null())
        .status()
        .context("cannot start docker")?;
    if !status.success() {
        bail!("`docker compose {}` ended with {status}", arguments.join(" "));
    }
    Ok(())
}
