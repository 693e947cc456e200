//! Starting one program: the launcher, its plan, and what it answers; all of it blocking, and bounded in time.
//!
//! Invariants: what is returned runs confined; on an error nothing of it runs and nothing of it is left.

use std::{
    io,
    net::TcpListener,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{
    cgroup::Group,
    launcher,
    plan::{self, Message, Plan},
    sys::{self, socket},
    users::User,
};
use crate::launch::Error;

/// How long the launcher may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first process of the namespaces of a program. Dropping it kills all of them.
#[derive(Debug)]
pub(super) struct Init {
    pid: i32,
    descriptor: Option<OwnedFd>,
}

impl Init {
    fn new(pid: i32) -> io::Result<Self> {
        let descriptor = Some(sys::process_descriptor(pid)?);
        Ok(Self { pid, descriptor })
    }

    /// Its number, and a descriptor for it; from now on somebody else has to wait for it.
    pub(super) fn release(mut self) -> Option<(i32, OwnedFd)> {
        self.descriptor.take().map(|descriptor| (self.pid, descriptor))
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        if let Some(descriptor) = self.descriptor.take() {
            // It may have ended by itself; what matters is that it is waited for.
            let _ended = sys::signal_process(descriptor.as_fd(), libc::SIGKILL);
            let _reaped = sys::reap(self.pid, true);
        }
    }
}

/// A program that runs.
#[derive(Debug)]
pub(super) struct Started {
    /// Its first process.
    pub(super) init: Init,
    /// What it is told and tells; closing it ends the program.
    pub(super) control: OwnedFd,
    /// The ends that are ours of its standard input, output and error.
    pub(super) stdio: [OwnedFd; 3],
    /// Where its proxy listens.
    pub(super) listener: Option<TcpListener>,
    /// Its control groups.
    pub(super) group: Group,
    /// Its user.
    pub(super) user: Option<User>,
}

/// What only one program has.
#[derive(Debug)]
pub(super) struct Own {
    /// Its control groups.
    pub(super) group: Group,
    /// Its user.
    pub(super) user: Option<User>,
}

/// A launcher that waits for its plan, in the control groups of a program to be. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Waiting {
    control: OwnedFd,
    child: Child,
}

impl Waiting {
    /// Starts one.
    pub(super) fn new(program: &Path, groups: &[PathBuf]) -> Result<Self, Error> {
        let (ours, theirs) = socket::packet_pair().map_err(Error::Exhausted)?;
        socket::set_patience(ours.as_fd(), PATIENCE).map_err(Error::Exhausted)?;
        let spawned = Command::new(program)
            .arg(launcher::WORD)
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = spawned.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Error::Failed(format!(
                "the launcher {} cannot be executed: {error}",
                program.display()
            )),
            _ => Error::Exhausted(error),
        })?;
        let waiting = Self { control: ours, child };
        plan::send_groups(waiting.control.as_fd(), groups)
            .map_err(|error| Error::Failed(format!("the launcher does not read its groups: {error}")))?;
        Ok(waiting)
    }

    /// Gives it its plan.
    pub(super) fn ask(&self, plan: &Plan, stdio: [BorrowedFd<'_>; 3], filters: &[u8]) -> Result<(), Error> {
        plan::send(self.control.as_fd(), plan, stdio, filters).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => Error::Program("its arguments and environment are too long".into()),
            _ => Error::Failed(format!("the launcher does not read its plan: {error}")),
        })
    }

    /// The next thing that it says.
    pub(super) fn receive(&self) -> Result<(Message, Option<OwnedFd>), Error> {
        receive(&self.control)
    }

    /// Whether it still waits.
    pub(super) fn is_there(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It may have ended by itself, having done what it was for; what matters is that it is waited for.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Gives a launcher its plan, and waits until the program runs.
pub(super) fn start(mut waiting: Waiting, plan: &Plan, filters: &[u8], own: Own) -> Result<Started, Error> {
    own.group.limit(&plan.limits).map_err(Error::Exhausted)?;
    let pipes = || -> io::Result<_> { Ok((sys::pipe()?, sys::pipe()?, sys::pipe()?)) };
    let ((stdin, write), (read_out, stdout), (read_err, stderr)) = pipes().map_err(Error::Exhausted)?;
    waiting.ask(plan, [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()], filters)?;
    drop((stdin, stdout, stderr));
    let (init, listener) = wait_until_started(&waiting.control)?;
    // It has nothing more to do than to end.
    let ended = waiting.child.wait();
    ended.map_err(|error| Error::Failed(format!("waiting for the launcher: {error}")))?;
    let control = waiting.control.try_clone().map_err(Error::Exhausted)?;
    Ok(Started {
        init,
        control,
        stdio: [write, read_out, read_err],
        listener,
        group: own.group,
        user: own.user,
    })
}

fn wait_until_started(control: &OwnedFd) -> Result<(Init, Option<TcpListener>), Error> {
    let mut init = None;
    let mut listener = None;
    loop {
        match receive(control)? {
            (Message::Init(pid), _) => init = Some(Init::new(pid).map_err(Error::Exhausted)?),
            (Message::Listener, Some(descriptor)) => listener = Some(TcpListener::from(descriptor)),
            (Message::Started, _) => {
                let init = init.ok_or_else(|| Error::Failed("the launcher named no process".into()))?;
                return Ok((init, listener));
            }
            (Message::Failed(failure), _) => return Err(failure.into()),
            (message, _) => return Err(Error::Failed(format!("the launcher said {message:?} too early"))),
        }
    }
}

/// The next thing that a launcher says.
pub(super) fn receive(control: &OwnedFd) -> Result<(Message, Option<OwnedFd>), Error> {
    match Message::receive(control.as_fd(), true) {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err(Error::Failed(
            "the launcher ended without saying why; is it the same version as the brain?".into(),
        )),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Error::Failed(format!(
            "the launcher did not answer within {} seconds",
            PATIENCE.as_secs()
        ))),
        Err(error) => Err(Error::Failed(format!("the launcher cannot be understood: {error}"))),
    }
}
