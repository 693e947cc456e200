//! A task, as far as decisions need it: where it stands, what it waits for, who holds it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Origin;
use crate::ids::{ActorId, BudgetId, FencingToken, RunId, TaskId};

/// How often a task may be started when its creator did not say.
pub const DEFAULT_MAX_ATTEMPTS: i32 = 3;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub enum $name {
            $($(#[$word_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All of them, in their usual order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in the database and on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(word: &str) -> Result<Self, String> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|known| known.as_str() == word)
                    .ok_or_else(|| {
                        let valid: Vec<&str> = Self::ALL.iter().map(|known| known.as_str()).collect();
                        format!("{word:?} is not {}; valid: {}", $what, valid.join(", "))
                    })
            }
        }
    };
}

pub(super) use words;

words! {
    /// Where a task stands.
    TaskStatus, "a task status" {
        /// It waits for an agent, or for something else first.
        Created = "created",
        /// An agent has it, but has not begun.
        Assigned = "assigned",
        /// Its agent works on it.
        Running = "running",
        /// It ended well.
        Completed = "completed",
        /// It ended badly.
        Failed = "failed",
        /// It was called off.
        Cancelled = "cancelled",
    }
}

words! {
    /// What a created task waits for besides an agent.
    Wait, "something that a task waits for" {
        /// For its time to come.
        Time = "time",
        /// For the tasks that it depends on.
        Dependencies = "dependencies",
        /// For somebody to raise its budget.
        Budget = "budget",
    }
}

words! {
    /// What becomes of a task when one that it depends on fails or is cancelled.
    DependencyPolicy, "a dependency policy" {
        /// It is cancelled too.
        Cancel = "cancel",
        /// It goes on waiting: the other may be retried.
        Wait = "wait",
        /// The dependency counts as done.
        Run = "run",
    }
}

impl TaskStatus {
    /// Whether nothing can follow, except a retry by hand.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Whether an agent has it.
    #[must_use]
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Assigned | Self::Running)
    }
}

/// Until when a claim holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// By the clock of the database.
    pub expires_at: Timestamp,
    /// What a heartbeat renews it by, in milliseconds.
    pub ms: i32,
}

/// How long a failed attempt delays the next.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Backoff {
    /// After the first attempt, in milliseconds.
    #[schemars(range(max = 86_400_000_u64))]
    pub initial_ms: u64,
    /// At most, in milliseconds.
    #[schemars(range(max = 2_592_000_000_u64))]
    pub max_ms: u64,
    /// How much longer after each further attempt.
    #[schemars(range(min = 1.0, max = 100.0))]
    pub factor: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial_ms: 1_000,
            max_ms: 300_000,
            factor: 2.0,
        }
    }
}

impl Backoff {
    /// The delay after the given attempt. Up to a quarter less than the exact value, by the task's id and the attempt: many
    /// tasks that failed together do not come back together, and the same decision is always the same.
    #[must_use]
    pub fn delay(&self, task: &TaskId, attempt: i32) -> SignedDuration {
        let exponent = attempt.clamp(1, 64) - 1;
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of at most days")]
        let exact = (self.initial_ms as f64 * self.factor.clamp(1.0, 100.0).powi(exponent)).min(self.max_ms as f64);
        let spread = f64::from(crc32fast::hash(format!("{task}/{attempt}").as_bytes())) / f64::from(u32::MAX);
        #[allow(clippy::cast_possible_truncation, reason = "bounded by max_ms")]
        let ms = (exact * (1.0 - spread / 4.0)) as i64;
        SignedDuration::from_millis(ms)
    }
}

/// A task, as far as decisions need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The run it belongs to.
    pub run_id: RunId,
    /// Where it stands.
    pub status: TaskStatus,
    /// What it waits for while it is created; `None`: it is ready.
    pub waiting_for: Option<Wait>,
    /// Not before this.
    pub run_at: Option<Timestamp>,
    /// Who holds it, or held it last.
    pub assignee: Option<ActorId>,
    /// Whom its creator named.
    pub wanted_agent: Option<ActorId>,
    /// The only role that fits.
    pub role: Option<String>,
    /// The capability an agent must have.
    pub capability: Option<String>,
    /// Higher goes first.
    pub priority: i16,
    /// Its place in the queue: the seq of the event that created it.
    pub position: i64,
    /// How often it has been started.
    pub attempt: i32,
    /// How often it may be started.
    pub max_attempts: i32,
    /// Grows with every change of holder.
    pub token: FencingToken,
    /// The lease of the claim that holds it; `None` when it was given to an agent that listens.
    pub lease: Option<Lease>,
    /// Tasks of one key share a limit of how many are held at once.
    pub concurrency_key: Option<String>,
    /// The task whose tree it belongs to.
    pub parent: Option<TaskId>,
    /// What it may spend from.
    pub budget: Option<BudgetId>,
    /// What its open reservations add up to.
    pub reserved_units: i64,
    /// How many dependencies are not done.
    pub unmet: i32,
    /// What the failure of a dependency does to it.
    pub policy: DependencyPolicy,
    /// How its attempts are spaced.
    pub backoff: Backoff,
    /// What its worker needs to know; `None` when not loaded or not given.
    pub inputs: Option<Value>,
    /// What came out of it.
    pub outputs: Option<Value>,
    /// Why it failed.
    pub error: Option<String>,
    /// What its worker last said of its progress.
    pub progress: Option<Value>,
    /// Attempts that ended without success in this batch, to be added to its history.
    pub ended_attempts: Vec<Value>,
    /// When the current attempt began.
    pub started_at: Option<Timestamp>,
    /// What created it.
    pub origin: Origin,
}

impl Task {
    /// Whether an agent may take it now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status == TaskStatus::Created && self.waiting_for.is_none()
    }

    /// Whether its lease has run out.
    #[must_use]
    pub fn lease_is_over(&self, now: Timestamp) -> bool {
        self.status == TaskStatus::Running && self.lease.is_some_and(|lease| lease.expires_at <= now)
    }

    /// The part of the queue it waits in.
    #[must_use]
    pub(crate) fn lane(&self) -> String {
        lane(self.role.as_deref(), self.capability.as_deref())
    }
}

/// Who had a task, in which attempt, when something was decided about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Who had it, if anybody.
    pub agent: Option<ActorId>,
    /// Which attempt, from 1; 0 before the first.
    pub number: i32,
    /// When it began; `None` where nobody was at work.
    pub begun: Option<Timestamp>,
}

impl Attempt {
    /// As the task is now.
    pub(super) fn of(task: &Task) -> Self {
        Self {
            agent: task.assignee.clone().filter(|_| task.status.is_held()),
            number: task.attempt,
            begun: task.started_at.filter(|_| task.status == TaskStatus::Running),
        }
    }
}

/// The part of the queue for tasks that want this role and this capability.
#[must_use]
pub(super) fn lane(role: Option<&str>, capability: Option<&str>) -> String {
    match (role, capability) {
        (None, None) => String::new(),
        (role, capability) => format!("{}/{}", role.unwrap_or_default(), capability.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn backoff_grows_to_its_limit_and_never_waits_less_than_three_quarters(attempt in 1..200_i32, id in "[a-z]{1,8}") {
            let backoff = Backoff { initial_ms: 100, max_ms: 10_000, factor: 2.0 };
            let task = TaskId::new(id).unwrap();
            let delay = i64::try_from(backoff.delay(&task, attempt).as_millis()).unwrap();
            let exact = 100_i64.saturating_mul(1_i64.checked_shl(u32::try_from(attempt - 1).unwrap().min(40)).unwrap()).min(10_000);
            prop_assert!(delay <= exact && delay >= exact * 3 / 4 - 1, "{delay} of {exact}");
            prop_assert_eq!(backoff.delay(&task, attempt), backoff.delay(&task, attempt));
        }
    }

    #[test]
    fn words_are_read_back() {
        for status in TaskStatus::ALL {
            assert_eq!(status.as_str().parse::<TaskStatus>().unwrap(), *status);
        }
        assert!(
            "gone"
                .parse::<Wait>()
                .unwrap_err()
                .contains("valid: time, dependencies, budget")
        );
    }
}
