//! What the routes work with: handles that the composition root has made.

use std::sync::Arc;

use brain_connectivity::{health::Health, postgres::Postgres};
use brain_swarm::{
    audit::Signer, calls::Calls, event::Defaults, governance::Governance, orchestrator, publish::Publisher, schedules,
    tails::Tails, trace::Tracer,
};
use jiff::Timestamp;

use crate::skills::Availability;

/// The parts of a running brain that the HTTP interface needs.
#[derive(Clone)]
pub struct Services {
    /// Where everything is read from.
    pub postgres: Postgres,
    /// Stores events; an answer means that they are durable.
    pub publisher: Publisher,
    /// Hands round what is stored, for those who follow events.
    pub tails: Tails,
    /// What agents and people ask of a swarm: tasks, agents, runs, budgets.
    pub calls: Calls,
    /// What may be done to the world outside, and who says so.
    pub governance: Governance,
    /// Programs that others wrote, run confined.
    pub skills: Availability,
    /// Every dependency, for `/health/dependencies`.
    pub health: Arc<Health>,
    /// What must work before requests may come, for `/readyz`.
    pub readiness: Arc<Health>,
    /// The orchestrator of this process, where one runs.
    pub orchestrator: Option<orchestrator::Handle>,
    /// What fires schedules in this process, where it does: told of each change.
    pub schedules: Option<schedules::Handle>,
    /// The key that signs exports of the audit trail, where one is configured.
    pub audit_signer: Option<Signer>,
    /// Renders all metrics in the Prometheus text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Takes the span of each request; off where nobody exports them.
    pub tracer: Tracer,
    /// What fills the gaps of a published event; its swarm also serves requests that name none.
    pub defaults: Defaults,
    /// The largest event, in bytes.
    pub max_event_bytes: usize,
    /// The name under which this service is known.
    pub service_name: String,
    /// The version of this program.
    pub version: String,
    /// Which of several brains this one is.
    pub replica_id: String,
    /// When this process began.
    pub started_at: Timestamp,
}
