//! What a sandbox is made of, and the way of one program through it.
//!
//! Invariants: the user and the groups of a program are its own until the whole tree has ended.

use std::{
    collections::BTreeSet,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::chown,
    },
    path::Component,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::net::unix::pipe;

use super::{
    Settings,
    cgroup::{Group, Groups},
    check::Missing,
    mechanism::Mechanism,
    plan::{Message, Plan, Task},
    running::{Holder, Kept, judge},
    seccomp::Filters,
    start::{self, Own, Started, Waiting},
    sys::{self, Reaped},
    users::{User, Users},
};
use crate::launch::{Ended, Enforced, Error, Limit, Mount, Program, Running};

/// What a sandbox is made of.
#[derive(Debug)]
pub(super) struct Parts {
    groups: Arc<Groups>,
    users: Option<Arc<Users>>,
    closed: Vec<u8>,
    with_egress: Vec<u8>,
    without: BTreeSet<Mechanism>,
    /// Launchers that wait for a plan.
    ready: Mutex<Vec<(Waiting, Own)>>,
    /// What is missing.
    pub(super) missing: Missing,
}

impl Parts {
    /// Finds everything, and tests it.
    pub(super) fn find(settings: &Settings) -> Result<Self, Error> {
        let (groups, mut known) = Groups::open(&settings.group);
        let users = match sys::effective_user() {
            0 => Users::new(settings.users.clone()).map(Arc::new),
            _ => None,
        };
        if users.is_none() {
            let why = match sys::effective_user() {
                0 => "the range of users is empty, or has user 0 in it".to_owned(),
                user => format!("the brain is not root; outside, programs are its user, {user}"),
            };
            known.push((Mechanism::DedicatedUser, why));
        }
        let compile = |egress| {
            let filters = Filters::compile(egress);
            filters.map(|filters| filters.to_bytes()).map_err(|error| {
                let remedy = Mechanism::Seccomp.remedy();
                Error::Unconfined(format!("seccomp is missing ({error}); {remedy}"))
            })
        };
        let mut parts = Self {
            groups: Arc::new(groups),
            users,
            closed: compile(false)?,
            with_egress: compile(true)?,
            without: BTreeSet::new(),
            ready: Mutex::new(Vec::new()),
            missing: Missing::find(settings, known)?,
        };
        parts.without = parts.missing.mechanisms();
        let own = parts.own()?;
        if !parts.without.contains(&Mechanism::MountNamespace) {
            let filters = parts.closed.clone();
            parts.missing.verify(settings, &filters, own)?;
        }
        Ok(parts)
    }

    fn own(&self) -> Result<Own, Error> {
        let group = self.groups.make().map_err(Error::Exhausted)?;
        let user = match &self.users {
            Some(users) => Some(users.take().ok_or_else(|| {
                Error::Exhausted(io::Error::other("every user of the range has a program that runs"))
            })?),
            None => None,
        };
        Ok(Own { group, user })
    }

    fn prepare(&self, settings: &Settings) -> Result<(Waiting, Own), Error> {
        let own = self.own()?;
        let launcher = Waiting::new(&settings.launcher, own.group.directories())?;
        Ok((launcher, own))
    }

    /// Starts launchers in advance, as many as the settings say. Blocks.
    pub(super) fn fill(&self, settings: &Settings) {
        while self.ready.lock().unwrap_or_else(PoisonError::into_inner).len() < settings.standby {
            // Whoever starts a program hears of it; here nobody waits for an answer.
            let Ok(prepared) = self.prepare(settings) else { return };
            let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            if ready.len() < settings.standby {
                ready.push(prepared);
            }
        }
    }

    /// A launcher that was started in advance, or else a new one.
    fn take(&self, settings: &Settings) -> Result<(Waiting, Own), Error> {
        loop {
            let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((mut launcher, own)) = ready else {
                return self.prepare(settings);
            };
            if launcher.is_there() {
                return Ok((launcher, own));
            }
        }
    }

    /// Starts what a plan says, with a user and groups of its own. Blocks.
    pub(super) fn start(&self, settings: &Settings, mut plan: Plan) -> Result<Started, Error> {
        let (launcher, own) = self.take(settings)?;
        plan.user = own.user.as_ref().map(|user| (user.id(), user.id()));
        if let Some((user, group)) = plan.user {
            for (host, ..) in plan.mounts.iter().filter(|(.., writable)| *writable) {
                chown(host, Some(user), Some(group))
                    .map_err(|error| Error::Program(format!("{} cannot be given to it: {error}", host.display())))?;
            }
        }
        let filters = if plan.egress { &self.with_egress } else { &self.closed };
        start::start(launcher, &plan, filters, own)
    }
}

/// Says what the launcher is to do for a program.
pub(super) fn plan(settings: &Settings, parts: &Parts, program: &Program) -> Result<Plan, Error> {
    let egress = !program.egress.is_empty();
    if egress && settings.door.is_none() {
        return Err(Error::Program(
            "it may reach hosts, but nothing here serves a way out".into(),
        ));
    }
    let variable = |(name, value): (&String, &String)| match name.is_empty() || name.contains(['=', '\0']) {
        true => Err(Error::Program(format!("{name:?} is no name of a variable"))),
        false => Ok(format!("{name}={value}")),
    };
    let environment = program.environment.iter().map(variable).collect::<Result<_, _>>()?;
    Ok(Plan {
        task: Task::Run {
            argv: program.argv.clone(),
            environment,
        },
        user: None,
        without: parts.without.clone(),
        limits: program.limits,
        code: program.code.clone(),
        mounts: program.mounts.iter().map(mount).collect::<Result<_, _>>()?,
        system: settings.system.clone(),
        egress,
    })
}

fn mount(mount: &Mount) -> Result<(std::path::PathBuf, std::path::PathBuf, bool), Error> {
    let below = mount.inside.strip_prefix("/data").ok();
    let normal = |component| matches!(component, Component::Normal(_));
    if !below.is_some_and(|below| below.components().all(normal)) || !mount.host.is_absolute() {
        let inside = mount.inside.display();
        return Err(Error::Program(format!(
            "{inside} is not below /data, or what it shows has no absolute path"
        )));
    }
    Ok((mount.host.clone(), mount.inside.clone(), mount.writable))
}

/// What is kept of a program until it has ended.
struct Confined {
    control: OwnedFd,
    group: Group,
    cpu: Duration,
    _user: Option<User>,
    _door: Option<Box<dyn Send + Sync>>,
}

impl Kept for Confined {
    fn ended(&self, _first: Reaped, killed: bool) -> Ended {
        let told = Message::receive(self.control.as_fd(), false);
        let ended = match told {
            Ok(Some((Message::Ended(status, cpu_micros), _))) => Some(judge(status, cpu_micros, self.cpu)),
            _ => None,
        };
        match ended {
            Some(ended @ (Ended::Exited(0) | Ended::Forbidden | Ended::Limit(_))) => ended,
            None if killed => Ended::Killed,
            _ if self.group.ran_out_of_memory() => Ended::Limit(Limit::Memory),
            Some(ended) => ended,
            None => Ended::Signalled(libc::SIGKILL),
        }
    }

    fn memory_bytes(&self) -> Option<u64> {
        self.group.memory_bytes()
    }
}

/// Takes hold of what was started.
pub(super) fn hold(
    settings: &Settings,
    started: Started,
    program: &Program,
    enforced: Arc<[Enforced]>,
) -> Result<Running, Error> {
    let serve = |listener: std::net::TcpListener| {
        listener.set_nonblocking(true)?;
        let door = settings.door.as_ref();
        Ok::<_, io::Error>(door.map(|door| door.serve(listener, Arc::clone(&program.egress), &program.digest)))
    };
    let [stdin, stdout, stderr] = started.stdio;
    let held = || -> io::Result<Running> {
        let stdin = pipe::Sender::from_owned_fd(stdin)?;
        let stdout = pipe::Receiver::from_owned_fd(stdout)?;
        let stderr = pipe::Receiver::from_owned_fd(stderr)?;
        let door = started.listener.map(serve).transpose()?.flatten();
        let kept = Confined {
            control: started.control,
            group: started.group,
            cpu: program.limits.cpu,
            _user: started.user,
            _door: door,
        };
        let (pid, descriptor) = started.init.release().ok_or(io::ErrorKind::NotFound)?;
        Ok(Running {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
            tree: Arc::new(Holder::new(pid, descriptor, None, kept)?),
            enforced,
        })
    };
    held().map_err(Error::Exhausted)
}
