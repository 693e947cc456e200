//! Says what takes long: a spinner at a terminal, plain lines elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Something that is going on.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Begins to show `message`.
    pub(crate) fn start(message: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        if bar.is_hidden() {
            eprintln!("{message} ...");
        } else {
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.set_message(message.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Self { bar }
    }

    /// Shows another message instead.
    pub(crate) fn change(&self, message: &str) {
        if self.bar.is_hidden() {
            eprintln!("{message} ...");
        } else {
            self.bar.set_message(message.to_owned());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
