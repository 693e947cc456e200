//! `bench sse`: how long an event takes to everybody who follows a swarm, and what each of them costs in memory.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
};

use super::{
    Run,
    brain::Brain,
    footprint,
    report::{Report, mib},
    samples::Samples,
    wire::Connection,
    workload,
};

const DATABASE: &str = "sse";
/// What every message of the benchmark has, and nothing else on a stream.
const MARK: &[u8] = b"event: bench.marked\n";
/// Time between two events: each is to meet subscribers that wait.
const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Subscribers of one swarm
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=4000))]
    subscribers: u32,
    /// Events that are published, one after the other
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    events: u32,
}

#[allow(clippy::cast_precision_loss, reason = "bytes of one process")]
pub(super) async fn run(run: &Run, args: &Args, report: &mut Report) -> Result<()> {
    report.condition("subscribers", args.subscribers);
    report.condition("events", args.events);
    run.progress.change("opening the streams");
    run.servers.database(DATABASE, Some(&run.brain)).await?;
    let brain = Brain::start(&run.servers, &run.brain, DATABASE, &[]).await?;
    let mut publisher = Connection::open(&brain.url).await?;
    publish(&mut publisher).await?;
    let before = footprint::rss(brain.pid())?;
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let mut subscribers = JoinSet::new();
    for _ in 0..args.subscribers {
        let stream = subscribe(&brain.url).await?;
        subscribers.spawn(watch(stream, arrived.clone()));
    }
    drop(arrived);
    // One event that is not counted, so that everything has happened once.
    let (first, last) = (Samples::new()?, Samples::new()?);
    run.progress.change("publishing");
    for n in 0..=args.events {
        tokio::time::sleep(PAUSE).await;
        let began = Instant::now();
        publish(&mut publisher).await?;
        let mut times = Vec::new();
        while times.len() < args.subscribers as usize {
            let arrival = tokio::time::timeout(PATIENCE, arrivals.recv()).await;
            let at: Instant = arrival
                .with_context(|| format!("{} of {} subscribers have it", times.len(), args.subscribers))?
                .context("every stream has ended")?;
            times.push(at.duration_since(began));
        }
        if n > 0 {
            first.record(times.iter().min().copied().unwrap_or_default());
            last.record(times.iter().max().copied().unwrap_or_default());
        }
    }
    let each = footprint::rss(brain.pid())?.saturating_sub(before) as f64 / f64::from(args.subscribers) / 1024.0;
    subscribers.abort_all();
    report.times(
        "from before publishing until the first subscriber has it",
        &first.percentiles(),
        None,
    );
    let times = last.percentiles();
    report.at_most("until the last one has it, p50", times.p50, "ms", 50.0);
    report.at_most("until the last one has it, p99", times.p99, "ms", 50.0);
    report.at_most("resident memory for each subscriber", each, "KiB", 40.0);
    report.add("resident memory before the first one", mib(before), "MiB");
    Ok(())
}

async fn publish(connection: &mut Connection) -> Result<()> {
    let event = json!({ "type": "bench.marked", "swarmId": workload::SWARM, "runId": "bench-run", "actorId": "bench" });
    let (status, answer) = connection
        .post("/api/swarm/events", &serde_json::to_vec(&event)?)
        .await?;
    if status != 201 {
        bail!(
            "publishing was answered with {status}: {}",
            String::from_utf8_lossy(answer)
        );
    }
    Ok(())
}

/// Opens a stream and waits for its first message, which says from where it goes on.
async fn subscribe(url: &str) -> Result<TcpStream> {
    let host = url.strip_prefix("http://").context("a url that starts with http://")?;
    let mut stream = TcpStream::connect(host).await?;
    let request = format!(
        "GET /api/swarm/events/stream?swarmId={} HTTP/1.1\r\nhost: {host}\r\n\r\n",
        workload::SWARM
    );
    stream.write_all(request.as_bytes()).await?;
    let mut text = Vec::new();
    while !text.windows(5).any(|window| window == b"\nid: ") {
        if stream.read_buf(&mut text).await? == 0 {
            bail!("a stream was refused: {}", String::from_utf8_lossy(&text));
        }
    }
    Ok(stream)
}

/// Says when each event arrives.
async fn watch(mut stream: TcpStream, arrived: mpsc::UnboundedSender<Instant>) {
    let mut text = Vec::with_capacity(2048);
    loop {
        match stream.read_buf(&mut text).await {
            Ok(1..) => {}
            _ => return,
        }
        while let Some(place) = text.windows(MARK.len()).position(|window| window == MARK) {
            text.drain(..place + MARK.len());
            if arrived.send(Instant::now()).is_err() {
                return;
            }
        }
    }
}
