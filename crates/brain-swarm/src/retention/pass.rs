//! One pass over everything, step by step.
//!
//! Invariants: a step is one short transaction of a bounded number of rows; one that fails has changed nothing and can be
//! repeated; two passes at once remove everything once.

use std::collections::{BTreeMap, VecDeque};

use brain_connectivity::postgres::{self, Postgres};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{
    BATCH, SWARMS, begin, letters,
    rule::Hold,
    swarm::{self, Stop, SwarmKey},
};
use crate::{
    bus::StreamNames,
    ids::{SwarmId, TenantId},
    metric_names::PRUNED,
};

/// What a pass has removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Events.
    pub events: u64,
    /// Tasks that ended.
    pub tasks: u64,
    /// Runs that are over.
    pub runs: u64,
    /// Budgets without tasks.
    pub budgets: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Those of the dead letters that nobody had replayed or dropped.
    pub parked: u64,
    /// Swarms whose old events must stay, by what holds them.
    pub held: BTreeMap<&'static str, u64>,
}

/// A pass in progress.
#[derive(Debug)]
pub struct Pass {
    postgres: Postgres,
    streams: StreamNames,
    cutoff: Timestamp,
    stage: Stage,
    counts: Counts,
}

#[derive(Debug)]
enum Stage {
    /// Swarm by swarm, in the order of their keys.
    Swarms {
        work: VecDeque<Work>,
        after: Option<SwarmKey>,
        last_page: bool,
    },
    /// The dead letters after this one.
    Letters(Uuid),
    Done,
}

/// What of a swarm is left to do.
#[derive(Debug)]
struct Work {
    key: SwarmKey,
    events: bool,
    runs: bool,
    budgets: bool,
    /// Known once it was looked up.
    open_task: Option<Option<i64>>,
}

impl Pass {
    /// Begins a pass over what is older than `days`, by the clock of the database.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn begin(postgres: Postgres, streams: StreamNames, days: u32) -> Result<Self, postgres::Error> {
        let days = i32::try_from(days).unwrap_or(i32::MAX);
        let row = postgres
            .client()
            .await?
            .query_one("SELECT clock_timestamp() - make_interval(days => $1)", &[&days])
            .await?;
        Ok(Self {
            cutoff: row.get(0),
            postgres,
            streams,
            stage: Stage::Swarms {
                work: VecDeque::new(),
                after: None,
                last_page: false,
            },
            counts: Counts::default(),
        })
    }

    /// What was stored at this time or later stays.
    #[must_use]
    pub fn cutoff(&self) -> Timestamp {
        self.cutoff
    }

    /// What was removed so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Removes one batch, or looks for more to remove. Returns whether anything is left to do.
    ///
    /// # Errors
    /// Those of the database; the step can be repeated.
    pub async fn step(&mut self) -> Result<bool, postgres::Error> {
        match &mut self.stage {
            Stage::Swarms { work, .. } if !work.is_empty() => self.swarm().await?,
            Stage::Swarms { last_page: true, .. } => self.stage = Stage::Letters(Uuid::nil()),
            Stage::Swarms { .. } => self.page().await?,
            Stage::Letters(after) => {
                let pruned = letters::prune(&self.postgres, *after, self.cutoff).await?;
                self.counts.dead_letters += pruned.letters;
                self.counts.parked += pruned.parked;
                count("dead_letter", pruned.letters);
                self.stage = pruned.next.map_or(Stage::Done, Stage::Letters);
            }
            Stage::Done => {}
        }
        Ok(!matches!(self.stage, Stage::Done))
    }

    /// The next swarms, and what of them is old.
    async fn page(&mut self) -> Result<(), postgres::Error> {
        let Stage::Swarms { work, after, last_page } = &mut self.stage else {
            return Ok(());
        };
        let mut client = self.postgres.client().await?;
        let transaction = begin(&mut client).await?;
        let select = transaction
            .prepare_cached(include_str!("../sql/select_prunable_swarms.sql"))
            .await?;
        let (tenant, swarm) = after
            .as_ref()
            .map_or(("", ""), |(tenant, swarm)| (tenant.as_str(), swarm.as_str()));
        let rows = transaction
            .query(&select, &[&tenant, &swarm, &self.cutoff, &SWARMS])
            .await?;
        transaction.commit().await?;
        let found = rows.iter().map(|row| Work {
            key: (TenantId::trusted(row.get(0)), SwarmId::trusted(row.get(1))),
            events: row.get(2),
            runs: row.get(3),
            budgets: row.get(4),
            open_task: None,
        });
        let found: Vec<Work> = found.collect();
        *last_page = i64::try_from(found.len()).is_ok_and(|count| count < SWARMS);
        *after = found.last().map(|last| last.key.clone());
        work.extend(
            found
                .into_iter()
                .filter(|work| work.events || work.runs || work.budgets),
        );
        Ok(())
    }

    /// One batch of the swarm in hand: events and tasks first, because its runs and budgets wait for their tasks.
    async fn swarm(&mut self) -> Result<(), postgres::Error> {
        let Stage::Swarms { work: queue, .. } = &mut self.stage else {
            return Ok(());
        };
        let Some(work) = queue.front_mut() else { return Ok(()) };
        let full = |rows: u64| i64::try_from(rows).is_ok_and(|rows| rows >= BATCH);
        if work.events {
            let open_task = match work.open_task {
                Some(known) => known,
                None => *work
                    .open_task
                    .insert(swarm::first_open_task(&self.postgres, &work.key).await?),
            };
            let stream = self.streams.of(&work.key.0, &work.key.1);
            let pruned = swarm::prune_events(&self.postgres, &work.key, &stream, self.cutoff, open_task).await?;
            self.counts.events += pruned.events;
            self.counts.tasks += pruned.tasks;
            count("event", pruned.events);
            count("task", pruned.tasks);
            // What is gone now may have been the last of a run or a budget.
            work.runs |= pruned.events > 0;
            work.budgets |= pruned.tasks > 0;
            work.events = pruned.stopped.is_none();
            if let Some(Stop::Held(hold)) = pruned.stopped
                && hold != Hold::Age
            {
                *self.counts.held.entry(hold.as_str()).or_default() += 1;
            }
        } else if work.runs {
            let runs = swarm::prune_runs(&self.postgres, &work.key, self.cutoff).await?;
            self.counts.runs += runs;
            count("run", runs);
            work.runs = full(runs);
        } else if work.budgets {
            let budgets = swarm::prune_budgets(&self.postgres, &work.key, self.cutoff).await?;
            self.counts.budgets += budgets;
            count("budget", budgets);
            work.budgets = full(budgets);
        }
        if !(work.events || work.runs || work.budgets) {
            queue.pop_front();
        }
        Ok(())
    }
}

fn count(kind: &'static str, rows: u64) {
    if rows > 0 {
        metrics::counter!(PRUNED, "kind" => kind).increment(rows);
    }
}
