//! The `event_bus` check when no brain answers: only the process that consumes knows how its consumers are.

use async_trait::async_trait;
use brain_connectivity::health::{Outcome, Probe};
use serde_json::json;

/// Says that no consumer could be asked.
pub(super) struct UnansweredBus {
    wanted: bool,
    reason: String,
}

impl UnansweredBus {
    /// `wanted`: the configuration enables the orchestrator, so that a consumer should run.
    pub(super) fn new(wanted: bool, reason: String) -> Self {
        Self { wanted, reason }
    }
}

#[async_trait]
impl Probe for UnansweredBus {
    fn name(&self) -> &'static str {
        "event_bus"
    }

    async fn probe(&self) -> Outcome {
        let details = json!({ "reason": self.reason });
        if self.wanted {
            Outcome::degraded("no consumer could be asked how it is").with_details(details)
        } else {
            Outcome::disabled().with_details(details)
        }
    }
}
