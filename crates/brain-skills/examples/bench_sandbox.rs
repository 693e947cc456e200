//! What the sandbox costs: a cold start next to a plain one and one by bubblewrap in the same run, and memory of idle programs.
//!
//! `cargo run --release -p brain-skills --example bench_sandbox`; a number as argument says how many runs (300).
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "an example talks to the person who runs it, and gives up with an error"
)]

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the sandbox is there on Linux only");
}

#[cfg(target_os = "linux")]
fn main() {
    brain_skills::sandbox::launcher::run_if_asked();
    linux::main();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        collections::BTreeMap,
        fs,
        io::ErrorKind,
        process::{Command, Stdio},
        sync::Arc,
        time::{Duration, Instant},
    };

    use brain_skills::{
        digest::Digest,
        egress::Allowlist,
        launch::{Ended, Launch, Limits, Program, State},
        sandbox::{Mechanism, Sandbox, Settings},
    };

    /// How many programs wait at a time while their memory is looked at.
    const IDLE: usize = 50;

    fn program(argv: &[&str]) -> Program {
        Program {
            digest: Digest::of(b""),
            code: "/usr".into(),
            argv: argv.iter().map(ToString::to_string).collect(),
            environment: BTreeMap::new(),
            limits: Limits::default(),
            egress: Arc::new(Allowlist::default()),
            mounts: Vec::new(),
        }
    }

    fn plain() -> Duration {
        let start = Instant::now();
        let mut child = Command::new("/bin/true")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert!(child.wait().unwrap().success());
        start.elapsed()
    }

    /// The same isolation as far as bubblewrap has it: no Landlock, no filter of system calls, no control groups.
    fn bubblewrap() -> Option<Duration> {
        let start = Instant::now();
        let spawned = Command::new("bwrap")
            .args([
                "--unshare-all",
                "--new-session",
                "--die-with-parent",
                "--cap-drop",
                "ALL",
            ])
            .args([
                "--ro-bind",
                "/usr",
                "/usr",
                "--ro-bind",
                "/usr",
                "/skill",
                "--symlink",
                "usr/bin",
                "/bin",
            ])
            .args([
                "--symlink",
                "usr/lib",
                "/lib",
                "--symlink",
                "usr/lib64",
                "/lib64",
                "--proc",
                "/proc",
            ])
            .args(["--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/skill", "/usr/bin/true"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        match spawned {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            spawned => {
                assert!(spawned.unwrap().wait().unwrap().success());
                Some(start.elapsed())
            }
        }
    }

    async fn sandboxed(sandbox: &Sandbox) -> Duration {
        let start = Instant::now();
        let running = sandbox.launch(&program(&["true"])).await.unwrap();
        assert_eq!(running.tree.ended().await, Ended::Exited(0));
        start.elapsed()
    }

    fn figures(mut all: Vec<Duration>) -> (f64, f64) {
        all.sort();
        let millis = |at: usize| all[at].as_secs_f64() * 1000.0;
        (millis(all.len() / 2), millis(all.len() * 99 / 100))
    }

    /// A number of kibibytes from a file of /proc.
    fn kibibytes(path: &str, name: &str) -> u64 {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    }

    pub(super) fn main() {
        let runs = std::env::args()
            .nth(1)
            .and_then(|text| text.parse().ok())
            .unwrap_or(300);
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(measure(runs));
    }

    async fn measure(runs: usize) {
        let mut settings = Settings::default();
        settings
            .may_be_missing
            .extend([Mechanism::CgroupMemory, Mechanism::CgroupPids, Mechanism::CgroupCpu]);
        let sandbox = Sandbox::new(settings).unwrap();
        let missing = sandbox.check().iter().filter(|report| report.state != State::Enforced);
        let missing: Vec<&str> = missing.map(|report| report.mechanism.name()).collect();
        println!(
            "Missing mechanisms: {}\n",
            if missing.is_empty() {
                "none".into()
            } else {
                missing.join(", ")
            }
        );

        let (mut plains, mut others, mut ours) = (Vec::new(), Vec::new(), Vec::new());
        // In turns, so that whatever else the machine does meets all of them.
        for run in 0..runs + 20 {
            let (one, two, three) = (plain(), bubblewrap(), sandboxed(&sandbox).await);
            if run >= 20 {
                plains.push(one);
                others.extend(two);
                ours.push(three);
            }
        }
        println!("{runs} cold starts of /bin/true each, in turns, until it has ended and is cleared up:\n");
        println!("| | p50 | p99 | added p50 | added p99 |\n|---|---|---|---|---|");
        let base = figures(plains);
        println!("| plain fork and exec | {:.2} ms | {:.2} ms | | |", base.0, base.1);
        let row = |name: &str, (middle, high): (f64, f64)| {
            let added = (middle - base.0, high - base.1);
            println!(
                "| {name} | {middle:.2} ms | {high:.2} ms | {:.2} ms | {:.2} ms |",
                added.0, added.1
            );
        };
        row("this sandbox", figures(ours));
        match others.is_empty() {
            true => println!("| bubblewrap | not installed | | | |"),
            false => row("bubblewrap, everything unshared", figures(others)),
        }
        memory(&sandbox).await;
    }

    async fn memory(sandbox: &Sandbox) {
        let own = || kibibytes("/proc/self/status", "VmRSS:");
        let before = own();
        let mut all = Vec::new();
        for _ in 0..IDLE {
            all.push(sandbox.launch(&program(&["cat"])).await.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        let count = IDLE as u64;
        println!("\n{IDLE} idle programs (`cat`), each:\n\n| | |\n|---|---|");
        println!(
            "| resident memory that the brain grew by | {} KiB |",
            own().saturating_sub(before) / count
        );
        let held: Option<u64> = all.iter().map(|running| running.tree.memory_bytes()).sum();
        match held {
            Some(bytes) => println!(
                "| memory of its control group: both processes, and what the kernel keeps | {} KiB |",
                bytes / count / 1024
            ),
            None => println!("| memory of its control group | not known |"),
        }
        // Each child belongs to the thread that made it.
        let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
        let children: String = threads
            .map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default() + " ")
            .collect();
        let children: Vec<&str> = children.split_whitespace().collect();
        let share = |pid: &&str| kibibytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:");
        let shares: u64 = children.iter().map(share).sum();
        match children.len() as u64 {
            0 => {}
            found => println!(
                "| proportional share of its first process | {} KiB ({found} looked at) |",
                shares / found
            ),
        }
        for running in all {
            running.tree.kill();
            running.tree.ended().await;
        }
    }
}
