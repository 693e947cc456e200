//! Following the events of a swarm as they are stored: each is read once from the database, whoever many follow.
//!
//! A [`Follower`] first reads what is there, page by page, and then takes what the tail of its swarm hands round. One that falls behind
//! the tail goes back to reading pages.
//!
//! Invariants: what a follower gives out is in order of `seq`, without repetition; what is missing because it is gone, it says; what
//! the tail keeps is bounded, and nothing is kept for a follower.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use brain_connectivity::postgres::{self, Postgres};
use tokio::sync::{Notify, broadcast, broadcast::error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::{
    bells::Bell,
    events::{self, Gap, Query, StoredEvent},
    ids::{ActorId, RunId, SwarmId, TenantId},
    relay::RelayQueue,
};

/// Events that a tail keeps for followers that are busy.
const KEPT: usize = 256;
/// Events of one page.
const PAGE: usize = 200;
/// Events that one follower reads at a time when it catches up: it holds them until they are taken, and there are thousands of
/// followers.
const CATCH_UP: usize = 16;
/// How long a lost bell can go unnoticed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Why following does not begin, or ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is to begin after an event that is not stored yet.
    #[error("the newest event has seq {last_seq}, so nothing can be read on from {after}")]
    Ahead {
        /// What was asked for.
        after: i64,
        /// The newest there is.
        last_seq: i64,
    },
    /// The events cannot be read.
    #[error("the events cannot be read: {0}")]
    Database(#[from] postgres::Error),
}

/// What a follower is given.
#[derive(Debug, Clone)]
pub enum Followed {
    /// An event.
    Event(Arc<StoredEvent>),
    /// Events that were asked for and are gone.
    Gap(Gap),
}

/// Which events to follow.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Of this tenant.
    pub tenant_id: TenantId,
    /// Of this swarm.
    pub swarm_id: SwarmId,
    /// Of this run.
    pub run_id: Option<RunId>,
    /// Of this type.
    pub kind: Option<String>,
    /// By this actor.
    pub actor_id: Option<ActorId>,
}

impl Selection {
    fn query(&self, after: i64, limit: usize) -> Query {
        Query {
            tenant_id: self.tenant_id.clone(),
            swarm_id: self.swarm_id.clone(),
            run_id: self.run_id.clone(),
            kind: self.kind.clone(),
            actor_id: self.actor_id.clone(),
            after,
            limit,
        }
    }

    fn takes(&self, event: &StoredEvent) -> bool {
        self.run_id.as_ref().is_none_or(|run| *run == event.run_id)
            && self.kind.as_ref().is_none_or(|kind| *kind == event.kind)
            && self.actor_id.as_ref().is_none_or(|actor| *actor == event.actor_id)
    }
}

type SwarmKey = (TenantId, SwarmId);

/// The tails of all swarms that somebody follows. Clones share them.
#[derive(Clone)]
pub struct Tails {
    inner: Arc<Inner>,
}

struct Inner {
    postgres: Postgres,
    queue: RelayQueue,
    stop: CancellationToken,
    tails: Mutex<HashMap<SwarmKey, Tail>>,
    listening: Mutex<bool>,
}

/// The tail of one swarm.
#[derive(Clone)]
struct Tail {
    events: broadcast::Sender<Handed>,
    rung: Arc<Notify>,
}

/// What a tail hands round.
#[derive(Debug, Clone)]
enum Handed {
    Event(Arc<StoredEvent>),
    /// Everything up to this `seq` is to be read; the tail begins after it.
    UpTo(i64),
}

impl Tails {
    /// `queue`: that of the publishing service of this process. `stop` ends all tails and followers.
    #[must_use]
    pub fn new(postgres: Postgres, queue: RelayQueue, stop: CancellationToken) -> Self {
        Self {
            inner: Arc::new(Inner {
                postgres,
                queue,
                stop,
                tails: Mutex::default(),
                listening: Mutex::default(),
            }),
        }
    }

    /// Follows events, from after a `seq` or from now on.
    ///
    /// # Errors
    /// [`Error::Ahead`], or those of the database.
    pub async fn follow(&self, selection: Selection, after: Option<i64>) -> Result<Follower, Error> {
        // From here on nothing is missed, so whatever was stored before is found by reading.
        let events = self.tail((selection.tenant_id.clone(), selection.swarm_id.clone()));
        let last_seq = last_seq(&self.inner.postgres, &selection).await?;
        let after = after.unwrap_or(last_seq);
        if after > last_seq {
            return Err(Error::Ahead { after, last_seq });
        }
        Ok(Follower {
            tails: self.clone(),
            selection,
            events,
            reached: after,
            behind: after < last_seq,
            ready: VecDeque::new(),
        })
    }

    /// What the tail of a swarm hands round from now on.
    fn tail(&self, swarm: SwarmKey) -> broadcast::Receiver<Handed> {
        self.listen();
        let mut tails = self.inner.tails.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tail) = tails.get(&swarm) {
            return tail.events.subscribe();
        }
        let tail = Tail {
            events: broadcast::Sender::new(KEPT),
            rung: Arc::new(Notify::new()),
        };
        let receiver = tail.events.subscribe();
        tails.insert(swarm.clone(), tail.clone());
        drop(tails);
        tokio::spawn(run(Arc::clone(&self.inner), swarm, tail));
        receiver
    }

    fn listen(&self) {
        let mut listening = self.inner.listening.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *listening, true) {
            let bells = self.inner.queue.bells.stored(&self.inner.postgres, &self.inner.stop);
            tokio::spawn(pass_on(Arc::clone(&self.inner), bells));
        }
    }

    /// How many swarms are followed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.tails.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether nobody follows anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Rings at the tails of the swarms for which it was rung.
async fn pass_on(inner: Arc<Inner>, mut bells: broadcast::Receiver<Bell>) {
    loop {
        let bell = tokio::select! {
            () = inner.stop.cancelled() => return,
            bell = bells.recv() => bell,
        };
        let rung = match bell {
            Ok(Bell::Swarm(swarm)) => Some(swarm),
            Ok(Bell::Anything) | Err(RecvError::Lagged(_)) => None,
            Err(RecvError::Closed) => return,
        };
        let tails = inner.tails.lock().unwrap_or_else(PoisonError::into_inner);
        match rung {
            Some(swarm) => {
                if let Some(tail) = tails.get(&*swarm) {
                    tail.rung.notify_one();
                }
            }
            None => tails.values().for_each(|tail| tail.rung.notify_one()),
        }
    }
}

/// Reads what is stored and hands it round, until nobody follows any more.
async fn run(inner: Arc<Inner>, swarm: SwarmKey, tail: Tail) {
    let selection = Selection {
        tenant_id: swarm.0.clone(),
        swarm_id: swarm.1.clone(),
        run_id: None,
        kind: None,
        actor_id: None,
    };
    let mut reached: Option<i64> = None;
    loop {
        match hand_round(&inner.postgres, &selection, &tail, reached).await {
            Ok(now) => reached = Some(now),
            Err(error) => {
                tracing::warn!(tenant.id = %swarm.0, swarm.id = %swarm.1, error = %error, "followers wait for the database")
            }
        }
        tokio::select! {
            () = inner.stop.cancelled() => break,
            () = tail.rung.notified(), if reached.is_some() => {}
            () = tokio::time::sleep(if reached.is_some() { LOOK_EVERY } else { LOOK_EVERY / 5 }) => {}
        }
        let mut tails = inner.tails.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody can subscribe while the lock is held.
        if tail.events.receiver_count() == 0 {
            tails.remove(&swarm);
            return;
        }
    }
    inner
        .tails
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(&swarm);
}

/// Returns how far the swarm has been handed round. At first that is where it stands.
async fn hand_round(
    postgres: &Postgres,
    selection: &Selection,
    tail: &Tail,
    reached: Option<i64>,
) -> Result<i64, postgres::Error> {
    let Some(mut reached) = reached else {
        let begin = last_seq(postgres, selection).await?;
        let _ = tail.events.send(Handed::UpTo(begin));
        return Ok(begin);
    };
    loop {
        let page = events::list(postgres, &selection.query(reached, PAGE)).await?;
        for event in page.events {
            // Followers may all have gone.
            let _ = tail.events.send(Handed::Event(Arc::new(event)));
        }
        match page.next_after {
            Some(next) => reached = next,
            None => return Ok(page.last_seq.max(reached)),
        }
    }
}

async fn last_seq(postgres: &Postgres, selection: &Selection) -> Result<i64, postgres::Error> {
    let client = postgres.client().await?;
    let sql = "SELECT last_seq FROM swarm_sequences WHERE tenant_id = $1 AND swarm_id = $2";
    let statement = client.prepare_cached(sql).await?;
    let (tenant, swarm) = (selection.tenant_id.as_str(), selection.swarm_id.as_str());
    let row = client.query_opt(&statement, &[&tenant, &swarm]).await?;
    Ok(row.map_or(0, |row| row.get(0)))
}

/// Follows the events of a swarm.
pub struct Follower {
    tails: Tails,
    selection: Selection,
    events: broadcast::Receiver<Handed>,
    /// Up to here everything was given out, or is `ready`.
    reached: i64,
    /// There is more in the database than was handed round since.
    behind: bool,
    ready: VecDeque<Followed>,
}

impl Follower {
    /// The next event, or gap. `None` when the service stops. May be dropped and called again without losing anything.
    ///
    /// # Errors
    /// Those of the database; calling again tries again.
    pub async fn next(&mut self) -> Result<Option<Followed>, Error> {
        loop {
            if let Some(next) = self.ready.pop_front() {
                return Ok(Some(next));
            }
            if self.behind {
                self.catch_up().await?;
                continue;
            }
            let stop = &self.tails.inner.stop;
            let handed = tokio::select! {
                handed = self.events.recv() => handed,
                () = stop.cancelled() => return Ok(None),
            };
            match handed {
                Ok(handed) => self.take(handed),
                Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => {
                    let selection = &self.selection;
                    let swarm = (selection.tenant_id.clone(), selection.swarm_id.clone());
                    self.events = self.tails.tail(swarm);
                    self.behind = true;
                }
            }
        }
    }

    /// The next one that is there already, without waiting.
    pub fn next_now(&mut self) -> Option<Followed> {
        while self.ready.is_empty() && !self.behind {
            match self.events.try_recv() {
                Ok(handed) => self.take(handed),
                Err(broadcast::error::TryRecvError::Lagged(_)) => self.behind = true,
                Err(_) => break,
            }
        }
        self.ready.pop_front()
    }

    /// Up to which `seq` everything was given out.
    #[must_use]
    pub fn reached(&self) -> i64 {
        self.reached
    }

    fn take(&mut self, handed: Handed) {
        match handed {
            Handed::UpTo(seq) => self.behind = seq > self.reached,
            Handed::Event(event) if event.seq <= self.reached => {}
            Handed::Event(event) if event.seq == self.reached + 1 => {
                self.reached = event.seq;
                if self.selection.takes(&event) {
                    self.ready.push_back(Followed::Event(event));
                }
            }
            // Some of them were not handed round.
            Handed::Event(_) => self.behind = true,
        }
    }

    async fn catch_up(&mut self) -> Result<(), Error> {
        let query = self.selection.query(self.reached, CATCH_UP);
        let page = events::list(&self.tails.inner.postgres, &query).await?;
        if let Some(gap) = page.gap {
            self.ready.push_back(Followed::Gap(gap));
        }
        let found = page.events.into_iter().map(|event| Followed::Event(Arc::new(event)));
        self.ready.extend(found);
        self.reached = page.next_after.unwrap_or(page.last_seq).max(self.reached);
        self.behind = page.next_after.is_some();
        Ok(())
    }
}
