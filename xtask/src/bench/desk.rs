//! The desk where tasks are handed in and out, as a benchmark sees it: the library in this process, or the program over HTTP.
//!
//! Invariant: all benchmarks of tasks ask in the same way, so that their figures differ by the way alone.

mod http;

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::Result;
use brain_swarm::{
    calls::{Ask, Calls, Finished, NewTask, Outcome, Registration, Scope},
    ids::{ActorId, FencingToken, RunId, SwarmId, TaskId, TenantId},
    publish,
    relay::RelayQueue,
};
use serde::Deserialize;
use serde_json::json;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::AbortOnDropHandle,
};

pub(super) use self::http::HttpDesk;
use super::{brain::Servers, workload};

/// A task that is held, and the token of the claim.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Held {
    pub(super) task_id: TaskId,
    pub(super) fencing_token: FencingToken,
}

/// What one worker asks for. Each call is answered when it is durable.
pub(super) trait Desk: Send + 'static {
    /// Joins as an agent that claims its tasks.
    fn join(&mut self) -> impl Future<Output = Result<()>> + Send;
    /// Creates tasks with these ids.
    fn create(&mut self, ids: Vec<TaskId>) -> impl Future<Output = Result<()>> + Send;
    /// Claims tasks, and waits for them if need be.
    fn claim(&mut self, most: usize, wait: Duration) -> impl Future<Output = Result<Vec<Held>>> + Send;
    /// Completes what was claimed; one that is refused is an error.
    fn complete(&mut self, held: Vec<Held>) -> impl Future<Output = Result<()>> + Send;
}

/// A new id.
pub(super) fn task_id() -> Result<TaskId> {
    Ok(TaskId::new(format!("task-{}", uuid::Uuid::now_v7()))?)
}

/// The library with its publishing service, in this process.
pub(super) struct Library {
    calls: Calls,
    run: RunId,
    planner: ActorId,
    _service: AbortOnDropHandle<()>,
    _stop: DropGuard,
}

impl Library {
    /// Starts the service on a database. Nothing relays: the events of the tasks stay in the outbox.
    pub(super) fn start(servers: &Servers, database: &str, batch: usize) -> Result<Arc<Self>> {
        let mut config = brain_config::Config::defaults();
        config.postgres.port = servers.postgres_port;
        database.clone_into(&mut config.postgres.database);
        let postgres = brain_connectivity::postgres::Postgres::open(&config.postgres)?;
        let streams = brain_swarm::bus::StreamNames::new(&config.bus);
        let (service, publisher) = publish::Service::new(postgres.clone(), streams, batch, RelayQueue::default());
        let stop = CancellationToken::new();
        Ok(Arc::new(Self {
            calls: Calls::new(postgres, publisher, config.swarm.task_lease, config.bus.max_event_bytes),
            run: RunId::new("bench-run")?,
            planner: ActorId::new("planner")?,
            _service: AbortOnDropHandle::new(tokio::spawn(service.run(stop.clone()))),
            _stop: stop.drop_guard(),
        }))
    }

    /// The desk of one worker, of as many swarms.
    pub(super) fn desk(self: &Arc<Self>, worker: usize, swarms: usize) -> Result<LibraryDesk> {
        let swarm = match worker % swarms.max(1) {
            0 => workload::SWARM.to_owned(),
            n => format!("{}-{n}", workload::SWARM),
        };
        Ok(LibraryDesk {
            library: Arc::clone(self),
            scope: Scope {
                tenant_id: TenantId::single(),
                swarm_id: SwarmId::new(swarm)?,
            },
            agent: ActorId::new(format!("agent-{worker}"))?,
        })
    }
}

/// [`Library`] for one worker.
pub(super) struct LibraryDesk {
    library: Arc<Library>,
    scope: Scope,
    agent: ActorId,
}

impl Desk for LibraryDesk {
    async fn join(&mut self) -> Result<()> {
        let library = &self.library;
        let registration = Registration {
            agent_id: self.agent.clone(),
            run_id: None,
            role: None,
            capabilities: Vec::new(),
            capacity: None,
            assignment: Some("pull".to_owned()),
        };
        library
            .calls
            .register_agent(&self.scope, &library.run, registration)
            .await?;
        Ok(())
    }

    async fn create(&mut self, ids: Vec<TaskId>) -> Result<()> {
        let library = &self.library;
        let tasks = ids.into_iter().map(|id| NewTask {
            task_id: Some(id),
            inputs: Some(workload::inputs()),
            ..NewTask::default()
        });
        let defaults = (&library.run, &library.planner);
        library
            .calls
            .create_tasks(&self.scope, defaults, tasks.collect())
            .await?;
        Ok(())
    }

    async fn claim(&mut self, most: usize, wait: Duration) -> Result<Vec<Held>> {
        let ask = Ask {
            agent_id: self.agent.clone(),
            max: most,
            lease: None,
            wait,
        };
        let claimed = self.library.calls.claim(&self.scope, &ask).await?;
        let held = claimed.tasks.into_iter().map(|task| Held {
            task_id: task.task_id,
            fencing_token: task.fencing_token,
        });
        Ok(held.collect())
    }

    async fn complete(&mut self, held: Vec<Held>) -> Result<()> {
        let (calls, scope) = (&self.library.calls, &self.scope);
        let mut results: Vec<Finished> = held
            .into_iter()
            .map(|held| Finished {
                task_id: held.task_id,
                fencing_token: held.fencing_token,
                outcome: Outcome::Completed {
                    outputs: json!({ "summary": "done" }),
                },
            })
            .collect();
        if results.len() > 1 {
            for result in calls.finish_all(scope, &self.agent, results).await? {
                result?;
            }
        } else if let Some(finished) = results.pop() {
            calls.finish(scope, &self.agent, finished).await?;
        }
        Ok(())
    }
}
