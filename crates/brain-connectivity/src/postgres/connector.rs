//! How one connection is made: address, session settings, and TLS with the fallback of `prefer`.

use std::error::Error as StdError;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use brain_config::{Postgres as Settings, SslMode};
use secrecy::ExposeSecret;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Error;
use crate::tls::{self, Trust};

/// A peer that vanished without a word is noticed after idle + retries * interval = 60 s.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;

/// A client that is frozen or cut off in the middle of a transaction holds locks that every other writer waits for. So the
/// server ends a transaction that hears nothing for as long as one statement may take, within these bounds.
const IDLE_IN_TRANSACTION: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// A connection as this connector makes it, encrypted or not.
pub(super) type Link = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Makes connections with the configured address, session settings and TLS.
#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    fall_back: bool,
}

impl Connector {
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        // TLS is not spoken over a local socket, whose peer the file system vouches for.
        let mode = if settings.host.starts_with('/') {
            SslMode::Disable
        } else {
            settings.ssl_mode
        };
        let trust = match (mode, &settings.ssl_root_cert) {
            (SslMode::VerifyFull, Some(path)) => Trust::File(path),
            (SslMode::VerifyFull, None) => Trust::System,
            (SslMode::Disable | SslMode::Prefer | SslMode::Require, _) => Trust::Anyone,
        };
        let tls = tls::client_config(&trust).map_err(|error| tls_refused(&error, settings.ssl_root_cert.as_deref()))?;
        Ok(Self {
            config: driver_config(settings, mode),
            tls: MakeRustlsConnect::new(tls),
            fall_back: mode == SslMode::Prefer,
        })
    }

    /// The driver's configuration, for the pool.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Opens a connection; the caller drives the returned link.
    pub(super) async fn connect(&self) -> Result<(Client, Link), tokio_postgres::Error> {
        match self.config.connect(self.tls.clone()).await {
            Err(error) if self.fall_back && plain_may_work(&error) => {
                tracing::debug!(error = %super::error::chain(&error), "postgres refused tls, trying without");
                let mut plain = self.config.clone();
                plain.ssl_mode(tokio_postgres::config::SslMode::Disable);
                plain.connect(self.tls.clone()).await
            }
            result => result,
        }
    }
}

impl deadpool_postgres::Connect for Connector {
    fn connect(
        &self,
        _config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), tokio_postgres::Error>> + Send + '_>> {
        Box::pin(async move {
            let (client, link) = Self::connect(self).await?;
            Ok((client, tokio::spawn(drive(link))))
        })
    }
}

/// Drives a connection to its end. Whoever uses it next gets the error, so it is only noted here.
pub(super) async fn drive(link: Link) {
    if let Err(error) = link.await {
        tracing::debug!(error = %super::error::chain(&error), "postgres connection ended");
    }
}

fn driver_config(settings: &Settings, mode: SslMode) -> Config {
    let mut config = Config::new();
    config
        .host(&settings.host)
        .port(settings.port)
        .dbname(&settings.database)
        .user(&settings.user)
        .password(settings.password.expose_secret())
        .application_name("studio-brain")
        .options(session_options(settings))
        .connect_timeout(settings.connection_timeout)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES)
        .tcp_user_timeout(KEEPALIVE_IDLE + KEEPALIVE_INTERVAL * KEEPALIVE_RETRIES)
        .ssl_mode(match mode {
            SslMode::Disable => tokio_postgres::config::SslMode::Disable,
            SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
            SslMode::Require | SslMode::VerifyFull => tokio_postgres::config::SslMode::Require,
        });
    config
}

/// Sent with the start-up packet, so that they hold from the first statement and cost no round trip.
fn session_options(settings: &Settings) -> String {
    format!(
        "-c statement_timeout={} -c idle_in_transaction_session_timeout={} -c synchronous_commit=on",
        settings.query_timeout.as_millis(),
        settings
            .query_timeout
            .clamp(IDLE_IN_TRANSACTION.0, IDLE_IN_TRANSACTION.1)
            .as_millis(),
    )
}

/// Whether a failed attempt with TLS says something about TLS rather than about the server, as libpq judges it.
fn plain_may_work(error: &tokio_postgres::Error) -> bool {
    if error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) {
        return true;
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        // The handshake's failure comes wrapped in an i/o error, which hides it from `source`.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if error.is::<rustls::Error>() || wrapped.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn tls_refused(error: &tls::Error, roots: Option<&Path>) -> Error {
    Error::Configuration {
        setting: if roots.is_some() { "PGSSLROOTCERT" } else { "PGSSLMODE" },
        reason: match (error, roots) {
            (tls::Error::NoSystemRoots, _) => {
                format!("{error}; set PGSSLROOTCERT to a PEM file with the authority of the server")
            }
            _ => error.to_string(),
        },
    }
}
