//! The tasks that a worker believes it holds.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

/// Task and fencing token; shared by the work and the heartbeats.
#[derive(Default)]
pub(super) struct Held {
    tasks: Mutex<BTreeMap<String, i64>>,
}

impl Held {
    pub(super) fn add(&self, task: &str, token: i64) {
        self.tasks().insert(task.to_owned(), token);
    }

    /// Forgets a task that is no longer its own to renew.
    pub(super) fn remove(&self, task: &str) {
        self.tasks().remove(task);
    }

    /// The same if it is still held with this token; whether it was.
    pub(super) fn lose(&self, task: &str, token: i64) -> bool {
        let mut tasks = self.tasks();
        let held = tasks.get(task) == Some(&token);
        if held {
            tasks.remove(task);
        }
        held
    }

    pub(super) fn all(&self) -> Vec<(String, i64)> {
        self.tasks()
            .iter()
            .map(|(task, token)| (task.clone(), *token))
            .collect()
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<String, i64>> {
        self.tasks.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}
