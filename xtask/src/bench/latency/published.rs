//! Latency at 500 events a second: from the publisher's call to stored, and to the follow-up on the stream.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Result;
use fred::{clients::Client as Redis, interfaces::StreamsInterface as _, types::Value};
use tokio_util::sync::CancellationToken;

use crate::bench::{
    brain::{Brain, Servers},
    samples::{Percentiles, Samples},
    workload::{self, AGENTS},
};

const DATABASE: &str = "latency";
const RATE: u32 = 500;
const WARM_UP: Duration = Duration::from_secs(3);

#[derive(Debug, Clone)]
pub(super) struct Latency {
    /// An HTTP publish, until its durable answer.
    pub(super) http: Percentiles,
    /// From before the XADD until the row was written, by the clock of this machine.
    pub(super) stream_stored: Percentiles,
    /// From before the XADD until the follow-up came back on the stream: stored, committed and relayed.
    pub(super) stream_follow_up: Percentiles,
}

pub(super) async fn measure(servers: &Servers, program: &Path, window: Duration) -> Result<Latency> {
    let database = servers.database(DATABASE, Some(program)).await?;
    let brain = Brain::start(servers, program, DATABASE, &[]).await?;
    let redis = servers.redis().await?;
    let stream = format!("bench.{DATABASE}");
    for agent in 0..AGENTS {
        let _: Value = redis
            .xadd(
                &stream,
                false,
                None::<()>,
                "*",
                vec![("event", workload::agent_joined(workload::SWARM, agent))],
            )
            .await?;
    }
    let http = http_publish(&brain, window).await?;
    let sent: Sent = Arc::default();
    let done = CancellationToken::new();
    let reading = tokio::spawn(follow_ups(
        servers.redis().await?,
        stream.clone(),
        Arc::clone(&sent),
        done.clone(),
    ));
    let mut ticks = ticks();
    let begun = Instant::now();
    while begun.elapsed() < WARM_UP + window {
        ticks.tick().await;
        let json = workload::task_created(workload::SWARM);
        if begun.elapsed() > WARM_UP {
            let id = serde_json::from_str::<Ids>(&json)?.id;
            sent.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(id, Instant::now());
        }
        let _: Value = redis
            .xadd(&stream, false, None::<()>, "*", vec![("event", json)])
            .await?;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    done.cancel();
    let stream_follow_up = reading.await??.percentiles();
    let row = database
        .query_one(include_str!("../sql/select_stored_times.sql"), &[&window.as_secs_f64()])
        .await?;
    let stored: Vec<f64> = row.get(0);
    let samples = u64::try_from(row.get::<_, i64>(1)).unwrap_or(0);
    Ok(Latency {
        http,
        stream_stored: Percentiles {
            p50: stored[0],
            p99: stored[1],
            samples,
        },
        stream_follow_up,
    })
}

type Sent = Arc<Mutex<HashMap<String, Instant>>>;

/// The ids of an event that matter here.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ids {
    id: String,
    #[serde(default)]
    causation_id: Option<String>,
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    ticks
}

/// Publishes at the rate over HTTP, each call on its own, and times the answers.
async fn http_publish(brain: &Brain, window: Duration) -> Result<Percentiles> {
    let client = reqwest::Client::new();
    let url = format!("{}/api/swarm/events", brain.url);
    let times = Arc::new(Samples::new()?);
    let mut calls = tokio::task::JoinSet::new();
    let mut ticks = ticks();
    let begun = Instant::now();
    while begun.elapsed() < WARM_UP + window {
        ticks.tick().await;
        let (client, url, times) = (client.clone(), url.clone(), Arc::clone(&times));
        let counts = begun.elapsed() > WARM_UP;
        calls.spawn(async move {
            let body = workload::task_created(workload::SWARM);
            let started = Instant::now();
            let answer = client
                .post(url)
                .header("content-type", "application/json")
                .body(body)
                .send()
                .await?
                .error_for_status()?;
            answer.bytes().await?;
            if counts {
                times.record(started.elapsed());
            }
            anyhow::Ok(())
        });
    }
    while let Some(call) = calls.join_next().await {
        call??;
    }
    Ok(times.percentiles())
}

/// Reads the stream as any subscriber may, and times the follow-ups of what was sent.
async fn follow_ups(redis: Redis, stream: String, sent: Sent, done: CancellationToken) -> Result<Samples> {
    let times = Samples::new()?;
    let mut after = "$".to_owned();
    while !done.is_cancelled() {
        let answer: Value = redis.xread(Some(100), Some(200), &stream, &after).await?;
        let now = Instant::now();
        let streams = answer.into_array();
        let entries = streams
            .into_iter()
            .next()
            .map(Value::into_array)
            .and_then(|stream| stream.into_iter().nth(1));
        for entry in entries.map(Value::into_array).unwrap_or_default() {
            let mut parts = entry.into_array().into_iter();
            after = parts.next().and_then(|id| id.as_string()).unwrap_or(after);
            let fields = parts.next().map(Value::into_array).unwrap_or_default();
            let event = fields
                .chunks(2)
                .find(|pair| pair[0].as_str().as_deref() == Some("event"))
                .and_then(|pair| pair[1].as_string());
            let cause = event
                .and_then(|json| serde_json::from_str::<Ids>(&json).ok())
                .and_then(|ids| ids.causation_id);
            let started = cause.and_then(|cause| sent.lock().unwrap_or_else(PoisonError::into_inner).remove(&cause));
            if let Some(started) = started {
                times.record(now.duration_since(started));
            }
        }
    }
    Ok(times)
}
