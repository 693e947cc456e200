//! What a pool allows in number and time.

use std::time::Duration;

use crate::calls::{backoff::Backoff, frames};

/// What a pool allows.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Programs that run at a time, idle ones included.
    pub processes: usize,
    /// Idle workers of one skill for one tenant.
    pub idle_per_key: usize,
    /// Idle workers of all.
    pub idle: usize,
    /// How old a worker may become.
    pub max_age: Duration,
    /// How many calls a worker may serve.
    pub max_calls: u32,
    /// How much memory an idle worker may hold, in bytes, where that is known.
    pub max_memory_bytes: u64,
    /// How long a program may take to be ready.
    pub start_time: Duration,
    /// How long a program may take to answer after a cancellation, before it is killed.
    pub cancel_grace: Duration,
    /// Longest message either way, in bytes.
    pub frame_bytes: usize,
    /// How long a skill that fails again and again is left alone.
    pub backoff: Backoff,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            processes: 64,
            idle_per_key: 4,
            idle: 32,
            max_age: Duration::from_secs(600),
            max_calls: 1000,
            max_memory_bytes: 128 << 20,
            start_time: Duration::from_secs(10),
            cancel_grace: Duration::from_secs(2),
            frame_bytes: frames::DEFAULT_MAX_BYTES,
            backoff: Backoff::default(),
        }
    }
}
