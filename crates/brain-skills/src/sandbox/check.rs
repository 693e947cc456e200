//! The self-test: what the machine has, and whether a confined process is refused what it must be.
//!
//! Invariants: a mechanism counts as enforced only where the machine has it and no try got past it; what the sandbox cannot
//! do without is required whatever the settings say.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    os::fd::AsFd,
};

use super::{
    Settings,
    mechanism::{Mechanism, Report},
    plan::{Message, Plan, Task},
    start::{self, Own, Waiting},
    sys,
    users::User,
    verify,
};
use crate::launch::{Error, Limits, State};

/// Without these there is no confinement that could be accepted.
const ESSENTIAL: [Mechanism; 5] = [
    Mechanism::MountNamespace,
    Mechanism::PidNamespace,
    Mechanism::Capabilities,
    Mechanism::NoNewPrivileges,
    Mechanism::ResourceLimits,
];

/// What is missing, and why.
#[derive(Debug, Default)]
pub(super) struct Missing(BTreeMap<Mechanism, String>);

impl Missing {
    /// Asks a launcher what the kernel has, and adds what the brain knows already.
    pub(super) fn find(settings: &Settings, known: Vec<(Mechanism, String)>) -> Result<Self, Error> {
        let plan = plan(settings, Task::Probe, BTreeSet::new(), None);
        let (read, write) = sys::pipe().map_err(Error::Exhausted)?;
        let stdio = [read.as_fd(), write.as_fd(), write.as_fd()];
        let launcher = Waiting::new(&settings.launcher, &[])?;
        // The launcher reads filters in every case; these are never used.
        launcher.ask(&plan, stdio, &[0; 4])?;
        let answer = launcher.receive();
        drop(launcher);
        let mut missing: BTreeMap<_, _> = known.into_iter().collect();
        match answer? {
            (Message::Missing(told), _) => missing.extend(told),
            (Message::Failed(failure), _) => return Err(failure.into()),
            (message, _) => return Err(Error::Failed(format!("the launcher said {message:?} to a probe"))),
        }
        Ok(Self(missing))
    }

    /// The mechanisms to go without.
    pub(super) fn mechanisms(&self) -> BTreeSet<Mechanism> {
        self.0.keys().copied().collect()
    }

    /// Starts a confined process that tries what must be refused, and adds what was not.
    pub(super) fn verify(&mut self, settings: &Settings, filters: &[u8], own: Own) -> Result<(), Error> {
        let plan = plan(settings, Task::Verify, self.mechanisms(), own.user.as_ref());
        let launcher = Waiting::new(&settings.launcher, own.group.directories())?;
        let started = start::start(launcher, &plan, filters, own)?;
        let (message, _) = start::receive(&started.control)?;
        if !matches!(message, Message::Ended(0, _)) {
            return Err(Error::Failed(format!(
                "the self-test of the sandbox ended with {message:?}"
            )));
        }
        drop(started.init);
        let [_stdin, stdout, _stderr] = started.stdio;
        let mut text = Vec::new();
        let read = File::from(stdout).take(64 << 10).read_to_end(&mut text);
        read.map_err(|error| Error::Failed(format!("reading the self-test of the sandbox: {error}")))?;
        for (mechanism, open) in verify::read(&text)? {
            self.0.insert(mechanism, format!("the self-test got past it: {open}"));
        }
        Ok(())
    }

    /// All mechanisms, in order.
    pub(super) fn reports(&self, settings: &Settings) -> Vec<Report> {
        let report = |mechanism: Mechanism| {
            let missing = self.0.get(&mechanism).cloned();
            let state = missing.map_or(State::Enforced, State::Missing);
            Report::new(mechanism, state, required(settings, mechanism))
        };
        Mechanism::ALL.map(report).into()
    }

    /// Refuses to go on where something required is missing.
    pub(super) fn refuse(&self, settings: &Settings) -> Result<(), Error> {
        let required = self.0.iter().filter(|(mechanism, _)| required(settings, **mechanism));
        let all: Vec<String> = required
            .map(|(mechanism, why)| format!("{mechanism} is missing ({why}); {}", mechanism.remedy()))
            .collect();
        if all.is_empty() {
            return Ok(());
        }
        Err(Error::Unconfined(format!(
            "{}; or name what may be missing in the settings of the sandbox",
            all.join("; ")
        )))
    }
}

fn required(settings: &Settings, mechanism: Mechanism) -> bool {
    ESSENTIAL.contains(&mechanism) || !settings.may_be_missing.contains(&mechanism)
}

fn plan(settings: &Settings, task: Task, without: BTreeSet<Mechanism>, user: Option<&User>) -> Plan {
    Plan {
        task,
        user: user.map(|user| (user.id(), user.id())),
        without,
        limits: Limits::default(),
        // Some directory; the self-test runs nothing of it.
        code: "/usr".into(),
        mounts: Vec::new(),
        system: settings.system.clone(),
        egress: false,
    }
}
