//! The program under test: commands that run once, and a running `brain serve`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use brain_config::{Config, ExposeSecret};
use brain_connectivity::{migrations::Migrations, postgres::Postgres};
use brain_testkit::{TestDatabase, eventually_within, scratch_dir};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The program that cargo built for these tests.
const BRAIN: &str = env!("CARGO_BIN_EXE_brain");

/// Longest time that a start or an end may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database with all migrations.
pub(crate) async fn migrated() -> TestDatabase {
    TestDatabase::create(async |settings: brain_config::Postgres| {
        let postgres = Postgres::open(&settings)?;
        let applied = Migrations::embedded().up(&postgres).await;
        postgres.close();
        applied.map(drop)
    })
    .await
}

/// The variables that make a process use this configuration, with `overrides` on top.
pub(crate) fn environment(config: &Config, overrides: &[(&str, &str)]) -> BTreeMap<String, String> {
    let secret = |secret: &brain_config::SecretString| secret.expose_secret().to_owned();
    let pairs = [
        ("STUDIO_BRAIN_HOST", config.server.host.clone()),
        ("STUDIO_BRAIN_PORT", config.server.port.to_string()),
        ("PGHOST", config.postgres.host.clone()),
        ("PGPORT", config.postgres.port.to_string()),
        ("PGDATABASE", config.postgres.database.clone()),
        ("PGUSER", config.postgres.user.clone()),
        ("PGPASSWORD", secret(&config.postgres.password)),
        ("REDIS_HOST", config.redis.host.clone()),
        ("REDIS_PORT", config.redis.port.to_string()),
        ("REDIS_CLUSTER", config.redis.cluster.to_string()),
        ("STUDIO_BRAIN_REDIS_STREAM_NAME", config.bus.stream_name.clone()),
        ("STUDIO_BRAIN_EVENT_BUS_PARTITIONS", config.bus.partitions.to_string()),
        (
            "STUDIO_BRAIN_EVENT_BUS_LEASE_MS",
            config.bus.lease.as_millis().to_string(),
        ),
        (
            "STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT",
            config.artifacts.endpoint.to_string(),
        ),
        ("STUDIO_BRAIN_ARTIFACT_STORE_BUCKET", config.artifacts.bucket.clone()),
        (
            "STUDIO_BRAIN_ARTIFACT_STORE_ACCESS_KEY",
            secret(&config.artifacts.access_key),
        ),
        (
            "STUDIO_BRAIN_ARTIFACT_STORE_SECRET_KEY",
            secret(&config.artifacts.secret_key),
        ),
        (
            "STUDIO_BRAIN_SKILL_INSTALL_ROOT",
            scratch_dir().join("skills").display().to_string(),
        ),
        ("STUDIO_BRAIN_SWARM_ID", config.swarm.swarm_id.clone()),
        (
            "STUDIO_BRAIN_SWARM_ORCHESTRATOR_ENABLED",
            config.swarm.orchestrator_enabled.to_string(),
        ),
        (
            "STUDIO_BRAIN_SWARM_AGENT_TIMEOUT_MS",
            config.swarm.agent_timeout.as_millis().to_string(),
        ),
        (
            "STUDIO_BRAIN_SWARM_SWEEP_INTERVAL_MS",
            config.swarm.sweep_interval.as_millis().to_string(),
        ),
    ];
    let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value));
    pairs
        .chain(
            overrides
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
        .collect()
}

/// A `brain` command with exactly these variables, in a folder without a `.env` file.
pub(crate) fn command(variables: &BTreeMap<String, String>, arguments: &[&str]) -> Command {
    let mut command = Command::new(BRAIN);
    command
        .args(arguments)
        .env_clear()
        .envs(variables)
        .current_dir(empty_folder());
    command
}

/// What a command that ran once left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end, with `input` on its standard input.
pub(crate) async fn run_with_input(variables: &BTreeMap<String, String>, arguments: &[&str], input: &str) -> Ended {
    let mut command = command(variables, arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let input = input.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    let output = tokio::time::timeout(PATIENCE, output)
        .await
        .expect("the command ends")
        .unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs a command to its end.
pub(crate) async fn run(variables: &BTreeMap<String, String>, arguments: &[&str]) -> Ended {
    run_with_input(variables, arguments, "").await
}

/// A running `brain serve`. Dropping it kills it.
pub(crate) struct BrainProcess {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    variables: BTreeMap<String, String>,
    url: String,
}

impl BrainProcess {
    /// Starts one without waiting for anything; its URL is not known yet.
    pub(crate) fn spawn(config: &Config, overrides: &[(&str, &str)], arguments: &[&str]) -> Self {
        let variables = environment(config, overrides);
        let arguments = [&["serve"], arguments].concat();
        let mut command = command(&variables, &arguments);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let kept = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        Self {
            child,
            lines,
            reader: Some(reader),
            variables,
            url: String::new(),
        }
    }

    /// Starts one and waits until it says that it is ready.
    pub(crate) async fn start(config: &Config, overrides: &[(&str, &str)]) -> Self {
        Self::spawn(config, overrides, &[]).ready().await
    }

    /// Waits until it says that it is ready, and learns its URL from that.
    pub(crate) async fn ready(mut self) -> Self {
        self.url = eventually_within(PATIENCE, "the brain is ready", async || {
            assert!(
                self.is_running(),
                "the brain ended before it was ready:\n{}",
                self.stderr()
            );
            let said = |line: &String| {
                let line: serde_json::Value = serde_json::from_str(line).ok()?;
                (line["message"] == "ready").then(|| line["url"].as_str().unwrap().to_owned())
            };
            self.lines.lock().unwrap().iter().find_map(said)
        })
        .await;
        self
    }

    /// Where it answers, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Everything that it wrote to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it as a crash would, and waits until it is gone.
    pub(crate) async fn kill9(&mut self) {
        self.signal(Signal::SIGKILL);
        self.wait().await;
    }

    /// Asks it to end.
    pub(crate) fn sigterm(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Sends any signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits until it has ended and all that it wrote is here.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
        let status = eventually_within(PATIENCE, "the brain has ended", async || self.child.try_wait().unwrap()).await;
        if let Some(reader) = self.reader.take() {
            tokio::task::spawn_blocking(move || reader.join().unwrap())
                .await
                .unwrap();
        }
        status
    }

    /// Runs a client command against it.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> Ended {
        self.cli_with_input(arguments, "").await
    }

    /// Runs a client command against it, with something on its standard input.
    pub(crate) async fn cli_with_input(&self, arguments: &[&str], input: &str) -> Ended {
        run_with_input(&self.variables, &[arguments, &["--server", &self.url]].concat(), input).await
    }

    /// Runs a client command that must succeed, and reads its JSON.
    pub(crate) async fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let ended = self.cli(&[arguments, &["--output", "json"]].concat()).await;
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        serde_json::from_str(&ended.stdout).unwrap()
    }

    /// The port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// The variables that it runs with.
    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }
}

impl Drop for BrainProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the brain wrote:\n{}", self.stderr());
        }
    }
}

fn empty_folder() -> std::path::PathBuf {
    // Without the test stack there is no scratch folder; the tests that need no servers run all the same.
    match std::env::var_os("BRAIN_TEST_DIR") {
        Some(_) => scratch_dir(),
        None => std::env::temp_dir(),
    }
}
