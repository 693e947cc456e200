//! schemathesis and what it needs, in a folder of its own, at pinned versions.
//!
//! The folder is made again whenever the pins change; nothing outside it is touched.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use super::Args;
use crate::progress::Progress;
use crate::workspace::root;

const REQUIREMENTS: &str = include_str!("requirements.txt");
const HOOKS: &str = include_str!("hooks.py");

/// A Python environment that holds schemathesis.
pub(super) struct Python {
    folder: PathBuf,
}

impl Python {
    /// Installs what is not there yet.
    pub(super) async fn prepare() -> Result<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        let folder = target.join("api-fuzz");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let python = Self { folder };
        let installed = python.folder.join("installed.txt");
        if std::fs::read_to_string(&installed).is_ok_and(|pins| pins == REQUIREMENTS) {
            return Ok(python);
        }
        let _progress = Progress::start("installing schemathesis");
        let requirements = python.folder.join("requirements.txt");
        std::fs::write(&requirements, REQUIREMENTS)?;
        let venv = python.folder.join("venv");
        // Without pip of its own: a system's Python has often no other pip than its own one to give.
        finish(
            Command::new("python3")
                .args(["-m", "venv", "--clear", "--without-pip"])
                .arg(&venv),
        )
        .await?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "--python"])
            .arg(venv.join("bin/python"))
            .args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"])
            .arg(&requirements);
        finish(&mut pip).await?;
        std::fs::write(installed, REQUIREMENTS)?;
        Ok(python)
    }

    /// Checks the document against the meta schema of OpenAPI 3.1.
    pub(super) async fn validate(&self, document: &[u8]) -> Result<()> {
        let path = self.folder.join("openapi.json");
        std::fs::write(&path, document)?;
        finish(Command::new(self.program("openapi-spec-validator")).arg(&path))
            .await
            .context("the document is not OpenAPI 3.1")
    }

    /// Tries what the document says; what it finds goes to the terminal.
    pub(super) async fn schemathesis(&self, url: &str, settings: &str, seed: u32, args: &Args) -> Result<ExitStatus> {
        let hooks = self.folder.join("hooks.py");
        std::fs::write(&hooks, HOOKS)?;
        let file = self.folder.join("schemathesis.toml");
        std::fs::write(&file, settings.replace("{hooks}", &hooks.display().to_string()))?;
        let mut command = Command::new(self.program("schemathesis"));
        command
            .current_dir(&self.folder)
            .arg("--config-file")
            .arg(&file)
            .args(["run", url, "--max-examples", &args.cases.to_string()])
            .args(["--seed", &seed.to_string()])
            .kill_on_drop(true);
        if !args.phases.is_empty() {
            command.args(["--phases", &args.phases.join(",")]);
        }
        command.status().await.context("cannot start schemathesis")
    }

    fn program(&self, name: &str) -> PathBuf {
        self.folder.join("venv/bin").join(name)
    }
}

/// Runs a command to its end; what it said is the error when it fails.
async fn finish(command: &mut Command) -> Result<()> {
    let name = Path::new(command.as_std().get_program()).display().to_string();
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot start {name}; Python 3.10 or newer with pip is needed"))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!(
            "{name} ended with {}:\n{}",
            output.status,
            String::from_utf8_lossy(&said)
        );
    }
    Ok(())
}
