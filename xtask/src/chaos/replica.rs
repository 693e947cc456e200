//! A replica of `brain serve` with a proxy to each of its servers.
//!
//! It keeps its port over restarts, so that clients find it again. Its pid file lies in the stack's folder, so that
//! whoever removes the stack ends it too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use brain_devstack::free_port;
use brain_devstack::process::{Environment, Launch, Running, Signal, log};

use super::proxy::Proxy;
use super::world::World;

/// How long a start may take, on a machine that is busy with everything else.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long a replica that was asked to end may take before it is ended.
const STOP_LIMIT: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(super) struct Replica {
    world: Arc<World>,
    name: String,
    port: u16,
    pub(super) postgres: Proxy,
    pub(super) redis: Proxy,
    running: Option<Running>,
}

impl Replica {
    /// Starts one; [`Replica::ready`] waits for it.
    pub(super) async fn start(world: Arc<World>, number: usize) -> Result<Self> {
        let mut replica = Self {
            name: format!("replica-{number}"),
            port: free_port()?,
            postgres: Proxy::start(world.config.postgres.port).await?,
            redis: Proxy::start(world.config.redis.port).await?,
            running: None,
            world,
        };
        replica.start_again()?;
        Ok(replica)
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn start_again(&mut self) -> Result<()> {
        let folder = self.world.processes();
        let settings = self.world.settings(self.port, self.postgres.port(), self.redis.port());
        let environment = settings
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        self.running = Some(Running::start(&Launch {
            program: self.world.brain.clone(),
            arguments: vec!["serve".into()],
            environment: Environment::Bare(environment),
            directory: folder.clone(),
            log: folder.join(&self.name).with_extension("log"),
            pid_file: folder.join(&self.name).with_extension("pid"),
            account: None,
        })?);
        Ok(())
    }

    /// Waits until it says that it is ready.
    pub(super) async fn ready(&mut self) -> Result<()> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(2))
            .build()?;
        let begun = Instant::now();
        loop {
            let mut said = String::new();
            if let Ok(answer) = http.get(format!("{}/readyz", self.url())).send().await {
                if answer.status().is_success() {
                    return Ok(());
                }
                said = answer.text().await.unwrap_or_default();
            }
            self.require_running()?;
            if begun.elapsed() > START_LIMIT {
                let words = self.last_words();
                bail!("{} was not ready within {START_LIMIT:?}: {said}\n{words}", self.name);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Fails when it ended although nobody asked it to.
    pub(super) fn require_running(&mut self) -> Result<()> {
        let Some(running) = self.running.as_mut() else {
            return Ok(());
        };
        match running.ended() {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}: {}", self.name, self.last_words()),
        }
    }

    fn last_words(&self) -> String {
        let log = self.world.processes().join(&self.name).with_extension("log");
        log::tail(&log, 0, 20)
    }

    /// Ends it as a crash would.
    pub(super) fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.finish();
        }
    }

    /// Asks it to end, and says how long that took.
    pub(super) async fn stop(&mut self) -> Result<Duration> {
        let mut running = self.running.take().context("the replica does not run")?;
        let begun = Instant::now();
        running.signal(Signal::SIGTERM);
        while running.is_running() && begun.elapsed() < STOP_LIMIT {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let in_time = !running.is_running();
        running.finish();
        if !in_time {
            bail!("{} did not end within {STOP_LIMIT:?} of SIGTERM", self.name);
        }
        Ok(begun.elapsed())
    }

    /// Freezes it: it holds its connections and does nothing.
    pub(super) fn pause(&mut self) {
        if let Some(running) = self.running.as_mut() {
            running.signal(Signal::SIGSTOP);
        }
    }

    pub(super) fn resume(&mut self) {
        if let Some(running) = self.running.as_mut() {
            running.signal(Signal::SIGCONT);
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}
