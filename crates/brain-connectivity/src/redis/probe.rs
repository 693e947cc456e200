//! The `redis` health check: the server answers, and a cluster serves all its slots.

use async_trait::async_trait;
use fred::interfaces::{ClientLike, ClusterInterface};
use fred::types::InfoKind;
use serde_json::json;

use super::{Error, Redis};
use crate::health::{Outcome, Probe};

/// Asks the server for an echo and its version.
#[derive(Debug, Clone)]
pub struct RedisProbe {
    redis: Redis,
}

impl RedisProbe {
    /// A probe of this server.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    async fn ask(&self) -> Result<Outcome, Error> {
        self.redis.ping().await?;
        let client = self.redis.commands();
        let info: String = client.info(Some(InfoKind::Server)).await?;
        let (server, version) = match field(&info, "valkey_version") {
            Some(version) => ("valkey", version),
            None => ("redis", field(&info, "redis_version").unwrap_or("unknown")),
        };
        if !self.redis.is_cluster() {
            return Ok(Outcome::ok().with_details(json!({
                "server": server,
                "version": version,
                "mode": "standalone",
            })));
        }
        let cluster: String = client.cluster_info().await?;
        let state = field(&cluster, "cluster_state").unwrap_or("unknown");
        let outcome = if state == "ok" {
            Outcome::ok()
        } else {
            Outcome::error(format!(
                "the cluster is in state {state}; see `CLUSTER INFO` and `CLUSTER NODES` for the slots it does not serve"
            ))
        };
        Ok(outcome.with_details(json!({
            "server": server,
            "version": version,
            "mode": "cluster",
            "state": state,
            "nodes": field(&cluster, "cluster_known_nodes").and_then(|n| n.parse::<u64>().ok()),
        })))
    }
}

#[async_trait]
impl Probe for RedisProbe {
    fn name(&self) -> &'static str {
        "redis"
    }

    async fn probe(&self) -> Outcome {
        match self.ask().await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::error(error.to_string()),
        }
    }
}

/// The value of `name:value` in an `INFO` answer.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}
