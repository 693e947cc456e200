//! The worker in plain Python: short, and it loses nothing when the brain crashes.

use std::process::Stdio;

use serde_json::json;

use crate::task_calls::Plane;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/worker.py");

#[test]
fn it_has_at_most_fifty_lines() {
    let lines = std::fs::read_to_string(SCRIPT).unwrap().lines().count();
    assert!(lines <= 50, "examples/worker.py has {lines} lines");
}

#[tokio::test]
async fn exclusive_it_completes_everything_once_across_a_crash_of_the_brain() {
    let mut plane = Plane::start().await;
    let mut worker = tokio::process::Command::new("python3")
        .args([SCRIPT, &plane.url(), "python/1"])
        .env("LEASE_SECONDS", "3")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let ids = |from: u32| (from..from + 25).map(|number| format!("t/{number}"));
    plane.create(ids(0), &json!({})).await;
    // These are ready only after the crash, so that it comes in the middle however fast the worker is.
    plane.create(ids(25), &json!({ "delayMs": 3000 })).await;
    plane.completed(5).await;
    plane.crash().await;
    plane.completed(50).await;
    plane.all_ended_once(50).await;
    assert!(worker.try_wait().unwrap().is_none(), "the worker still waits for tasks");
}
