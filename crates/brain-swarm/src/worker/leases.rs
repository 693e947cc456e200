//! The leases that a worker holds, and until when.
//!
//! Invariants: a lease that is over, by the local clock or because the brain says so, never comes back; its token is
//! cancelled in the same moment. An entry lives as long as its [`Lease`], so a slot cannot leak.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::schedule;
use super::wire::Holding;

/// All leases of one worker.
#[derive(Debug)]
pub(super) struct Leases {
    table: Mutex<HashMap<Holding, Entry>>,
    /// Moves with every lease that begins or ends.
    changes: watch::Sender<()>,
}

#[derive(Debug)]
struct Entry {
    token: CancellationToken,
    /// When the request was sent that began or renewed the lease.
    asked: Instant,
    length: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The handler works.
    Working,
    /// The handler is done, and the brain may know it already.
    Reporting,
    /// It is over.
    Lost,
}

impl Entry {
    fn end(&self) -> Instant {
        schedule::lease_end(self.asked, self.length)
    }

    fn lose(&mut self) {
        self.state = State::Lost;
        self.token.cancel();
    }
}

/// One lease, as its task carries it. Dropping it forgets the task.
#[derive(Debug)]
pub(super) struct Lease {
    leases: Arc<Leases>,
    holding: Holding,
    token: CancellationToken,
}

impl Leases {
    pub(super) fn new() -> Self {
        Self {
            table: Mutex::default(),
            changes: watch::Sender::new(()),
        }
    }

    /// A lease that a request sent at `asked` began. `token` is cancelled when it is over.
    pub(super) fn begin(
        self: &Arc<Self>,
        holding: Holding,
        asked: Instant,
        length: Duration,
        token: CancellationToken,
    ) -> Lease {
        let entry = Entry {
            token: token.clone(),
            asked,
            length,
            state: State::Working,
        };
        self.table().insert(holding.clone(), entry);
        self.changes.send_replace(());
        Lease {
            leases: Arc::clone(self),
            holding,
            token,
        }
    }

    /// A heartbeat sent at `asked` renewed it.
    pub(super) fn renew(&self, holding: &Holding, asked: Instant) {
        if let Some(entry) = self.table().get_mut(holding)
            && entry.state != State::Lost
        {
            entry.asked = entry.asked.max(asked);
        }
    }

    /// The brain refused something that was said about the task.
    pub(super) fn lose(&self, holding: &Holding) {
        if let Some(entry) = self.table().get_mut(holding) {
            entry.lose();
        }
        self.changes.send_replace(());
    }

    /// A heartbeat says that it is over. Whether that stops somebody: a result on its way may be what ended it.
    pub(super) fn lose_if_working(&self, holding: &Holding) -> bool {
        let mut table = self.table();
        let Some(entry) = table.get_mut(holding).filter(|entry| entry.state == State::Working) else {
            return false;
        };
        entry.lose();
        true
    }

    /// Ends what has run out.
    pub(super) fn expire(&self, now: Instant) -> Vec<Holding> {
        let mut table = self.table();
        let over = table
            .iter_mut()
            .filter(|(_, entry)| entry.state != State::Lost && entry.end() <= now);
        over.map(|(holding, entry)| {
            entry.lose();
            holding.clone()
        })
        .collect()
    }

    /// Whether the worker may still speak for the task.
    pub(super) fn is_held(&self, holding: &Holding, now: Instant) -> bool {
        let table = self.table();
        table
            .get(holding)
            .is_some_and(|entry| entry.state != State::Lost && now < entry.end())
    }

    /// What a heartbeat is to renew.
    pub(super) fn holdings(&self) -> Vec<Holding> {
        let table = self.table();
        let held = table.iter().filter(|(_, entry)| entry.state != State::Lost);
        held.map(|(holding, _)| holding.clone()).collect()
    }

    /// How many slots are taken. A lease that is over takes one until its handler has stopped.
    pub(super) fn busy(&self) -> usize {
        self.table().len()
    }

    /// When the first lease runs out.
    pub(super) fn next_end(&self) -> Option<Instant> {
        let table = self.table();
        table
            .values()
            .filter(|entry| entry.state != State::Lost)
            .map(Entry::end)
            .min()
    }

    /// When the next heartbeat is due.
    pub(super) fn heartbeat_due(&self, heard: Instant, quiet: Duration) -> Instant {
        let table = self.table();
        let held = table.values().filter(|entry| entry.state != State::Lost);
        schedule::heartbeat_due(held.map(|entry| (entry.asked, entry.length)), heard, quiet)
    }

    /// The length of the shortest lease.
    pub(super) fn shortest(&self) -> Option<Duration> {
        let table = self.table();
        let held = table.values().filter(|entry| entry.state != State::Lost);
        held.map(|entry| entry.length).min()
    }

    /// Learns of every lease that begins or ends.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Holding, Entry>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// The task and the token of the claim.
    pub(super) fn holding(&self) -> &Holding {
        &self.holding
    }

    /// Cancelled when the lease is over or the worker stops.
    pub(super) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Whether the worker may still speak for the task.
    pub(super) fn is_held(&self) -> bool {
        self.leases.is_held(&self.holding, Instant::now())
    }

    /// The handler is done; what is left is to say so.
    pub(super) fn reporting(&self) {
        if let Some(entry) = self.leases.table().get_mut(&self.holding)
            && entry.state == State::Working
        {
            entry.state = State::Reporting;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.table().remove(&self.holding);
        self.leases.changes.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::ids::{FencingToken, TaskId};

    const LEASE: Duration = Duration::from_secs(30);

    fn begun(task: &str, asked: Instant) -> (Arc<Leases>, Lease) {
        let leases = Arc::new(Leases::new());
        let holding = Holding {
            task_id: TaskId::new(task).unwrap(),
            fencing_token: FencingToken(1),
        };
        let lease = leases.begin(holding, asked, LEASE, CancellationToken::new());
        (leases, lease)
    }

    #[test]
    fn what_has_run_out_never_comes_back() {
        let start = Instant::now();
        let (leases, lease) = begun("t", start);
        assert!(leases.expire(start + LEASE / 2).is_empty());
        leases.renew(lease.holding(), start + LEASE / 2);
        assert!(leases.expire(start + LEASE).is_empty());
        assert_eq!(leases.next_end(), Some(start + LEASE * 3 / 2));
        assert_eq!(leases.expire(start + LEASE * 3 / 2), [lease.holding().clone()]);
        assert!(lease.token().is_cancelled());
        leases.renew(lease.holding(), start + LEASE * 2);
        assert!(!leases.is_held(lease.holding(), start + LEASE * 2));
        assert!(leases.holdings().is_empty());
        assert_eq!(leases.busy(), 1, "the handler has not stopped yet");
        drop(lease);
        assert_eq!(leases.busy(), 0);
    }

    #[test]
    fn an_answer_that_was_overtaken_does_not_shorten_a_lease() {
        let start = Instant::now();
        let (leases, lease) = begun("t", start);
        leases.renew(lease.holding(), start + LEASE / 2);
        leases.renew(lease.holding(), start + LEASE / 3);
        assert_eq!(leases.next_end(), Some(start + LEASE * 3 / 2));
    }

    #[test]
    fn a_result_on_its_way_is_not_stopped_by_a_heartbeat() {
        let (leases, lease) = begun("t", Instant::now());
        lease.reporting();
        assert!(!leases.lose_if_working(lease.holding()));
        assert!(lease.is_held() && !lease.token().is_cancelled());
        leases.lose(lease.holding());
        assert!(!lease.is_held() && lease.token().is_cancelled());
    }
}
