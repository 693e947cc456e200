//! The ceilings of life cycles: the three changes of a task, each with its event, in bare loops.
//!
//! No queue is read, nothing is checked or decided, nobody waits for a lock: what remains is what the server can do. Each
//! change is one statement that commits by itself, and so one round trip.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::task::JoinSet;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::bench::{brain::Servers, workload};

const WARM_UP: Duration = Duration::from_secs(5);
const SINGLE: [&str; 3] = [
    include_str!("../sql/create_task.sql"),
    include_str!("../sql/start_task.sql"),
    include_str!("../sql/complete_task.sql"),
];
const BATCH: [&str; 3] = [
    include_str!("../sql/create_tasks.sql"),
    include_str!("../sql/start_tasks.sql"),
    include_str!("../sql/complete_tasks.sql"),
];
/// A plan that was made while the tables were empty must not read them whole when they are large.
const BY_INDEX: &str = "SET synchronous_commit = on; SET enable_seqscan = off";

/// What the connections share.
#[derive(Default)]
struct Shared {
    seq: AtomicI64,
    done: AtomicU64,
    stop: AtomicBool,
}

/// Life cycles a second, each of three transactions of its own.
pub(super) async fn single(servers: &Servers, connections: usize, window: Duration) -> Result<f64> {
    measure(servers, "ceiling_single", connections, 1, window).await
}

/// Life cycles a second, `batch` of them in three transactions.
pub(super) async fn batches(servers: &Servers, connections: usize, batch: usize, window: Duration) -> Result<f64> {
    measure(servers, "ceiling_batch", connections, batch, window).await
}

async fn measure(servers: &Servers, database: &str, connections: usize, batch: usize, window: Duration) -> Result<f64> {
    servers.database(database, None).await?;
    let shared = Arc::new(Shared::default());
    let mut loops = JoinSet::new();
    for n in 0..connections {
        let client = servers.connect(database).await?;
        client.batch_execute(BY_INDEX).await?;
        let (shared, agent) = (Arc::clone(&shared), format!("agent-{n}"));
        loops.spawn(async move {
            if batch == 1 {
                one_by_one(&client, &shared, &agent).await
            } else {
                in_batches(&client, &shared, &agent, batch).await
            }
        });
    }
    let timing = async {
        tokio::time::sleep(WARM_UP).await;
        let (from, first) = (Instant::now(), shared.done.load(Relaxed));
        tokio::time::sleep(window).await;
        let (last, took) = (shared.done.load(Relaxed), from.elapsed());
        shared.stop.store(true, Relaxed);
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        let done = (last - first) as f64;
        anyhow::Ok(done / took.as_secs_f64())
    };
    let working = async {
        while let Some(ended) = loops.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    };
    let (per_second, ()) = tokio::try_join!(timing, working)?;
    servers.forget(database).await?;
    Ok(per_second)
}

async fn one_by_one(client: &Client, shared: &Shared, agent: &str) -> Result<()> {
    let [create, start, complete] = [
        client.prepare(SINGLE[0]).await?,
        client.prepare(SINGLE[1]).await?,
        client.prepare(SINGLE[2]).await?,
    ];
    let inputs = workload::inputs().to_string();
    let id = || Uuid::now_v7().to_string();
    let seq = || shared.seq.fetch_add(1, Relaxed) + 1;
    while !shared.stop.load(Relaxed) {
        let task = format!("task-{}", id());
        let [created, started, completed] = payloads(&task, &inputs, agent);
        client
            .execute(&create, &[&seq(), &id(), &task, &created, &inputs])
            .await?;
        client
            .execute(&start, &[&seq(), &id(), &task, &started, &agent])
            .await?;
        client
            .execute(&complete, &[&seq(), &id(), &task, &completed, &agent])
            .await?;
        shared.done.fetch_add(1, Relaxed);
    }
    Ok(())
}

async fn in_batches(client: &Client, shared: &Shared, agent: &str, batch: usize) -> Result<()> {
    let [create, start, complete] = [
        client.prepare(BATCH[0]).await?,
        client.prepare(BATCH[1]).await?,
        client.prepare(BATCH[2]).await?,
    ];
    let inputs = workload::inputs().to_string();
    let all_inputs = vec![inputs.clone(); batch];
    let count = i64::try_from(batch)?;
    let ids = || -> Vec<String> { (0..batch).map(|_| Uuid::now_v7().to_string()).collect() };
    let seqs = || -> Vec<i64> {
        let first = shared.seq.fetch_add(count, Relaxed) + 1;
        (first..first + count).collect()
    };
    while !shared.stop.load(Relaxed) {
        let tasks: Vec<String> = ids().into_iter().map(|id| format!("task-{id}")).collect();
        let [mut created, mut started, mut completed] = [const { Vec::new() }; 3];
        for task in &tasks {
            let [a, b, c] = payloads(task, &inputs, agent);
            created.push(a);
            started.push(b);
            completed.push(c);
        }
        client
            .execute(&create, &[&seqs(), &ids(), &tasks, &created, &all_inputs])
            .await?;
        client
            .execute(&start, &[&seqs(), &ids(), &tasks, &started, &agent])
            .await?;
        client
            .execute(&complete, &[&seqs(), &ids(), &tasks, &completed, &agent])
            .await?;
        shared.done.fetch_add(batch as u64, Relaxed);
    }
    Ok(())
}

/// What the three events of a task say.
fn payloads(task: &str, inputs: &str, agent: &str) -> [String; 3] {
    [
        format!(r#"{{"taskId":"{task}","inputs":{inputs}}}"#),
        format!(r#"{{"taskId":"{task}","agentId":"{agent}","attempt":1,"fencingToken":1,"leaseMs":30000}}"#),
        format!(r#"{{"taskId":"{task}","agentId":"{agent}","fencingToken":1,"outputs":{{"summary":"done"}}}}"#),
    ]
}
