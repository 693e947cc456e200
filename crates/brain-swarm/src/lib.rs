//! The swarm: events come in, are stored with their effects in one transaction, and go out again, whatever dies meanwhile.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use brain_config::Config;
//! use brain_connectivity::{migrations::Migrations, postgres::Postgres};
//! use brain_swarm::{bus::StreamNames, event::{Defaults, Event}, publish, relay::RelayQueue};
//! use tokio_util::sync::CancellationToken;
//!
//! let config = Config::defaults();
//! let postgres = Postgres::open(&config.postgres)?;
//! Migrations::embedded().up(&postgres).await?;
//! let streams = StreamNames::new(&config.bus);
//! let (service, publisher) = publish::Service::new(postgres, streams, config.bus.batch_size, RelayQueue::default());
//! tokio::spawn(service.run(CancellationToken::new()));
//! let json = br#"{"type": "task.created", "swarmId": "s", "runId": "r", "actorId": "me", "payload": {"taskId": "t"}}"#;
//! let event = Event::parse(json, 4096, &Defaults { generate: true, ..Defaults::default() })?;
//! println!("stored as number {}", publisher.publish(vec![event]).await?[0].seq);
//! # Ok(()) }
//! ```
//!
//! Delivery is at least once; recorded effects are exactly once.

#![warn(missing_docs)]

pub mod agents;
pub mod audit;
mod bells;
pub mod budgets;
pub mod bus;
pub mod calls;
pub mod dead_letters;
pub mod decide;
pub mod digest;
pub mod doctor;
pub mod event;
pub mod events;
pub mod foreign_text;
pub mod governance;
pub mod ids;
mod ingest;
pub mod metric_names;
pub mod orchestrator;
pub mod overview;
pub mod publish;
pub mod relay;
pub mod retention;
pub mod runs;
pub mod schedules;
pub mod schema;
pub mod skills;
pub mod tails;
pub mod tasks;
pub mod trace;
pub mod worker;
