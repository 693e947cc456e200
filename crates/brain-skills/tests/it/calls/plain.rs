//! Programs as plain processes, in a process group of their own, without a sandbox.

use std::{
    process::Stdio,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use brain_skills::launch::{Ended, Error, Launch, Program, Running, Tree};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use std::os::unix::process::ExitStatusExt;
use tokio::{process::Command, sync::watch};

pub(crate) struct Plain;

/// The interpreter itself: what `PATH` has may be a script that looks for it each time.
pub(crate) fn python() -> &'static str {
    static FOUND: OnceLock<String> = OnceLock::new();
    FOUND.get_or_init(|| {
        let output = std::process::Command::new("python3")
            .args(["-c", "import sys; print(sys.executable)"])
            .output()
            .expect("python3 is there");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}

#[async_trait]
impl Launch for Plain {
    async fn launch(&self, program: &Program) -> Result<Running, Error> {
        let name = match program.argv[0].as_str() {
            "python3" => python(),
            other => other,
        };
        let mut child = Command::new(name)
            .args(&program.argv[1..])
            .current_dir(&program.code)
            .env_clear()
            .envs(&program.environment)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Error::Program(error.to_string()))?;
        let group = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (tell, ended) = watch::channel(None);
        let (kill, killed) = watch::channel(false);
        tokio::spawn(async move {
            let mut asked = killed.clone();
            let by_itself = tokio::select! {
                status = child.wait() => Some(status.unwrap()),
                _ = asked.wait_for(|killed| *killed) => None,
            };
            let status = match by_itself {
                Some(status) => status,
                None => {
                    let _ = killpg(group, Signal::SIGKILL);
                    child.wait().await.unwrap()
                }
            };
            // Whoever the first process leaves behind.
            let _ = killpg(group, Signal::SIGKILL);
            let how = match (status.code(), status.signal()) {
                (Some(code), _) => Ended::Exited(code),
                (None, _) if *killed.borrow() => Ended::Killed,
                (None, signal) => Ended::Signalled(signal.unwrap_or(0)),
            };
            let _ = tell.send(Some(how));
        });
        Ok(Running {
            stdin: Box::new(stdin.unwrap()),
            stdout: Box::new(stdout.unwrap()),
            stderr: Box::new(stderr.unwrap()),
            tree: Arc::new(Group { group, kill, ended }),
            enforced: Arc::from([]),
        })
    }
}

struct Group {
    group: Pid,
    kill: watch::Sender<bool>,
    ended: watch::Receiver<Option<Ended>>,
}

#[async_trait]
impl Tree for Group {
    fn kill(&self) {
        self.kill.send_replace(true);
        // Here, too: at the end of a test nobody may be left to do it.
        if self.ended.borrow().is_none() {
            let _ = killpg(self.group, Signal::SIGKILL);
        }
    }

    async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        let found = ended.wait_for(Option::is_some).await.map(|ended| *ended);
        found.ok().flatten().unwrap_or(Ended::Killed)
    }

    fn memory_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.group)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim()
            .strip_suffix(" kB")?
            .parse::<u64>()
            .ok()
            .map(|kilobytes| kilobytes << 10)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        Tree::kill(self);
    }
}
