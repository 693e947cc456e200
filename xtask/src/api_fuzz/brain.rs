//! One `brain serve` with a database of its own and an administrator's token.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use brain_config::Config;
use brain_devstack::process::{Environment, Launch, Running, Signal, log};
use brain_devstack::{Stack, free_port};
use tokio_postgres::NoTls;

const DATABASE: &str = "api_fuzz";
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(super) struct Brain {
    pub(super) config: Config,
    /// The token of STUDIO_BRAIN_ADMIN_TOKEN.
    pub(super) token: String,
    port: u16,
    log: PathBuf,
    running: Option<Running>,
}

impl Brain {
    /// Starts it and waits until it is ready.
    pub(super) async fn start(stack: &Stack, program: PathBuf) -> Result<Self> {
        let mut config = Config::defaults();
        config.postgres.port = stack.postgres.port();
        config.redis.port = stack.valkey.port();
        config.bus.stream_name = "api-fuzz".to_owned();
        create_database(config.postgres.port).await?;
        config.postgres.database = DATABASE.to_owned();
        let postgres = brain_connectivity::postgres::Postgres::open(&config.postgres)?;
        brain_connectivity::migrations::Migrations::embedded()
            .up(&postgres)
            .await?;
        postgres.close();

        let scratch = stack
            .environment()
            .into_iter()
            .find_map(|(name, value)| (name == "BRAIN_TEST_DIR").then_some(value))
            .context("the stack has no scratch folder")?;
        let folder = PathBuf::from(scratch);
        let (port, token) = (free_port()?, uuid::Uuid::new_v4().simple().to_string());
        let settings = [
            ("STUDIO_BRAIN_PORT", port.to_string()),
            ("STUDIO_BRAIN_ADMIN_TOKEN", token.clone()),
            ("PGPORT", config.postgres.port.to_string()),
            ("PGDATABASE", DATABASE.to_owned()),
            ("REDIS_PORT", config.redis.port.to_string()),
            ("STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT", stack.s3.url()),
            ("STUDIO_BRAIN_LOG_LEVEL", "warn".to_owned()),
            ("STUDIO_BRAIN_SWARM_ORCHESTRATOR_ENABLED", "true".to_owned()),
            ("STUDIO_BRAIN_REDIS_STREAM_NAME", config.bus.stream_name.clone()),
            ("STUDIO_BRAIN_EVENT_BUS_START_ID", "0-0".to_owned()),
        ];
        let running = Running::start(&Launch {
            program,
            arguments: vec!["serve".into()],
            environment: Environment::Bare(settings.map(|(name, value)| (name.into(), value.into())).into()),
            directory: folder.clone(),
            log: folder.join("brain.log"),
            pid_file: folder.join("brain.pid"),
            account: None,
        })?;
        let mut brain = Self {
            config,
            token,
            port,
            log: folder.join("brain.log"),
            running: Some(running),
        };
        brain.ready().await?;
        Ok(brain)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    async fn ready(&mut self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let answer = reqwest::get(self.url("/readyz")).await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            self.require_running()?;
            if begun.elapsed() > START_LIMIT {
                bail!("brain was not ready within {START_LIMIT:?}\n{}", self.last_words());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Fails when it ended although nobody asked it to.
    pub(super) fn require_running(&mut self) -> Result<()> {
        match self.running.as_mut().and_then(Running::ended) {
            None => Ok(()),
            Some(status) => bail!("brain ended with {status}: {}", self.last_words()),
        }
    }

    fn last_words(&self) -> String {
        log::tail(&self.log, 0, 20)
    }

    /// Asks it to end.
    pub(super) async fn stop(&mut self) -> Result<()> {
        let mut running = self.running.take().context("brain does not run")?;
        let begun = Instant::now();
        running.signal(Signal::SIGTERM);
        while running.is_running() && begun.elapsed() < STOP_LIMIT {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let in_time = !running.is_running();
        running.finish();
        if !in_time {
            bail!("brain did not end within {STOP_LIMIT:?} of SIGTERM");
        }
        Ok(())
    }
}

impl Drop for Brain {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.finish();
        }
    }
}

async fn create_database(port: u16) -> Result<()> {
    let url = format!("postgres://postgres:postgres@127.0.0.1:{port}/postgres");
    let (client, connection) = tokio_postgres::connect(&url, NoTls)
        .await
        .context("cannot reach PostgreSQL")?;
    tokio::spawn(connection);
    client
        .batch_execute(&format!("CREATE DATABASE {DATABASE}"))
        .await
        .context("cannot create the database")
}
