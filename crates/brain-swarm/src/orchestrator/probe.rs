//! The `event_bus` health check: it is ok when the work is done, not when a server answers.

use async_trait::async_trait;
use brain_connectivity::{
    health::{Outcome, Probe},
    postgres::{self, Postgres},
    redis::Redis,
};
use serde_json::json;

use super::Handle;
use crate::bus::reader::Reader;

/// Looks at the consumers of this process, the lag of their streams, streams that nobody consumes, and the outbox.
pub struct EventBusProbe {
    handle: Option<Handle>,
    postgres: Postgres,
    redis: Redis,
    bus: brain_config::Bus,
}

impl EventBusProbe {
    /// `handle`: the orchestrator of this process; `None` when it is not enabled, which is reported as disabled.
    #[must_use]
    pub fn new(handle: Option<Handle>, postgres: Postgres, redis: Redis, bus: brain_config::Bus) -> Self {
        Self {
            handle,
            postgres,
            redis,
            bus,
        }
    }

    async fn ask(&self, handle: &Handle) -> Outcome {
        let mut problems = handle.problems(self.bus.stuck_after);
        let mut lags = serde_json::Map::new();
        let streams = handle.streams();
        let lag_of = streams
            .iter()
            .map(|stream| Reader::lag(&self.redis, stream, &self.bus.group));
        for (stream, lag) in streams.iter().zip(futures_util::future::join_all(lag_of).await) {
            match lag {
                Ok(lag) => {
                    if lag > self.bus.max_lag {
                        problems.push(format!(
                            "{stream} is {lag} entries behind, more than {} (STUDIO_BRAIN_EVENT_BUS_MAX_LAG)",
                            self.bus.max_lag
                        ));
                    }
                    lags.insert(stream.to_string(), json!(lag));
                }
                Err(error) => problems.push(format!("{stream}: {error}")),
            }
        }
        match self.database().await {
            Ok((registered, orphans, outbox_age)) => {
                if registered == 0 {
                    problems.push("no stream is registered yet".to_owned());
                }
                if !orphans.is_empty() {
                    problems.push(format!("no replica consumes {}", orphans.join(", ")));
                }
                if let Some(age) = outbox_age.filter(|age| *age > self.bus.stuck_after.as_secs_f64()) {
                    problems.push(format!("the oldest event in the outbox has waited for {age:.0} s"));
                }
            }
            Err(error) => problems.push(error.to_string()),
        }
        let details = json!({ "lag": lags, "consumers": handle.snapshot().partitions.len() });
        if problems.is_empty() {
            Outcome::ok().with_details(details)
        } else {
            Outcome::error(problems.join("; ")).with_details(details)
        }
    }

    async fn database(&self) -> Result<(i64, Vec<String>, Option<f64>), postgres::Error> {
        let client = self.postgres.client().await?;
        let statement = client
            .prepare_cached(include_str!("../sql/select_bus_health.sql"))
            .await?;
        let row = client.query_one(&statement, &[&self.bus.stream_name]).await?;
        Ok((row.get(0), row.get(1), row.get(2)))
    }
}

#[async_trait]
impl Probe for EventBusProbe {
    fn name(&self) -> &'static str {
        "event_bus"
    }

    async fn probe(&self) -> Outcome {
        match &self.handle {
            Some(handle) => self.ask(handle).await,
            None => {
                let remedy = "set STUDIO_BRAIN_SWARM_ORCHESTRATOR_ENABLED=true to consume the stream here";
                Outcome::disabled().with_details(json!({ "remedy": remedy }))
            }
        }
    }
}
