//! A CloudEvents SDK that others wrote publishes in all three modes and reads equal events back.
//!
//! The SDK is installed by `python3 -m pip`, with its hash checked, once for each target directory. Without it the test fails.

use std::{path::Path, process::Stdio};

use brain_testkit::python;

use crate::brain_process::{BrainProcess, migrated};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cloud_events_sdk");
/// The pinned version, in the name of its folder: another one is installed beside it.
const INSTALLED: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/cloudevents-2.2.0");

#[tokio::test]
async fn it_publishes_in_all_modes_and_reads_equal_events_back() {
    let (python, packages) = tokio::task::spawn_blocking(|| {
        let python = python::python();
        (python, python::install(python, FOLDER.as_ref(), INSTALLED.as_ref()))
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
