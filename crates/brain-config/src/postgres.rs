//! Settings of the connection to PostgreSQL.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::Config;
use crate::access::Access;
use crate::definition::{Definition, Section};
use crate::valid::Valid;

/// The database, which holds the truth.
#[derive(Debug, Clone)]
pub struct Postgres {
    /// Host name, address, or absolute directory of a Unix socket.
    pub host: String,
    /// Port of the server.
    pub port: u16,
    /// Name of the database.
    pub database: String,
    /// Role to log in as.
    pub user: String,
    /// Password of the role; may be empty where the server asks for none.
    pub password: SecretString,
    /// Whether the connection is encrypted and the server verified.
    pub ssl_mode: SslMode,
    /// File of PEM certificates to trust instead of the system's.
    pub ssl_root_cert: Option<PathBuf>,
    /// Most connections that the pool opens.
    pub pool_max: usize,
    /// Time after which an unused connection is closed.
    pub idle_timeout: Duration,
    /// Time to wait for a connection, whether from the pool or new.
    pub connection_timeout: Duration,
    /// Time that one statement may take.
    pub query_timeout: Duration,
}

/// Use of TLS towards PostgreSQL, with the names that libpq gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SslMode {
    /// Never.
    Disable,
    /// Where the server offers it; the certificate is not verified.
    Prefer,
    /// Always; the certificate is not verified.
    Require,
    /// Always; the certificate must be trusted and name the host.
    VerifyFull,
}

impl SslMode {
    const ALL: [Self; 4] = [Self::Disable, Self::Prefer, Self::Require, Self::VerifyFull];
    const NAMES: &[&str] = &["disable", "prefer", "require", "verify-full"];

    /// The word that selects it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl Postgres {
    pub(crate) fn blank() -> Self {
        Self {
            host: String::new(),
            port: 0,
            database: String::new(),
            user: String::new(),
            password: SecretString::default(),
            ssl_mode: SslMode::Disable,
            ssl_root_cert: None,
            pool_max: 0,
            idle_timeout: Duration::ZERO,
            connection_timeout: Duration::ZERO,
            query_timeout: Duration::ZERO,
        }
    }
}

pub(crate) const DEFINITIONS: &[Definition] = &[
    Definition::new(
        Section::Postgres,
        "PGHOST",
        "127.0.0.1",
        Valid::HostOrSocketDirectory,
        Access::Text(|config| &mut config.postgres.host),
        "Where PostgreSQL listens.",
    ),
    Definition::new(
        Section::Postgres,
        "PGPORT",
        "5433",
        Valid::Number {
            min: 1,
            max: 65_535,
            unit: "",
        },
        Access::U16(|config| &mut config.postgres.port),
        "Port of PostgreSQL.",
    ),
    Definition::new(
        Section::Postgres,
        "PGDATABASE",
        "studio_brain",
        Valid::Text { max: 63 },
        Access::Text(|config| &mut config.postgres.database),
        "Name of the database.",
    ),
    Definition::new(
        Section::Postgres,
        "PGUSER",
        "postgres",
        Valid::Text { max: 63 },
        Access::Text(|config| &mut config.postgres.user),
        "Role to log in as.",
    ),
    Definition::new(
        Section::Postgres,
        "PGPASSWORD",
        "postgres",
        Valid::Password { empty: true },
        Access::Secret(|config| &mut config.postgres.password),
        "Password of the role.",
    ),
    Definition::new(
        Section::Postgres,
        "PGSSLMODE",
        "disable",
        Valid::Choice(SslMode::NAMES),
        Access::Parsed {
            set: |config, text| {
                let mode = SslMode::ALL.into_iter().find(|mode| mode.as_str() == text);
                mode.map(|mode| config.postgres.ssl_mode = mode).is_some()
            },
            get: |config: &Config| config.postgres.ssl_mode.as_str().to_owned(),
        },
        "Use of TLS; only verify-full checks that the server is the right one.",
    ),
    Definition::new(
        Section::Postgres,
        "PGSSLROOTCERT",
        "",
        Valid::Path,
        Access::OptionalPath(|config| &mut config.postgres.ssl_root_cert),
        "File of PEM certificates that verify-full trusts instead of the system's.",
    ),
    Definition::new(
        Section::Postgres,
        "STUDIO_BRAIN_PG_POOL_MAX",
        "10",
        Valid::Number {
            min: 1,
            max: 500,
            unit: "connections",
        },
        Access::Usize(|config| &mut config.postgres.pool_max),
        "Most connections that the pool opens.",
    ),
    Definition::new(
        Section::Postgres,
        "STUDIO_BRAIN_PG_IDLE_TIMEOUT_MS",
        "30000",
        Valid::Number {
            min: 1_000,
            max: 300_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.postgres.idle_timeout),
        "Time after which an unused connection is closed.",
    ),
    Definition::new(
        Section::Postgres,
        "STUDIO_BRAIN_PG_CONNECTION_TIMEOUT_MS",
        "10000",
        Valid::Number {
            min: 1_000,
            max: 120_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.postgres.connection_timeout),
        "Time to wait for a connection.",
    ),
    Definition::new(
        Section::Postgres,
        "STUDIO_BRAIN_PG_QUERY_TIMEOUT_MS",
        "5000",
        Valid::Number {
            min: 500,
            max: 120_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.postgres.query_timeout),
        "Time that one statement may take.",
    ),
];
