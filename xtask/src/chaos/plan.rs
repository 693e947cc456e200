//! The plan of a run: which faults come in which order, with which targets and lengths.
//!
//! It depends on the seed and the size of the set-up alone, so a seed gives the same plan again. Every kind comes once
//! before any comes twice.

use std::time::Duration;

/// What can be done to the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    KillReplica,
    PauseReplica,
    StopReplica,
    KillWorker,
    PauseWorker,
    FlushRedis,
    RestartRedis,
    KillRedis,
    CutRedis,
    StallRedis,
    RestartPostgres,
    KillPostgres,
    CutPostgres,
    StallPostgres,
    RefusePostgres,
    KillBackends,
    ClockForward,
    ClockBackward,
}

/// What a fault strikes. Two faults at a time never strike the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Struck {
    Replica,
    Worker,
    Redis,
    Postgres,
    Clock,
}

/// How a fault goes by, which says from when on recovery counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Over as soon as it is done: recovery counts from then.
    Sudden,
    /// It lasts, and the others have to take over: recovery counts from its beginning, and again from its end.
    Failover,
    /// It lasts, and some work has to wait for its end: recovery counts from there.
    Outage,
}

impl Kind {
    pub(super) const ALL: [Self; 18] = [
        Self::KillReplica,
        Self::PauseReplica,
        Self::StopReplica,
        Self::KillWorker,
        Self::PauseWorker,
        Self::FlushRedis,
        Self::RestartRedis,
        Self::KillRedis,
        Self::CutRedis,
        Self::StallRedis,
        Self::RestartPostgres,
        Self::KillPostgres,
        Self::CutPostgres,
        Self::StallPostgres,
        Self::RefusePostgres,
        Self::KillBackends,
        Self::ClockForward,
        Self::ClockBackward,
    ];

    /// As the report names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::KillReplica => "kill replica",
            Self::PauseReplica => "pause replica past its lease",
            Self::StopReplica => "stop and restart replica",
            Self::KillWorker => "kill worker",
            Self::PauseWorker => "pause worker past its lease",
            Self::FlushRedis => "flush Redis",
            Self::RestartRedis => "restart Redis",
            Self::KillRedis => "kill Redis",
            Self::CutRedis => "cut a replica from Redis",
            Self::StallRedis => "stall a replica's Redis",
            Self::RestartPostgres => "restart PostgreSQL",
            Self::KillPostgres => "kill PostgreSQL",
            Self::CutPostgres => "cut a replica's PostgreSQL connections",
            Self::StallPostgres => "stall a replica's PostgreSQL",
            Self::RefusePostgres => "refuse a replica PostgreSQL",
            Self::KillBackends => "terminate PostgreSQL backends",
            Self::ClockForward => "clock forward past every lease",
            Self::ClockBackward => "clock backward",
        }
    }

    pub(super) fn struck(self) -> Struck {
        match self {
            Self::KillReplica | Self::PauseReplica | Self::StopReplica => Struck::Replica,
            Self::KillWorker | Self::PauseWorker => Struck::Worker,
            Self::FlushRedis | Self::RestartRedis | Self::KillRedis | Self::CutRedis | Self::StallRedis => {
                Struck::Redis
            }
            Self::RestartPostgres
            | Self::KillPostgres
            | Self::CutPostgres
            | Self::StallPostgres
            | Self::RefusePostgres
            | Self::KillBackends => Struck::Postgres,
            Self::ClockForward | Self::ClockBackward => Struck::Clock,
        }
    }

    fn takes_postgres_away(self) -> bool {
        matches!(self, Self::RestartPostgres | Self::KillPostgres)
    }

    pub(super) fn shape(self) -> Shape {
        match self {
            Self::KillReplica
            | Self::PauseReplica
            | Self::StopReplica
            | Self::PauseWorker
            | Self::StallPostgres
            | Self::RefusePostgres
            | Self::CutRedis
            | Self::StallRedis => Shape::Failover,
            Self::RestartRedis | Self::KillRedis | Self::RestartPostgres | Self::KillPostgres => Shape::Outage,
            Self::KillWorker
            | Self::FlushRedis
            | Self::CutPostgres
            | Self::KillBackends
            | Self::ClockForward
            | Self::ClockBackward => Shape::Sudden,
        }
    }
}

/// One fault with all that was drawn for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// Number of the replica or worker that it strikes.
    pub(super) target: usize,
    /// How long it lasts; how far the clock jumps; after which time a killed worker is replaced.
    pub(super) length: Duration,
    /// Whatever else the kind leaves open: the name of a worker that comes back, which backends are ended.
    pub(super) chance: u64,
}

/// Faults that belong together, with the quiet time before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) quiet: Duration,
    pub(super) fault: Fault,
    /// A sudden one in the middle of the first.
    pub(super) also: Option<Fault>,
}

/// What the plan has to know of the set-up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) replicas: usize,
    pub(super) workers: usize,
    pub(super) lease: Duration,
}

/// The endless plan.
pub(super) struct Plan {
    random: fastrand::Rng,
    size: Size,
    bag: Vec<Kind>,
}

impl Plan {
    pub(super) fn new(seed: u64, size: Size) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            size,
            bag: Vec::new(),
        }
    }

    fn draw(&mut self, kind: Kind) -> Fault {
        let targets = match kind.struck() {
            Struck::Worker => self.size.workers,
            _ => self.size.replicas,
        };
        let lease = u64::try_from(self.size.lease.as_millis()).unwrap_or(u64::MAX);
        // In parts of a hundred of the lease.
        let hundredths = match kind {
            Kind::PauseReplica | Kind::PauseWorker => 135..=170,
            Kind::StallPostgres | Kind::RefusePostgres => 40..=140,
            Kind::CutRedis | Kind::StallRedis => 30..=250,
            Kind::ClockForward => 110..=300,
            Kind::ClockBackward => 50..=90,
            Kind::KillReplica | Kind::StopReplica => 5..=80,
            Kind::RestartRedis | Kind::KillRedis | Kind::RestartPostgres | Kind::KillPostgres => 0..=50,
            Kind::KillWorker => 0..=60,
            Kind::FlushRedis | Kind::CutPostgres | Kind::KillBackends => 0..=0,
        };
        Fault {
            kind,
            target: self.random.usize(..targets.max(1)),
            length: Duration::from_millis(lease * self.random.u64(hundredths) / 100),
            chance: self.random.u64(..),
        }
    }
}

impl Iterator for Plan {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.bag.is_empty() {
            self.bag = Kind::ALL.to_vec();
            self.random.shuffle(&mut self.bag);
        }
        let kind = self.bag.pop()?;
        let quiet = Duration::from_millis(self.random.u64(50..=600));
        let fault = self.draw(kind);
        let others: Vec<Kind> = Kind::ALL
            .into_iter()
            .filter(|other| other.shape() == Shape::Sudden && other.struck() != kind.struck())
            // While PostgreSQL is down, only what needs no database can be done.
            .filter(|other| !kind.takes_postgres_away() || *other == Kind::FlushRedis)
            .collect();
        let also = match self.random.u8(..100) {
            0..30 => self.random.choice(others).map(|other| self.draw(other)),
            _ => None,
        };
        Some(Step { quiet, fault, also })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SIZE: Size = Size {
        replicas: 3,
        workers: 6,
        lease: Duration::from_secs(3),
    };

    fn steps(seed: u64) -> Vec<Step> {
        Plan::new(seed, SIZE).take(100).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
        assert_eq!(steps(7), steps(7));
        assert_ne!(steps(7), steps(8));
    }

    #[test]
    fn every_kind_comes_before_any_comes_twice() {
        let kinds: BTreeSet<Kind> = steps(7)
            .iter()
            .take(Kind::ALL.len())
            .map(|step| step.fault.kind)
            .collect();
        assert_eq!(kinds.len(), Kind::ALL.len());
    }

    #[test]
    fn a_hundred_faults_stay_within_their_bounds() {
        for seed in 0..50 {
            for step in steps(seed) {
                for fault in std::iter::once(&step.fault).chain(&step.also) {
                    assert!(fault.target < if fault.kind.struck() == Struck::Worker { 6 } else { 3 });
                    match fault.kind {
                        Kind::PauseReplica | Kind::PauseWorker => {
                            assert!(fault.length >= SIZE.lease + Duration::from_secs(1));
                        }
                        Kind::ClockForward => assert!(fault.length > SIZE.lease),
                        Kind::ClockBackward => assert!(fault.length < SIZE.lease),
                        Kind::CutRedis | Kind::StallRedis => assert!(fault.length < SIZE.lease * 3),
                        _ => assert!(fault.length < SIZE.lease * 2),
                    }
                }
                if let Some(also) = &step.also {
                    assert_eq!(also.kind.shape(), Shape::Sudden);
                    assert_ne!(also.kind.struck(), step.fault.kind.struck());
                }
            }
        }
    }
}
