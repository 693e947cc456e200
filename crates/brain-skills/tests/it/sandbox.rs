//! What a confined program can and cannot do, and that nothing of it is left; as root and as an ordinary user.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod confined;
mod egress;
mod ending;
mod limits;
mod ordinary;
mod plain;
mod seen;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use brain_skills::{
    digest::Digest,
    egress::Allowlist,
    launch::{self, Ended, Launch, Limit, Limits, Mount, Program, Running, State},
    sandbox::{Mechanism, Sandbox, Settings},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

/// Longer than anything here takes; a test that gets here has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The launcher of these tests.
fn launcher() -> PathBuf {
    let copy = std::env::var_os(ordinary::LAUNCHER);
    copy.map_or_else(|| env!("CARGO_BIN_EXE_brain-skill-launcher").into(), PathBuf::from)
}

/// A sandbox as root has it; as an ordinary user, without what only root or a delegated group can bring.
fn settings() -> Settings {
    let mut settings = Settings {
        launcher: launcher(),
        ..Settings::default()
    };
    if !is_root() {
        settings
            .may_be_missing
            .extend([Mechanism::CgroupMemory, Mechanism::CgroupPids, Mechanism::CgroupCpu]);
    }
    settings
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .contains("\nUid:\t0\t")
}

/// A sandbox, and a skill in a directory of its own.
struct Fixture {
    sandbox: Sandbox,
    directory: TempDir,
    limits: Limits,
}

impl Fixture {
    fn new() -> Self {
        Self::with(settings())
    }

    fn with(settings: Settings) -> Self {
        let directory = tempfile::Builder::new()
            .permissions(permissions(0o755))
            .tempdir()
            .unwrap();
        Self {
            sandbox: Sandbox::new(settings).unwrap(),
            directory,
            limits: Limits {
                cpu: Duration::from_secs(10),
                ..Limits::default()
            },
        }
    }

    fn program(&self, argv: &[&str]) -> Program {
        Program {
            digest: Digest::of(b""),
            code: self.directory.path().to_path_buf(),
            argv: argv.iter().map(ToString::to_string).collect(),
            environment: BTreeMap::new(),
            limits: self.limits,
            egress: Arc::new(Allowlist::default()),
            mounts: Vec::new(),
        }
    }

    /// Whether this sandbox has a mechanism.
    fn has(&self, mechanism: Mechanism) -> bool {
        let mut reports = self.sandbox.check().iter();
        reports.any(|report| report.mechanism == mechanism && report.state == State::Enforced)
    }

    /// Runs a program to its end, without input.
    async fn run(&self, argv: &[&str]) -> Outcome {
        let running = self.sandbox.launch(&self.program(argv)).await.unwrap();
        timeout(PATIENCE, Outcome::of(running)).await.unwrap()
    }

    /// Runs a shell script to its end.
    async fn shell(&self, script: &str) -> Outcome {
        self.run(&["sh", "-c", script]).await
    }

    /// Runs a Python script to its end.
    async fn python(&self, script: &str) -> Outcome {
        self.run(&["python3", "-c", script]).await
    }
}

/// How a program ended, and what it said.
#[derive(Debug)]
struct Outcome {
    ended: Ended,
    stdout: String,
    stderr: String,
}

impl Outcome {
    async fn of(running: Running) -> Self {
        let Running {
            stdin,
            mut stdout,
            mut stderr,
            tree,
            ..
        } = running;
        drop(stdin);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let read = tokio::join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut err));
        read.0.and(read.1).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            ended: tree.ended().await,
            stdout: text(&out),
            stderr: text(&err),
        }
    }

    /// What it said, where it ended well.
    #[track_caller]
    fn said(self) -> String {
        assert_eq!(self.ended, Ended::Exited(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }
}

fn permissions(mode: u32) -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(mode)
}
