//! The task plane as tests of workers see it: a brain that comes back where it was, calls, and what the database says.

use std::time::Duration;

use brain_config::Config;
use brain_connectivity::postgres::Postgres;
use brain_testkit::{TestDatabase, eventually_within};
use serde_json::{Value, json};

use crate::brain_process::{BrainProcess, migrated};

const PATIENCE: Duration = Duration::from_secs(60);

/// A brain with an orchestrator and a database of its own.
pub(crate) struct Plane {
    pub(crate) brain: BrainProcess,
    config: Config,
    port: String,
    postgres: Postgres,
    http: reqwest::Client,
    /// Held for its end.
    _database: TestDatabase,
}

async fn start(config: &Config, port: &str) -> BrainProcess {
    // So that a dead process's lease on the stream does not hold up the test.
    let overrides = [
        ("STUDIO_BRAIN_PORT", port),
        ("STUDIO_BRAIN_EVENT_BUS_LEASE_MS", "2000"),
        ("STUDIO_BRAIN_SWARM_SWEEP_INTERVAL_MS", "500"),
    ];
    BrainProcess::start(config, &overrides).await
}

impl Plane {
    pub(crate) async fn start() -> Self {
        let database = migrated().await;
        let mut config = database.config();
        config.swarm.orchestrator_enabled = true;
        let port = brain_devstack::free_port().unwrap().to_string();
        Self {
            brain: start(&config, &port).await,
            postgres: Postgres::open(&config.postgres).unwrap(),
            http: reqwest::Client::new(),
            config,
            port,
            _database: database,
        }
    }

    /// Kills the brain and starts another at the same address.
    pub(crate) async fn crash(&mut self) {
        self.brain.kill9().await;
        self.brain = start(&self.config, &self.port).await;
    }

    /// Where it answers, also while it does not.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// One call with a JSON body: the status code and the answer.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}/api/swarm/{path}", self.url());
        let answer = self.http.post(url).json(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    /// Creates tasks with these ids, each with `fields` on top.
    pub(crate) async fn create(&self, ids: impl IntoIterator<Item = String>, fields: &Value) {
        let task = |id: String| {
            let mut task = json!({ "taskId": id, "inputs": { "text": "one two three" },
                "backoff": { "initialMs": 50, "maxMs": 500, "factor": 2 } });
            let more = fields.as_object().unwrap().clone();
            task.as_object_mut().unwrap().extend(more);
            task
        };
        let tasks: Vec<Value> = ids.into_iter().map(task).collect();
        let (status, answer) = self.post("tasks", &json!({ "tasks": tasks })).await;
        assert_eq!(status, 201, "{answer}");
    }

    /// Waits until a task has this status, and gives it.
    pub(crate) async fn until(&self, task: &str, status: &str) -> Value {
        let url = format!("{}/api/swarm/tasks/{task}", self.url());
        eventually_within(PATIENCE, &format!("task {task} is {status}"), async || {
            let task: Value = self.http.get(&url).send().await.ok()?.json().await.ok()?;
            (task["status"] == status).then_some(task)
        })
        .await
    }

    /// A number from the database, which answers also while the brain does not.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        let client = self.postgres.client().await.unwrap();
        client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Waits until so many tasks are completed.
    pub(crate) async fn completed(&self, at_least: i64) {
        const SQL: &str = "SELECT count(*) FROM swarm_tasks WHERE status = 'completed'";
        eventually_within(PATIENCE, &format!("{at_least} completed tasks"), async || {
            (self.count(SQL).await >= at_least).then_some(())
        })
        .await;
    }

    /// Every task has ended, with exactly one terminal event that took effect.
    pub(crate) async fn all_ended_once(&self, tasks: i64) {
        const ENDED: &str = "SELECT count(*) FROM swarm_tasks WHERE status IN ('completed', 'failed', 'cancelled')";
        const ONCE: &str = "SELECT count(*) FROM (SELECT payload ->> 'taskId' FROM swarm_events \
            WHERE event_type IN ('task.completed', 'task.failed', 'task.cancelled') AND note IS NULL \
            GROUP BY swarm_id, payload ->> 'taskId' HAVING count(*) = 1) AS ended_once";
        const EVENTS: &str = "SELECT count(*) FROM swarm_events \
            WHERE event_type IN ('task.completed', 'task.failed', 'task.cancelled') AND note IS NULL";
        assert_eq!(self.count(ENDED).await, tasks);
        assert_eq!(self.count(ONCE).await, tasks);
        assert_eq!(self.count(EVENTS).await, tasks);
    }
}
