//! Python packages for tests, at pinned versions, in a folder of their own.
//!
//! Invariants: each package's hash is checked; half of an installation is never found in its place.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The first Python that has pip: the first `python3` on `PATH` may lack it where the system's has it.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn python() -> &'static str {
    let has_pip = |python: &&str| {
        let mut probe = Command::new(python);
        probe.args(["-m", "pip", "--version"]);
        let silent = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        silent.status().is_ok_and(|status| status.success())
    };
    match ["python3", "/usr/bin/python3"].into_iter().find(has_pip) {
        Some(python) => python,
        None => panic!("no python3 with pip is there (Debian: apt-get install python3-pip)"),
    }
}

/// Installs what the `requirements.txt` of a folder names, unless it is in its place already. The name of the place has the version in
/// it, so that another one is installed beside it.
///
/// # Panics
/// When pip cannot.
#[must_use]
pub fn install(python: &str, requirements: &Path, place: &Path) -> PathBuf {
    if place.exists() {
        return place.to_owned();
    }
    let mut fresh = place.to_owned().into_os_string();
    fresh.push(format!(".{}", std::process::id()));
    let output = Command::new(python)
        .args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"])
        .arg("--require-hashes")
        .arg("--requirement")
        .arg(requirements.join("requirements.txt"))
        .arg("--target")
        .arg(&fresh)
        // A user's own settings may ask for what does not go with a target folder.
        .envs([
            ("PIP_USER", "0"),
            ("PIP_REQUIRE_VIRTUALENV", "0"),
            ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
            ("PIP_ROOT_USER_ACTION", "ignore"),
            ("PIP_NO_INPUT", "1"),
        ])
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!("pip: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => panic!("{python} cannot be started: {error}"),
    }
    // Another test process may have been faster.
    if std::fs::rename(&fresh, place).is_err() {
        let _ = std::fs::remove_dir_all(&fresh);
    }
    assert!(place.exists(), "{} is not there after pip made it", place.display());
    place.to_owned()
}
