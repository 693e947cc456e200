//! What the tests of the dashboard need besides servers: a browser, its driver, and axe-core, which looks for barriers.
//!
//! axe-core comes by npm into a folder of its own under `target/`, at a pinned version; npm checks it against the digest in the lock
//! file. The folder is made again whenever the pins change; nothing outside it is touched, and no script of a package is run.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::progress::Progress;
use crate::workspace::root;

const PACKAGE: &str = include_str!("browser/package.json");
const LOCK: &str = include_str!("browser/package-lock.json");

/// Each program with the Debian package that brings it.
const PROGRAMS: [(&str, &str); 3] = [
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("npm", "npm"),
];

/// What is missing, in words; nothing where everything is there.
pub(crate) fn missing() -> Option<String> {
    let missing: Vec<String> = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_on_path(program))
        .map(|(program, package)| format!("{program} (Debian package {package})"))
        .collect();
    (!missing.is_empty()).then(|| format!("the tests of the dashboard in a browser need {}", missing.join(", ")))
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The script of axe-core; fetched when it is not there yet.
pub(crate) async fn axe() -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let folder = target.join("dashboard-tests");
    let script = folder.join("node_modules/axe-core/axe.min.js");
    let installed = folder.join("installed.json");
    if script.is_file() && std::fs::read_to_string(&installed).is_ok_and(|pins| pins == LOCK) {
        return Ok(script);
    }
    let _progress = Progress::start("fetching axe-core");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    std::fs::write(folder.join("package.json"), PACKAGE)?;
    std::fs::write(folder.join("package-lock.json"), LOCK)?;
    fetch(&folder).await?;
    std::fs::write(installed, LOCK)?;
    Ok(script)
}

async fn fetch(folder: &Path) -> Result<()> {
    let output = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot start npm")?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!("npm ended with {}:\n{}", output.status, String::from_utf8_lossy(&said));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_is_fetched_is_pinned_with_its_digest() {
        let (package, lock): (Value, Value) = (
            serde_json::from_str(PACKAGE).unwrap(),
            serde_json::from_str(LOCK).unwrap(),
        );
        let wanted = &package["dependencies"]["axe-core"];
        let locked = &lock["packages"]["node_modules/axe-core"];
        assert_eq!(&locked["version"], wanted);
        assert!(locked["integrity"].as_str().unwrap().starts_with("sha512-"));
        assert_eq!(lock["packages"].as_object().unwrap().len(), 2, "it needs nothing else");
    }
}
