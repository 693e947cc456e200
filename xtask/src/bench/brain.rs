//! The servers of a benchmark, a database of its own for each part, and the program as a process.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use brain_devstack::{Stack, free_port};
use fred::{clients::Client as Redis, interfaces::ClientLike as _, types::config::Config as RedisConfig};
use tokio_postgres::{Client as Postgres, NoTls};

/// Where the throw-away stack listens.
pub(super) struct Servers {
    pub(super) postgres_port: u16,
    pub(super) redis_port: u16,
    s3: String,
}

impl Servers {
    pub(super) fn of(stack: &Stack) -> Result<Self> {
        let environment = stack.environment();
        let value = |name: &str| {
            environment
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.clone())
                .context(format!("the stack says no {name}"))
        };
        let port = |text: &str| {
            text.rsplit(':')
                .next()
                .and_then(|tail| tail.split('/').next()?.parse().ok())
                .context("a port")
        };
        Ok(Self {
            postgres_port: port(&value("BRAIN_TEST_PG")?)?,
            redis_port: port(&value("BRAIN_TEST_REDIS")?)?,
            s3: value("BRAIN_TEST_S3")?,
        })
    }

    pub(super) async fn connect(&self, database: &str) -> Result<Postgres> {
        let url = format!(
            "postgres://postgres:postgres@127.0.0.1:{}/{database}",
            self.postgres_port
        );
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// A migrated database.
    pub(super) async fn database(&self, name: &str, brain: Option<&Path>) -> Result<Postgres> {
        self.connect("postgres")
            .await?
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await?;
        match brain {
            Some(brain) => {
                let output = self
                    .command(brain, name, &["migrate", "up"], &[])
                    .output()
                    .context("cannot run brain")?;
                if !output.status.success() {
                    bail!("brain migrate up failed: {}", String::from_utf8_lossy(&output.stderr));
                }
            }
            None => {
                let mut settings = brain_config::Config::defaults().postgres;
                settings.port = self.postgres_port;
                settings.database = name.to_owned();
                let postgres = brain_connectivity::postgres::Postgres::open(&settings)?;
                brain_connectivity::migrations::Migrations::embedded()
                    .up(&postgres)
                    .await?;
            }
        }
        self.connect(name).await
    }

    /// Removes a database and waits until the disk has the rest, so that its upkeep does not disturb what is measured next.
    pub(super) async fn forget(&self, name: &str) -> Result<()> {
        let client = self.connect("postgres").await?;
        client
            .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
            .await?;
        Ok(client.batch_execute("CHECKPOINT").await?)
    }

    /// Removes whatever a benchmark left in Redis, of which nothing is needed any more.
    pub(super) async fn empty_redis(&self) -> Result<()> {
        let () = self.redis().await?.flushall(false).await?;
        Ok(())
    }

    pub(super) async fn redis(&self) -> Result<Redis> {
        let config = RedisConfig::from_url(&format!("redis://127.0.0.1:{}", self.redis_port))?;
        let client = Redis::new(config, None, None, None);
        client.init().await?;
        Ok(client)
    }

    fn command(&self, brain: &Path, database: &str, arguments: &[&str], extra: &[(&str, String)]) -> Command {
        let mut command = Command::new(brain);
        command
            .args(arguments)
            .env_clear()
            .env("PGPORT", self.postgres_port.to_string())
            .env("PGDATABASE", database)
            .env("REDIS_PORT", self.redis_port.to_string())
            .env("STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT", &self.s3)
            .env("STUDIO_BRAIN_LOG_LEVEL", "warn")
            .env("STUDIO_BRAIN_SWARM_ORCHESTRATOR_ENABLED", "true")
            .env("STUDIO_BRAIN_REDIS_STREAM_NAME", format!("bench.{database}"))
            .env("STUDIO_BRAIN_EVENT_BUS_START_ID", "0-0")
            .env("STUDIO_BRAIN_SWARM_AGENT_TIMEOUT_MS", "86400000")
            .envs(extra.iter().map(|(key, value)| (*key, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }
}

/// A running `brain serve`; ended when dropped.
pub(super) struct Brain {
    child: Child,
    pub(super) url: String,
    /// From the start of the process until it said that it is ready.
    pub(super) ready_in: Duration,
}

impl Brain {
    pub(super) async fn start(
        servers: &Servers,
        program: &Path,
        database: &str,
        extra: &[(&str, String)],
    ) -> Result<Self> {
        let port = free_port()?;
        let mut extra = extra.to_vec();
        extra.push(("STUDIO_BRAIN_PORT", port.to_string()));
        let url = format!("http://127.0.0.1:{port}");
        let started = Instant::now();
        let child = servers
            .command(program, database, &["serve"], &extra)
            .spawn()
            .context("cannot start brain")?;
        let mut brain = Self {
            child,
            url,
            ready_in: Duration::ZERO,
        };
        let http = reqwest::Client::new();
        let mut said = String::new();
        loop {
            if let Ok(answer) = http.get(format!("{}/readyz", brain.url)).send().await {
                if answer.status().is_success() {
                    brain.ready_in = started.elapsed();
                    return Ok(brain);
                }
                said = answer.text().await.unwrap_or_default();
            }
            if let Some(status) = brain.child.try_wait()? {
                bail!("brain ended with {status} before it was ready");
            }
            if started.elapsed() > Duration::from_secs(30) {
                bail!("brain was not ready within 30 s: {said}");
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Brain {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
