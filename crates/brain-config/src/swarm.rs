//! Settings of the swarm that a process serves.

use std::time::Duration;

use crate::access::Access;
use crate::definition::{Definition, Section};
use crate::valid::Valid;

/// The swarm that this process serves.
#[derive(Debug, Clone)]
pub struct Swarm {
    /// Whether this process consumes the streams and assigns tasks.
    pub orchestrator_enabled: bool,
    /// Swarm of events that name none, and of the service's own.
    pub swarm_id: String,
    /// Run of the service's own events; none lets the process generate one.
    pub run_id: Option<String>,
    /// Time without a sign of life after which an agent counts as lost.
    pub agent_timeout: Duration,
    /// Time between two looks for lost agents and waiting tasks.
    pub sweep_interval: Duration,
    /// How long a claim holds a task without a heartbeat, when it does not say.
    pub task_lease: Duration,
}

impl Swarm {
    pub(crate) fn blank() -> Self {
        Self {
            orchestrator_enabled: false,
            swarm_id: String::new(),
            run_id: None,
            agent_timeout: Duration::ZERO,
            sweep_interval: Duration::ZERO,
            task_lease: Duration::ZERO,
        }
    }
}

pub(crate) const DEFINITIONS: &[Definition] = &[
    Definition::new(
        Section::Swarm,
        "STUDIO_BRAIN_SWARM_ORCHESTRATOR_ENABLED",
        "false",
        Valid::Flag,
        Access::Flag(|config| &mut config.swarm.orchestrator_enabled),
        "Whether this process consumes the streams and assigns tasks.",
    ),
    Definition::new(
        Section::Swarm,
        "STUDIO_BRAIN_SWARM_ID",
        "default-swarm",
        Valid::Text { max: 128 },
        Access::Text(|config| &mut config.swarm.swarm_id),
        "Swarm of the service's own events, and of commands that name none.",
    ),
    Definition::new(
        Section::Swarm,
        "STUDIO_BRAIN_SWARM_RUN_ID",
        "",
        Valid::Text { max: 128 },
        Access::OptionalText(|config| &mut config.swarm.run_id),
        "Run of the service's own events; generated at each start when it is not set.",
    ),
    Definition::new(
        Section::Swarm,
        "STUDIO_BRAIN_SWARM_AGENT_TIMEOUT_MS",
        "60000",
        Valid::Number {
            min: 1_000,
            max: 86_400_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.swarm.agent_timeout),
        "Time without a sign of life after which an agent counts as lost.",
    ),
    Definition::new(
        Section::Swarm,
        "STUDIO_BRAIN_SWARM_SWEEP_INTERVAL_MS",
        "5000",
        Valid::Number {
            min: 100,
            max: 600_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.swarm.sweep_interval),
        "Time between two looks for lost agents, leases that ran out and waiting tasks.",
    ),
    Definition::new(
        Section::Swarm,
        "STUDIO_BRAIN_TASK_LEASE_MS",
        "30000",
        Valid::Number {
            min: 1_000,
            max: 3_600_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.swarm.task_lease),
        "How long a claim holds a task without a heartbeat, when it does not say.",
    ),
];
