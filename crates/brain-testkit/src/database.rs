//! A database for one test, gone when the test ends.

use std::fmt::Display;
use std::future::Future;

use anyhow::{Context, Result};
use brain_config::Config;
use tokio_postgres::{Client, NoTls};

use crate::stack::{endpoints, postgres_config, test_config, unique};
use crate::template;

/// A database of its own on the shared server. Dropping it drops the database, whoever is still connected.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    config: Config,
}

impl TestDatabase {
    /// A migrated database: a copy of a template that `migrate` fills once for each version of the migrations.
    ///
    /// `migrate` gets the settings of the template database and must have closed its connections when it returns.
    ///
    /// # Panics
    /// When the server cannot be reached or `migrate` fails.
    pub async fn create<M, F, E>(migrate: M) -> Self
    where
        M: FnOnce(brain_config::Postgres) -> F,
        F: Future<Output = Result<(), E>>,
        E: Display,
    {
        let mut settings = test_config().postgres;
        let made = async {
            let admin = connect().await?;
            let template = template::ensure(&admin, async |name: &str| {
                settings.database = name.to_owned();
                migrate(settings).await.map_err(|error| anyhow::anyhow!("{error:#}"))
            });
            let template = template.await?;
            Self::copy_of(&admin, Some(&template)).await
        };
        made.await
            .unwrap_or_else(|error: anyhow::Error| panic!("cannot make a migrated test database: {error:#}"))
    }

    /// A database without any table.
    ///
    /// # Panics
    /// When the server cannot be reached.
    pub async fn empty() -> Self {
        let made = async { Self::copy_of(&connect().await?, None).await };
        made.await
            .unwrap_or_else(|error: anyhow::Error| panic!("cannot make a test database: {error:#}"))
    }

    /// Name of the database.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A configuration that points at this database, and at a stream, swarm and bucket of this test's own. The same
    /// each time.
    #[must_use]
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    /// A plain connection to this database, to look at what the code under test did.
    ///
    /// # Panics
    /// When the server cannot be reached.
    pub async fn client(&self) -> Client {
        match connect_to(&self.name).await {
            Ok(client) => client,
            Err(error) => panic!("cannot connect to the test database: {error:#}"),
        }
    }

    async fn copy_of(admin: &Client, template: Option<&str>) -> Result<Self> {
        let name = unique("test").replace('-', "_");
        let from = template.unwrap_or("template0");
        let statement = format!("CREATE DATABASE {name} TEMPLATE {from}");
        admin
            .batch_execute(&statement)
            .await
            .with_context(|| statement.clone())?;
        let mut config = test_config();
        config.postgres.database.clone_from(&name);
        Ok(Self { name, config })
    }
}

impl Drop for TestDatabase {
    /// The runtime of the test may be ending or be blocked by this very call, so the statement runs on one of its own.
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let worker = std::thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { Ok(connect().await?.batch_execute(&statement).await?) })
        });
        // A database that stays does no harm: the whole server is thrown away after the run.
        let _ = worker.join();
    }
}

async fn connect() -> Result<Client> {
    let maintenance = postgres_config(&endpoints().postgres);
    connect_to(maintenance.get_dbname().unwrap_or("postgres")).await
}

pub(crate) async fn connect_to(database: &str) -> Result<Client> {
    let mut config = postgres_config(&endpoints().postgres);
    let (client, connection) = config
        .dbname(database)
        .connect(NoTls)
        .await
        .with_context(|| format!("cannot connect to {database}"))?;
    tokio::spawn(connection);
    Ok(client)
}
