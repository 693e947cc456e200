//! `brain healthcheck`: the report of a running brain, or the same checks from here when none answers.

mod bus;

use brain_config::Config;
use brain_connectivity::health::Report;

use self::bus::UnansweredBus;
use crate::app::Probes;
use crate::cli::{Format, HealthcheckArgs};
use crate::client::{Client, Error};
use crate::exit::Verdict;
use crate::health::Dependencies;
use crate::render;

/// Where the report is found.
const REPORT: [&str; 2] = ["health", "dependencies"];

pub(super) async fn run(config: &Config, args: &HealthcheckArgs) -> anyhow::Result<Verdict> {
    let client = Client::new(config, &args.server)?;
    let report = match client.report(&REPORT).await {
        Ok(report) => report,
        Err(error) if args.running => return Err(error.into()),
        Err(error) => from_here(config, &error).await?,
    };
    match args.output {
        Format::Table => render::print(&render::health::report(&report))?,
        Format::Json => render::print_json(&report)?,
    }
    Ok(Verdict::from(report.ok))
}

async fn from_here(config: &Config, unanswered: &Error) -> anyhow::Result<Report> {
    let dependencies = Dependencies::open(config)?;
    let event_bus = UnansweredBus::new(config.swarm.orchestrator_enabled, unanswered.to_string());
    let skills = Probes::unserved("only a running brain knows; `brain sandbox check` looks at this machine");
    let report = dependencies.health(event_bus, &skills).report().await;
    dependencies.close().await;
    Ok(report)
}
