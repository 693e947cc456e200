//! How far the demo is: a bar at a terminal, a line now and then elsewhere.

use std::cell::Cell;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two lines where there is no terminal.
const LINE_PAUSE: Duration = Duration::from_secs(1);

/// Counts what was published, and shows it with what is stored. The bar is full when every task has its agent.
pub(super) struct Meter {
    bar: ProgressBar,
    total: usize,
    published: Cell<usize>,
    last_line: Cell<Instant>,
}

impl Meter {
    pub(super) fn new(total: usize) -> Self {
        let bar = ProgressBar::new(total as u64);
        if let Ok(style) = ProgressStyle::with_template("[{bar:40}] {pos}/{len} assigned, {msg}, {elapsed}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self {
            bar,
            total,
            published: Cell::new(0),
            last_line: Cell::new(Instant::now()),
        }
    }

    /// Adds to what was published.
    pub(super) fn add(&self, count: usize) {
        self.published.set(self.published.get() + count);
    }

    /// How many were published.
    pub(super) fn published(&self) -> usize {
        self.published.get()
    }

    /// Shows how many tasks are stored and how many of them have their agent.
    pub(super) fn show(&self, stored: usize, assigned: usize) {
        let published = self.published.get();
        self.bar.set_message(format!("{published} published, {stored} stored"));
        self.bar.set_position(assigned as u64);
        let line_is_due = self.last_line.get().elapsed() >= LINE_PAUSE || assigned == self.total;
        if self.bar.is_hidden() && line_is_due {
            self.last_line.set(Instant::now());
            eprintln!(
                "{published} published, {stored} stored, {assigned} assigned of {}",
                self.total
            );
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
