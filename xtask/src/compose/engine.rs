//! The second opinion: `docker compose config`, where a Docker engine answers.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::docker::why_no_compose;

/// Asks Docker Compose whether it can read `file`; the answer is half a sentence for the report.
pub(super) fn check(file: &Path) -> anyhow::Result<String> {
    if let Some(reason) = why_no_compose() {
        return Ok(format!("`docker compose config` was left out, because {reason}"));
    }
    let output = Command::new("docker")
        .arg("compose")
        .arg("--file")
        .arg(file)
        .args(["config", "--quiet"])
        .output()
        .context("cannot run `docker compose config`")?;
    if !output.status.success() {
        bail!(
            "`docker compose config` refuses {}:\n{}",
            file.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok("`docker compose config` agrees".to_owned())
}
