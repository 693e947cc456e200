//! What is tried from within a finished confinement, to show that each mechanism refuses what it must.
//!
//! Invariants: it runs exactly where a program would; every try must fail, with the error that its mechanism gives; the answer
//! is one line on standard output.

use std::{
    fs,
    io::{self, Write},
    net::{Ipv4Addr, TcpListener},
};

use super::{
    mechanism::Mechanism,
    plan::{Failure, Plan},
    sys,
};

/// Tries everything, writes what was not refused, and never returns.
pub(super) fn run(plan: &Plan) -> ! {
    let open: Vec<(Mechanism, String)> = tries()
        .into_iter()
        .filter(|(mechanism, _)| plan.has(*mechanism))
        .filter_map(|(mechanism, open)| open.map(|what| (mechanism, what)))
        .collect();
    let text = serde_json::to_vec(&open).unwrap_or_default();
    let mut stdout = io::stdout();
    let written = stdout.write_all(&text).and_then(|()| stdout.flush());
    let code = i32::from(written.is_err());
    sys::exit(code)
}

fn tries() -> Vec<(Mechanism, Option<String>)> {
    let control = |option| sys::process_control(option, 0, 0);
    let bounding = sys::process_control(libc::PR_CAPBSET_READ, 21, 0).ok() != Some(0);
    let user = sys::effective_user();
    vec![
        (Mechanism::UserNamespace, said(user == 0, "the program is user 0")),
        (Mechanism::DedicatedUser, said(user == 0, "the program is user 0")),
        (
            Mechanism::MountNamespace,
            said(fs::write("/usr/x", "").is_ok(), "/usr can be written to"),
        ),
        (
            Mechanism::MountNamespace,
            said(fs::exists("/etc/shadow").unwrap_or(true), "/etc/shadow is there"),
        ),
        (
            Mechanism::PidNamespace,
            said(std::process::id() != 2, "it has a process number of the host"),
        ),
        (Mechanism::Capabilities, said(bounding, "CAP_SYS_ADMIN can be had")),
        (
            Mechanism::NoNewPrivileges,
            said(
                control(libc::PR_GET_NO_NEW_PRIVS).ok() != Some(1),
                "rights can be gained",
            ),
        ),
        (
            Mechanism::Seccomp,
            said(control(libc::PR_GET_SECCOMP).ok() != Some(2), "no filter is in force"),
        ),
        (
            Mechanism::Seccomp,
            refused(sys::attempt(libc::SYS_unshare, [0; 4]), "unshare is let through"),
        ),
        (
            Mechanism::Seccomp,
            refused(
                sys::attempt(libc::SYS_memfd_create, [0; 4]),
                "memfd_create is let through",
            ),
        ),
        (
            Mechanism::NetNamespace,
            said(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).is_ok(), "it can listen"),
        ),
    ]
}

fn said(open: bool, what: &str) -> Option<String> {
    open.then(|| what.to_owned())
}

fn refused(answer: io::Result<libc::c_long>, what: &str) -> Option<String> {
    let refused = answer.is_err_and(|error| error.raw_os_error() == Some(libc::EPERM));
    said(!refused, what)
}

/// Reads what [`run`] wrote.
pub(super) fn read(text: &[u8]) -> Result<Vec<(Mechanism, String)>, Failure> {
    serde_json::from_slice(text).map_err(|error| Failure::program(format!("its answer to the self-test: {error}")))
}
