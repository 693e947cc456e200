//! The sandbox: starts programs of skills so that the kernel confines them, whatever they try.
//!
//! The brain executes itself again as a small launcher ([`launcher::run_if_asked`]), before there are threads. The launcher
//! joins control groups and makes namespaces; the first process in them builds a read-only tree of files, gives up every
//! right, puts Landlock's rules and the filters of system calls on itself, and starts the program.
//!
//! Invariants: a sandbox exists only where everything required was seen to hold; a program that could not be confined was
//! not started; nothing of a program is left when it has ended, and nothing of a brain that was killed after the next start.

use std::{collections::BTreeSet, fmt, net::TcpListener, ops::RangeInclusive, path::PathBuf, sync::Arc};

use async_trait::async_trait;

mod cgroup;
mod check;
mod confined;
mod init;
mod landlock;
pub mod launcher;
pub mod mechanism;
mod plain;
mod plan;
mod probe;
mod restrictions;
mod root;
mod rules;
mod running;
mod seccomp;
mod start;
mod sys;
mod users;
mod verify;

pub use mechanism::{Mechanism, Report};
pub use plain::Plain;

use crate::{
    digest::Digest,
    egress::Allowlist,
    launch::{Enforced, Error, Launch, Program, Running},
};

/// Serves the way out of a program that may reach some hosts.
pub trait Door: Send + Sync {
    /// Serves what the program of this digest asks for on `listener`, which does not block, until the answer is dropped.
    ///
    /// Called within a runtime.
    fn serve(&self, listener: TcpListener, allowed: Arc<Allowlist>, digest: &Digest) -> Box<dyn Send + Sync>;
}

/// How a sandbox is set up.
#[derive(Clone)]
pub struct Settings {
    /// The program that becomes the launcher: it calls [`launcher::run_if_asked`] first of all.
    pub launcher: PathBuf,
    /// The users that programs run as where the brain is root: one for each, and nobody else's.
    pub users: RangeInclusive<u32>,
    /// The mechanisms without which programs may be started nevertheless.
    pub may_be_missing: BTreeSet<Mechanism>,
    /// The name of the control group below which all others are made.
    pub group: String,
    /// Directories of the host with more interpreters, which every program sees where they are.
    pub system: Vec<PathBuf>,
    /// How many launchers are started in advance: each makes one start faster, and is a small idle process.
    pub standby: usize,
    /// Serves the ways out; none: no program may have one.
    pub door: Option<Arc<dyn Door>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            launcher: "/proc/self/exe".into(),
            users: 200_000..=265_535,
            may_be_missing: BTreeSet::from([Mechanism::DedicatedUser, Mechanism::PrivateProc]),
            group: "studio-brain-skills".into(),
            system: Vec::new(),
            standby: 2,
            door: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("launcher", &self.launcher)
            .field("users", &self.users)
            .field("may_be_missing", &self.may_be_missing)
            .field("group", &self.group)
            .field("system", &self.system)
            .field("standby", &self.standby)
            .finish_non_exhaustive()
    }
}

/// Says what a machine has, without starting a sandbox: for whoever asks why none starts.
///
/// # Errors
/// [`Error`], where not even that can be found out.
pub fn check(settings: &Settings) -> Result<Vec<Report>, Error> {
    let parts = confined::Parts::find(settings)?;
    Ok(parts.missing.reports(settings))
}

/// Starts programs confined.
#[derive(Debug, Clone)]
pub struct Sandbox {
    settings: Arc<Settings>,
    parts: Arc<confined::Parts>,
    reports: Arc<[Report]>,
    enforced: Arc<[Enforced]>,
}

impl Sandbox {
    /// Tests every mechanism and makes a sandbox of those there are. Blocks for some milliseconds.
    ///
    /// # Errors
    /// [`Error::Unconfined`] where a required mechanism is missing, with what brings it.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let parts = confined::Parts::find(&settings)?;
        parts.missing.refuse(&settings)?;
        let reports = parts.missing.reports(&settings);
        parts.fill(&settings);
        Ok(Self {
            settings: Arc::new(settings),
            parts: Arc::new(parts),
            enforced: reports.iter().map(Report::enforced).collect(),
            reports: reports.into(),
        })
    }

    /// What was found out about each mechanism when this sandbox was made.
    #[must_use]
    pub fn check(&self) -> &[Report] {
        &self.reports
    }
}

#[async_trait]
impl Launch for Sandbox {
    async fn launch(&self, program: &Program) -> Result<Running, Error> {
        let plan = confined::plan(&self.settings, &self.parts, program)?;
        let (settings, parts) = (Arc::clone(&self.settings), Arc::clone(&self.parts));
        let started = tokio::task::spawn_blocking(move || parts.start(&settings, plan));
        let started = started.await;
        let (settings, parts) = (Arc::clone(&self.settings), Arc::clone(&self.parts));
        // Nobody waits for those in advance.
        let _filling = tokio::task::spawn_blocking(move || parts.fill(&settings));
        let started = started.map_err(|_| Error::Failed("the brain is stopping".into()))??;
        confined::hold(&self.settings, started, program, Arc::clone(&self.enforced))
    }
}
