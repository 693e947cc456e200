//! A Valkey (or Redis) server of the development stack, alone or as a cluster.
//!
//! Default settings but for the address (127.0.0.1 only): snapshots to disk now and then and at an orderly stop, no
//! append-only file. So `stop` and `start_again` keep the data, `kill` and `start_again` lose what is recent.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::account::{Account, private_directory};
use crate::binaries::Binaries;
use crate::ports;
use crate::postgres::beside;
use crate::process::{Environment, Identity, Launch, Running, Signal, log};

mod cluster;
pub mod protocol;

pub use cluster::ValkeyCluster;

/// How long a start may take, loading the snapshot included.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a server that did not become ready may take to end.
const GIVE_UP_LIMIT: Duration = Duration::from_secs(2);
/// How long an orderly stop may take, writing the snapshot included.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// How often a start on a port of our own choice is tried again when another program was quicker.
const PORT_ATTEMPTS: u32 = 5;
/// In a cluster the nodes talk to each other on a second port, this far above the first.
const BUS_OFFSET: u16 = 10_000;

/// How to start a server.
#[derive(Clone, Debug)]
pub struct ValkeyOptions {
    /// The programs.
    pub binaries: Binaries,
    /// The folder for its data; made when it is not there. The log (`.log`) and the pid file (`.pid`) lie beside it.
    pub dir: PathBuf,
    /// Port on 127.0.0.1; 0 means any free one.
    pub port: u16,
    /// Whether it is a node of a cluster. A node serves nothing before it has slots; see [`ValkeyCluster`].
    pub cluster: bool,
}

/// Whom the server lets in. By default everybody on this machine.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// Name of the user; none means the server's default user.
    pub username: Option<String>,
    /// The user's password; none means that none is asked for.
    pub password: Option<String>,
}

/// A Valkey server that this process started. Dropping it stops it.
#[derive(Debug)]
pub struct ValkeyServer {
    program: PathBuf,
    account: Option<Account>,
    dir: PathBuf,
    port: u16,
    cluster: bool,
    login: Login,
    running: Option<Running>,
}

impl ValkeyServer {
    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started or does not answer in time; carries the end of its log. Nothing keeps running.
    pub async fn start(options: ValkeyOptions) -> Result<Self> {
        Self::start_with_login(options, Login::default()).await
    }

    /// The same for a server that asks for a password.
    ///
    /// # Errors
    /// As [`ValkeyServer::start`].
    pub async fn start_with_login(options: ValkeyOptions, login: Login) -> Result<Self> {
        let dir = std::path::absolute(&options.dir)
            .with_context(|| format!("the folder of Valkey is {}", options.dir.display()))?;
        let account = Account::for_directory(&dir)?;
        private_directory(&dir, account.as_ref())?;
        let chosen_by_caller = options.port != 0;
        let mut server = Self {
            program: options.binaries.valkey,
            account,
            dir,
            port: options.port,
            cluster: options.cluster,
            login,
            running: None,
        };
        let mut attempt = 1;
        loop {
            if !chosen_by_caller {
                server.port = server.any_port()?;
            }
            match server.start_again().await {
                Ok(()) => return Ok(server),
                Err(_) if !chosen_by_caller && attempt < PORT_ATTEMPTS && !ports::is_free(server.port) => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts the server again on the same data and port, and waits until it answers.
    ///
    /// # Errors
    /// As [`ValkeyServer::start`]; also when it still runs.
    pub async fn start_again(&mut self) -> Result<()> {
        if self.is_running() {
            bail!("Valkey on port {} runs already", self.port);
        }
        ports::require_free(self.port, "Valkey", "REDIS_PORT")?;
        let settings = self.dir.join("valkey.conf");
        self.write_settings(&settings)?;
        let from = log::length(&self.log());
        // Kept from the first moment on, so that giving up the start stops the server as well.
        let running = self.running.insert(Running::start(&Launch {
            program: self.program.clone(),
            arguments: vec![settings.into_os_string()],
            environment: Environment::Bare(Vec::new()),
            directory: self.dir.clone(),
            log: self.log(),
            pid_file: beside(&self.dir, "pid"),
            account: self.account.clone(),
        })?);
        if let Err(problem) = protocol::wait_until_ready(running, self.port, START_LIMIT).await {
            running.end(Signal::SIGTERM, GIVE_UP_LIMIT).await;
            self.running = None;
            return Err(problem.context(log::excerpt(&self.log(), from)))
                .context(format!("Valkey did not start on port {}", self.port));
        }
        Ok(())
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connection URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Whether the server process lives.
    pub fn is_running(&mut self) -> bool {
        self.running.as_mut().is_some_and(Running::is_running)
    }

    /// Orderly stop: the data is written to disk first. Killed when it takes too long.
    ///
    /// # Errors
    /// None at present; a server that is not running is fine.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(running) = self.running.as_mut() {
            running.end(Signal::SIGTERM, STOP_LIMIT).await;
        }
        self.running = None;
        Ok(())
    }

    /// Ends the server at once (SIGKILL): what was not on disk yet is lost.
    ///
    /// # Errors
    /// None at present.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(mut running) = self.running.take() {
            running.finish();
        }
        Ok(())
    }

    /// Freezes the server: connections stay open, nothing answers.
    pub fn pause(&mut self) {
        if let Some(running) = self.running.as_mut() {
            running.signal(Signal::SIGSTOP);
        }
    }

    /// Lets a frozen server go on.
    pub fn resume(&mut self) {
        if let Some(running) = self.running.as_mut() {
            running.signal(Signal::SIGCONT);
        }
    }

    /// Where the server logs to.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        beside(&self.dir, "log")
    }

    /// Lets the server live on after this process; its pid file lies beside the data folder.
    ///
    /// # Errors
    /// When it does not run.
    pub fn leave_running(mut self) -> Result<Identity> {
        self.running.take().map(Running::leave).context("Valkey does not run")
    }

    fn any_port(&self) -> Result<u16> {
        for _ in 0..100 {
            let port = ports::free_port()?;
            if !self.cluster || ports::is_free(port + BUS_OFFSET) {
                return Ok(port);
            }
        }
        bail!("found no port for a cluster node whose second port ({BUS_OFFSET} above) is free too")
    }

    /// Settings go through a private file: on the command line every user of the machine could read the password.
    fn write_settings(&self, file: &Path) -> Result<()> {
        let mut text = format!(
            "bind 127.0.0.1\nport {}\ndir {}\ndaemonize no\n",
            self.port,
            quoted(&self.dir.to_string_lossy())
        );
        if self.cluster {
            text.push_str("cluster-enabled yes\ncluster-config-file nodes.conf\ncluster-node-timeout 2000\n");
        }
        if let Some(password) = &self.login.password {
            match self.login.username.as_deref().filter(|name| *name != "default") {
                None => text.push_str(&format!("requirepass {}\n", quoted(password))),
                Some(name) => text.push_str(&format!(
                    "user {} on {} ~* &* +@all\n",
                    name,
                    quoted(&format!(">{password}"))
                )),
            }
        }
        let _ = std::fs::remove_file(file);
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)
            .and_then(|mut open| open.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", file.display()))?;
        match &self.account {
            Some(account) => account.take_over(file),
            None => Ok(()),
        }
    }
}

/// A value of the settings file in double quotes.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Drop for ValkeyServer {
    fn drop(&mut self) {
        if let Some(running) = self.running.as_mut() {
            running.signal(Signal::SIGCONT);
            running.end_blocking(Signal::SIGTERM, STOP_LIMIT);
        }
    }
}
