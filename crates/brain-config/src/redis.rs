//! Settings of the connection to Redis or Valkey.

use std::time::Duration;

use secrecy::SecretString;

use crate::access::Access;
use crate::definition::{Definition, Section};
use crate::valid::Valid;

/// The server that carries the event streams.
#[derive(Debug, Clone)]
pub struct Redis {
    /// Host name or address; of any node in a cluster.
    pub host: String,
    /// Port of the server.
    pub port: u16,
    /// User of the access control list; none is the default user.
    pub username: Option<String>,
    /// Password of the user.
    pub password: Option<SecretString>,
    /// Whether the server is a node of a cluster.
    pub cluster: bool,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Time to wait for a connection.
    pub connect_timeout: Duration,
    /// Time that one command may take.
    pub command_timeout: Duration,
}

impl Redis {
    pub(crate) fn blank() -> Self {
        Self {
            host: String::new(),
            port: 0,
            username: None,
            password: None,
            cluster: false,
            tls: false,
            connect_timeout: Duration::ZERO,
            command_timeout: Duration::ZERO,
        }
    }
}

pub(crate) const DEFINITIONS: &[Definition] = &[
    Definition::new(
        Section::Redis,
        "REDIS_HOST",
        "127.0.0.1",
        Valid::Host,
        Access::Text(|config| &mut config.redis.host),
        "Where Redis or Valkey listens; with a cluster, any of its nodes.",
    ),
    Definition::new(
        Section::Redis,
        "REDIS_PORT",
        "6379",
        Valid::Number {
            min: 1,
            max: 65_535,
            unit: "",
        },
        Access::U16(|config| &mut config.redis.port),
        "Port of Redis or Valkey.",
    ),
    Definition::new(
        Section::Redis,
        "REDIS_USERNAME",
        "",
        Valid::Text { max: 256 },
        Access::OptionalText(|config| &mut config.redis.username),
        "User to log in as; empty is the default user.",
    ),
    Definition::new(
        Section::Redis,
        "REDIS_PASSWORD",
        "",
        Valid::Password { empty: false },
        Access::OptionalSecret(|config| &mut config.redis.password),
        "Password of the user.",
    ),
    Definition::new(
        Section::Redis,
        "REDIS_CLUSTER",
        "false",
        Valid::Flag,
        Access::Flag(|config| &mut config.redis.cluster),
        "Whether the server belongs to a cluster whose other nodes are to be discovered.",
    ),
    Definition::new(
        Section::Redis,
        "REDIS_TLS",
        "false",
        Valid::Flag,
        Access::Flag(|config| &mut config.redis.tls),
        "Whether to encrypt the connection and verify the server's certificate.",
    ),
    Definition::new(
        Section::Redis,
        "REDIS_CONNECT_TIMEOUT_MS",
        "5000",
        Valid::Number {
            min: 500,
            max: 120_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.redis.connect_timeout),
        "Time to wait for a connection.",
    ),
    Definition::new(
        Section::Redis,
        "REDIS_COMMAND_TIMEOUT_MS",
        "5000",
        Valid::Number {
            min: 500,
            max: 120_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.redis.command_timeout),
        "Time that one command may take; blocking reads add their own waiting time.",
    ),
];
