//! Entries that the database refused, waiting to be tried again, each alone.

use std::time::{Duration, Instant};

use brain_connectivity::retry::Backoff;

use crate::{ids::EntryId, ingest::Input};

/// One refused entry.
pub(super) struct Retry {
    pub(super) input: Input,
    pub(super) attempts: u32,
    pub(super) problem: String,
}

pub(super) struct Retries {
    waiting: Vec<(Instant, Retry)>,
    backoff: Backoff,
    max_attempts: u32,
}

impl Retries {
    pub(super) fn new(max_attempts: u32) -> Self {
        let backoff = Backoff {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(5),
            ..Backoff::default()
        };
        Self {
            waiting: Vec::new(),
            backoff,
            max_attempts,
        }
    }

    /// Refused for the first time. One that waits already, and was delivered again, goes on waiting.
    pub(super) fn add(&mut self, input: Input, problem: String) {
        let id = |input: &Input| input.entry.as_ref().map(|entry| entry.id);
        if self.waiting.iter().any(|(_, retry)| id(&retry.input) == id(&input)) {
            return;
        }
        self.again(input, 1, problem);
    }

    /// Refused `attempts` times. One that is out of attempts is due at once, to be given up.
    pub(super) fn again(&mut self, input: Input, attempts: u32, problem: String) {
        let wait = if attempts >= self.max_attempts {
            Duration::ZERO
        } else {
            self.backoff.envelope(attempts - 1)
        };
        self.waiting.push((
            Instant::now() + wait,
            Retry {
                input,
                attempts,
                problem,
            },
        ));
    }

    /// Takes out what is due.
    pub(super) fn due(&mut self) -> Vec<Retry> {
        let now = Instant::now();
        self.waiting
            .extract_if(.., |(at, _)| *at <= now)
            .map(|(_, retry)| retry)
            .collect()
    }

    /// How long until the next is due.
    pub(super) fn next_in(&self) -> Option<Duration> {
        self.waiting
            .iter()
            .map(|(at, _)| at.saturating_duration_since(Instant::now()))
            .min()
    }

    /// The oldest entry that waits: the stream must not be cut below it.
    pub(super) fn oldest(&self) -> Option<EntryId> {
        self.waiting
            .iter()
            .filter_map(|(_, retry)| retry.input.entry.as_ref().map(|entry| entry.id))
            .min()
    }
}
