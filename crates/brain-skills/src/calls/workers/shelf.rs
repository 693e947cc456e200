//! The workers that wait for a call.
//!
//! Invariants: there are never more than the settings allow; the one that was used last is taken first, so that the others grow old.

use std::collections::BTreeMap;

use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Settings, key::Key, worker::Worker};

/// Waiting workers, by when they came.
#[derive(Default)]
pub(super) struct Shelf {
    waiting: BTreeMap<u64, Waiting>,
    last: u64,
}

struct Waiting {
    key: Key,
    worker: Worker,
    /// Tells whoever watches it that it is no longer here.
    _gone: DropGuard,
}

impl Shelf {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Puts a worker here; what had to go for it is handed back, to be dropped outside of any lock.
    pub(super) fn put(
        &mut self,
        key: Key,
        worker: Worker,
        settings: &Settings,
    ) -> (u64, CancellationToken, Vec<Worker>) {
        self.last += 1;
        let gone = CancellationToken::new();
        let waiting = Waiting {
            worker,
            _gone: gone.clone().drop_guard(),
            key: key.clone(),
        };
        self.waiting.insert(self.last, waiting);
        let mut removed = Vec::new();
        let of_key = self.waiting.iter().filter(|(_, waiting)| waiting.key == key);
        let over = of_key.clone().count().saturating_sub(settings.idle_per_key);
        let oldest = of_key.map(|(id, _)| *id).take(over).collect::<Vec<_>>();
        removed.extend(oldest.into_iter().filter_map(|id| self.remove(id)));
        while self.waiting.len() > settings.idle {
            removed.extend(self.evict());
        }
        (self.last, gone, removed)
    }

    /// The worker of this key that came last.
    pub(super) fn take(&mut self, key: &Key) -> Option<Worker> {
        let mut of_key = self.waiting.iter().filter(|(_, waiting)| waiting.key == *key);
        let id = of_key.next_back().map(|(id, _)| *id)?;
        self.remove(id)
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Worker> {
        self.waiting.remove(&id).map(|waiting| waiting.worker)
    }

    /// The worker that waits for longest.
    pub(super) fn evict(&mut self) -> Option<Worker> {
        self.waiting.pop_first().map(|(_, waiting)| waiting.worker)
    }

    pub(super) fn remove_where(&mut self, mut which: impl FnMut(&Key) -> bool) -> Vec<Worker> {
        let removed = self.waiting.extract_if(.., |_, waiting| which(&waiting.key));
        removed.map(|(_, waiting)| waiting.worker).collect()
    }
}
