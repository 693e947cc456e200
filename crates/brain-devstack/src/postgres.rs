//! A PostgreSQL server of the development stack.
//!
//! Default settings but for the address (127.0.0.1 only, no socket file), the port and the number of connections; in
//! particular `fsync` and `synchronous_commit` stay on. The superuser is `postgres` with the password `postgres`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::account::Account;
use crate::binaries::Binaries;
use crate::ports;
use crate::process::{Environment, Identity, Launch, Running, Signal, log};

pub mod admin;
mod cluster;
mod readiness;

pub use readiness::answers;

/// Name of the superuser and of the database that is always there.
pub const SUPERUSER: &str = "postgres";
/// The superuser's password.
pub const PASSWORD: &str = "postgres";

/// Tests run many small pools at once; the default of 100 would be the first thing to run out.
const MAX_CONNECTIONS: u16 = 200;
/// How long a start may take, recovery after a crash included.
const START_LIMIT: Duration = Duration::from_secs(90);
/// How long a server that did not become ready may take to end.
const GIVE_UP_LIMIT: Duration = Duration::from_secs(5);
/// How long a fast shutdown may take before the server is killed.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// How often a start on a port of our own choice is tried again when another program was quicker.
const PORT_ATTEMPTS: u32 = 5;

/// How to start a server.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// The programs.
    pub binaries: Binaries,
    /// The data folder; made when it is not there. The log (`.log`) and the pid file (`.pid`) lie beside it.
    pub data_dir: PathBuf,
    /// Port on 127.0.0.1; 0 means any free one.
    pub port: u16,
    /// False: a copy of the installation without the `vector` extension.
    pub pgvector: bool,
}

/// A PostgreSQL server that this process started. Dropping it stops it.
#[derive(Debug)]
pub struct PostgresServer {
    program: PathBuf,
    account: Option<Account>,
    data_dir: PathBuf,
    port: u16,
    running: Option<Running>,
}

impl PostgresServer {
    /// Makes the data folder if need be, starts the server and waits until it answers.
    ///
    /// # Errors
    /// When the server cannot be started or does not answer in time; carries the end of its log. Nothing keeps running.
    pub async fn start(options: PostgresOptions) -> Result<Self> {
        if options.port != 0 {
            ports::require_free(options.port, "PostgreSQL", "PGPORT")?;
        }
        let bin = options.binaries.postgres_with(options.pgvector)?;
        let data_dir = std::path::absolute(&options.data_dir)
            .with_context(|| format!("the data folder is {}", options.data_dir.display()))?;
        let account = Account::for_directory(&data_dir)?;
        cluster::prepare(&bin, &data_dir, account.as_ref()).await?;
        let chosen_by_caller = options.port != 0;
        let mut server = Self {
            program: bin.join("postgres"),
            account,
            data_dir,
            port: options.port,
            running: None,
        };
        let mut attempt = 1;
        loop {
            if !chosen_by_caller {
                server.port = ports::free_port()?;
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
    /// As [`PostgresServer::start`]; also when it still runs.
    pub async fn start_again(&mut self) -> Result<()> {
        if self.is_running() {
            bail!("PostgreSQL on port {} runs already", self.port);
        }
        cluster::clear_stale_lock(&self.data_dir)?;
        ports::require_free(self.port, "PostgreSQL", "PGPORT")?;
        let from = log::length(&self.log());
        // Kept from the first moment on, so that giving up the start stops the server as well.
        let running = self.running.insert(Running::start(&self.launch())?);
        if let Err(problem) = readiness::wait(running, self.port, START_LIMIT).await {
            running.end(Signal::SIGQUIT, GIVE_UP_LIMIT).await;
            self.running = None;
            return Err(problem.context(log::excerpt(&self.log(), from)))
                .context(format!("PostgreSQL did not start on port {}", self.port));
        }
        Ok(())
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connection URL of a database, as the superuser.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// Whether the server process lives.
    pub fn is_running(&mut self) -> bool {
        self.running.as_mut().is_some_and(Running::is_running)
    }

    /// Fast shutdown: open transactions are rolled back, the data is written out. Killed when it takes too long.
    ///
    /// # Errors
    /// None at present; a server that is not running is fine.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(running) = self.running.as_mut() {
            running.end(Signal::SIGINT, STOP_LIMIT).await;
        }
        self.running = None;
        Ok(())
    }

    /// Ends the server and all its processes at once (SIGKILL), as a power cut would.
    ///
    /// # Errors
    /// None at present.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(mut running) = self.running.take() {
            running.finish();
        }
        Ok(())
    }

    /// Freezes the server and all its processes: connections stay open, nothing answers.
    pub fn pause(&mut self) {
        if let Some(running) = self.running.as_mut() {
            running.signal_tree(Signal::SIGSTOP);
        }
    }

    /// Lets a frozen server go on.
    pub fn resume(&mut self) {
        if let Some(running) = self.running.as_mut() {
            running.signal_tree(Signal::SIGCONT);
        }
    }

    /// Where the server logs to.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        beside(&self.data_dir, "log")
    }

    /// Lets the server live on after this process; its pid file lies beside the data folder.
    ///
    /// # Errors
    /// When it does not run.
    pub fn leave_running(mut self) -> Result<Identity> {
        self.running
            .take()
            .map(Running::leave)
            .context("PostgreSQL does not run")
    }

    fn launch(&self) -> Launch {
        let settings = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            format!("max_connections={MAX_CONNECTIONS}"),
        ];
        let mut arguments = vec!["-D".into(), self.data_dir.clone().into_os_string()];
        for setting in settings {
            arguments.extend(["-c".into(), setting.into()]);
        }
        Launch {
            program: self.program.clone(),
            arguments,
            environment: Environment::Bare(Vec::new()),
            directory: self.data_dir.clone(),
            log: self.log(),
            pid_file: beside(&self.data_dir, "pid"),
            account: self.account.clone(),
        }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(running) = self.running.as_mut() {
            running.signal_tree(Signal::SIGCONT);
            running.end_blocking(Signal::SIGINT, STOP_LIMIT);
        }
    }
}

/// The file beside a folder that has the folder's name and this extension.
#[must_use]
pub fn beside(folder: &Path, extension: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(extension);
    folder.with_file_name(name)
}
