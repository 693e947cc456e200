//! Does to the system what the plan says, and ends it again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use brain_connectivity::redis::Redis;
use brain_devstack::Stack;
use fred::interfaces::ClientLike as _;

use super::fleet::{Fleet, Freeze};
use super::ledger;
use super::plan::{Fault, Kind};
use super::proxy::Manner;
use super::recovery::Hold;
use super::replica::Replica;
use super::world::World;

/// Backends that one fault ends, at most.
const BACKENDS: u64 = 8;
/// Time between two of them.
const BETWEEN_BACKENDS: Duration = Duration::from_millis(15);
/// Tries to move the clock while others write.
const TRIES: u32 = 5;

/// All that faults strike.
pub(super) struct Injector {
    pub(super) world: Arc<World>,
    pub(super) stack: Stack,
    pub(super) replicas: Vec<Replica>,
    pub(super) fleet: Fleet,
    freezing: Option<(String, i64)>,
    /// The pauses of workers so far.
    pub(super) freezes: Vec<Freeze>,
}

impl Injector {
    pub(super) fn new(world: Arc<World>, stack: Stack, replicas: Vec<Replica>, fleet: Fleet) -> Self {
        Self {
            world,
            stack,
            replicas,
            fleet,
            freezing: None,
            freezes: Vec::new(),
        }
    }

    /// Begins a fault; the answer is what a struck worker held.
    pub(super) async fn begin(&mut self, fault: &Fault) -> Result<Vec<Hold>> {
        // The target of a fault that strikes workers may be beyond the replicas.
        let number = fault.target % self.replicas.len();
        let replica = &mut self.replicas[number];
        match fault.kind {
            Kind::KillReplica => replica.kill(),
            Kind::PauseReplica => replica.pause(),
            Kind::StopReplica => drop(replica.stop().await?),
            Kind::KillWorker => return self.kill_worker(fault).await,
            Kind::PauseWorker => return self.pause_worker(fault).await,
            Kind::FlushRedis => self.flush().await?,
            Kind::RestartRedis => self.stack.valkey.stop().await?,
            Kind::KillRedis => self.stack.valkey.kill().await?,
            Kind::CutRedis => {
                replica.redis.set(Manner::Refuse);
                replica.redis.cut();
            }
            Kind::StallRedis => replica.redis.set(Manner::Stall),
            Kind::RestartPostgres => self.stack.postgres.stop().await?,
            Kind::KillPostgres => self.stack.postgres.kill().await?,
            Kind::CutPostgres => replica.postgres.cut(),
            Kind::StallPostgres => replica.postgres.set(Manner::Stall),
            Kind::RefusePostgres => {
                replica.postgres.set(Manner::Refuse);
                replica.postgres.cut();
            }
            Kind::KillBackends => self.terminate_backends(fault.chance).await?,
            Kind::ClockForward => self.move_clock(fault.length, 1).await?,
            Kind::ClockBackward => self.move_clock(fault.length, -1).await?,
        }
        Ok(Vec::new())
    }

    /// Ends a fault that lasts.
    pub(super) async fn end(&mut self, fault: &Fault) -> Result<()> {
        let number = fault.target % self.replicas.len();
        let replica = &mut self.replicas[number];
        match fault.kind {
            Kind::KillReplica | Kind::StopReplica => {
                replica.start_again()?;
                replica.ready().await?;
            }
            Kind::PauseReplica => replica.resume(),
            Kind::PauseWorker => {
                self.fleet.resume(fault.target);
                if let Some((agent, from)) = self.freezing.take() {
                    let until = ledger::now();
                    self.freezes.push(Freeze { agent, from, until });
                }
            }
            Kind::RestartRedis | Kind::KillRedis => self.stack.valkey.start_again().await?,
            Kind::CutRedis => replica.redis.set(Manner::Pass),
            Kind::StallRedis => {
                // Half of the time the connections are gone when the network is back.
                if fault.chance.is_multiple_of(2) {
                    replica.redis.cut();
                }
                replica.redis.set(Manner::Pass);
            }
            Kind::RestartPostgres | Kind::KillPostgres => self.stack.postgres.start_again().await?,
            Kind::RefusePostgres => replica.postgres.set(Manner::Pass),
            Kind::StallPostgres => {
                if fault.chance.is_multiple_of(2) {
                    replica.postgres.cut();
                }
                replica.postgres.set(Manner::Pass);
            }
            Kind::KillWorker
            | Kind::FlushRedis
            | Kind::CutPostgres
            | Kind::KillBackends
            | Kind::ClockForward
            | Kind::ClockBackward => {}
        }
        Ok(())
    }

    /// Fails when a replica ended although nobody asked it to.
    pub(super) fn require_replicas(&mut self) -> Result<()> {
        self.replicas.iter_mut().try_for_each(Replica::require_running)
    }

    async fn kill_worker(&mut self, fault: &Fault) -> Result<Vec<Hold>> {
        // Read first: what it claims in between is claimed again all the same.
        let agent = self.fleet.agent(fault.target);
        let held = self.held(&agent).await?;
        self.fleet
            .kill(fault.target, fault.length, fault.chance.is_multiple_of(2));
        Ok(held)
    }

    async fn pause_worker(&mut self, fault: &Fault) -> Result<Vec<Hold>> {
        let agent = self.fleet.pause(fault.target);
        self.freezing = Some((agent.clone(), ledger::now()));
        self.held(&agent).await
    }

    async fn held(&self, agent: &str) -> Result<Vec<Hold>> {
        let client = self.world.connect().await?;
        let sql = "SELECT task_id, fencing_token FROM swarm_tasks WHERE assigned_agent_id = $1 AND status = 'running'";
        let rows = client.query(sql, &[&agent]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn flush(&self) -> Result<()> {
        let redis = Redis::open(&self.world.config.redis)?;
        let flushed: Result<(), _> = redis.commands().flushall(false).await;
        redis.close().await;
        flushed.context("Redis could not be flushed")
    }

    async fn terminate_backends(&self, chance: u64) -> Result<()> {
        let client = self.world.connect().await?;
        let mut random = fastrand::Rng::with_seed(chance);
        for _ in 0..random.u64(1..=BACKENDS) {
            let choice = i64::from(random.u32(..));
            client
                .query(include_str!("sql/terminate_backend.sql"), &[&choice])
                .await
                .context("a backend could not be ended")?;
            tokio::time::sleep(BETWEEN_BACKENDS).await;
        }
        Ok(())
    }

    /// Moves the clock by `length`: forward, or backward when the sign is -1.
    async fn move_clock(&self, length: Duration, sign: i64) -> Result<()> {
        let client = self.world.connect().await?;
        let milliseconds = sign * i64::try_from(length.as_millis())?;
        let begun = Instant::now();
        for attempt in 1.. {
            let moved = client.query(include_str!("sql/move_clock.sql"), &[&milliseconds]).await;
            match moved {
                Ok(_) => break,
                // Two writers in each other's way: the database chose this one.
                Err(_) if attempt < TRIES => {}
                Err(error) => {
                    let words = format!("the clock could not be moved within {:?}", begun.elapsed());
                    return Err(anyhow::Error::from(error).context(words));
                }
            }
        }
        Ok(())
    }
}
