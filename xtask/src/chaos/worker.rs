//! A worker as a process of its own, so that it can be killed and frozen: claims, heartbeats, works, says what came of it.
//!
//! It trusts nobody: what it does is in its ledger before it is said. When it hears that a lease is lost it says that
//! the task is done all the same, to see that this is refused.

mod held;
mod outcome;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid, getppid};
use serde::Deserialize;
use serde_json::{Value, json};

use self::held::Held;
use super::client::{Answer, Replicas};
use super::ledger::{Fate, Ledger, What};

/// The hidden command.
pub(crate) const COMMAND: &str = "__chaos-worker";

/// How long a claim waits for work.
const WAIT: Duration = Duration::from_millis(500);
/// Pause after a call that came to nothing.
const AGAIN: Duration = Duration::from_millis(50);
/// A worker that hears nothing for so long ends: nobody stopped it, so nobody is there.
const FORLORN: Duration = Duration::from_secs(120);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    agent: String,
    #[arg(long)]
    swarm: String,
    #[arg(long, value_delimiter = ',')]
    urls: Vec<String>,
    #[arg(long)]
    ledger: PathBuf,
    #[arg(long)]
    lease_ms: u64,
    #[arg(long)]
    seed: u64,
}

/// A task as it is handed out.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Handed {
    task_id: String,
    attempt: u32,
    fencing_token: i64,
    inputs: Value,
}

/// A task to work on.
#[derive(Debug, Clone)]
struct Task {
    task_id: String,
    attempt: u32,
    fencing_token: i64,
    inputs: Inputs,
}

/// What publishers ask for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inputs {
    fate: Fate,
    #[serde(default)]
    work_ms: u64,
    /// A flaky task fails this often.
    #[serde(default)]
    failures: u32,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let worker = Worker::new(args)?;
        tokio::select! {
            ended = worker.work() => ended?,
            ended = worker.heartbeats() => ended?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

struct Worker {
    agent: String,
    swarm: String,
    lease: Duration,
    replicas: Replicas,
    ledger: Arc<Ledger>,
    held: Held,
    seed: u64,
    parent: Pid,
}

impl Worker {
    fn new(args: Args) -> Result<Self> {
        let by = format!("{}#{}", args.agent, std::process::id());
        let lease = Duration::from_millis(args.lease_ms);
        let first = usize::try_from(args.seed % 1_000).unwrap_or_default();
        Ok(Self {
            replicas: Replicas::new(args.urls, first, (lease / 4).max(Duration::from_millis(500)))?,
            ledger: Arc::new(Ledger::open(&args.ledger, &by)?),
            agent: args.agent,
            swarm: args.swarm,
            lease,
            held: Held::default(),
            seed: args.seed,
            parent: getppid(),
        })
    }

    /// Says that it is there until somebody hears it.
    async fn register(&self) -> Result<()> {
        let body = json!({ "agentId": self.agent, "capabilities": ["chaos"], "assignment": "pull" });
        let begun = Instant::now();
        loop {
            match self.replicas.post(&self.swarm, "agents", &body).await {
                Answer::Said(200..300, _) => return Ok(()),
                Answer::Said(status, body) => bail!("the agent was refused with {status}: {body}"),
                Answer::Unclear(_) if begun.elapsed() < FORLORN => tokio::time::sleep(AGAIN).await,
                Answer::Unclear(reason) => bail!("nobody answers: {reason}"),
            }
        }
    }

    async fn work(&self) -> Result<()> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        self.register().await?;
        let mut heard = Instant::now();
        loop {
            let body = json!({ "agentId": self.agent, "max": random.u32(1..=5), "waitMs": WAIT.as_millis() });
            let limit = WAIT + self.lease / 2;
            match self
                .replicas
                .post_within(&self.swarm, "tasks/claim", &body, limit)
                .await
            {
                Answer::Said(200, body) => {
                    heard = Instant::now();
                    self.take(body, &mut random).await?;
                }
                // Nobody knows this agent: its registration was not the last word.
                Answer::Said(404, _) => self.register().await?,
                Answer::Said(status, body) => bail!("a claim was refused with {status}: {body}"),
                Answer::Unclear(reason) if heard.elapsed() > FORLORN => bail!("nobody answers: {reason}"),
                Answer::Unclear(_) => tokio::time::sleep(AGAIN).await,
            }
            if getppid() != self.parent {
                bail!("whoever started this worker is gone");
            }
        }
    }

    async fn take(&self, mut body: Value, random: &mut fastrand::Rng) -> Result<()> {
        let handed: Vec<Handed> =
            serde_json::from_value(body["tasks"].take()).context("a claim has another answer than expected")?;
        let mut tasks = Vec::new();
        for task in handed {
            let (id, token) = (task.task_id, task.fencing_token);
            let detail = format!("attempt {}", task.attempt);
            self.ledger.write(What::Claimed, &id, token, false, &detail)?;
            match serde_json::from_value(task.inputs.clone()) {
                Ok(inputs) => {
                    self.held.add(&id, token);
                    tasks.push(Task {
                        task_id: id,
                        attempt: task.attempt,
                        fencing_token: token,
                        inputs,
                    });
                }
                // Nobody can work on that; its lease runs out.
                Err(_) => {
                    let words = format!("it was handed out with other inputs than it has: {}", task.inputs);
                    self.ledger.write(What::Unexpected, &id, token, false, &words)?;
                }
            }
        }
        // A canary that dies with its worker says nothing about whether work flows.
        tasks.sort_by_key(|task| task.inputs.fate != Fate::Canary);
        let together = tasks.len() > 1 && random.u8(..100) < 25;
        let mut finished = Vec::new();
        for task in &tasks {
            if task.inputs.fate == Fate::Poison {
                // As a crash would end it: no farewell, and nothing of what else it has is finished.
                kill(getpid(), Signal::SIGKILL).context("cannot end this process")?;
            }
            let work = Duration::from_millis(task.inputs.work_ms);
            if random.u8(..100) < 10 {
                tokio::time::sleep(work / 2).await;
                self.progress(task).await?;
                tokio::time::sleep(work / 2).await;
            } else {
                tokio::time::sleep(work).await;
            }
            if task.inputs.fate == Fate::Plain && task.attempt == 1 && random.u8(..100) < 3 {
                self.release(task).await?;
            } else if together && task.inputs.fate != Fate::Canary {
                finished.push(task);
            } else {
                self.finish_one(task).await?;
            }
        }
        self.finish_all(&finished).await
    }

    /// Renews what it has, for ever.
    async fn heartbeats(&self) -> Result<()> {
        let mut interval = tokio::time::interval(self.lease / 5);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let held = self.held.all();
            if held.is_empty() {
                continue;
            }
            let named: Vec<Value> = held
                .iter()
                .map(|(task, token)| json!({ "taskId": task, "fencingToken": token }))
                .collect();
            let path = format!("agents/{}/heartbeat", self.agent);
            let body = json!({ "tasks": named });
            let Some(answer) = self.replicas.post(&self.swarm, &path, &body).await.success() else {
                continue;
            };
            for lost in answer["lost"].as_array().into_iter().flatten() {
                let (Some(task), Some(token)) = (lost["taskId"].as_str(), lost["fencingToken"].as_i64()) else {
                    bail!("a heartbeat has another answer than expected: {answer}");
                };
                // What was finished while the heartbeat was under way is not held any more either.
                if self.held.lose(task, token) {
                    let reason = lost["reason"].as_str().unwrap_or_default();
                    self.ledger.write(What::Lost, task, token, false, reason)?;
                }
            }
        }
    }
}
