//! A throw-away stack: the three servers on free ports, their state in a fresh folder, all gone at the end.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::binaries::{Binaries, POSTGRES_VARIABLE, VALKEY_VARIABLE};
use crate::postgres::{PostgresOptions, PostgresServer, SUPERUSER};
use crate::process::{self, Identity};
use crate::s3::S3Server;
use crate::state;
use crate::valkey::{ValkeyOptions, ValkeyServer};

/// Access key and secret key of the S3 server.
pub const S3_KEY: &str = "minioadmin";
/// The file in a stack's folder that says which process it belongs to.
const OWNER: &str = "owner";

/// PostgreSQL, Valkey and S3, running.
#[derive(Debug)]
pub struct Stack {
    /// PostgreSQL with the `vector` extension if the installation brings it.
    pub postgres: PostgresServer,
    /// Valkey, not a cluster.
    pub valkey: ValkeyServer,
    /// S3 with the keys `minioadmin` / `minioadmin`.
    pub s3: S3Server,
    binaries: Binaries,
    directory: PathBuf,
}

impl Stack {
    /// Starts the three servers.
    ///
    /// # Errors
    /// When one of them cannot be started; the others are stopped again and the folder is removed.
    pub async fn start(binaries: &Binaries) -> Result<Self> {
        remove_abandoned();
        let directory = state::passing()?;
        match Self::start_in(binaries, &directory).await {
            Ok(stack) => Ok(stack),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&directory);
                Err(error)
            }
        }
    }

    async fn start_in(binaries: &Binaries, directory: &Path) -> Result<Self> {
        let me = i32::try_from(std::process::id()).context("a process id fits 31 bits")?;
        Identity::of(me)
            .context("this process is not in the process table")?
            .write(&directory.join(OWNER))?;
        std::fs::create_dir(directory.join("scratch")).context("cannot create the scratch folder")?;
        let postgres = PostgresServer::start(PostgresOptions {
            binaries: binaries.clone(),
            data_dir: directory.join("postgres"),
            port: 0,
            pgvector: true,
        });
        let valkey = ValkeyServer::start(ValkeyOptions {
            binaries: binaries.clone(),
            dir: directory.join("valkey"),
            port: 0,
            cluster: false,
        });
        let (postgres, valkey) = tokio::join!(postgres, valkey);
        let s3 = S3Server::start(directory.join("s3"), 0, S3_KEY, S3_KEY).await;
        Ok(Self {
            postgres: postgres?,
            valkey: valkey?,
            s3: s3?,
            binaries: binaries.clone(),
            directory: directory.to_owned(),
        })
    }

    /// What tests read to find the stack: variable and value.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("BRAIN_TEST_PG", self.postgres.url(SUPERUSER)),
            ("BRAIN_TEST_REDIS", format!("127.0.0.1:{}", self.valkey.port())),
            ("BRAIN_TEST_S3", self.s3.url()),
            ("BRAIN_TEST_DIR", self.directory.join("scratch").display().to_string()),
            // A test that starts a server of its own takes the same programs, without looking for them again.
            (POSTGRES_VARIABLE, self.binaries.postgres.display().to_string()),
            (VALKEY_VARIABLE, self.binaries.valkey.display().to_string()),
        ]
    }

    /// Stops the servers, ends whatever servers tests left behind, and removes the folder.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub async fn stop(mut self) -> Result<()> {
        self.postgres.stop().await?;
        self.valkey.stop().await?;
        self.s3.stop().await?;
        let _ = process::end_all_below(&self.directory);
        std::fs::remove_dir_all(&self.directory).with_context(|| format!("cannot remove {}", self.directory.display()))
    }
}

/// Ends and removes the caller's stacks whose owning process was killed before it could do so.
fn remove_abandoned() {
    for directory in state::passing_folders() {
        // A folder without the file is being made right now.
        if Identity::read(&directory.join(OWNER)).is_some_and(|owner| !owner.is_alive()) {
            let _ = process::end_all_below(&directory);
            let _ = std::fs::remove_dir_all(&directory);
        }
    }
}
