//! Where the shared servers are, and a configuration that points at them.

use std::path::PathBuf;

use brain_config::Config;
use tokio_postgres::config::Host;
use url::Url;

/// Access key and secret key of the S3 server.
const S3_KEY: &str = "minioadmin";

/// The servers that all tests of a run share.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// URL of PostgreSQL's maintenance database, as superuser.
    pub postgres: String,
    /// Host of Valkey.
    pub redis_host: String,
    /// Port of Valkey.
    pub redis_port: u16,
    /// URL of the S3 server.
    pub s3: Url,
}

/// The servers that `cargo xtask test` started.
///
/// # Panics
/// When there are none: the test was not run by `cargo xtask test`.
#[must_use]
pub fn endpoints() -> Endpoints {
    let redis = variable("BRAIN_TEST_REDIS");
    let Some((host, port)) = redis
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)))
    else {
        panic!("BRAIN_TEST_REDIS is {redis:?}, not HOST:PORT")
    };
    let s3 = variable("BRAIN_TEST_S3");
    Endpoints {
        postgres: variable("BRAIN_TEST_PG"),
        redis_host: host.to_owned(),
        redis_port: port,
        s3: s3
            .parse()
            .unwrap_or_else(|error| panic!("BRAIN_TEST_S3 is {s3:?}, not a URL: {error}")),
    }
}

/// The `brain` program that `cargo xtask test` built.
///
/// # Panics
/// When the test was not run by `cargo xtask test`.
#[must_use]
pub fn brain_bin() -> PathBuf {
    PathBuf::from(variable("BRAIN_TEST_BRAIN_BIN"))
}

/// A name that no other test has: `prefix`, a hyphen, and a random part in lower-case hexadecimal. With a short prefix
/// of lower-case letters it may name a database, a bucket or a stream.
#[must_use]
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", uuid::Uuid::new_v4().simple())
}

/// A configuration that points at the shared servers, with a stream name, swarm and bucket that no other test has.
///
/// Its database is the server's maintenance database, which belongs to nobody: connect to it, leave nothing in it.
/// A test that stores rows asks for [`TestDatabase`](crate::TestDatabase) and takes the configuration from there.
///
/// # Panics
/// When the test was not run by `cargo xtask test`.
#[must_use]
pub fn test_config() -> Config {
    let endpoints = endpoints();
    let mut config = Config::defaults();
    let postgres = postgres_config(&endpoints.postgres);
    if let Some(Host::Tcp(host)) = postgres.get_hosts().first() {
        config.postgres.host.clone_from(host);
    }
    config.postgres.port = postgres.get_ports().first().copied().unwrap_or(5432);
    config.postgres.user = postgres.get_user().unwrap_or_default().to_owned();
    config.postgres.password = String::from_utf8_lossy(postgres.get_password().unwrap_or_default())
        .into_owned()
        .into();
    config.postgres.database = postgres.get_dbname().unwrap_or_default().to_owned();
    config.redis.host = endpoints.redis_host;
    config.redis.port = endpoints.redis_port;
    config.bus.stream_name = unique("test");
    config.swarm.swarm_id = unique("swarm");
    config.artifacts.endpoint = endpoints.s3;
    config.artifacts.bucket = unique("test");
    config.artifacts.access_key = S3_KEY.into();
    config.artifacts.secret_key = S3_KEY.into();
    config.server.port = 0;
    config
}

pub(crate) fn postgres_config(url: &str) -> tokio_postgres::Config {
    url.parse()
        .unwrap_or_else(|error| panic!("BRAIN_TEST_PG is not a PostgreSQL URL: {error}"))
}

pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: this test needs the servers that `cargo xtask test` starts; run `cargo xtask test`")
    })
}
