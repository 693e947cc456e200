//! `brain event`: publishes events and prints stored ones.

mod input;
mod publish;
mod tail;

use brain_config::Config;

pub(super) use self::publish::published;
use crate::cli::EventCommand;
use crate::exit::Verdict;

const EVENTS: [&str; 3] = ["api", "swarm", "events"];

pub(super) async fn run(config: &Config, command: EventCommand) -> anyhow::Result<Verdict> {
    match command {
        EventCommand::Publish(args) => publish::run(config, &args).await,
        EventCommand::Tail(args) => tail::run(config, &args).await,
    }
}
