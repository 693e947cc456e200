//! The configuration of this clone: the developer's environment and `.env`, and what development adds to them.

use std::collections::BTreeMap;
use std::ffi::OsString;

use anyhow::{Result, bail};
use brain_config::{Config, Sources};
use secrecy::ExposeSecret;

use crate::workspace::root;

/// The configuration and the variables that programs are started with.
#[derive(Debug)]
pub(crate) struct Settings {
    /// As `brain` will see it.
    pub(crate) config: Config,
    /// What is added to the developer's environment.
    pub(crate) added: BTreeMap<&'static str, String>,
    /// Everything set, to notice a change.
    pub(crate) fingerprint: String,
}

impl Settings {
    /// Reads the environment and `.env`, and adds the values of development that neither of them sets.
    pub(crate) fn load() -> Result<Self> {
        let file = root().join(".env");
        let mut sources = Sources::from_process(file.is_file().then_some(file.as_path()), BTreeMap::new())?;
        let mut added = BTreeMap::new();
        for (name, value) in development_values() {
            if !sources.environment.contains_key(name) && !sources.dotenv.contains_key(name) {
                sources.environment.insert(name.to_owned(), value.clone());
                added.insert(name, value);
            }
        }
        let loaded = Config::load(&sources)?;
        for warning in &loaded.warnings {
            eprintln!("warning: {warning}");
        }
        let fingerprint = format!("{:?}\n{:?}", sources.environment, sources.dotenv);
        Ok(Self {
            config: loaded.config,
            added,
            fingerprint,
        })
    }

    /// Has `brain` use exactly this configuration.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        self.added
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)))
            .collect()
    }

    /// Fails when the settings ask for what the native servers do not have.
    pub(crate) fn require_native(&self) -> Result<()> {
        use brain_config::SslMode;
        let mut problems = Vec::new();
        let config = &self.config;
        if is_here(&config.postgres.host) && matches!(config.postgres.ssl_mode, SslMode::Require | SslMode::VerifyFull)
        {
            problems.push("PGSSLMODE asks for TLS; use disable or prefer");
        }
        if is_here(&config.redis.host) && config.redis.tls {
            problems.push("REDIS_TLS is true; use false");
        }
        if is_here(&config.redis.host) && config.redis.cluster {
            problems.push("REDIS_CLUSTER is true, and there is a single server; use false");
        }
        if is_here(config.artifacts.endpoint.host_str().unwrap_or_default()) && config.artifacts.use_ssl {
            problems.push("STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT asks for TLS; use http");
        }
        if !problems.is_empty() {
            bail!(
                "the native stack cannot meet these settings; change them, or point at servers of your own:\n  {}",
                problems.join("\n  ")
            );
        }
        Ok(())
    }

    /// Whom Valkey lets in.
    pub(crate) fn redis_login(&self) -> brain_devstack::valkey::Login {
        let redis = &self.config.redis;
        brain_devstack::valkey::Login {
            username: redis.username.clone(),
            password: redis
                .password
                .as_ref()
                .map(|password| password.expose_secret().to_owned()),
        }
    }

    /// The role and database that `brain` uses.
    pub(crate) fn postgres_access(&self) -> brain_devstack::postgres::admin::Access {
        let postgres = &self.config.postgres;
        brain_devstack::postgres::admin::Access {
            user: postgres.user.clone(),
            password: postgres.password.expose_secret().to_owned(),
            database: postgres.database.clone(),
        }
    }

    /// The port that the artifact store is expected on.
    pub(crate) fn s3_port(&self) -> u16 {
        self.config.artifacts.endpoint.port_or_known_default().unwrap_or(80)
    }

    /// Where the HTTP server will answer, as seen from this machine.
    pub(crate) fn base_url(&self) -> String {
        let server = &self.config.server;
        let host = match server.host.as_str() {
            "0.0.0.0" | "::" | "[::]" => "127.0.0.1",
            host => host,
        };
        let host = if host.contains(':') && !host.starts_with('[') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        format!("http://{host}:{}", server.port)
    }
}

/// Whether a host is this machine, where the native servers listen; anything else belongs to somebody else.
pub(crate) fn is_here(host: &str) -> bool {
    matches!(host, "127.0.0.1" | "localhost")
}

/// What development sets unless the developer did.
fn development_values() -> [(&'static str, String); 2] {
    [
        ("STUDIO_BRAIN_SWARM_ORCHESTRATOR_ENABLED", "true".to_owned()),
        ("STUDIO_BRAIN_VECTOR_STORE_ENABLED", "true".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(change: impl FnOnce(&mut Config)) -> Settings {
        let mut config = Config::defaults();
        change(&mut config);
        Settings {
            config,
            added: BTreeMap::new(),
            fingerprint: String::new(),
        }
    }

    #[test]
    fn the_url_is_one_that_this_machine_can_open() {
        for (host, url) in [
            ("127.0.0.1", "http://127.0.0.1:8787"),
            ("0.0.0.0", "http://127.0.0.1:8787"),
            ("::", "http://127.0.0.1:8787"),
            ("::1", "http://[::1]:8787"),
            ("brain.test", "http://brain.test:8787"),
        ] {
            assert_eq!(settings(|config| config.server.host = host.to_owned()).base_url(), url);
        }
    }

    #[test]
    fn settings_that_the_native_servers_cannot_meet_are_all_named_unless_they_are_about_other_machines() {
        let demanding = |config: &mut Config| {
            config.postgres.ssl_mode = brain_config::SslMode::VerifyFull;
            config.redis.tls = true;
            config.redis.cluster = true;
        };
        let message = settings(demanding)
            .require_native()
            .map_err(|error| error.to_string())
            .err()
            .unwrap_or_default();
        for name in ["PGSSLMODE", "REDIS_TLS", "REDIS_CLUSTER"] {
            assert!(message.contains(name), "{name} is missing in: {message}");
        }
        let elsewhere = settings(|config| {
            demanding(config);
            config.postgres.host = "db.test".to_owned();
            config.redis.host = "redis.test".to_owned();
        });
        assert!(elsewhere.require_native().is_ok());
    }
}
