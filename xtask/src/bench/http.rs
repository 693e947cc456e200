//! `bench http`: requests a second and their latency, next to a bare hyper server that answers the same bytes.
//!
//! One generator asks both, over the same number of connections. It shares the cores with the server, so the figures are
//! lower than those of a machine with a generator of its own; the ratio and the processor time of a request are what counts.

pub(crate) mod bare;
mod load;

use std::time::Duration;

use anyhow::Result;

use self::{
    bare::BareServer,
    load::{Load, Request},
};
use super::{
    Run,
    brain::{Brain, Servers},
    report::{Report, ratio},
    workload::{self, AGENTS},
};

const DATABASE: &str = "http";
/// Where PostgreSQL is the limit, nobody asks for more.
const ENOUGH: f64 = 20_000.0;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long each is measured, after two seconds of warm-up
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 64)]
    connections: usize,
}

pub(super) async fn run(run: &Run, args: &Args, report: &mut Report) -> Result<()> {
    let window = Duration::from_secs(args.seconds.max(1));
    report.condition("connections", args.connections);
    report.condition("seconds, after 2 of warm-up", args.seconds);
    report.condition(
        "generator",
        "on the same cores as the server, the same for both servers",
    );
    run.servers.database(DATABASE, Some(&run.brain)).await?;
    let brain = Brain::start(&run.servers, &run.brain, DATABASE, &[]).await?;
    join_agents(&run.servers).await?;
    let bare = BareServer::start(&brain.url).await?;
    for (request, name, least, most) in [
        (Request::Health, "GET /healthz", 0.85, None),
        (Request::Note, "POST /api/swarm/events", 0.5, Some(ENOUGH)),
        (
            Request::Task,
            "POST /api/swarm/events, a task with its follow-up",
            0.5,
            Some(ENOUGH),
        ),
    ] {
        run.progress.change(&format!("{name}: bare hyper"));
        let theirs = load::saturate(&bare.url, request, args.connections, window, bare.pid()).await?;
        add(report, &format!("bare hyper: {name}"), &theirs);
        run.progress.change(&format!("{name}: brain"));
        let ours = load::saturate(&brain.url, request, args.connections, window, brain.pid()).await?;
        add(report, name, &ours);
        let wanted = most.map_or(theirs.per_second, |most: f64| theirs.per_second.min(most / least));
        report.at_least(
            match most {
                None => format!("{name}: ratio to bare hyper"),
                Some(most) => format!(
                    "{name}: ratio to bare hyper, of which at most {:.0}/s count",
                    most / least
                ),
            },
            ratio(ours.per_second, wanted),
            "",
            least,
        );
        run.progress.change(&format!("{name}: brain at half of saturation"));
        let half = load::at_rate(&brain.url, request, args.connections, ours.per_second / 2.0, window).await?;
        let name = format!("{name}, at half of saturation");
        report.add(format!("{name}, p50"), half.p50, "ms");
        report.at_most(format!("{name}, p99"), half.p99, "ms", 3.0);
    }
    Ok(())
}

fn add(report: &mut Report, name: &str, load: &Load) {
    report.add(name, load.per_second, "requests/s");
    report.times(&format!("{name}, saturated"), &load.times, None);
    report.add(
        format!("{name}: processor of the server"),
        load.cpu_micros,
        "µs a request",
    );
}

/// Agents that tasks are given to.
async fn join_agents(servers: &Servers) -> Result<()> {
    use fred::{interfaces::StreamsInterface as _, types::Value};
    let redis = servers.redis().await?;
    for agent in 0..AGENTS {
        let fields = vec![("event", workload::agent_joined(workload::SWARM, agent))];
        let stream = format!("bench.{DATABASE}");
        let _: Value = redis.xadd(stream, false, None::<()>, "*", fields).await?;
    }
    Ok(())
}
