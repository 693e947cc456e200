//! Where the development stack keeps its files.
//!
//! `.dev/` holds everything: a data folder, a log, a pid file and a note (`.run`) of the settings for each service. The
//! servers' part of it lies elsewhere when root works in a clone that other accounts may not enter.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use brain_devstack::process::{Identity, Signal, end_by_pid_file};
use brain_devstack::state;
use sha2::{Digest, Sha256};

use crate::workspace::root;

/// How long a service may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A program of the stack that runs in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    Postgres,
    Redis,
    S3,
    Brain,
}

impl Service {
    /// In the order in which they start; they stop in the opposite order.
    pub(crate) const ALL: [Self; 4] = [Self::Postgres, Self::Redis, Self::S3, Self::Brain];

    /// What it is called on the command line and in file names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::S3 => "s3",
            Self::Brain => "brain",
        }
    }

    /// What a person calls it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Redis => "Valkey",
            Self::S3 => "the S3 server",
            Self::Brain => "brain",
        }
    }

    /// The variable that moves it to another port.
    pub(crate) fn port_variable(self) -> &'static str {
        match self {
            Self::Postgres => "PGPORT",
            Self::Redis => "REDIS_PORT",
            Self::S3 => "STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT",
            Self::Brain => "STUDIO_BRAIN_PORT",
        }
    }

    /// The signal that asks it to stop in order.
    pub(crate) fn stop_signal(self) -> Signal {
        match self {
            // PostgreSQL's "fast" shutdown; SIGTERM would wait for every client to leave.
            Self::Postgres => Signal::SIGINT,
            Self::Redis | Self::S3 | Self::Brain => Signal::SIGTERM,
        }
    }
}

/// The files of the stack of this clone.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    dev: PathBuf,
    state: PathBuf,
    /// Where the servers' files went, when they could not be kept in the clone.
    pub(crate) moved: bool,
}

impl Layout {
    pub(crate) fn of_this_clone() -> Result<Self> {
        let dev = root().join(".dev");
        let state = state::lasting(&dev)?;
        Ok(Self {
            dev,
            state: state.path,
            moved: state.moved,
        })
    }

    /// Makes the folders.
    pub(crate) fn create(&self) -> Result<()> {
        for folder in [&self.dev, &self.state] {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        Ok(())
    }

    pub(crate) fn dev(&self) -> &Path {
        &self.dev
    }

    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// The data folder of a service.
    pub(crate) fn data(&self, service: Service) -> PathBuf {
        self.folder(service).join(service.name())
    }

    pub(crate) fn log(&self, service: Service) -> PathBuf {
        self.file(service, "log")
    }

    pub(crate) fn pid_file(&self, service: Service) -> PathBuf {
        self.file(service, "pid")
    }

    /// The process of the service, if it runs.
    pub(crate) fn running(&self, service: Service) -> Option<Identity> {
        Identity::read(&self.pid_file(service)).filter(Identity::is_alive)
    }

    /// Whether the running service was started with these settings.
    pub(crate) fn runs_with(&self, service: Service, settings: &str) -> bool {
        std::fs::read_to_string(self.file(service, "run")).is_ok_and(|noted| noted == digest(settings))
    }

    /// Notes the settings that the service was started with. Only a digest: they hold passwords.
    pub(crate) fn note_settings(&self, service: Service, settings: &str) -> Result<()> {
        let note = self.file(service, "run");
        std::fs::write(&note, digest(settings)).with_context(|| format!("cannot write {}", note.display()))
    }

    /// Stops the service if it runs, and says whether it did.
    pub(crate) fn stop(&self, service: Service) -> Result<bool> {
        let stopped = end_by_pid_file(&self.pid_file(service), service.stop_signal(), STOP_LIMIT)
            .with_context(|| format!("cannot stop {}", service.title()))?;
        let _ = std::fs::remove_file(self.file(service, "run"));
        Ok(stopped)
    }

    /// Held while the stack is changed, so that two commands at once do not start everything twice. Gone with the
    /// process, however it ends.
    pub(crate) fn lock(&self) -> Result<File> {
        let path = self.dev.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| {
            format!(
                "cannot open {}; a stack that another user made is for that user only",
                path.display()
            )
        })?;
        if file.try_lock().is_err() {
            eprintln!("another command is changing the stack of this clone; waiting for it ...");
            file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Ok(file)
    }

    /// The note that the dependencies run under a Docker engine.
    pub(crate) fn engine_note(&self) -> PathBuf {
        self.dev.join("docker")
    }

    fn folder(&self, service: Service) -> &Path {
        if service == Service::Brain {
            &self.dev
        } else {
            &self.state
        }
    }

    fn file(&self, service: Service, extension: &str) -> PathBuf {
        self.folder(service).join(format!("{}.{extension}", service.name()))
    }
}

fn digest(settings: &str) -> String {
    Sha256::digest(settings)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
