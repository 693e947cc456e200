//! The service that fires schedules.
//!
//! Invariants: a firing is published before the schedule moves on, and published under an id made of schedule and planned
//! time. So a replica that dies in between, or two that look at once, store one event; the move itself is made only by
//! whoever finds the plan as it was read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use brain_connectivity::{
    postgres::{self, Postgres},
    retry::Backoff,
};
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Notify;
use tokio_postgres::Row;
use tokio_util::sync::CancellationToken;

use super::{
    Calendar, Clock, Due, Invalid, Key, MissedRuns, missed,
    template::{Template, firing_id},
};
use crate::{
    event::Event,
    ids::{ActorId, ScheduleId, SwarmId, TaskId, TenantId},
    publish::{self, Publisher},
};

/// The longest time without a look: a schedule that was put through another replica is found within it.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// The shortest: clocks of two machines do not agree about the last moment before a firing.
const SHORTEST_SLEEP: Duration = Duration::from_millis(2);
/// The schedules that one look takes; more of them follow at once.
const SCHEDULES: i64 = 100;

/// What the service works with.
pub struct Options {
    /// Where schedules are.
    pub postgres: Postgres,
    /// Stores the events.
    pub publisher: Publisher,
    /// What time it is.
    pub clock: Clock,
}

/// Why a look failed. Nothing is lost: the next one finds what is due again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database said no, or nothing.
    #[error(transparent)]
    Database(#[from] postgres::Error),
    /// An event could not be stored for now.
    #[error(transparent)]
    Publish(#[from] publish::Error),
}

/// What one look did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// How many tasks it created.
    pub fired: usize,
    /// When to look again.
    pub next_in: Duration,
}

/// Wakes the service.
#[derive(Debug, Clone, Default)]
pub struct Handle(Arc<Notify>);

impl Handle {
    /// Something was put that may be due earlier than what the service waits for.
    pub fn ring(&self) {
        self.0.notify_one();
    }
}

/// Fires schedules.
pub struct Service {
    options: Options,
    wake: Handle,
}

impl Service {
    /// The service and the handle to it.
    #[must_use]
    pub fn new(options: Options) -> (Self, Handle) {
        let wake = Handle::default();
        let handle = wake.clone();
        (Self { options, wake }, handle)
    }

    /// Runs until `shutdown`. What it is at then is done by whoever looks next.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut delays = Backoff::default().delays();
        let mut away = false;
        loop {
            let looked = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                looked = self.look() => looked,
            };
            let wait = match looked {
                Ok(look) => {
                    if std::mem::take(&mut away) {
                        tracing::info!("schedules fire again");
                    }
                    delays.reset();
                    look.next_in
                }
                Err(error) => {
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(error = %error, "schedules cannot fire; this is tried again until it works");
                    }
                    delays.next().unwrap_or(LONGEST_SLEEP).max(SHORTEST_SLEEP)
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.wake.0.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One look: fires what is due and says when to look again. [`Service::run`] is this in a loop.
    ///
    /// # Errors
    /// [`Error`]; what was published before it is not published again.
    pub async fn look(&self) -> Result<Look, Error> {
        let started = Instant::now();
        let Found { now, later, due } = self.find().await?;
        let full = i64::try_from(due.len()).is_ok_and(|count| count >= SCHEDULES);
        let results = join_all(due.into_iter().map(|planned| self.fire(planned, now))).await;
        let (mut done, mut failed) = (Vec::new(), None);
        for result in results {
            match result {
                Ok(one) => done.push(one),
                Err(error) => failed = Some(error),
            }
        }
        self.advance(&done).await?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        let next = done.iter().filter_map(|one| one.next_at).chain(later).min();
        let next_in = match next {
            _ if full => Duration::ZERO,
            Some(next) => Duration::try_from(next.duration_since(now)).unwrap_or_default(),
            None => LONGEST_SLEEP,
        };
        Ok(Look {
            fired: done.iter().map(|one| one.fired).sum(),
            next_in: next_in
                .saturating_sub(started.elapsed())
                .clamp(SHORTEST_SLEEP, LONGEST_SLEEP),
        })
    }

    async fn find(&self) -> Result<Found, postgres::Error> {
        let client = self.options.postgres.client().await?;
        let statement = client
            .prepare_cached(include_str!("../sql/select_due_schedules.sql"))
            .await?;
        let rows = client
            .query(&statement, &[&self.options.clock.offset_micros(), &SCHEDULES])
            .await?;
        let (now, later) = rows
            .first()
            .map_or((Timestamp::MAX, None), |row| (row.get(0), row.get(1)));
        Ok(Found {
            now,
            later,
            due: rows.iter().filter_map(planned).collect(),
        })
    }

    /// Publishes what is due of one schedule. Only what may succeed later is an error; what cannot ever is passed over.
    async fn fire(&self, planned: Planned, now: Timestamp) -> Result<Done, publish::Error> {
        let Planned { key, at, plan } = planned;
        let (calendar, policy, template) = match plan {
            Ok(plan) => plan,
            Err(error) => {
                tracing::error!(schedule.id = key.schedule_id.as_str(), swarm.id = key.swarm_id.as_str(), error = %error,
                    "a stored schedule cannot be read and fires no more until it is put again");
                return Ok(Done::nothing(key, at, None));
            }
        };
        let Due { firings, next_at } = missed::due(&calendar, at, now, policy);
        if firings.first() != Some(&at) {
            tracing::info!(schedule.id = key.schedule_id.as_str(), swarm.id = key.swarm_id.as_str(), planned_at = %at,
                missed_runs = policy.as_str(), "missed firings of a schedule are left out");
        }
        let Some(last) = firings.last().copied() else {
            return Ok(Done::nothing(key, at, next_at));
        };
        let mut events = Vec::with_capacity(firings.len());
        for firing in firings {
            match template.event(&key, firing, usize::MAX) {
                Ok(event) => events.push(event),
                Err(error) => refused(&key, firing, &error),
            }
        }
        let fired = self.publish(&key, events).await?;
        Ok(Done {
            fired_at: Some(last),
            task_id: Some(firing_id(&key, last)),
            fired,
            ..Done::nothing(key, at, next_at)
        })
    }

    /// Stores the events of one schedule and says how many were new.
    async fn publish(&self, key: &Key, events: Vec<Event>) -> Result<usize, publish::Error> {
        let publisher = &self.options.publisher;
        let stored = match publisher.publish(events.clone()).await {
            Ok(stored) => stored,
            Err(error) if error.retryable() => return Err(error),
            // One of them is refused: it must not keep the others from being stored.
            Err(_) => {
                let mut stored = Vec::new();
                for event in events {
                    let id = event.id.clone();
                    match publisher.publish(vec![event]).await {
                        Ok(one) => stored.extend(one),
                        Err(error) if error.retryable() => return Err(error),
                        Err(error) => {
                            tracing::warn!(schedule.id = key.schedule_id.as_str(), swarm.id = key.swarm_id.as_str(),
                                event.id = id.as_str(), error = %error, "a firing of a schedule was refused and is passed over");
                        }
                    }
                }
                stored
            }
        };
        let fired = stored.iter().filter(|event| !event.duplicate).count();
        metrics::counter!(crate::metric_names::SCHEDULE_FIRINGS).increment(fired as u64);
        Ok(fired)
    }

    /// Moves schedules on to what is planned next.
    async fn advance(&self, done: &[Done]) -> Result<(), postgres::Error> {
        if done.is_empty() {
            return Ok(());
        }
        let client = self.options.postgres.client().await?;
        let statement = client
            .prepare_cached(include_str!("../sql/advance_schedules.sql"))
            .await?;
        let keys = |part: fn(&Key) -> &str| done.iter().map(|one| part(&one.key)).collect::<Vec<&str>>();
        let planned: Vec<Timestamp> = done.iter().map(|one| one.planned_at).collect();
        let next: Vec<Option<Timestamp>> = done.iter().map(|one| one.next_at).collect();
        let fired: Vec<Option<Timestamp>> = done.iter().map(|one| one.fired_at).collect();
        let tasks: Vec<Option<&str>> = done
            .iter()
            .map(|one| one.task_id.as_ref().map(TaskId::as_str))
            .collect();
        client
            .execute(
                &statement,
                &[
                    &keys(|key| key.tenant_id.as_str()),
                    &keys(|key| key.swarm_id.as_str()),
                    &keys(|key| key.schedule_id.as_str()),
                    &planned,
                    &next,
                    &fired,
                    &tasks,
                ],
            )
            .await?;
        Ok(())
    }
}

/// What one statement finds.
struct Found {
    now: Timestamp,
    /// The earliest time that is planned after now.
    later: Option<Timestamp>,
    due: Vec<Planned>,
}

/// A schedule whose planned time has come.
struct Planned {
    key: Key,
    at: Timestamp,
    plan: Result<(Calendar, MissedRuns, Template), Invalid>,
}

/// A schedule whose firings are stored.
struct Done {
    key: Key,
    planned_at: Timestamp,
    next_at: Option<Timestamp>,
    fired_at: Option<Timestamp>,
    task_id: Option<TaskId>,
    fired: usize,
}

impl Done {
    fn nothing(key: Key, planned_at: Timestamp, next_at: Option<Timestamp>) -> Self {
        Self {
            key,
            planned_at,
            next_at,
            fired_at: None,
            task_id: None,
            fired: 0,
        }
    }
}

fn refused(key: &Key, at: Timestamp, error: &dyn std::error::Error) {
    tracing::warn!(schedule.id = key.schedule_id.as_str(), swarm.id = key.swarm_id.as_str(), planned_at = %at, error = %error,
        "a firing of a schedule was refused and is passed over");
}

/// The columns after the time; they are null when nothing is due.
fn planned(row: &Row) -> Option<Planned> {
    let key = Key {
        tenant_id: TenantId::trusted(row.get::<_, Option<&str>>(2)?),
        swarm_id: SwarmId::trusted(row.get(3)),
        schedule_id: ScheduleId::trusted(row.get(4)),
    };
    let plan = || {
        let calendar = Calendar::new(row.get(6), row.get(7))?;
        let policy: MissedRuns = row.get::<_, &str>(8).parse().unwrap_or_default();
        let task = match row.get::<_, Value>(9) {
            Value::Object(task) => task,
            _ => serde_json::Map::new(),
        };
        Ok((calendar, policy, Template::new(task, ActorId::trusted(row.get(10)))?))
    };
    Some(Planned {
        key,
        at: row.get(5),
        plan: plan(),
    })
}
