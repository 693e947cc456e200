//! Where attacks are made: a sandbox, a bystander that has to go on, and what is seen of one attack.
//!
//! Invariants: after each attack nothing of its program is left, the bystander still answers, and new programs start.

use std::{
    collections::BTreeMap,
    env, fs,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use brain_skills::{
    digest::Digest,
    egress::Allowlist,
    launch::{Ended, Launch, Limits, Mount, Program, Running, State},
    sandbox::{Door, Mechanism, Sandbox, Settings},
};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    time::timeout,
};

use super::{
    Case, PATIENCE, Until,
    canary::{self, Canary, Targets},
    is_root,
};

/// What came of one attack.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Observed {
    /// The case.
    pub(super) name: String,
    /// How the program ended.
    pub(super) ended: String,
    /// How often each answer came.
    pub(super) answers: BTreeMap<String, u32>,
    /// What is not as it must be.
    pub(super) wrong: Vec<String>,
    /// The mechanism without which nothing stops it, where that is missing.
    pub(super) missing: Option<String>,
}

/// A sandbox with a bystander.
pub(super) struct Bench {
    pub(super) sandbox: Sandbox,
    targets: Targets,
    bystander: Running,
}

/// A way out whose listener is kept open and never answers.
struct Shut;

impl Door for Shut {
    fn serve(&self, listener: TcpListener, _: Arc<Allowlist>, _: &Digest) -> Box<dyn Send + Sync> {
        Box::new(listener)
    }
}

/// The sandbox that attacks are made against.
pub(super) fn settings() -> Settings {
    let mut settings = Settings {
        launcher: env!("CARGO_BIN_EXE_brain-skill-launcher").into(),
        group: "studio-brain-hostile".into(),
        door: Some(Arc::new(Shut)),
        ..Settings::default()
    };
    if let Ok(launcher) = env::var("HOSTILE_LAUNCHER") {
        settings.launcher = launcher.into();
    }
    if let Ok(group) = env::var("HOSTILE_GROUP") {
        settings.group = group;
    }
    if !is_root() {
        // An ordinary user has these only where somebody delegated a group to it.
        settings
            .may_be_missing
            .extend([Mechanism::CgroupMemory, Mechanism::CgroupPids, Mechanism::CgroupCpu]);
    }
    settings
}

impl Bench {
    pub(super) async fn new(targets: Targets) -> Self {
        let sandbox = Sandbox::new(settings()).unwrap();
        let bystander = sandbox.launch(&plain("/usr", &["cat"])).await.unwrap();
        Self {
            sandbox,
            targets,
            bystander,
        }
    }

    /// Makes one attack.
    pub(super) async fn attack(&mut self, case: &Case) -> Observed {
        let ground = Ground::new(case);
        let mut seen = Observed {
            name: case.name.into(),
            ended: String::new(),
            answers: BTreeMap::new(),
            wrong: Vec::new(),
            missing: None,
        };
        let mut ends = case.ends;
        if let Some((mechanism, without)) = case.depends
            && !self.has(mechanism)
        {
            let Some(without) = without else {
                seen.missing = Some(mechanism.name().into());
                return seen;
            };
            ends = without;
        }
        let mut targets = self.targets.clone();
        targets.json["egress"] = case.egress.into();
        let program = ground.program(case, &targets);
        let running = self.sandbox.launch(&program).await.unwrap();
        let (ended, stdout, stderr) = timeout(PATIENCE, ground.watch(running, case.until)).await.unwrap();
        seen.ended = ended.to_string();
        let mut wrong = seen.read(&stdout);
        if ended != ends {
            wrong.push(format!("it must end otherwise ({ends}), and said {stderr:?}"));
        }
        wrong.extend(ground.left());
        if !self.goes_on().await {
            wrong.push("the bystander does not answer any more".into());
        }
        seen.wrong = wrong;
        seen
    }

    fn has(&self, mechanism: Mechanism) -> bool {
        let mut reports = self.sandbox.check().iter();
        reports.any(|report| report.mechanism == mechanism && report.state == State::Enforced)
    }

    /// Whether the bystander answers, and another program can be started.
    async fn goes_on(&mut self) -> bool {
        let answered = timeout(PATIENCE, async {
            self.bystander.stdin.write_all(b"x").await.unwrap();
            let mut answer = [0];
            self.bystander.stdout.read_exact(&mut answer).await.unwrap();
            let other = self.sandbox.launch(&plain("/usr", &["true"])).await.unwrap();
            answer == *b"x" && other.tree.ended().await == Ended::Exited(0)
        });
        answered.await.unwrap_or(false)
    }
}

impl Observed {
    /// Reads what the program said, and returns what is wrong in it.
    fn read(&mut self, stdout: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        for line in stdout.lines() {
            if let [what, answer, verdict] = line.split('\t').collect::<Vec<_>>()[..] {
                *self.answers.entry(answer.to_owned()).or_default() += 1;
                if verdict != "right" {
                    wrong.push(format!("{what}: {answer}"));
                }
            }
        }
        wrong
    }
}

/// A program without anything special.
pub(super) fn plain(code: &str, argv: &[&str]) -> Program {
    Program {
        digest: Digest::of(b""),
        code: code.into(),
        argv: argv.iter().map(ToString::to_string).collect(),
        environment: BTreeMap::new(),
        limits: Limits {
            cpu: Duration::from_secs(30),
            ..Limits::default()
        },
        egress: Arc::new(Allowlist::default()),
        mounts: Vec::new(),
    }
}

/// The directories of one attack.
pub(super) struct Ground {
    code: TempDir,
    out: TempDir,
    token: String,
}

impl Ground {
    pub(super) fn new(case: &Case) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (code, out) = (canary::open_directory(), canary::open_directory());
        fs::write(code.path().join("attack.py"), include_str!("programs/attack.py")).unwrap();
        fs::write(code.path().join("program.py"), case.source).unwrap();
        let shadow = "/etc/shadow";
        std::os::unix::fs::symlink(shadow, code.path().join("link_to_host")).unwrap();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let token = format!("hostile-{}-{number}-end", std::process::id());
        Self { code, out, token }
    }

    /// Where its program is.
    pub(super) fn code(&self) -> &std::path::Path {
        self.code.path()
    }

    /// The program of a case.
    pub(super) fn program(&self, case: &Case, targets: &Targets) -> Program {
        let code = self.code.path().to_str().unwrap();
        let mut program = plain(code, &["python3", "program.py", &targets.json.to_string(), &self.token]);
        program.environment.insert("NAMED".into(), "value".into());
        (case.limits)(&mut program.limits);
        if case.egress {
            program.egress = Arc::new(Allowlist::parse(["example.com:443"]).unwrap());
        }
        let mount = |host: &std::path::Path, inside: &str, writable| Mount {
            host: host.into(),
            inside: inside.into(),
            writable,
        };
        program.mounts = vec![
            mount(&targets.shown, "/data/in", false),
            mount(self.out.path(), "/data/out", true),
        ];
        program
    }

    /// Waits until the attack is over.
    pub(super) async fn watch(&self, running: Running, until: Until) -> (Ended, String, String) {
        let Running {
            stdin,
            stdout,
            mut stderr,
            tree,
            ..
        } = running;
        let (mut said, mut error) = (String::new(), String::new());
        let killer = Arc::clone(&tree);
        let out = async {
            let mut lines = BufReader::new(stdout).lines();
            while let Some(line) = lines.next_line().await.unwrap() {
                if line == "ready" && until != Until::End {
                    while until == Until::Stopped && !self.has_stopped() {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    killer.kill();
                }
                said.push_str(&line);
                said.push('\n');
            }
        };
        tokio::join!(out, async { stderr.read_to_string(&mut error).await.unwrap() });
        drop(stdin);
        (tree.ended().await, said, error)
    }

    fn has_stopped(&self) -> bool {
        let all = canary::processes(&self.token);
        !all.is_empty() && all.iter().all(|pid| canary::state_of(*pid) == Some('T'))
    }

    /// What it left behind.
    pub(super) fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        if !canary::processes(&self.token).is_empty() {
            left.push("processes are left".to_owned());
        }
        for entry in fs::read_dir(self.out.path()).unwrap().flatten() {
            let mode = std::os::unix::fs::MetadataExt::mode(&entry.metadata().unwrap());
            if mode & 0o6000 != 0 || !matches!(mode & 0o170_000, 0o100_000 | 0o120_000) {
                left.push(format!("{} has mode {mode:o}", entry.path().display()));
            }
        }
        left
    }
}

/// Makes one attack against a canary of this process.
pub(super) async fn holds(case: &Case) {
    let mut canary = Canary::new();
    let seen = Bench::new(canary.targets()).await.attack(case).await;
    assert!(seen.wrong.is_empty(), "{seen:#?}");
    assert_eq!(canary.harm(), Vec::<String>::new());
}
