//! The desk of a running `brain`, over HTTP: one connection for each worker.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context as _, Result, bail};
use brain_swarm::ids::TaskId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Desk, Held};
use crate::bench::{brain::Brain, wire::Connection, workload};

/// The program for one worker.
pub(in crate::bench) struct HttpDesk {
    connection: Connection,
    agent: String,
}

#[derive(Deserialize)]
struct Claimed {
    tasks: Vec<Held>,
}

#[derive(Deserialize)]
struct Finished {
    results: Vec<Value>,
}

impl HttpDesk {
    pub(in crate::bench) async fn open(brain: &Brain, worker: usize) -> Result<Self> {
        Ok(Self {
            connection: Connection::open(&brain.url).await?,
            agent: format!("agent-{worker}"),
        })
    }

    /// Whether this program hands out tasks over HTTP at all.
    pub(in crate::bench) async fn is_served(brain: &Brain) -> Result<bool> {
        let mut connection = Connection::open(&brain.url).await?;
        let (status, _) = connection.post("/api/swarm/tasks/claim?swarmId=bench", b"{}").await?;
        Ok(!matches!(status, 404 | 405))
    }

    async fn ask(&mut self, path: &str, body: &Value) -> Result<&[u8]> {
        let body = serde_json::to_vec(body)?;
        let path = format!("/api/swarm{path}?swarmId={}", workload::SWARM);
        let (status, answer) = self.connection.post(&path, &body).await?;
        if !(200..300).contains(&status) {
            bail!("{path} was answered with {status}: {}", String::from_utf8_lossy(answer));
        }
        Ok(answer)
    }
}

impl Desk for HttpDesk {
    async fn join(&mut self) -> Result<()> {
        let body = json!({ "agentId": self.agent, "runId": "bench-run", "assignment": "pull" });
        self.ask("/agents", &body).await?;
        Ok(())
    }

    async fn create(&mut self, ids: Vec<TaskId>) -> Result<()> {
        let task = |id: &TaskId| json!({ "taskId": id, "runId": "bench-run", "inputs": workload::inputs() });
        let body = match ids.as_slice() {
            [id] => task(id),
            ids => json!({ "tasks": ids.iter().map(task).collect::<Vec<_>>() }),
        };
        self.ask("/tasks", &body).await?;
        Ok(())
    }

    async fn claim(&mut self, most: usize, wait: Duration) -> Result<Vec<Held>> {
        let wait = u64::try_from(wait.as_millis())?;
        let body = json!({ "agentId": self.agent, "max": most, "waitMs": wait });
        let answer = self.ask("/tasks/claim", &body).await?;
        let claimed: Claimed = serde_json::from_slice(answer).context("the answer to a claim")?;
        Ok(claimed.tasks)
    }

    async fn complete(&mut self, held: Vec<Held>) -> Result<()> {
        let outputs = json!({ "summary": "done" });
        if let [held] = held.as_slice() {
            let mut path = String::new();
            write!(path, "/tasks/{}/complete", held.task_id)?;
            let body = json!({ "agentId": self.agent, "fencingToken": held.fencing_token, "outputs": outputs });
            self.ask(&path, &body).await?;
            return Ok(());
        }
        let results: Vec<Value> = held
            .iter()
            .map(|held| json!({ "taskId": held.task_id, "fencingToken": held.fencing_token, "outputs": outputs }))
            .collect();
        let answer = self
            .ask("/tasks/finish", &json!({ "agentId": self.agent, "results": results }))
            .await?;
        let finished: Finished = serde_json::from_slice(answer).context("the answer to results")?;
        match finished.results.iter().find(|result| result.get("problem").is_some()) {
            Some(refused) => bail!("a result was refused: {refused}"),
            None => Ok(()),
        }
    }
}
