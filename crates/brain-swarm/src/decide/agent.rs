//! An agent, as far as decisions need it.

use jiff::Timestamp;

use super::{Task, task::lane};
use crate::ids::{ActorId, RunId};

/// The role that is never given tasks.
pub const ORCHESTRATOR_ROLE: &str = "orchestrator";

/// An agent, as far as decisions need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Its id.
    pub id: ActorId,
    /// The run it joined with.
    pub run_id: RunId,
    /// What it is.
    pub role: String,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// How many tasks it may hold; `None`: any number.
    pub capacity: Option<i32>,
    /// It claims its tasks, and is given only those that name it.
    pub pulls: bool,
    /// It finishes what it has and takes nothing new.
    pub draining: bool,
    /// Whether it sends heartbeats.
    pub live: bool,
    /// How many tasks it holds.
    pub load: i32,
    /// When it was last heard, by the clock of the database.
    pub last_seen_at: Timestamp,
}

impl Agent {
    /// Whether tasks are given to it as they appear.
    pub(super) fn is_pushed(&self) -> bool {
        self.live && !self.pulls && !self.draining && self.role != ORCHESTRATOR_ROLE
    }

    /// How many more tasks it may hold.
    pub(super) fn room(&self) -> usize {
        self.capacity.map_or(usize::MAX, |capacity| {
            usize::try_from(capacity - self.load).unwrap_or_default()
        })
    }

    /// Whether the task wants an agent like this one.
    pub(super) fn fits(&self, task: &Task) -> bool {
        task.role.as_ref().is_none_or(|role| *role == self.role)
            && task
                .capability
                .as_ref()
                .is_none_or(|wanted| self.capabilities.contains(wanted))
    }

    /// The parts of the queue that it may take from.
    #[must_use]
    pub fn lanes(&self) -> Vec<String> {
        let mut lanes = vec![lane(None, None), lane(Some(&self.role), None)];
        for capability in &self.capabilities {
            lanes.push(lane(None, Some(capability)));
            lanes.push(lane(Some(&self.role), Some(capability)));
        }
        lanes
    }
}
