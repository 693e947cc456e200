//! What a `dev-up` has to start, decided before anything is touched.

use anyhow::Result;
use brain_devstack::{ports, postgres, s3, valkey};

use super::layout::{Layout, Service};
use super::settings::{Settings, is_here};

/// What is to be done about a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The settings point at a server of somebody else's.
    Leave,
    /// It runs and answers.
    Keep,
    /// It does not run.
    Start,
    /// It runs, but not as it should; why.
    Restart(&'static str),
}

/// The settings of a server, to notice a change.
pub(super) fn settings_of(service: Service, settings: &Settings) -> String {
    match service {
        Service::Postgres => settings.config.postgres.port.to_string(),
        Service::Redis => format!("{} {:?}", settings.config.redis.port, settings.redis_login()),
        Service::S3 => {
            use secrecy::ExposeSecret;
            let artifacts = &settings.config.artifacts;
            let (key, secret) = (
                artifacts.access_key.expose_secret(),
                artifacts.secret_key.expose_secret(),
            );
            format!("{} {key} {secret}", settings.s3_port())
        }
        Service::Brain => settings.fingerprint.clone(),
    }
}

/// The port that a service is expected on.
pub(super) fn port_of(service: Service, settings: &Settings) -> u16 {
    match service {
        Service::Postgres => settings.config.postgres.port,
        Service::Redis => settings.config.redis.port,
        Service::S3 => settings.s3_port(),
        Service::Brain => settings.config.server.port,
    }
}

/// Decides about one of the dependencies.
pub(super) async fn decide(service: Service, layout: &Layout, settings: &Settings) -> Action {
    let host = match service {
        Service::Postgres => settings.config.postgres.host.as_str(),
        Service::Redis => settings.config.redis.host.as_str(),
        _ => settings.config.artifacts.endpoint.host_str().unwrap_or_default(),
    };
    if !is_here(host) {
        return Action::Leave;
    }
    if layout.running(service).is_none() {
        return Action::Start;
    }
    if !layout.runs_with(service, &settings_of(service, settings)) {
        return Action::Restart("its settings changed");
    }
    let port = port_of(service, settings);
    let answers = match service {
        Service::Postgres => postgres::answers(port).await,
        Service::Redis => valkey::protocol::answers(port).await,
        _ => s3::answers(port).await,
    };
    if answers {
        Action::Keep
    } else {
        Action::Restart("it does not answer")
    }
}

/// Fails, naming each, when a port that something is to be started on is taken. What is restarted holds its own.
pub(super) fn require_free_ports(wanted: &[(Service, Action)], settings: &Settings) -> Result<()> {
    let problems: Vec<String> = wanted
        .iter()
        .filter(|(_, action)| *action == Action::Start)
        .filter_map(|(service, _)| {
            let port = port_of(*service, settings);
            ports::require_free(port, service.title(), service.port_variable()).err()
        })
        .map(|problem| format!("{problem:#}"))
        .collect();
    anyhow::ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}
