//! The dependencies as plain processes of this machine.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use brain_devstack::account::{Account, private_directory};
use brain_devstack::postgres::admin;
use brain_devstack::process::{Environment, Launch, Running, log};
use brain_devstack::{Binaries, PostgresOptions, PostgresServer, ValkeyOptions, ValkeyServer, s3};
use secrecy::ExposeSecret;

use super::layout::{Layout, Service};
use super::plan::{Action, port_of, settings_of};
use super::settings::Settings;
use crate::progress::Progress;
use crate::s3_server;
use crate::workspace::servers;

/// How long the S3 server may take to answer.
const S3_START_LIMIT: Duration = Duration::from_secs(20);

/// The servers that this run started. Dropping it stops them, the first field first.
#[derive(Default)]
pub(super) struct Native {
    s3: Option<S3Process>,
    valkey: Option<ValkeyServer>,
    postgres: Option<PostgresServer>,
}

impl Native {
    /// Starts what is to be started and makes the role and the database of the settings.
    pub(super) async fn start(wanted: &[(Service, Action)], layout: &Layout, settings: &Settings) -> Result<Self> {
        settings.require_native()?;
        let to_start: Vec<Service> = wanted
            .iter()
            .filter(|(service, action)| *service != Service::Brain && starts(*action))
            .map(|(service, _)| *service)
            .collect();
        let mut native = Self::default();
        if to_start.is_empty() {
            return Ok(native);
        }
        let binaries = servers()?;
        let progress = Progress::start("starting the servers");
        for service in to_start {
            progress.change(&format!(
                "starting {} on port {}",
                service.title(),
                port_of(service, settings)
            ));
            layout.stop(service)?;
            match service {
                Service::Postgres => native.start_postgres(&binaries, layout, settings).await?,
                Service::Redis => native.start_valkey(&binaries, layout, settings).await?,
                Service::S3 => native.s3 = Some(S3Process::start(layout, settings).await?),
                Service::Brain => {}
            }
            layout.note_settings(service, &settings_of(service, settings))?;
        }
        drop(progress);
        if native.postgres.is_some() && !binaries.pgvector {
            eprintln!(
                "note: the PostgreSQL in {} has no pgvector; vector memory works without it, slower",
                binaries.postgres.display()
            );
        }
        Ok(native)
    }

    async fn start_postgres(&mut self, binaries: &Binaries, layout: &Layout, settings: &Settings) -> Result<()> {
        let server = PostgresServer::start(PostgresOptions {
            binaries: binaries.clone(),
            data_dir: layout.data(Service::Postgres),
            port: settings.config.postgres.port,
            pgvector: true,
        });
        self.postgres = Some(server.await?);
        Ok(())
    }

    async fn start_valkey(&mut self, binaries: &Binaries, layout: &Layout, settings: &Settings) -> Result<()> {
        let options = ValkeyOptions {
            binaries: binaries.clone(),
            dir: layout.data(Service::Redis),
            port: settings.config.redis.port,
            cluster: false,
        };
        self.valkey = Some(ValkeyServer::start_with_login(options, settings.redis_login()).await?);
        Ok(())
    }

    /// Lets the servers live on in the background.
    pub(super) fn leave_running(self) -> Result<()> {
        if let Some(postgres) = self.postgres {
            postgres.leave_running()?;
        }
        if let Some(valkey) = self.valkey {
            valkey.leave_running()?;
        }
        if let Some(s3) = self.s3 {
            s3.leave_running();
        }
        Ok(())
    }

    /// Stops the servers in order.
    pub(super) async fn stop(mut self) -> Result<()> {
        if let Some(mut s3) = self.s3.take().and_then(|mut s3| s3.process.take()) {
            s3.end(Service::S3.stop_signal(), S3_START_LIMIT).await;
        }
        if let Some(mut valkey) = self.valkey.take() {
            valkey.stop().await?;
        }
        if let Some(mut postgres) = self.postgres.take() {
            postgres.stop().await?;
        }
        Ok(())
    }
}

/// Makes sure that the role and the database of the settings exist, whether or not this run started the server.
pub(super) async fn prepare_database(settings: &Settings) -> Result<()> {
    admin::ensure_access(settings.config.postgres.port, &settings.postgres_access()).await
}

fn starts(action: Action) -> bool {
    matches!(action, Action::Start | Action::Restart(_))
}

/// The S3 server as a process of its own: this program, with a hidden command.
struct S3Process {
    process: Option<Running>,
}

impl S3Process {
    async fn start(layout: &Layout, settings: &Settings) -> Result<Self> {
        let data = layout.data(Service::S3);
        let account = Account::for_directory(&data)?;
        private_directory(&data, account.as_ref())?;
        let artifacts = &settings.config.artifacts;
        let keys = [
            (s3_server::ACCESS_KEY, artifacts.access_key.expose_secret()),
            (s3_server::SECRET_KEY, artifacts.secret_key.expose_secret()),
        ];
        let port = settings.s3_port();
        let log_file = layout.log(Service::S3);
        let from = log::length(&log_file);
        let process = Running::start(&Launch {
            program: std::env::current_exe().context("cannot tell where this program is")?,
            arguments: vec![
                s3_server::COMMAND.into(),
                "--root".into(),
                data.into_os_string(),
                "--port".into(),
                port.to_string().into(),
            ],
            environment: Environment::Bare(
                keys.iter()
                    .map(|(name, value)| (OsString::from(name), OsString::from(value)))
                    .collect(),
            ),
            directory: layout.state().to_owned(),
            log: log_file.clone(),
            pid_file: layout.pid_file(Service::S3),
            // It changes the account by itself: this program may lie where that account cannot read it.
            account: None,
        })?;
        let mut started = Self { process: Some(process) };
        let deadline = Instant::now() + S3_START_LIMIT;
        while !s3::answers(port).await {
            let lives = started.process.as_mut().is_some_and(Running::is_running);
            if !lives || Instant::now() >= deadline {
                let tail = log::tail(&log_file, from, 20);
                bail!(
                    "the S3 server did not start on port {port}; the end of {}:\n{tail}",
                    log_file.display()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(started)
    }

    fn leave_running(mut self) {
        if let Some(process) = self.process.take() {
            process.leave();
        }
    }
}

impl Drop for S3Process {
    fn drop(&mut self) {
        if let Some(process) = self.process.as_mut() {
            process.end_blocking(Service::S3.stop_signal(), Duration::from_secs(5));
        }
    }
}
