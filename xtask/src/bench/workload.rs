//! The events that benchmarks publish: 400-byte `task.created` events with ordinary ids.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

/// The swarm of the benchmark.
pub(super) const SWARM: &str = "bench";
/// How many agents share the tasks.
pub(super) const AGENTS: usize = 8;

/// A `task.created` event as JSON.
pub(super) fn task_created(swarm: &str) -> String {
    let id = Uuid::now_v7();
    format!(
        r#"{{"id":"{id}","type":"task.created","swarmId":"{swarm}","runId":"bench-run","actorId":"planner","payload":{{"taskId":"task-{id}","inputs":{{"prompt":"summarise the findings of the last run and compare them with the plan","attempt":1,"budget":250}},"priority":0}},"createdAt":"{}"}}"#,
        Timestamp::now()
    )
}

/// What the worker of a task gets; the same as in [`task_created`].
pub(super) fn inputs() -> Value {
    json!({ "prompt": "summarise the findings of the last run and compare them with the plan", "attempt": 1, "budget": 250 })
}

/// An event of a type that means nothing to the brain, about as large as [`task_created`].
pub(super) fn noted(swarm: &str) -> String {
    format!(
        r#"{{"id":"{}","type":"bench.noted","swarmId":"{swarm}","runId":"bench-run","actorId":"planner","payload":{{"text":"the findings of the last run were compared with the plan, and nothing stands out that somebody has to look at today","source":"bench","weight":250}},"createdAt":"{}"}}"#,
        Uuid::now_v7(),
        Timestamp::now()
    )
}

/// A `run.started` event of one agent.
pub(super) fn agent_joined(swarm: &str, agent: usize) -> String {
    format!(
        r#"{{"id":"{}","type":"run.started","swarmId":"{swarm}","runId":"bench-run","actorId":"agent-{agent}","payload":{{}},"createdAt":"{}"}}"#,
        Uuid::now_v7(),
        Timestamp::now()
    )
}
