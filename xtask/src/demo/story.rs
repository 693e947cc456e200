//! What happens in the demo, as plain data: the swarm, its agents, its tasks, and the events that tell of them.

use anyhow::Context as _;
use brain_swarm::ids::SwarmId;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

/// How a task reaches the brain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// `POST /api/swarm/events`.
    Http,
    /// `XADD` by a plain Redis client.
    Xadd,
}

/// One task and the event that creates it.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) task_id: String,
    pub(super) event_id: String,
    pub(super) way: Way,
}

/// A swarm that no other run of the demo has.
#[derive(Debug, Clone)]
pub(super) struct Story {
    pub(super) swarm: SwarmId,
    pub(super) agents: Vec<String>,
    pub(super) tasks: Vec<Task>,
}

impl Story {
    /// `tasks_each`: tasks for each way.
    pub(super) fn new(agents: u16, tasks_each: u32) -> anyhow::Result<Self> {
        let now = Timestamp::now().to_zoned(TimeZone::UTC);
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let name = format!("demo-{}-{}", now.strftime("%Y%m%d-%H%M%S"), &unique[..4]);
        let task = |way: Way, number: u32| {
            let word = if way == Way::Http { "http" } else { "xadd" };
            Task {
                task_id: format!("{word}-{number:05}"),
                event_id: uuid::Uuid::now_v7().to_string(),
                way,
            }
        };
        let tasks = (1..=tasks_each).flat_map(|number| [task(Way::Http, number), task(Way::Xadd, number)]);
        Ok(Self {
            swarm: SwarmId::new(name).context("the name of the swarm")?,
            agents: (1..=agents).map(|number| format!("agent-{number}")).collect(),
            tasks: tasks.collect(),
        })
    }

    /// The tasks that go one way.
    pub(super) fn going(&self, way: Way) -> Vec<&Task> {
        self.tasks.iter().filter(|task| task.way == way).collect()
    }

    /// The events by which the agents join.
    pub(super) fn join(&self) -> Vec<String> {
        let joins = self
            .agents
            .iter()
            .map(|agent| self.event("run.started", agent, json!({ "role": "worker" })));
        joins.collect()
    }

    /// The event that creates a task, written now.
    pub(super) fn created(&self, task: &Task) -> String {
        let payload = json!({ "taskId": task.task_id, "inputs": { "text": "count the words of this sentence" } });
        self.event_with_id(&task.event_id, "task.created", "demo", payload)
    }

    /// The message by which an agent finishes a task.
    pub(super) fn done(&self, task_id: &str, agent: &str) -> String {
        let payload = json!({ "taskId": task_id, "state": "done", "outputs": { "words": 6 } });
        self.event("agent.message", agent, payload)
    }

    /// The events by which the agents end their run.
    pub(super) fn leave(&self) -> Vec<String> {
        self.agents
            .iter()
            .map(|agent| self.event("run.finished", agent, json!({})))
            .collect()
    }

    fn event(&self, kind: &str, actor: &str, payload: Value) -> String {
        self.event_with_id(&uuid::Uuid::now_v7().to_string(), kind, actor, payload)
    }

    fn event_with_id(&self, id: &str, kind: &str, actor: &str, payload: Value) -> String {
        let event = json!({
            "id": id,
            "type": kind,
            "swarmId": self.swarm,
            "runId": "demo-run",
            "actorId": actor,
            "payload": payload,
            "createdAt": Timestamp::now(),
        });
        event.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::collections::HashSet;

    use brain_swarm::event::{Defaults, Event};

    use super::*;

    #[test]
    fn every_event_of_the_story_is_valid_as_it_is() {
        let story = Story::new(2, 2).unwrap();
        let task = &story.tasks[0];
        let events = [
            story.join(),
            vec![story.created(task), story.done(&task.task_id, "agent-1")],
            story.leave(),
        ];
        for json in events.concat() {
            let event = Event::parse(json.as_bytes(), 4096, &Defaults::default()).unwrap();
            assert_eq!(event.swarm_id, story.swarm);
        }
    }

    #[test]
    fn tasks_and_events_have_ids_of_their_own() {
        let story = Story::new(1, 50).unwrap();
        let tasks: HashSet<&str> = story.tasks.iter().map(|task| task.task_id.as_str()).collect();
        let events: HashSet<&str> = story.tasks.iter().map(|task| task.event_id.as_str()).collect();
        assert_eq!((tasks.len(), events.len()), (100, 100));
        assert_eq!(story.going(Way::Xadd).len(), 50);
    }
}
