//! The throw-away stack of a run, its settings, and connections of the harness's own that no proxy touches.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use brain_config::Config;
use brain_devstack::Stack;
use brain_swarm::bus::StreamNames;
use brain_swarm::ids::{SwarmId, TenantId};
use tokio_postgres::{Client, NoTls};

/// The database that everything happens in.
const DATABASE: &str = "chaos";

/// What every part of the harness knows.
pub(super) struct World {
    /// Direct connections of the harness use these settings.
    pub(super) config: Config,
    pub(super) streams: StreamNames,
    /// One swarm for each partition, so that each partition has work.
    pub(super) swarms: Vec<String>,
    pub(super) lease: Duration,
    pub(super) brain: PathBuf,
    /// For ledgers, logs and pid files; goes away with the stack.
    pub(super) folder: PathBuf,
    s3: String,
}

impl World {
    /// Makes the database and brings it up to date.
    pub(super) async fn create(stack: &Stack, brain: PathBuf, partitions: u16, lease: Duration) -> Result<Self> {
        let mut config = Config::defaults();
        config.postgres.port = stack.postgres.port();
        config.postgres.database = "postgres".to_owned();
        config.redis.port = stack.valkey.port();
        config.bus.stream_name = "chaos".to_owned();
        config.bus.partitions = partitions;
        config.bus.lease = lease;
        let scratch = stack
            .environment()
            .into_iter()
            .find_map(|(name, value)| (name == "BRAIN_TEST_DIR").then_some(value))
            .context("the stack has no scratch folder")?;
        let folder = PathBuf::from(scratch);
        for part in ["ledgers", "processes"] {
            std::fs::create_dir(folder.join(part)).context("cannot create a folder of the run")?;
        }
        let streams = StreamNames::new(&config.bus);
        let mut world = Self {
            swarms: swarms(&streams)?,
            config,
            streams,
            lease,
            brain,
            folder,
            s3: stack.s3.url(),
        };
        world
            .connect()
            .await?
            .batch_execute(&format!("CREATE DATABASE {DATABASE}"))
            .await
            .context("cannot create the database")?;
        world.config.postgres.database = DATABASE.to_owned();
        let postgres = brain_connectivity::postgres::Postgres::open(&world.config.postgres)?;
        brain_connectivity::migrations::Migrations::embedded()
            .up(&postgres)
            .await?;
        postgres.close();
        Ok(world)
    }

    /// A connection straight to PostgreSQL.
    pub(super) async fn connect(&self) -> Result<Client> {
        let settings = &self.config.postgres;
        let url = format!(
            "postgres://postgres:postgres@127.0.0.1:{}/{}?connect_timeout=5&application_name=chaos",
            settings.port, settings.database
        );
        let (client, connection) = tokio_postgres::connect(&url, NoTls)
            .await
            .context("the harness cannot reach PostgreSQL")?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Where ledgers lie.
    pub(super) fn ledgers(&self) -> PathBuf {
        self.folder.join("ledgers")
    }

    /// Where the processes of the run have their logs and pid files.
    pub(super) fn processes(&self) -> PathBuf {
        self.folder.join("processes")
    }

    /// The settings of a replica that reaches its servers through these ports.
    pub(super) fn settings(&self, port: u16, postgres_port: u16, redis_port: u16) -> Vec<(&'static str, String)> {
        let lease = self.lease.as_millis();
        vec![
            ("STUDIO_BRAIN_PORT", port.to_string()),
            ("PGPORT", postgres_port.to_string()),
            ("PGDATABASE", DATABASE.to_owned()),
            ("REDIS_PORT", redis_port.to_string()),
            ("STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT", self.s3.clone()),
            ("STUDIO_BRAIN_LOG_LEVEL", "warn".to_owned()),
            ("STUDIO_BRAIN_SWARM_ORCHESTRATOR_ENABLED", "true".to_owned()),
            ("STUDIO_BRAIN_REDIS_STREAM_NAME", self.config.bus.stream_name.clone()),
            ("STUDIO_BRAIN_EVENT_BUS_START_ID", "0-0".to_owned()),
            (
                "STUDIO_BRAIN_EVENT_BUS_PARTITIONS",
                self.config.bus.partitions.to_string(),
            ),
            ("STUDIO_BRAIN_EVENT_BUS_LEASE_MS", lease.to_string()),
            ("STUDIO_BRAIN_TASK_LEASE_MS", lease.to_string()),
            ("STUDIO_BRAIN_SWARM_AGENT_TIMEOUT_MS", lease.to_string()),
            ("STUDIO_BRAIN_SWARM_SWEEP_INTERVAL_MS", "200".to_owned()),
            // Whoever waits longer than a lease for an answer has lost what it waits for.
            ("STUDIO_BRAIN_PG_CONNECTION_TIMEOUT_MS", "1000".to_owned()),
            ("STUDIO_BRAIN_PG_QUERY_TIMEOUT_MS", "2000".to_owned()),
            ("REDIS_CONNECT_TIMEOUT_MS", "1000".to_owned()),
            ("REDIS_COMMAND_TIMEOUT_MS", "1000".to_owned()),
            ("STUDIO_BRAIN_SHUTDOWN_TIMEOUT_MS", "3000".to_owned()),
        ]
    }

    /// Copies ledgers and logs to where they outlive the run.
    pub(super) fn keep_evidence(&self, to: &Path) -> Result<()> {
        for part in [self.ledgers(), self.processes()] {
            let name = part.file_name().unwrap_or_default().to_owned();
            let target = to.join(name);
            std::fs::create_dir_all(&target).with_context(|| format!("cannot create {}", target.display()))?;
            for entry in std::fs::read_dir(&part)?.flatten() {
                if entry.path().is_file() {
                    std::fs::copy(entry.path(), target.join(entry.file_name()))?;
                }
            }
        }
        Ok(())
    }
}

/// A swarm for each partition.
fn swarms(streams: &StreamNames) -> Result<Vec<String>> {
    let tenant = TenantId::single();
    let mut found = Vec::new();
    for stream in streams.all() {
        let mut names = (0..10_000).map(|number| format!("chaos-{number}"));
        let fits =
            |name: &String| SwarmId::new(name.as_str()).is_ok_and(|swarm| streams.of(&tenant, &swarm) == *stream);
        match names.find(fits) {
            Some(name) => found.push(name),
            None => bail!("no swarm found for {stream}"),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn every_partition_has_a_swarm_of_its_own() {
        let mut bus = Config::defaults().bus;
        bus.partitions = 5;
        let streams = StreamNames::new(&bus);
        let swarms = swarms(&streams).unwrap();
        let used: Vec<_> = swarms
            .iter()
            .map(|name| streams.of(&TenantId::single(), &SwarmId::new(name.as_str()).unwrap()))
            .collect();
        assert_eq!(used, streams.all());
    }
}
