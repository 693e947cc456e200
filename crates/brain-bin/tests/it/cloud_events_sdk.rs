//! A CloudEvents SDK that others wrote publishes in all three modes and reads equal events back.
//!
//! The SDK is installed by `python3 -m pip`, with its hash checked, once for each target directory. Without it the test fails.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::brain_process::{BrainProcess, migrated};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cloud_events_sdk");
/// The pinned version, in the name of its folder: another one is installed beside it.
const INSTALLED: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/cloudevents-2.2.0");

/// The first Python that has pip: the first `python3` on `PATH` may lack it where the system's has it.
fn python() -> &'static str {
    let has_pip = |python: &&str| {
        let mut probe = Command::new(python);
        probe.args(["-m", "pip", "--version"]);
        let silent = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        silent.status().is_ok_and(|status| status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has_pip);
    found.expect("python3 with pip is there (Debian: apt-get install python3-pip)")
}

/// Installs the SDK where it is not yet: beside its place first, so that half of it is never found there.
fn install(python: &str) -> PathBuf {
    let place = Path::new(INSTALLED);
    if place.exists() {
        return place.to_owned();
    }
    let fresh = place.with_extension(std::process::id().to_string());
    let output = Command::new(python)
        .args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"])
        .arg("--require-hashes")
        .arg("--requirement")
        .arg(Path::new(FOLDER).join("requirements.txt"))
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
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "pip: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    // Another test process may have been faster.
    if std::fs::rename(&fresh, place).is_err() {
        std::fs::remove_dir_all(&fresh).unwrap();
    }
    assert!(place.exists());
    place.to_owned()
}

#[tokio::test]
async fn it_publishes_in_all_modes_and_reads_equal_events_back() {
    let (python, packages) = tokio::task::spawn_blocking(|| {
        let python = python();
        (python, install(python))
    })
    .await
    .unwrap();
    let database = migrated().await;
    let brain = BrainProcess::start(&database.config(), &[]).await;
    let script = Path::new(FOLDER).join("round_trip.py");
    let output = tokio::process::Command::new(python)
        .arg(script)
        .arg(brain.url())
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("no_proxy", "127.0.0.1,localhost")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let (said, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}{errors}");
    assert_eq!(said.trim(), "equal 4");
}
