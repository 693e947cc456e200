//! The health of everything that Studio Brain depends on: one composition for the server and for the command line.

use std::time::Duration;

use brain_config::Config;
use brain_connectivity::{
    artifacts::{ArtifactStore, ArtifactStoreProbe},
    health::{Health, Probe},
    memory::{VectorMemory, VectorStoreProbe},
    postgres::{Postgres, PostgresProbe},
    redis::{Redis, RedisProbe},
};

use crate::app::Probes;

/// Time that a check has. A little more than the usual time-outs, so that these can say what was waited for.
const CHECK_TIMEOUT: Duration = Duration::from_secs(6);

/// Handles to every server that Studio Brain depends on. They connect when they are used.
#[derive(Clone)]
pub(crate) struct Dependencies {
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
    pub(crate) artifacts: ArtifactStore,
    pub(crate) memory: VectorMemory,
}

impl Dependencies {
    /// Builds the handles; a server that is away is no error here.
    pub(crate) fn open(config: &Config) -> anyhow::Result<Self> {
        let postgres = Postgres::open(&config.postgres)?;
        Ok(Self {
            redis: Redis::open(&config.redis)?,
            artifacts: ArtifactStore::open(&config.artifacts)?,
            memory: VectorMemory::open(postgres.clone(), &config.memory),
            postgres,
        })
    }

    /// Every check of the report; the bus and the skills differ between a server and a command.
    pub(crate) fn health(&self, event_bus: impl Probe + 'static, skills: &Probes) -> Health {
        Health::new(CHECK_TIMEOUT)
            .with(PostgresProbe::new(self.postgres.clone()))
            .with(RedisProbe::new(self.redis.clone()))
            .with(event_bus)
            .with(ArtifactStoreProbe::new(self.artifacts.clone()))
            .with(VectorStoreProbe::new(self.memory.clone()))
            .with(skills.registry())
            .with(skills.sandbox())
    }

    /// What must work before requests make sense: the database, with its migrations.
    pub(crate) fn readiness(&self) -> Health {
        Health::new(CHECK_TIMEOUT).with(PostgresProbe::new(self.postgres.clone()))
    }

    /// Closes every connection.
    pub(crate) async fn close(&self) {
        self.redis.close().await;
        self.postgres.close();
    }
}
