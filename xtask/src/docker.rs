//! Whether there is a Docker engine to talk to.
//!
//! No engine, and no compose plug-in, is a normal state of a machine and never an error.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long docker may take to answer before the engine counts as absent.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Why Docker Compose cannot be used on this machine; `None` where it can.
pub(crate) fn why_no_compose() -> Option<&'static str> {
    if !succeeds(&["info"]) {
        return Some("no Docker engine answers");
    }
    if !succeeds(&["compose", "version"]) {
        return Some("Docker has no compose plug-in");
    }
    None
}

/// Whether a docker command succeeds in time. A client that waits for an engine it cannot reach is stopped.
fn succeeds(arguments: &[&str]) -> bool {
    let mut command = Command::new("docker");
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    let deadline = Instant::now() + ANSWER_LIMIT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            Ok(None) | Err(_) => {
                // Nothing is left to do when the process is gone already.
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}
