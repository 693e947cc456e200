//! The brain itself being killed: no sandboxed process survives it.
//!
//! Invariants: the brain that is killed is a process of its own, which tidies nothing up.

use std::{process::Stdio, time::Duration};

use brain_skills::{launch::Launch, sandbox::Sandbox};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use super::{PATIENCE, bench, canary, is_root};

const UP: &str = "all programs are up";
/// The programs deafen themselves and fork away, so that nothing but the kernel ends them.
const STUBBORN: &str = "import os, signal, sys
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        while True:
            signal.pause()
print('up', flush=True)
while True:
    signal.pause()
";

/// Starts a brain with programs, kills it, and says what is wrong afterwards.
pub(super) async fn kill() -> Vec<String> {
    let token = format!("orphan-of-{}", std::process::id());
    let mut brain = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--ignored",
            "--nocapture",
            "hostile::brain::brain_to_be_killed",
        ])
        .env("HOSTILE_TOKEN", &token)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(brain.stdout.take().unwrap()).lines();
    let up = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(UP) {
                return;
            }
        }
        panic!("the brain ended before its programs were up");
    };
    timeout(PATIENCE, up).await.unwrap();
    let mut wrong = Vec::new();
    let running = canary::processes(&token).len();
    if running != 12 {
        wrong.push(format!("{running} processes ran instead of 12"));
    }
    brain.start_kill().unwrap();
    brain.wait().await.unwrap();
    let gone = timeout(Duration::from_secs(10), async {
        while !canary::processes(&token).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    if gone.await.is_err() {
        wrong.push(format!(
            "{} processes survive their brain",
            canary::processes(&token).len()
        ));
    }
    // The next start removes what only a start can remove.
    drop(Sandbox::new(bench::settings()).unwrap());
    wrong
}

#[tokio::test]
async fn no_process_survives_its_brain() {
    assert_eq!(kill().await, Vec::<String>::new());
}

/// What [`kill`] starts and kills.
#[tokio::test]
#[ignore = "run by another test, which kills it"]
async fn brain_to_be_killed() {
    let sandbox = Sandbox::new(bench::settings()).unwrap();
    let token = std::env::var("HOSTILE_TOKEN").unwrap();
    let program = bench::plain("/usr", &["python3", "-c", STUBBORN, &token]);
    let mut all = Vec::new();
    for _ in 0..3 {
        let mut running = sandbox.launch(&program).await.unwrap();
        let mut line = String::new();
        BufReader::new(&mut running.stdout).read_line(&mut line).await.unwrap();
        assert_eq!(line, "up\n");
        all.push(running);
    }
    assert_eq!(all.len(), 3);
    println!("{UP}{}", if is_root() { " as root" } else { "" });
    all[0].tree.ended().await;
}
