//! The ceiling: the statements of one task's worth in a bare loop on one connection, with the XADD of its follow-ups.
//!
//! No check, no decision, no number, no lock, no outbox, no acknowledgement: what remains is what the servers can do. One
//! task's worth is its event, its row and the event of its assignment, with the columns that a bare program would write.

use std::time::{Duration, Instant};

use anyhow::Result;
use fred::{interfaces::StreamsInterface as _, types::Value};
use futures_util::future::try_join;
use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{brain::Servers, workload};

const INSERT_EVENTS: &str = include_str!("sql/insert_events.sql");
const INSERT_TASKS: &str = include_str!("sql/insert_tasks.sql");
const WARM_UP: Duration = Duration::from_secs(5);

/// Tasks a second.
pub(super) async fn measure(servers: &Servers, batch: usize, window: Duration) -> Result<f64> {
    let client = servers.database("ceiling", None).await?;
    client.batch_execute("SET synchronous_commit = on").await?;
    let redis = servers.redis().await?;
    let events = client.prepare(INSERT_EVENTS).await?;
    let tasks = client.prepare(INSERT_TASKS).await?;
    let begun = Instant::now();
    let mut counted_from = None;
    let mut stored = 0_u64;
    let mut seq = 0_i64;
    while begun.elapsed() < WARM_UP + window {
        if counted_from.is_none() && begun.elapsed() >= WARM_UP {
            counted_from = Some(Instant::now());
        }
        let rows = Rows::new(batch, &mut seq);
        let transaction = async {
            let (event_parameters, task_parameters) = (rows.events(), rows.tasks());
            futures_util::future::try_join4(
                client.batch_execute("BEGIN"),
                client.execute(&events, &event_parameters),
                client.execute(&tasks, &task_parameters),
                client.batch_execute("COMMIT"),
            )
            .await?;
            anyhow::Ok(())
        };
        let relay = async {
            let pipeline = redis.pipeline();
            for json in &rows.follow_ups {
                let fields = vec![("event", json.as_str())];
                let () = pipeline
                    .xadd("bench.ceiling", false, ("MAXLEN", "~", 100_000), "*", fields)
                    .await?;
            }
            let _: Value = pipeline.all().await?;
            anyhow::Ok(())
        };
        try_join(transaction, relay).await?;
        if counted_from.is_some() {
            stored += batch as u64;
        }
    }
    let took = counted_from.map_or(window, |from| from.elapsed());
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok(stored as f64 / took.as_secs_f64())
}

/// The columns of one batch.
struct Rows {
    tenants: Vec<&'static str>,
    swarms: Vec<&'static str>,
    seqs: Vec<i64>,
    ids: Vec<String>,
    kinds: Vec<&'static str>,
    versions: Vec<i16>,
    runs: Vec<&'static str>,
    actors: Vec<&'static str>,
    payloads: Vec<String>,
    correlations: Vec<Option<String>>,
    causations: Vec<Option<String>>,
    none: Vec<Option<&'static str>>,
    entries: Vec<Option<String>>,
    times: Vec<Timestamp>,
    task_tenants: Vec<&'static str>,
    task_swarms: Vec<&'static str>,
    task_runs: Vec<&'static str>,
    task_none: Vec<Option<&'static str>>,
    created_events: Vec<String>,
    task_ids: Vec<String>,
    statuses: Vec<&'static str>,
    assignees: Vec<Option<String>>,
    priorities: Vec<i16>,
    attempts: Vec<i32>,
    max_attempts: Vec<i32>,
    inputs: Vec<Option<&'static str>>,
    follow_ups: Vec<String>,
}

impl Rows {
    fn new(batch: usize, seq: &mut i64) -> Self {
        let now = Timestamp::now();
        let inputs = r#"{"prompt":"summarise the findings of the last run and compare them with the plan","attempt":1,"budget":250}"#;
        let mut rows = Self {
            tenants: vec!["default"; batch * 2],
            swarms: vec![workload::SWARM; batch * 2],
            seqs: Vec::new(),
            ids: Vec::new(),
            kinds: Vec::new(),
            versions: vec![1; batch * 2],
            runs: vec!["bench-run"; batch * 2],
            actors: Vec::new(),
            payloads: Vec::new(),
            correlations: Vec::new(),
            causations: Vec::new(),
            none: vec![None; batch * 2],
            entries: Vec::new(),
            times: vec![now; batch * 2],
            task_tenants: vec!["default"; batch],
            task_swarms: vec![workload::SWARM; batch],
            task_runs: vec!["bench-run"; batch],
            task_none: vec![None; batch],
            created_events: Vec::new(),
            task_ids: Vec::new(),
            statuses: vec!["assigned"; batch],
            assignees: Vec::new(),
            priorities: vec![0; batch],
            attempts: vec![0; batch],
            max_attempts: vec![3; batch],
            inputs: vec![Some(inputs); batch],
            follow_ups: Vec::new(),
        };
        for n in 0..batch {
            let (id, follow_up) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
            let agent = format!("agent-{}", n % workload::AGENTS);
            let task = format!("task-{id}");
            rows.payloads
                .push(format!(r#"{{"taskId":"{task}","inputs":{inputs},"priority":0}}"#));
            rows.payloads
                .push(format!(r#"{{"taskId":"{task}","agentId":"{agent}","attempt":0}}"#));
            rows.follow_ups.push(format!(
                r#"{{"id":"{follow_up}","type":"task.assigned","swarmId":"bench","runId":"bench-run","actorId":"studio-brain","payload":{{"taskId":"{task}","agentId":"{agent}","attempt":0}},"createdAt":"{now}","schemaVersion":1,"correlationId":"{id}","causationId":"{id}"}}"#
            ));
            rows.kinds.extend(["task.created", "task.assigned"]);
            rows.actors.extend(["planner", "studio-brain"]);
            rows.seqs.extend([*seq + 1, *seq + 2]);
            *seq += 2;
            rows.correlations.extend([None, Some(id.clone())]);
            rows.causations.extend([None, Some(id.clone())]);
            rows.entries
                .extend([Some(format!("{}-{n}", now.as_millisecond())), None]);
            rows.created_events.push(id.clone());
            rows.task_ids.push(task);
            rows.assignees.push(Some(agent));
            rows.ids.extend([id, follow_up]);
        }
        rows
    }

    fn events(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![
            &self.tenants,
            &self.swarms,
            &self.seqs,
            &self.ids,
            &self.kinds,
            &self.versions,
            &self.runs,
            &self.actors,
            &self.payloads,
            &self.correlations,
            &self.causations,
            &self.none,
            &self.none,
            &self.none,
            &self.entries,
            &self.none,
            &self.times,
        ]
    }

    fn tasks(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![
            &self.task_tenants,
            &self.task_swarms,
            &self.task_ids,
            &self.task_runs,
            &self.statuses,
            &self.assignees,
            &self.task_none,
            &self.task_none,
            &self.priorities,
            &self.attempts,
            &self.max_attempts,
            &self.inputs,
            &self.task_none,
            &self.task_none,
            &self.created_events,
            &self.task_none,
        ]
    }
}
