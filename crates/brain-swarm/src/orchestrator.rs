//! The orchestrator: takes leases on streams, consumes and relays those it holds, and sweeps.
//!
//! Invariants: a stream is consumed and relayed by the holder of its lease alone; whatever ends unasked is started again
//! while the lease is held; on shutdown the batch in hand is finished and the leases are given back.

mod gauges;
mod leases;
mod letters;
mod partition;
mod probe;
mod reading;
mod relayed;
mod retries;
mod status;
mod sweep;

use std::{collections::HashMap, time::Duration};

use brain_connectivity::{postgres::Postgres, redis::Redis};
use futures_util::FutureExt as _;
use jiff::Timestamp;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::{
    gauges::Gauges,
    leases::{Lease, Leases},
    partition::{End, Partition, Parts},
    sweep::Sweep,
};
pub use self::{
    probe::EventBusProbe,
    status::{ConsumerState, Handle, PartitionSnapshot, Snapshot},
};
use crate::{
    bus::StreamNames,
    decide::ORCHESTRATOR_ROLE,
    event::{Context, Event, EventType},
    ids::{ActorId, EventId, FencingToken, RunId, StreamName, SwarmId, TenantId},
    metric_names::STREAM_LEASES_LOST,
    publish::Publisher,
    relay::{Marks, Relay, RelayQueue},
};

/// How often the relays look at the outbox although nobody rang: a notification may have been lost.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What the orchestrator works with.
pub struct Options {
    /// The truth.
    pub postgres: Postgres,
    /// The transport.
    pub redis: Redis,
    /// How the streams are named, read and leased.
    pub bus: brain_config::Bus,
    /// The swarm this service belongs to, and its time limits.
    pub swarm: brain_config::Swarm,
    /// For the events that it publishes itself.
    pub publisher: Publisher,
    /// The queue that the publisher fills.
    pub queue: RelayQueue,
    /// Unique for each process: two processes with one id would share leases.
    pub replica_id: String,
}

/// The orchestrator of one process.
pub struct Service {
    options: Options,
    streams: StreamNames,
    handle: Handle,
}

struct Running {
    token: FencingToken,
    stop: CancellationToken,
    task: JoinHandle<End>,
}

impl Service {
    /// The service and a view of it.
    #[must_use]
    pub fn new(options: Options) -> (Self, Handle) {
        let gauges = Gauges::new(options.postgres.clone(), options.redis.clone(), options.bus.clone());
        let handle = Handle::new(&options.replica_id).with_gauges(gauges);
        let streams = StreamNames::new(&options.bus);
        (
            Self {
                options,
                streams,
                handle: handle.clone(),
            },
            handle,
        )
    }

    /// Runs until `shutdown`; then finishes the batches in hand and gives the leases back.
    pub async fn run(self, shutdown: CancellationToken) {
        self.handle.ended(false);
        let stop = CancellationToken::new();
        let side_tasks = [
            tokio::spawn(announce(
                self.announcement(),
                self.options.publisher.clone(),
                stop.clone(),
            )),
            tokio::spawn(listen(
                self.options.postgres.clone(),
                self.options.queue.clone(),
                stop.clone(),
            )),
            tokio::spawn(ring_elsewhere(
                self.options.postgres.clone(),
                self.options.queue.clone(),
                stop.clone(),
            )),
            tokio::spawn(sweep_on(
                self.sweep(),
                self.handle.clone(),
                self.streams.clone(),
                self.options.swarm.sweep_interval,
                self.own_agent(),
                stop.clone(),
            )),
        ];
        self.hold_leases(&shutdown).await;
        stop.cancel();
        for task in side_tasks {
            let _ = task.await;
        }
        self.handle.ended(true);
    }

    /// Takes, renews and gives back leases, and runs a consumer and a relay for each.
    async fn hold_leases(&self, shutdown: &CancellationToken) {
        let bus = &self.options.bus;
        let leases = Leases::new(
            self.options.postgres.clone(),
            &self.streams,
            &self.options.replica_id,
            bus.lease,
        );
        let mut running: HashMap<StreamName, Running> = HashMap::new();
        let mut registered = false;
        let mut renewed = std::time::Instant::now();
        while !shutdown.is_cancelled() {
            let tick = async {
                if !registered {
                    leases.register(&self.streams).await?;
                    registered = true;
                }
                leases.tick().await
            };
            let started = std::time::Instant::now();
            let next = match tick.await {
                Ok(tick) => {
                    self.handle.leases(None);
                    renewed = started;
                    self.follow(&tick, &mut running, &leases).await;
                    if tick.accompanied {
                        let left = self.patience_left();
                        if left.is_zero() {
                            self.stand_aside(&mut running, &leases, shutdown).await;
                            continue;
                        }
                        tick.next.min(left.max(Duration::from_millis(50)))
                    } else {
                        tick.next
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %error, "leases could not be renewed");
                    self.handle.leases(Some(error.to_string()));
                    if renewed.elapsed() > bus.lease {
                        // By now others may consume what we held. Our writes would be refused anyway.
                        for (stream, consumer) in running.drain() {
                            metrics::counter!(STREAM_LEASES_LOST).increment(1);
                            self.end(&stream, consumer).await;
                        }
                    }
                    (bus.lease / 10).min(Duration::from_secs(1))
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(next) => {}
            }
        }
        self.leave(&mut running, &leases, Duration::MAX).await;
    }

    /// Ends every consumer, gives every lease back and takes this replica off the list. A consumer that takes longer than
    /// `patience` is ended where it stands: what it writes without its lease is refused.
    async fn leave(&self, running: &mut HashMap<StreamName, Running>, leases: &Leases, patience: Duration) {
        let ending = running.drain().map(async |(stream, consumer)| {
            let token = consumer.token;
            let task = consumer.task.abort_handle();
            if tokio::time::timeout(patience, self.end(&stream, consumer))
                .await
                .is_err()
            {
                task.abort();
                self.handle.closed(&stream);
            }
            if let Err(error) = leases.release(&stream, token).await {
                tracing::warn!(stream.name = %stream, error = %error, "the lease was not given back and must run out");
            }
        });
        futures_util::future::join_all(ending).await;
        let _ = leases.leave().await;
    }

    /// How long Redis may still be silent until another replica should try.
    fn patience_left(&self) -> Duration {
        let bus = &self.options.bus;
        let patience = (bus.lease / 2).max(bus.poll_interval + reading::LAST_READ);
        patience.saturating_sub(self.handle.deaf_for().unwrap_or_default())
    }

    /// Leaves the streams to replicas that Redis may answer, until it answers here. The last one that is left never does this: where
    /// nobody hears, there is nothing to win.
    async fn stand_aside(
        &self,
        running: &mut HashMap<StreamName, Running>,
        leases: &Leases,
        shutdown: &CancellationToken,
    ) {
        let why = "redis does not answer this replica; its streams are left to others until it does";
        tracing::warn!("{why}");
        self.handle.leases(Some(why.to_owned()));
        // What reads from a server that is silent may not end for as long as that is.
        self.leave(running, leases, self.options.bus.lease / 6).await;
        let pause = (self.options.bus.lease / 10).min(Duration::from_secs(1));
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let answered = tokio::time::timeout(self.options.bus.lease / 3, self.options.redis.ping()).await;
            if matches!(answered, Ok(Ok(()))) {
                tracing::info!("redis answers again");
                self.handle.heard_again();
                return;
            }
        }
    }

    async fn follow(&self, tick: &leases::Tick, running: &mut HashMap<StreamName, Running>, leases: &Leases) {
        let lost: Vec<StreamName> = running
            .iter()
            .filter(|(stream, consumer)| {
                consumer.task.is_finished()
                    || !tick
                        .held
                        .iter()
                        .any(|(held, token)| held == *stream && *token == consumer.token)
            })
            .map(|(stream, _)| stream.clone())
            .collect();
        for stream in lost {
            if let Some(consumer) = running.remove(&stream) {
                metrics::counter!(STREAM_LEASES_LOST).increment(1);
                self.end(&stream, consumer).await;
            }
        }
        let mut wanted: Vec<Lease> = tick.taken.clone();
        for (stream, token) in &tick.held {
            if !running.contains_key(stream) {
                wanted.push(Lease {
                    stream: stream.clone(),
                    token: *token,
                    cursor: None,
                });
            }
        }
        for lease in wanted {
            tracing::info!(stream.name = %lease.stream, fencing_token = lease.token.0, "stream is consumed here");
            running.insert(lease.stream.clone(), self.begin(lease));
        }
        for _ in 0..tick.surplus {
            let Some(stream) = running.keys().max().cloned() else {
                break;
            };
            let Some(consumer) = running.remove(&stream) else { break };
            let token = consumer.token;
            self.end(&stream, consumer).await;
            match leases.release(&stream, token).await {
                Ok(()) => tracing::info!(stream.name = %stream, "stream is left to another replica"),
                Err(error) => {
                    tracing::warn!(stream.name = %stream, error = %error, "the lease was not given back and must run out")
                }
            }
        }
    }

    fn begin(&self, lease: Lease) -> Running {
        self.handle.opened(&lease.stream, lease.token);
        let stop = CancellationToken::new();
        let parts = Parts {
            postgres: self.options.postgres.clone(),
            redis: self.options.redis.clone(),
            bus: self.options.bus.clone(),
            streams: self.streams.clone(),
            replica_id: self.options.replica_id.clone(),
            queue: self.options.queue.clone(),
            schemas: self.options.publisher.schemas().clone(),
            status: self.handle.clone(),
        };
        Running {
            token: lease.token,
            stop: stop.clone(),
            task: tokio::spawn(keep_running(parts, lease, stop)),
        }
    }

    async fn end(&self, stream: &StreamName, consumer: Running) {
        consumer.stop.cancel();
        let _ = consumer.task.await;
        self.handle.closed(stream);
    }

    fn sweep(&self) -> Sweep {
        Sweep {
            postgres: self.options.postgres.clone(),
            streams: self.streams.clone(),
            publisher: self.options.publisher.clone(),
            queue: self.options.queue.clone(),
            agent_timeout: self.options.swarm.agent_timeout,
        }
    }

    fn own_agent(&self) -> (SwarmId, ActorId) {
        let swarm =
            SwarmId::new(self.options.swarm.swarm_id.as_str()).unwrap_or_else(|_| SwarmId::trusted("default-swarm"));
        (swarm, ActorId::trusted(crate::ingest::BRAIN_ACTOR))
    }

    /// The service's own `run.started`.
    fn announcement(&self) -> Event {
        let (swarm_id, actor_id) = self.own_agent();
        let run = self
            .options
            .swarm
            .run_id
            .clone()
            .unwrap_or_else(|| self.options.replica_id.clone());
        Event {
            tenant_id: TenantId::single(),
            id: EventId::generate(),
            kind: EventType::RunStarted,
            schema_version: 1,
            swarm_id,
            run_id: RunId::new(run).unwrap_or_else(|_| RunId::trusted("run")),
            actor_id,
            payload: json!({ "role": ORCHESTRATOR_ROLE, "replicaId": self.options.replica_id }),
            created_at: Timestamp::now(),
            context: Context::default(),
        }
    }
}

/// Runs the consumer and the relay of a stream; when one of them ends unasked both are started again.
async fn keep_running(parts: Parts, lease: Lease, stop: CancellationToken) -> End {
    loop {
        let once = stop.child_token();
        let marks = Marks::default();
        let relay = Relay {
            postgres: parts.postgres.clone(),
            redis: parts.redis.clone(),
            stream: lease.stream.clone(),
            queue: parts.queue.clone(),
            marks: marks.clone(),
        };
        let relaying = tokio::spawn(relay.run(once.clone()));
        let consumer = Partition::new(parts.clone(), lease.clone(), marks);
        let end = std::panic::AssertUnwindSafe(consumer.run(once.clone()))
            .catch_unwind()
            .await;
        once.cancel();
        let _ = relaying.await;
        match end {
            Ok(End::LeaseLost) => {
                tracing::warn!(stream.name = %lease.stream, "the lease was lost");
                return End::LeaseLost;
            }
            _ if stop.is_cancelled() => return End::Asked,
            _ => {
                tracing::error!(stream.name = %lease.stream, "the consumer died and is started again");
                parts
                    .status
                    .edit(&lease.stream, |consumer| consumer.state = ConsumerState::Dead);
                tokio::select! {
                    () = stop.cancelled() => return End::Asked,
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
            }
        }
    }
}

/// Publishes the announcement, however long the database is away.
async fn announce(event: Event, publisher: Publisher, stop: CancellationToken) {
    while let Err(error) = publisher.publish(vec![event.clone()]).await {
        if !error.retryable() {
            tracing::error!(error = %error, "the service could not announce itself");
            return;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

/// Tells other replicas what the consumers here make ready.
async fn ring_elsewhere(postgres: Postgres, queue: RelayQueue, stop: CancellationToken) {
    queue.bells.tell_others(&postgres, &stop).await;
}

/// Rings for the relays when any replica commits something for their streams.
async fn listen(postgres: Postgres, queue: RelayQueue, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let listening = async {
            let (client, notifications) = postgres.dedicated_with_notifications().await?;
            client.batch_execute("LISTEN studio_brain_outbox").await?;
            Ok::<_, brain_connectivity::postgres::Error>((client, notifications))
        };
        match listening.await {
            Ok((client, mut notifications)) => {
                queue.ring(None);
                loop {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        notification = notifications.recv() => match notification {
                            Some(notification) => queue.ring(Some(notification.payload())),
                            None => break,
                        },
                    }
                }
                drop(client);
            }
            Err(error) => tracing::warn!(error = %error, "notifications are not received at the moment"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => queue.ring(None),
        }
    }
}

/// Sweeps where the first stream is consumed, so that one replica does; keeps this service's own agent alive.
async fn sweep_on(
    sweep: Sweep,
    handle: Handle,
    streams: StreamNames,
    every: Duration,
    own: (SwarmId, ActorId),
    stop: CancellationToken,
) {
    let mut looked = std::time::Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
        if looked.elapsed() >= LOOK_EVERY {
            sweep.queue.ring(None);
            looked = std::time::Instant::now();
        }
        if streams
            .all()
            .first()
            .is_some_and(|first| handle.streams().contains(first))
        {
            let (swarm, agent) = &own;
            if let Err(error) = crate::agents::heartbeat(&sweep.postgres, &TenantId::single(), swarm, agent).await {
                tracing::warn!(error = %error, "the service's own heartbeat failed");
            }
            if let Err(error) = sweep.run().await {
                tracing::warn!(error = %error, "the sweep failed and will be tried again");
            }
        }
    }
}
