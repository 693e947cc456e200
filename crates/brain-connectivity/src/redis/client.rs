//! Makes the driver's clients: address, credentials, TLS, limits and how often to connect again.

use std::time::Duration;

use brain_config as config;
use fred::clients::Client;
use fred::types::Builder;
use fred::types::config::{
    ClusterDiscoveryPolicy, Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, Server, ServerConfig,
    TcpConfig, TlsConnector,
};
use secrecy::ExposeSecret;
use socket2::TcpKeepalive;

use super::Error;
use crate::tls::{self, Trust};

/// Waits between attempts to connect: from the first to the last, doubling, each with some of the jitter on top.
const RECONNECT_FIRST_MS: u32 = 10;
const RECONNECT_LAST_MS: u32 = 2_000;
const RECONNECT_JITTER_MS: u32 = 50;

/// A peer that vanished without a word is noticed after idle + retries * interval = 25 s, also in a blocking read.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

/// A client that is never connected and has no room for commands, so that it refuses them at once.
pub(super) fn refusing(driver: &Config) -> Result<Client, Error> {
    let mut builder = Builder::from_config(driver.clone());
    builder
        .set_connection_config(ConnectionConfig {
            max_command_buffer_len: 1,
            ..ConnectionConfig::default()
        })
        .set_performance_config(PerformanceConfig {
            // The one command that found room is not answered either.
            default_command_timeout: Duration::from_millis(1),
            ..PerformanceConfig::default()
        });
    builder.build().map_err(Error::from)
}

/// A client, not connected yet, whose commands may take `timeout`.
pub(super) fn build(driver: &Config, settings: &config::Redis, timeout: Duration) -> Result<Client, Error> {
    let mut policy = ReconnectPolicy::new_exponential(0, RECONNECT_FIRST_MS, RECONNECT_LAST_MS, 2);
    policy.set_jitter(RECONNECT_JITTER_MS);
    let mut builder = Builder::from_config(driver.clone());
    builder
        .set_policy(policy)
        .set_connection_config(connection_config(settings))
        .set_performance_config(PerformanceConfig {
            default_command_timeout: timeout,
            ..PerformanceConfig::default()
        });
    builder.build().map_err(Error::from)
}

fn connection_config(settings: &config::Redis) -> ConnectionConfig {
    ConnectionConfig {
        connection_timeout: settings.connect_timeout,
        internal_command_timeout: settings.connect_timeout,
        // A redirection by a cluster counts as an attempt.
        max_command_attempts: if settings.cluster { 2 } else { 1 },
        // A bound here would stall the client for good once it was reached: the driver counts a refused command as
        // waiting for ever, and writes late for the sake of those that wait. The link is what bounds the queue.
        max_command_buffer_len: 0,
        tcp: TcpConfig {
            nodelay: Some(true),
            keepalive: Some(
                TcpKeepalive::new()
                    .with_time(KEEPALIVE_IDLE)
                    .with_interval(KEEPALIVE_INTERVAL)
                    .with_retries(KEEPALIVE_RETRIES),
            ),
            user_timeout: Some(KEEPALIVE_IDLE + KEEPALIVE_INTERVAL * KEEPALIVE_RETRIES),
            ..TcpConfig::default()
        },
        ..ConnectionConfig::default()
    }
}

/// Where the server is and how it is spoken to.
pub(super) fn driver_config(settings: &config::Redis) -> Result<Config, Error> {
    let server = Server::new(settings.host.as_str(), settings.port);
    let server = if settings.cluster {
        ServerConfig::Clustered {
            hosts: vec![server],
            // The configured node is only the first one asked; any known one will do when it is gone.
            policy: ClusterDiscoveryPolicy::UseCache,
        }
    } else {
        ServerConfig::Centralized { server }
    };
    let tls = if settings.tls {
        let tls = tls::client_config(&Trust::System).map_err(|error| Error::Configuration {
            setting: "REDIS_TLS",
            reason: format!(
                "{error}; install the system's CA certificates or point SSL_CERT_FILE to the authority of the server"
            ),
        })?;
        Some(TlsConnector::from(tls).into())
    } else {
        None
    };
    Ok(Config {
        fail_fast: false,
        username: settings.username.clone(),
        password: settings
            .password
            .as_ref()
            .map(|password| password.expose_secret().to_owned()),
        server,
        tls,
        ..Config::default()
    })
}
