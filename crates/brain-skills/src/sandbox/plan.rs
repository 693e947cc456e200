//! What the brain asks of the launcher, and what it hears back: packets on one private connection.
//!
//! Invariants: the control groups come first, then the plan, which brings the three standard descriptors, then the filters; every
//! packet has a bounded size; an answer that is not understood is a failure.

use std::{
    collections::BTreeSet,
    fmt, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::{mechanism::Mechanism, sys::socket};
use crate::launch::{self, Limits};

/// The most bytes of a packet.
pub(super) const MAX_PACKET: usize = 160 << 10;

/// What the launcher is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    /// What for.
    pub task: Task,
    /// The user and group that the program is on the host; none: those of the brain.
    pub user: Option<(u32, u32)>,
    /// The mechanisms to go without.
    pub without: BTreeSet<Mechanism>,
    /// What each process may use.
    pub limits: Limits,
    /// The directory that becomes `/skill`.
    pub code: PathBuf,
    /// What else it sees: on the host, inside, and whether it may change it.
    pub mounts: Vec<(PathBuf, PathBuf, bool)>,
    /// Directories of the system that it sees beside the usual ones.
    pub system: Vec<PathBuf>,
    /// Whether a listener is made for the way out.
    pub egress: bool,
}

/// What a launcher is started for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Task {
    /// To find out which mechanisms the machine has.
    Probe,
    /// To try from within what must be refused.
    Verify,
    /// To run a program.
    Run {
        /// Its arguments, of which the first names it.
        argv: Vec<String>,
        /// Its environment, each as `NAME=value`.
        environment: Vec<String>,
    },
}

impl Plan {
    /// Whether programs are confined by this.
    pub(super) fn has(&self, mechanism: Mechanism) -> bool {
        !self.without.contains(&mechanism)
    }
}

/// Why the launcher gave up.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    kind: Kind,
    text: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Kind {
    Program,
    Unconfined,
    Exhausted(i32),
    Failed,
}

impl Failure {
    /// The program cannot be what it says.
    pub(super) fn program(text: impl Into<String>) -> Self {
        Self {
            kind: Kind::Program,
            text: text.into(),
        }
    }

    /// A mechanism failed.
    pub(super) fn unconfined(mechanism: Mechanism, error: &dyn fmt::Display) -> Self {
        Self {
            kind: Kind::Unconfined,
            text: format!("{mechanism} failed ({error}); {}", mechanism.remedy()),
        }
    }

    /// Something else went wrong while it did this.
    pub(super) fn at(what: impl fmt::Display, error: &io::Error) -> Self {
        let kind = match error.raw_os_error() {
            Some(code @ (libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::ENOSPC)) => {
                Kind::Exhausted(code)
            }
            _ => Kind::Failed,
        };
        Self {
            kind,
            text: format!("{what}: {error}"),
        }
    }
}

impl From<Failure> for launch::Error {
    fn from(failure: Failure) -> Self {
        match failure.kind {
            Kind::Program => Self::Program(failure.text),
            Kind::Unconfined => Self::Unconfined(failure.text),
            Kind::Exhausted(code) => {
                Self::Exhausted(io::Error::new(io::Error::from_raw_os_error(code).kind(), failure.text))
            }
            Kind::Failed => Self::Failed(failure.text),
        }
    }
}

/// What the launcher says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Message {
    /// The first process of the new process table has this number outside.
    Init(i32),
    /// A listener, whose descriptor comes with this, waits for a proxy.
    Listener,
    /// The program runs.
    Started,
    /// It does not.
    Failed(Failure),
    /// It ended: its status, and its time on a processor in microseconds.
    Ended(i32, u64),
    /// What each mechanism lacks; those not named are there.
    Missing(Vec<(Mechanism, String)>),
}

impl Message {
    /// Sends it, and a descriptor with it.
    pub(super) fn send(&self, socket: BorrowedFd<'_>, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        socket::send(socket, [&text, &[]], descriptor.as_slice())
    }

    /// Receives one; none when the other end is closed.
    pub(super) fn receive(socket: BorrowedFd<'_>, block: bool) -> io::Result<Option<(Self, Option<OwnedFd>)>> {
        let mut buffer = vec![0; 16 << 10];
        // With a time-out the kernel does not go on by itself after a signal, such as that of another child.
        let (length, descriptors) = loop {
            match socket::receive(socket, &mut buffer, block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                received => break received?,
            }
        };
        if length == 0 {
            return Ok(None);
        }
        let message = serde_json::from_slice(&buffer[..length])?;
        Ok(Some((message, descriptors.into_iter().next())))
    }
}

/// Sends a plan with the three standard descriptors, and the filters after it.
pub(super) fn send(socket: BorrowedFd<'_>, plan: &Plan, stdio: [BorrowedFd<'_>; 3], filters: &[u8]) -> io::Result<()> {
    let text = serde_json::to_vec(plan)?;
    if text.len() > MAX_PACKET || filters.len() > MAX_PACKET {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the plan is too long"));
    }
    socket::send(socket, [&text, &[]], &stdio)?;
    socket::send(socket, [filters, &[]], &[])
}

/// Tells a launcher which control groups to join while there is no plan yet.
pub(super) fn send_groups(socket: BorrowedFd<'_>, groups: &[PathBuf]) -> io::Result<()> {
    socket::send(socket, [&serde_json::to_vec(groups)?, &[]], &[])
}

/// Receives what [`send_groups`] sent; none when the brain is gone.
pub(super) fn receive_groups(socket: BorrowedFd<'_>) -> io::Result<Option<Vec<PathBuf>>> {
    let mut buffer = vec![0; 16 << 10];
    let (length, _) = socket::receive(socket, &mut buffer, true)?;
    if length == 0 {
        return Ok(None);
    }
    Ok(serde_json::from_slice(&buffer[..length])?)
}

/// What a launcher starts from.
#[derive(Debug)]
pub(super) struct Received {
    /// What to do.
    pub(super) plan: Plan,
    /// The standard descriptors of the program.
    pub(super) stdio: [OwnedFd; 3],
    /// Its filters, as bytes.
    pub(super) filters: Vec<u8>,
}

/// Receives what [`send`] sent; none when the brain is gone.
pub(super) fn receive(socket: impl AsFd) -> io::Result<Option<Received>> {
    let mut buffer = vec![0; MAX_PACKET];
    let (length, descriptors) = socket::receive(socket.as_fd(), &mut buffer, true)?;
    if length == 0 {
        return Ok(None);
    }
    let plan = serde_json::from_slice(&buffer[..length])?;
    let stdio = <[OwnedFd; 3]>::try_from(descriptors).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the plan came without its three descriptors",
        )
    })?;
    let (length, _) = socket::receive(socket.as_fd(), &mut buffer, true)?;
    if length == 0 {
        return Ok(None);
    }
    buffer.truncate(length);
    Ok(Some(Received {
        plan,
        stdio,
        filters: buffer,
    }))
}
