//! `cargo xtask demo`: a swarm at work against the running brain, and proof from the database that nothing is missing.
//!
//! Agents join over HTTP. Tasks are published as events, half of them over HTTP, half by a plain Redis client that knows
//! nothing but the stream and its field `event`. When all are stored the summary is read from the database. Every run
//! has a swarm of its own.

mod api;
mod foreign;
mod meter;
mod story;
mod summary;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use brain_connectivity::{postgres::Postgres, redis::Redis};

use self::api::Api;
use self::foreign::ForeignClient;
use self::meter::Meter;
use self::story::Story;
use crate::dev::Settings;

/// How often the database is asked how far it is.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Longest time between two heartbeats of an agent; shorter when the agents' time-out is.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Arguments of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tasks published over HTTP, and as many by a plain Redis client
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    events: u32,
    /// Agents that join
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=500))]
    agents: u16,
    /// URL of the brain [default: from the settings]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Seconds without any progress after which the demo gives up
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    patience: u64,
}

/// Runs the demo; an error names what is missing.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let settings = Settings::load()?;
    let config = &settings.config;
    let url = args.url.clone().unwrap_or_else(|| settings.base_url());
    let api = Arc::new(Api::new(&url, config.server.admin_token.clone())?);
    api.require_orchestrator().await?;
    let story = Arc::new(Story::new(args.agents, args.events)?);
    let database = Postgres::open(&config.postgres)?;
    let patience = Duration::from_secs(args.patience);

    eprintln!(
        "swarm {}: {} agents join, {} tasks are published",
        story.swarm,
        args.agents,
        story.tasks.len()
    );
    api.publish(&story.join()).await.context("the agents could not join")?;
    let heartbeats = tokio::spawn(keep_alive(
        Arc::clone(&api),
        Arc::clone(&story),
        config.swarm.agent_timeout,
    ));

    let meter = Meter::new(story.tasks.len());
    let published = Instant::now();
    let foreign = ForeignClient::connect(config).await?;
    // What is stuck is told by the summary, in detail; a publisher that fails ends the demo.
    let watching = summary::wait_until_assigned(&database, &story, &meter, patience);
    let worked = tokio::try_join!(
        async {
            api.publish_all(&story, &meter)
                .await
                .context("publishing over HTTP failed")
        },
        async {
            foreign
                .publish_all(&story, &meter)
                .await
                .context("publishing over Redis failed")
        },
        async {
            if let Err(stuck) = watching.await {
                eprintln!("{stuck:#}");
            }
            Ok(())
        },
    );
    let took = published.elapsed();
    meter.finish();
    foreign.close().await;
    worked?;

    let redis = Redis::open(&config.redis)?;
    let summary = summary::read(&database, &redis, config, &story, took).await?;
    println!("{}", summary.text());
    let missing = summary.missing();
    if missing.is_empty() {
        finish(&api, &database, &story, patience).await?;
    }
    heartbeats.abort();
    redis.close().await;
    database.close();
    match missing.as_slice() {
        [] => Ok(()),
        missing => bail!("the demo found something missing:\n  {}", missing.join("\n  ")),
    }
}

/// Lets the agents finish their tasks, so that the demo leaves no work behind that waits for agents that are gone.
async fn finish(api: &Api, database: &Postgres, story: &Story, patience: Duration) -> anyhow::Result<()> {
    let holders = summary::holders(database, story).await?;
    let done = api.publish_batches(&holders, |(task, agent)| story.done(task, agent), |_| ());
    done.await.context("the agents could not finish their tasks")?;
    api.publish(&story.leave())
        .await
        .context("the run could not be finished")?;
    summary::wait_until_completed(database, story, patience).await?;
    println!("the agents finished all {} tasks", story.tasks.len());
    Ok(())
}

/// Sends a heartbeat for every agent, again and again.
async fn keep_alive(api: Arc<Api>, story: Arc<Story>, agent_timeout: Duration) {
    let mut interval = tokio::time::interval(HEARTBEAT.min(agent_timeout / 4));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        for agent in &story.agents {
            if let Err(error) = api.heartbeat(&story.swarm, agent).await {
                eprintln!("heartbeat of {agent}: {error:#}");
            }
        }
    }
}
