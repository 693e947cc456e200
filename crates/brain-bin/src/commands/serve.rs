//! `brain serve`: runs the server until a signal asks it to stop.

use std::time::Duration;

use anyhow::Context as _;
use brain_config::{Config, Loaded, LogFormat, Source};
use brain_swarm::governance::policy::Policy;
use serde_json::{Map, Value};

use crate::app::{App, read_policy, stop_on_signal};
use crate::cli::{ServeArgs, SettingsArgs};
use crate::exit::Verdict;
use crate::{logs, settings};

/// Time for what is left on the runtime after everything stopped, such as a name lookup.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn run(settings: &SettingsArgs, args: &ServeArgs) -> anyhow::Result<Verdict> {
    let Loaded { config, warnings, .. } = settings::load(settings)?;
    let policy = read_policy(&config)?;
    let format = config.log.format;
    logs::init_service(&config.log);
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, settings = changed_settings(&config), "brain starts");
    for warning in warnings {
        tracing::warn!(
            setting = warning.variable,
            problem = warning.message,
            "a setting deserves a look"
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    let result = runtime.block_on(serve(config, policy, args));
    runtime.shutdown_timeout(LAST_PATIENCE);
    match result {
        // A stream of JSON lines stays one; people get the plain text.
        Err(error) if format == LogFormat::Json => {
            tracing::error!(error = format!("{error:#}"), "brain cannot serve");
            Ok(Verdict::NotOk)
        }
        result => result,
    }
}

async fn serve(config: Config, policy: Policy, args: &ServeArgs) -> anyhow::Result<Verdict> {
    let stop = stop_on_signal().context("cannot listen for signals")?;
    let format = config.log.format;
    let app = App::compose(config, policy).await?;
    let Some(prepared) = stop.run_until_cancelled(app.prepare(!args.no_migrate)).await else {
        return Ok(Verdict::Ok);
    };
    prepared?;
    announce(&app.url(), app.needs_credentials(), format);
    Ok(app.run(stop).await)
}

/// The settings that are not defaults, without secrets.
fn changed_settings(config: &Config) -> String {
    let entries = config
        .redacted()
        .into_iter()
        .filter(|entry| entry.source != Source::Default);
    entries
        .map(|entry| format!("{}={}", entry.variable, entry.value))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Says where the server is and whom it serves, at any log level, in the form of the log.
fn announce(url: &str, needs_credentials: bool, format: LogFormat) {
    let version = env!("CARGO_PKG_VERSION");
    match format {
        LogFormat::Pretty => {
            eprintln!("brain {version} is ready at {url}");
            if !needs_credentials {
                eprintln!(
                    "callers need no token, and only this machine is served: \
                     STUDIO_BRAIN_ADMIN_TOKEN or STUDIO_BRAIN_AUTH_REQUIRED=true changes that"
                );
            }
        }
        LogFormat::Json => {
            let fields = Map::from_iter([
                ("needs_credentials".to_owned(), needs_credentials.into()),
                ("url".to_owned(), Value::from(url)),
                ("version".to_owned(), version.into()),
            ]);
            eprint!(
                "{}",
                logs::json_line(&tracing::Level::INFO, "brain", &"ready".into(), &fields)
            );
        }
    }
}
