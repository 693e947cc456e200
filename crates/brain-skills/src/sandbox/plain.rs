//! The other launcher: starts programs of skills without confining them, for whoever turned the sandbox off.
//!
//! Invariants: nothing is reported as enforced; what can be had without help of the kernel is kept: an environment of named
//! variables, a session of its own, limits of each process, and the end of all of it as one, as far as it stays in its
//! session's group.

use std::{
    collections::BTreeSet,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use tokio::net::unix::pipe;

use super::{
    mechanism::Mechanism,
    restrictions, root,
    running::{Holder, Kept, judge},
    sys::{self, Reaped},
};
use crate::launch::{Ended, Enforced, Error, Launch, Limits, Program, Running, State};

/// Starts programs unconfined.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl Plain {
    /// What is reported of each program: that nothing confines it.
    #[must_use]
    pub fn enforced(self) -> Arc<[Enforced]> {
        missing()
    }
}

#[async_trait]
impl Launch for Plain {
    async fn launch(&self, program: &Program) -> Result<Running, Error> {
        let path = find(program)?;
        if !program.mounts.is_empty() {
            let reason = "it needs directories under other names, which only the sandbox can give";
            return Err(Error::Program(reason.into()));
        }
        let spawned = spawn(&path, program);
        let (pid, descriptor, [stdin, stdout, stderr]) = spawned.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput => {
                Error::Program(format!("{}: {error}", path.display()))
            }
            _ => Error::Exhausted(error),
        })?;
        let kept = Unconfined {
            cpu: program.limits.cpu,
        };
        let held = || -> io::Result<Running> {
            Ok(Running {
                tree: Arc::new(Holder::new(pid, descriptor, Some(pid), kept)?),
                stdin: Box::new(pipe::Sender::from_owned_fd(stdin)?),
                stdout: Box::new(pipe::Receiver::from_owned_fd(stdout)?),
                stderr: Box::new(pipe::Receiver::from_owned_fd(stderr)?),
                enforced: missing(),
            })
        };
        held().map_err(Error::Exhausted)
    }
}

fn missing() -> Arc<[Enforced]> {
    let missing = |mechanism: Mechanism| Enforced {
        mechanism: mechanism.name().to_owned(),
        state: State::Missing("the sandbox is turned off".to_owned()),
    };
    Mechanism::ALL.map(missing).into()
}

/// A file of the tree itself, or an interpreter.
fn find(program: &Program) -> Result<PathBuf, Error> {
    let name = program.argv.first().map(String::as_str).unwrap_or_default();
    if !root::is_name(name) {
        return Err(Error::Program(format!(
            "{name:?} is no path below its own tree and no name"
        )));
    }
    let own = program.code.join(name);
    let places = root::PATH.split(':').map(|place| Path::new(place).join(name));
    let interpreters = places.filter(|_| !name.contains('/'));
    let found = [own].into_iter().chain(interpreters).find(|path| path.is_file());
    found.ok_or_else(|| Error::Program(format!("{name:?} is neither in its own tree nor an interpreter")))
}

fn spawn(path: &Path, program: &Program) -> io::Result<(i32, OwnedFd, [OwnedFd; 3])> {
    let ((stdin, write), (read_out, stdout), (read_err, stderr)) = (sys::pipe()?, sys::pipe()?, sys::pipe()?);
    let mut command = Command::new(path);
    command
        .args(program.argv.iter().skip(1))
        .current_dir(&program.code)
        .env_clear()
        .envs(&program.environment)
        .env("PATH", root::PATH)
        .env("HOME", std::env::temp_dir())
        .env("TMPDIR", std::env::temp_dir())
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr));
    let limits = restrictions::limits(&limits(program.limits), &BTreeSet::from([Mechanism::CgroupMemory]));
    sys::limit_before_execution(&mut command, limits);
    let mut child = command.spawn()?;
    let pid = child.id().cast_signed();
    match sys::process_descriptor(pid) {
        Ok(descriptor) => Ok((pid, descriptor, [write, read_out, read_err])),
        Err(error) => {
            // Nothing can hold it, so it must not go on.
            child.kill().and_then(|()| child.wait())?;
            Err(error)
        }
    }
}

/// Outside of a user namespace the limit of processes counts all of the user, so it cannot be the program's.
fn limits(limits: Limits) -> Limits {
    Limits {
        processes: u32::MAX,
        ..limits
    }
}

struct Unconfined {
    cpu: Duration,
}

impl Kept for Unconfined {
    fn before_reaping(&self, pid: i32) {
        // While it is not reaped, its number and that of its group are nobody else's.
        let _ended = sys::signal_group(pid, libc::SIGKILL);
    }

    fn ended(&self, first: Reaped, killed: bool) -> Ended {
        match judge(first.status, first.cpu_micros, self.cpu) {
            Ended::Signalled(libc::SIGKILL) if killed => Ended::Killed,
            ended => ended,
        }
    }

    fn memory_bytes(&self) -> Option<u64> {
        None
    }
}
