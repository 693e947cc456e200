//! Starting and ending server processes.
//!
//! A process is known by its id **and** its start time, so that an id which the system gave to another program since
//! is never signalled. Every server runs in a process group of its own: a Ctrl-C at the terminal reaches whoever
//! manages it, which then stops it in order.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
pub use nix::sys::signal::Signal;

use crate::account::Account;

pub mod identity;
pub mod log;
mod table;

pub use identity::Identity;

/// How often a waiting loop looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment.
    pub environment: Environment,
    /// Its working directory.
    pub directory: PathBuf,
    /// Standard output and standard error are appended here.
    pub log: PathBuf,
    /// The process id and start time are written here.
    pub pid_file: PathBuf,
    /// Whom it runs as; none means the caller.
    pub account: Option<Account>,
}

/// The environment of a server.
#[derive(Clone, Debug)]
pub enum Environment {
    /// `PATH`, `HOME` and these variables. What the developer has set for clients of a database (`PGPORT`, `PGDATA`,
    /// `LD_LIBRARY_PATH`) must not steer the server.
    Bare(Vec<(OsString, OsString)>),
    /// The caller's own and these variables.
    Inherited(Vec<(OsString, OsString)>),
}

/// A server process that this process started. Dropping it does not end it: whoever holds it knows how.
#[derive(Debug)]
pub struct Running {
    child: Option<Child>,
    identity: Identity,
    pid_file: PathBuf,
}

impl Running {
    /// Starts the program in a process group of its own.
    ///
    /// # Errors
    /// When it cannot be started or its log or pid file cannot be written.
    pub fn start(launch: &Launch) -> Result<Self> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&launch.log)
            .with_context(|| format!("cannot write the log {}", launch.log.display()))?;
        let errors = log
            .try_clone()
            .context("cannot share the log between output and errors")?;
        let mut command = Command::new(&launch.program);
        match &launch.environment {
            Environment::Bare(variables) => {
                bare_environment(&mut command, &launch.directory);
                command.envs(variables.iter().map(|(name, value)| (name, value)));
            }
            Environment::Inherited(variables) => {
                command.envs(variables.iter().map(|(name, value)| (name, value)));
            }
        }
        command
            .args(&launch.arguments)
            .current_dir(&launch.directory)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0);
        if let Some(account) = &launch.account {
            account.apply(&mut command);
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", launch.program.display()))?;
        let identity = match Identity::of_child(child.id()) {
            Ok(identity) => identity,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        let mut running = Self {
            child: Some(child),
            identity,
            pid_file: launch.pid_file.clone(),
        };
        if let Err(error) = running.identity.write(&launch.pid_file) {
            running.finish();
            return Err(error);
        }
        Ok(running)
    }

    /// The exit status once the process has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// Whether the process lives.
    pub fn is_running(&mut self) -> bool {
        self.child.is_some() && self.ended().is_none()
    }

    /// Sends a signal if it lives.
    pub fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            self.identity.signal(signal);
        }
    }

    /// Sends `signal` to the process and to everything that it started.
    pub fn signal_tree(&mut self, signal: Signal) {
        let descendants = table::descendants(self.identity.pid);
        self.signal(signal);
        for descendant in descendants {
            descendant.signal(signal);
        }
    }

    /// Asks the process to end, and makes it end when it has not within `patience`.
    pub async fn end(&mut self, signal: Signal, patience: Duration) {
        self.signal(signal);
        let deadline = Instant::now() + patience;
        while self.is_running() && Instant::now() < deadline {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.finish();
    }

    /// The same for places that cannot wait asynchronously.
    pub fn end_blocking(&mut self, signal: Signal, patience: Duration) {
        self.signal(signal);
        let deadline = Instant::now() + patience;
        while self.is_running() && Instant::now() < deadline {
            std::thread::sleep(LOOK_AGAIN);
        }
        self.finish();
    }

    /// Ends the process and everything that it started at once, collects the exit status and removes the pid file.
    pub fn finish(&mut self) {
        let mut orphans = Vec::new();
        if self.is_running() {
            orphans = table::descendants(self.identity.pid);
            self.signal(Signal::SIGKILL);
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
            let _ = std::fs::remove_file(&self.pid_file);
        }
        end_at_once(&orphans);
    }

    /// Lets the process live on without this one; the pid file stays.
    pub fn leave(mut self) -> Identity {
        self.child = None;
        self.identity.clone()
    }
}

/// Kills these processes and waits until they are gone, which takes the kernel a moment.
fn end_at_once(processes: &[Identity]) {
    for process in processes {
        process.signal(Signal::SIGKILL);
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while processes.iter().any(Identity::is_alive) && Instant::now() < deadline {
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Clears the environment of `command` down to what a server needs.
pub(crate) fn bare_environment(command: &mut Command, home: &Path) {
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin"));
    command
        .env_clear()
        .env("PATH", path)
        .env("HOME", home)
        .env("LC_ALL", "C");
}

/// Ends the process named by a pid file: `signal` first, SIGKILL to it and its children after `patience`.
/// Returns whether there was one to end. The pid file is gone afterwards.
///
/// # Errors
/// When the process may not be signalled (it belongs to another user) and so lives on.
pub fn end_by_pid_file(pid_file: &Path, signal: Signal, patience: Duration) -> Result<bool> {
    let Some(identity) = Identity::read(pid_file) else {
        let _ = std::fs::remove_file(pid_file);
        return Ok(false);
    };
    let was_alive = identity.is_alive();
    identity.signal(signal);
    let deadline = Instant::now() + patience;
    while identity.is_alive() && Instant::now() < deadline {
        std::thread::sleep(LOOK_AGAIN);
    }
    if identity.is_alive() {
        let mut all = vec![identity.clone()];
        all.extend(table::descendants(identity.pid));
        end_at_once(&all);
    }
    anyhow::ensure!(
        !identity.is_alive(),
        "process {} of {} cannot be ended; does it belong to another user?",
        identity.pid,
        pid_file.display()
    );
    let _ = std::fs::remove_file(pid_file);
    Ok(was_alive)
}

/// Ends every process whose pid file lies anywhere below `directory`, at once. Returns how many there were.
///
/// Folders of other users are left alone: whoever writes a pid file there could have any of our processes ended.
#[must_use]
pub fn end_all_below(directory: &Path) -> usize {
    let is_ours = std::fs::symlink_metadata(directory)
        .is_ok_and(|facts| facts.is_dir() && facts.uid() == nix::unistd::geteuid().as_raw());
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    if !is_ours {
        return 0;
    }
    let mut ended = 0;
    for path in entries.flatten().map(|entry| entry.path()) {
        ended += end_all_below(&path);
        if path.extension().is_some_and(|extension| extension == "pid")
            && end_by_pid_file(&path, Signal::SIGKILL, Duration::ZERO).unwrap_or(false)
        {
            ended += 1;
        }
    }
    ended
}
