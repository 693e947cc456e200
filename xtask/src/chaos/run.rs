//! One run from its start to its report. Whatever happens, what it started is ended with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use brain_devstack::Stack;
use tokio::task::JoinSet;

use super::fleet::Fleet;
use super::inject::Injector;
use super::ledger::What;
use super::live::Watch;
use super::plan::{Fault, Kind, Plan, Shape, Size, Step};
use super::publisher::Press;
use super::recovery::{Hold, Recovery};
use super::replica::Replica;
use super::report::{Recoveries, Report, Work, milliseconds};
use super::verify::Violation;
use super::world::World;
use super::{Args, evidence, facts, ledger, verify};
use crate::progress::Progress;
use crate::signals::Ending;

/// Tasks that all publishers together create in a second, while nothing is in the way.
const RATE: f64 = 30.0;
/// Tasks of an average request.
const PER_REQUEST: f64 = 2.3;
/// How long what is open may take to end once nothing new comes.
const DRAIN: Duration = Duration::from_secs(60);
/// Entries that a stream may have when all is done.
const STREAM_BOUND: u64 = 20_000;
/// Leases after which nobody waits for a recovery any longer.
const GIVE_UP: u32 = 10;

/// Runs the plan against a fresh stack, which is stopped at the end in any case.
pub(super) async fn run(args: &Args, seed: u64, brain: PathBuf, stack: Stack, ending: &mut Ending) -> Result<Report> {
    let mut run = match Run::start(args, seed, brain, stack).await {
        Ok(run) => run,
        Err((error, stack)) => {
            stack.stop().await?;
            return Err(error);
        }
    };
    let outcome = tokio::select! {
        outcome = run.carry_out(args, seed) => outcome,
        signal = ending.next() => Err(anyhow::anyhow!("ended by {signal}")),
    };
    run.background.shutdown().await;
    let Injector {
        stack, replicas, fleet, ..
    } = run.injector;
    fleet.stop();
    drop(replicas);
    stack.stop().await?;
    outcome
}

struct Run {
    world: Arc<World>,
    injector: Injector,
    press: Arc<Press>,
    watch: Arc<Watch>,
    recovery: Recovery,
    recoveries: Recoveries,
    violations: Vec<Violation>,
    publishers: JoinSet<()>,
    background: JoinSet<Result<()>>,
}

impl Run {
    async fn start(args: &Args, seed: u64, brain: PathBuf, stack: Stack) -> Result<Self, (anyhow::Error, Stack)> {
        let progress = Progress::start("starting replicas and workers");
        let parts = async {
            let partitions = args.replicas.max(2);
            let world = Arc::new(World::create(&stack, brain, partitions, args.lease()).await?);
            let mut replicas = Vec::new();
            for number in 0..usize::from(args.replicas) {
                replicas.push(Replica::start(Arc::clone(&world), number).await?);
            }
            for replica in &mut replicas {
                replica.ready().await?;
            }
            let urls: Vec<String> = replicas.iter().map(Replica::url).collect();
            let press = Arc::new(Press::new(Arc::clone(&world), urls.clone())?);
            let watch = Arc::new(Watch::new(Arc::clone(&world))?);
            let fleet = Fleet::start(Arc::clone(&world), urls, usize::from(args.workers), seed)?;
            Ok((world, replicas, press, watch, fleet))
        };
        let parts = parts.await;
        drop(progress);
        let (world, replicas, press, watch, fleet) = match parts {
            Ok(parts) => parts,
            Err(error) => return Err((error, stack)),
        };
        let mut background = JoinSet::new();
        background.spawn({
            let fleet = fleet.clone();
            async move { fleet.keep().await }
        });
        background.spawn({
            let (watch, press) = (Arc::clone(&watch), Arc::clone(&press));
            async move {
                watch.probe(&press).await;
                Ok(())
            }
        });
        let mut publishers = JoinSet::new();
        let pace = Duration::from_secs_f64(f64::from(args.publishers) * PER_REQUEST / RATE);
        for number in 0..args.publishers {
            let publisher = Arc::clone(&press);
            publishers.spawn(publisher.publish(usize::from(number), seed ^ u64::from(number + 1), pace));
        }
        Ok(Self {
            recovery: Recovery::new(Arc::clone(&world), Arc::clone(&press)),
            injector: Injector::new(Arc::clone(&world), stack, replicas, fleet),
            world,
            press,
            watch,
            recoveries: Recoveries::default(),
            violations: Vec::new(),
            publishers,
            background,
        })
    }

    async fn carry_out(&mut self, args: &Args, seed: u64) -> Result<Report> {
        let begun = Instant::now();
        let first = self.recovery.measure(begun, &[], self.world.lease * GIVE_UP).await;
        if let Err(missing) = first {
            bail!("work does not flow although no fault was injected: {missing}");
        }
        let length = Duration::from_secs_f64(args.minutes.max(0.0) * 60.0);
        let size = Size {
            replicas: self.injector.replicas.len(),
            workers: usize::from(args.workers),
            lease: self.world.lease,
        };
        let faults_from = Instant::now();
        for step in Plan::new(seed, size) {
            if faults_from.elapsed() >= length {
                break;
            }
            tokio::time::sleep(step.quiet).await;
            let recovered = self.step(&step).await?;
            self.violations.extend(self.watch.check().await);
            self.tell(&step, recovered, faults_from.elapsed());
            if recovered.is_none() {
                break;
            }
        }
        let worked = begun.elapsed();
        self.finish(args, seed, worked).await
    }

    /// Injects what belongs together; after which time work flows again, if it does.
    async fn step(&mut self, step: &Step) -> Result<Option<Duration>> {
        let fault = &step.fault;
        let name = match &step.also {
            Some(also) => format!("{} with {}", fault.kind.name(), also.kind.name()),
            None => fault.kind.name().to_owned(),
        };
        let half = fault.length / 2;
        let patience = self.world.lease * GIVE_UP;
        let mut held = self.injector.begin(fault).await.context(name.clone())?;
        let mut times = Vec::new();
        match fault.kind.shape() {
            Shape::Sudden => held.extend(self.also(step).await?),
            Shape::Outage => {
                tokio::time::sleep(half).await;
                held.extend(self.also(step).await?);
                tokio::time::sleep(half).await;
                self.injector.end(fault).await.context(name.clone())?;
            }
            Shape::Failover => {
                let mut rest = fault.length;
                let mut since = Instant::now();
                if step.also.is_some() {
                    tokio::time::sleep(half).await;
                    rest = half;
                    held.extend(self.also(step).await?);
                    since = Instant::now();
                }
                let (time, ()) = tokio::join!(self.recovery.measure(since, &held, patience), tokio::time::sleep(rest));
                times.push(time);
                self.injector.end(fault).await.context(name.clone())?;
                self.forget_freeze_of_a_moved_clock(step);
                held.clear();
            }
        }
        times.push(self.recovery.measure(Instant::now(), &held, patience).await);
        self.injector.require_replicas()?;
        Ok(self.judge(step, &name, times))
    }

    async fn also(&mut self, step: &Step) -> Result<Vec<Hold>> {
        match &step.also {
            Some(also) => self.injector.begin(also).await.context(also.kind.name()),
            None => Ok(Vec::new()),
        }
    }

    /// When the clock went backward meanwhile, the pause was no longer than the lease.
    fn forget_freeze_of_a_moved_clock(&mut self, step: &Step) {
        let backward = |fault: &Fault| fault.kind == Kind::ClockBackward;
        if step.fault.kind == Kind::PauseWorker && step.also.as_ref().is_some_and(backward) {
            self.injector.freezes.pop();
        }
    }

    fn judge(&mut self, step: &Step, name: &str, times: Vec<Result<Duration, String>>) -> Option<Duration> {
        let limit = self.world.lease * 2;
        let mut worst = Some(Duration::ZERO);
        for time in times {
            match time {
                Ok(time) => {
                    worst = worst.map(|worst| worst.max(time));
                    if time >= limit {
                        let words = format!(
                            "{time:?} after fault {} ({name}); the limit is {limit:?}",
                            self.number()
                        );
                        self.violations.push(Violation::new("slow recovery", words));
                    }
                }
                Err(missing) => {
                    worst = None;
                    let words = format!("after fault {} ({name}): {missing}", self.number());
                    self.violations.push(Violation::new("stuck", words));
                }
            }
        }
        for fault in std::iter::once(&step.fault).chain(&step.also) {
            self.recoveries.add(fault.kind, worst);
        }
        worst
    }

    fn number(&self) -> usize {
        self.recoveries.faults() + 1
    }

    fn tell(&self, step: &Step, recovered: Option<Duration>, elapsed: Duration) {
        let also = step.also.as_ref().map(|also| format!(" + {}", also.kind.name()));
        eprintln!(
            "{:5.1} s  fault {:3}  {:64} recovered in {:4} ms  {:6} tasks  {} violations",
            elapsed.as_secs_f64(),
            self.recoveries.faults(),
            format!("{}{}", step.fault.kind.name(), also.unwrap_or_default()),
            recovered.map_or_else(|| "?".to_owned(), |time| milliseconds(time).to_string()),
            self.press.promised(),
            self.violations.len()
        );
    }

    /// Lets everything end, and compares.
    async fn finish(&mut self, args: &Args, seed: u64, worked: Duration) -> Result<Report> {
        let progress = Progress::start("waiting until every task has ended");
        self.press.stop();
        while self.publishers.join_next().await.is_some() {}
        let mut client = self.world.connect().await?;
        let draining = Instant::now();
        while draining.elapsed() < DRAIN {
            let sql = "SELECT count(*) FROM swarm_tasks WHERE status IN ('created', 'assigned', 'running')";
            let open: i64 = client.query_one(sql, &[]).await?.get(0);
            if open == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        progress.change("comparing the ledgers with the database");
        self.injector.fleet.stop();
        self.violations.extend(self.watch.check().await);
        self.violations.extend(self.watch.over_limit());
        self.violations.extend(self.press.violations());
        self.violations.extend(self.injector.fleet.ended_badly());
        let facts = facts::read(&mut client).await?;
        let lines = ledger::read(&self.world.ledgers())?;
        let promises = self.press.promises();
        let compared = verify::verify(&promises, &lines, &self.injector.freezes, &facts);
        self.violations.extend(compared);
        let streams = self.watch.stream_lengths().await?;
        for (stream, length) in streams.iter().filter(|(_, length)| *length > STREAM_BOUND) {
            let words = format!("{stream} has {length} entries, the bound is {STREAM_BOUND}");
            self.violations.push(Violation::new("stream grows", words));
        }
        let sql = "SELECT count(*) FROM swarm_events WHERE event_type = 'task.retrying'";
        let retries: i64 = client.query_one(sql, &[]).await?.get(0);
        let ended = |status: &str| facts.tasks.iter().filter(|task| task.status == status).count();
        let said = |what: What| lines.iter().filter(|line| line.what == what).count();
        let kinds = self.recoveries.rows();
        let evidence = match self.violations.is_empty() {
            true => None,
            false => Some(evidence::keep(&self.world, seed).await?.display().to_string()),
        };
        drop(progress);
        Ok(Report {
            seed,
            seconds: worked.as_secs_f64(),
            lease_ms: args.lease_ms,
            faults: self.recoveries.faults(),
            recovery_limit_ms: milliseconds(self.world.lease * 2),
            recovery_max_ms: kinds.iter().map(|row| row.recovery_max_ms).max().unwrap_or_default(),
            kinds,
            work: Work {
                promised: promises.len(),
                stored: facts.tasks.len(),
                completed: ended("completed"),
                failed: ended("failed"),
                cancelled: ended("cancelled"),
                retries: u64::try_from(retries)?,
                acknowledged: said(What::Completed),
                refused: said(What::Refused),
                completions_per_second: ended("completed") as f64 / worked.as_secs_f64(),
            },
            streams,
            violations: std::mem::take(&mut self.violations),
            replay: args.replay(seed),
            evidence,
        })
    }
}
