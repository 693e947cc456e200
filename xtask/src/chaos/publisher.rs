//! Publishers: create tasks over HTTP and by a plain XADD, and write down what was acknowledged.
//!
//! A task counts as promised when its creation was answered with 201, or, for an XADD, when the brain shows it: an entry
//! that nobody has read yet goes away with the stream, so the foreign client adds it again until the task is there.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::Result;
use brain_connectivity::redis::Redis;
use brain_swarm::ids::{SwarmId, TenantId};
use fred::interfaces::StreamsInterface as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::client::{Answer, Replicas, problem};
use super::ledger::Promise;
use super::verify::Violation;
use super::workload::{self, Draft, Workload};
use super::world::World;

/// Pause after a call that came to nothing.
const AGAIN: Duration = Duration::from_millis(50);
/// How long a call is repeated.
const PATIENCE: Duration = Duration::from_secs(90);
/// An entry that is not there by then is added again.
const ADD_AGAIN: Duration = Duration::from_secs(3);
/// Foreign tasks under way for one publisher.
const FOREIGN: usize = 8;
/// Open tasks above which publishers wait.
const ENOUGH_OPEN: usize = 400;

/// What publishers share with each other and with the harness.
pub(super) struct Press {
    world: Arc<World>,
    replicas: Replicas,
    redis: Redis,
    promises: Mutex<Vec<Promise>>,
    violations: Mutex<Vec<Violation>>,
    /// Open tasks, as last counted.
    pub(super) open: AtomicUsize,
    stopped: AtomicBool,
}

impl Press {
    pub(super) fn new(world: Arc<World>, urls: Vec<String>) -> Result<Self> {
        Ok(Self {
            replicas: Replicas::new(urls, 0, world.lease / 2)?,
            redis: Redis::open(&world.config.redis)?,
            world,
            promises: Mutex::default(),
            violations: Mutex::default(),
            open: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        })
    }

    /// Publishers end after what they have in hand.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn promises(&self) -> Vec<Promise> {
        lock(&self.promises).clone()
    }

    pub(super) fn promised(&self) -> usize {
        lock(&self.promises).len()
    }

    pub(super) fn violations(&self) -> Vec<Violation> {
        std::mem::take(&mut lock(&self.violations))
    }

    fn violation(&self, kind: &'static str, detail: String) {
        lock(&self.violations).push(Violation::new(kind, detail));
    }

    /// Creates a task over HTTP; the call is repeated with the same key until the answer is clear.
    pub(super) async fn create(&self, draft: Draft) {
        let (promise, body) = keyed(draft);
        if let Some(task) = self.create_one(&promise.swarm, &body).await {
            lock(&self.promises).push(Promise { task, ..promise });
        }
    }

    async fn create_one(&self, swarm: &str, body: &Value) -> Option<String> {
        let answer = self.ask(swarm, body).await?;
        let task = answer["taskId"].as_str().map(str::to_owned);
        if task.is_none() {
            self.violation("answer", format!("a created task has no taskId: {answer}"));
        }
        task
    }

    /// The answer to a creation that succeeded.
    async fn ask(&self, swarm: &str, body: &Value) -> Option<Value> {
        let begun = Instant::now();
        loop {
            match self.replicas.post(swarm, "tasks", body).await {
                Answer::Said(201, answer) => return Some(answer),
                Answer::Said(status, answer) => {
                    self.violation("creation refused", format!("{status} {answer} to {body}"));
                    return None;
                }
                Answer::Unclear(_) if begun.elapsed() < PATIENCE => tokio::time::sleep(AGAIN).await,
                Answer::Unclear(reason) => {
                    self.violation(
                        "stuck",
                        format!("a task could not be created within {PATIENCE:?}: {reason}"),
                    );
                    return None;
                }
            }
        }
    }

    /// Adds an event to the stream of its swarm until the brain shows the task.
    pub(super) async fn add(&self, draft: Draft) {
        let Ok(swarm) = SwarmId::new(draft.promise.swarm.as_str()) else {
            return;
        };
        let stream = self.world.streams.of(&TenantId::single(), &swarm);
        let event = workload::event(&draft).to_string();
        let path = format!("tasks/{}", draft.promise.task);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let fields = vec![("event", event.as_str())];
            let commands = self.redis.commands();
            let added = commands.xadd::<String, _, _, _, _>(stream.as_str(), false, None::<()>, "*", fields);
            if added.await.is_err() {
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            let added = Instant::now();
            while added.elapsed() < ADD_AGAIN {
                tokio::time::sleep(AGAIN).await;
                if self.replicas.get(&draft.promise.swarm, &path).await.success().is_some() {
                    lock(&self.promises).push(draft.promise);
                    return;
                }
            }
        }
        let words = format!(
            "task {} did not appear within {PATIENCE:?} of its XADD",
            draft.promise.task
        );
        self.violation("stuck", words);
    }

    /// Publishes for one swarm after the other until it is stopped; `pace` is the time between two requests.
    pub(super) async fn publish(self: Arc<Self>, number: usize, seed: u64, pace: Duration) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut workloads: Vec<Workload> = self
            .world
            .swarms
            .iter()
            .enumerate()
            .map(|(at, swarm)| Workload::new(random.u64(..), swarm, &format!("p{number}-{at}")))
            .collect();
        let mut foreign = JoinSet::new();
        let mut turn = 0;
        while !self.stopped.load(Ordering::Relaxed) {
            if self.open.load(Ordering::Relaxed) > ENOUGH_OPEN {
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            turn += 1;
            let index = turn % workloads.len();
            let workload = &mut workloads[index];
            match random.u8(..100) {
                0..55 => self.single(workload, &mut random).await,
                55..75 => self.batch(workload).await,
                _ => {
                    while foreign.len() >= FOREIGN {
                        foreign.join_next().await;
                    }
                    let draft = workload.single();
                    foreign.spawn({
                        let press = Arc::clone(&self);
                        async move { press.add(draft).await }
                    });
                }
            }
            tokio::time::sleep(pace.mul_f64(random.f64() * 2.0)).await;
        }
        foreign.join_all().await;
    }

    async fn single(&self, workload: &mut Workload, random: &mut fastrand::Rng) {
        let (promise, mut body) = keyed(workload.single());
        if random.u8(..100) < 20
            && let Some(fields) = body.as_object_mut()
        {
            // The brain names it.
            fields.remove("taskId");
        }
        let Some(task) = self.create_one(&promise.swarm, &body).await else {
            return;
        };
        workload.promised(&task);
        match random.u8(..100) {
            0..5 => match self.ask(&promise.swarm, &body).await {
                Some(again) if again["taskId"] == task.as_str() && again["duplicate"] == true => {}
                Some(again) => self.violation("idempotency", format!("{body} made {task}, and again: {again}")),
                None => {}
            },
            5..8 => {
                body["inputs"]["workMs"] = 987_654.into();
                match self.replicas.post(&promise.swarm, "tasks", &body).await {
                    Answer::Said(409, answer) if problem(&answer) == "event-conflict" => {}
                    Answer::Unclear(_) => {}
                    Answer::Said(status, answer) => {
                        let words = format!("the key of {task} with other content: {status} {answer}");
                        self.violation("idempotency", words);
                    }
                }
            }
            _ => {}
        }
        lock(&self.promises).push(Promise { task, ..promise });
    }

    async fn batch(&self, workload: &mut Workload) {
        let (promises, bodies): (Vec<Promise>, Vec<Value>) = workload.batch().into_iter().map(keyed).unzip();
        let Some(first) = promises.first() else { return };
        let body = json!({ "tasks": bodies });
        let Some(answer) = self.ask(&first.swarm, &body).await else {
            return;
        };
        let named: Vec<&str> = answer["tasks"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|task| task["taskId"].as_str())
            .collect();
        let asked: Vec<&str> = promises.iter().map(|promise| promise.task.as_str()).collect();
        if named != asked {
            self.violation("answer", format!("a batch of {asked:?} was answered with {answer}"));
            return;
        }
        for promise in &promises {
            workload.promised(&promise.task);
        }
        lock(&self.promises).extend(promises);
    }
}

/// Gives a task the key by which a repeated request is recognised.
fn keyed(mut draft: Draft) -> (Promise, Value) {
    draft.body["idempotencyKey"] = format!("key-{}", draft.promise.task).into();
    (draft.promise, draft.body)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|broken| broken.into_inner())
}
