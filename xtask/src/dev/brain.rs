//! `brain` itself in the background.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use brain_devstack::process::{Environment, Launch, Running, log};

use super::layout::{Layout, Service};
use super::settings::Settings;
use crate::workspace::root;

/// How long `brain` may take to become ready.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to drain and end.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How often it is asked whether it is ready.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// `brain serve`, started by this run. Dropping it stops it.
pub(super) struct Brain {
    process: Option<Running>,
}

/// What `brain` is started as: the settings, and the very program that was built.
pub(super) fn fingerprint(program: &Path, settings: &Settings) -> String {
    let built = std::fs::metadata(program).and_then(|facts| facts.modified()).ok();
    format!("{} {built:?}\n{}", program.display(), settings.fingerprint)
}

/// Applies the migrations.
pub(super) fn migrate(program: &Path, settings: &Settings) -> Result<()> {
    let output = Command::new(program)
        .args(["migrate", "up"])
        .envs(settings.environment())
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        bail!("the migrations could not be applied:\n{}", said.join("\n").trim());
    }
    Ok(())
}

impl Brain {
    /// Starts the server and waits until it says that it is ready.
    pub(super) async fn start(program: PathBuf, layout: &Layout, settings: &Settings) -> Result<Self> {
        let log_file = layout.log(Service::Brain);
        let from = log::length(&log_file);
        let process = Running::start(&Launch {
            program,
            arguments: vec!["serve".into()],
            environment: Environment::Inherited(settings.environment()),
            directory: root(),
            log: log_file.clone(),
            pid_file: layout.pid_file(Service::Brain),
            account: None,
        })?;
        let mut brain = Self { process: Some(process) };
        let ready = format!("{}/readyz", settings.base_url());
        let deadline = Instant::now() + START_LIMIT;
        let mut answer = "no answer".to_owned();
        loop {
            if !brain.is_running() {
                let tail = log::tail(&log_file, from, 20);
                bail!(
                    "brain ended while it was starting; the end of {}:\n{tail}",
                    log_file.display()
                );
            }
            match super::health::get(&ready, None).await {
                Ok((200, _)) => return Ok(brain),
                Ok((status, body)) => answer = format!("{status} {body}"),
                Err(_) => {}
            }
            if Instant::now() >= deadline {
                let tail = log::tail(&log_file, from, 20);
                bail!(
                    "brain was not ready within {} s; {ready} says: {answer}\nthe end of {}:\n{tail}",
                    START_LIMIT.as_secs(),
                    log_file.display()
                );
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Running::is_running)
    }

    /// Lets it live on in the background.
    pub(super) fn leave_running(mut self) {
        if let Some(process) = self.process.take() {
            process.leave();
        }
    }

    /// Has it drain and end.
    pub(super) async fn stop(mut self) {
        if let Some(mut process) = self.process.take() {
            process.end(Service::Brain.stop_signal(), STOP_LIMIT).await;
        }
    }
}

impl Drop for Brain {
    fn drop(&mut self) {
        if let Some(process) = self.process.as_mut() {
            process.end_blocking(Service::Brain.stop_signal(), STOP_LIMIT);
        }
    }
}
