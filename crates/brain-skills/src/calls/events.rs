//! What a program tells while it works: how far it is, and lines for the log.
//!
//! Invariants: a line is one line, escaped and shortened; no program can tell more than its share in a second or a call.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::escape::escaped_line;

/// Longest text of an event, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 4096;

/// Most events of one call.
pub(super) const MAX_EVENTS: u64 = 2000;

/// Most events within a second.
pub(super) const MAX_EVENTS_PER_SECOND: u64 = 200;

/// Where events go. It must not block.
pub type Sink = Arc<dyn Fn(Event) + Send + Sync>;

/// How much a line of the log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever writes the skill.
    Debug,
    /// For whoever reads along.
    Info,
    /// Something is odd.
    Warn,
    /// Something failed.
    Error,
}

/// Something that a program told.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// How far it is.
    Progress {
        /// From 0 to 1, where it is known.
        fraction: Option<f64>,
        /// What it is doing.
        message: Option<String>,
    },
    /// A line for the log.
    Log {
        /// How much it matters.
        level: Level,
        /// What it says.
        message: String,
    },
    /// It told more than its share; this many events were dropped until the call ended.
    Dropped(u64),
}

/// Passes events of one call on, as far as they are within the share.
pub(super) struct Share<'a> {
    sink: &'a Sink,
    passed: u64,
    dropped: u64,
    second: Instant,
    in_second: u64,
}

impl<'a> Share<'a> {
    pub(super) fn new(sink: &'a Sink) -> Self {
        Self {
            sink,
            passed: 0,
            dropped: 0,
            second: Instant::now(),
            in_second: 0,
        }
    }

    /// `{fraction, message}`, or `{progress, total, message}`.
    pub(super) fn progress(&mut self, params: &Value) {
        let number = |name: &str| params.get(name).and_then(Value::as_f64);
        let total = number("total").filter(|total| *total > 0.0).unwrap_or(1.0);
        let fraction = number("fraction").or_else(|| Some(number("progress")? / total));
        let message = params.get("message").and_then(Value::as_str);
        self.tell(|| Event::Progress {
            fraction: fraction
                .filter(|fraction| fraction.is_finite())
                .map(|fraction| fraction.clamp(0.0, 1.0)),
            message: message.map(|message| escaped_line(message, MAX_TEXT_BYTES)),
        });
    }

    /// `{level, message}`, or `{level, data}` as MCP has it.
    pub(super) fn log(&mut self, params: &Value) {
        let level = match params.get("level").and_then(Value::as_str) {
            Some("debug" | "trace") => Level::Debug,
            Some("warn" | "warning" | "notice") => Level::Warn,
            Some("error" | "critical" | "alert" | "emergency") => Level::Error,
            _ => Level::Info,
        };
        let text = params.get("message").or_else(|| params.get("data"));
        self.tell(|| Event::Log {
            level,
            message: match text {
                Some(Value::String(text)) => escaped_line(text, MAX_TEXT_BYTES),
                Some(other) => escaped_line(&other.to_string(), MAX_TEXT_BYTES),
                None => String::new(),
            },
        });
    }

    fn tell(&mut self, event: impl FnOnce() -> Event) {
        let now = Instant::now();
        if now.duration_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.in_second) = (now, 0);
        }
        if self.passed >= MAX_EVENTS || self.in_second >= MAX_EVENTS_PER_SECOND {
            self.dropped += 1;
            return;
        }
        self.passed += 1;
        self.in_second += 1;
        (self.sink)(event());
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if self.dropped > 0 {
            (self.sink)(Event::Dropped(self.dropped));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::Mutex;

    use serde_json::json;

    use super::*;

    fn told(tell: impl FnOnce(&mut Share<'_>)) -> Vec<Event> {
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink: Sink = {
            let events = Arc::clone(&events);
            Arc::new(move |event| events.lock().unwrap().push(event))
        };
        tell(&mut Share::new(&sink));
        events.lock().unwrap().clone()
    }

    #[test]
    fn lines_cannot_act_on_a_terminal_or_fill_a_disk() {
        let events = told(|share| {
            share.log(&json!({"level": "warning", "message": "\u{1b}]0;title\u{7}\nforged line"}));
            share.log(&json!({"level": "info", "data": {"a": 1}}));
            share.log(&json!({"message": "x".repeat(9999)}));
            share.log(&json!([]));
        });
        let log = |level, message: &str| Event::Log {
            level,
            message: message.into(),
        };
        let long = format!("{}…", "x".repeat(MAX_TEXT_BYTES));
        let expected = [
            log(Level::Warn, "\\u{1b}]0;title\\u{7}\\nforged line"),
            log(Level::Info, "{\"a\":1}"),
            log(Level::Info, &long),
            log(Level::Info, ""),
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn progress_is_a_fraction() {
        let events = told(|share| {
            for params in [
                json!({"fraction": 0.5, "message": "half"}),
                json!({"progress": 5, "total": 10}),
                json!({"progress": 50}),
                json!({"progress": 1, "total": 0}),
                json!({"fraction": "x"}),
            ] {
                share.progress(&params);
            }
        });
        let fractions = events.iter().map(|event| match event {
            Event::Progress { fraction, .. } => *fraction,
            other => panic!("{other:?}"),
        });
        assert_eq!(
            fractions.collect::<Vec<_>>(),
            [Some(0.5), Some(0.5), Some(1.0), Some(1.0), None]
        );
    }

    #[test]
    fn nobody_tells_more_than_the_share() {
        let events = told(|share| (0..10_000).for_each(|_| share.log(&json!({"message": "x"}))));
        let Some(Event::Dropped(dropped)) = events.last() else {
            panic!("what was dropped is told");
        };
        let passed = events.len() as u64 - 1;
        assert_eq!(passed + dropped, 10_000);
        assert!((MAX_EVENTS_PER_SECOND..=MAX_EVENTS).contains(&passed), "{passed}");
    }
}
