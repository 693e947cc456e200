//! Times and sizes as people read them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A moment to the second, in UTC.
pub(crate) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// How long ago a moment was, in one or two units: `3 s ago`, `2 h 5 min ago`.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    let passed = now.duration_since(at);
    if passed < SignedDuration::ZERO {
        // Clocks of two machines differ; a moment ahead is shown as it is.
        return moment(at);
    }
    format!("{} ago", span(passed.unsigned_abs()))
}

/// A length of time in one or two units.
pub(crate) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 if length.as_millis() == 0 => "0 s".to_owned(),
        0 => format!("{} ms", length.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3600 => pair(seconds / 60, "min", seconds % 60, "s"),
        3600..86400 => pair(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => pair(seconds / 86400, "d", seconds % 86400 / 3600, "h"),
    }
}

/// A number of bytes, with three digits that count: `512 B`, `1.50 KiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut size = count as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1023.5 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    let decimals = if size < 10.0 { 2 } else { usize::from(size < 100.0) };
    format!("{size:.decimals$} {}", UNITS[unit])
}

fn pair(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    }
}

/// A JSON text that holds a moment, as [`moment`]; another text stays as it is.
pub(crate) fn moment_text(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), moment)
}

/// A JSON text that holds a moment, as [`ago`]; another text stays as it is.
pub(crate) fn ago_text(text: &str, now: Timestamp) -> String {
    text.parse().map_or_else(|_| text.to_owned(), |at| ago(at, now))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use jiff::ToSpan as _;

    use super::*;

    #[test]
    fn spans_have_at_most_two_units() {
        let cases = [
            (0, "0 s"),
            (999, "999 ms"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (3_725_000, "1 h 2 min"),
            (90_000_000, "1 d 1 h"),
        ];
        for (millis, shown) in cases {
            assert_eq!(span(Duration::from_millis(millis)), shown);
        }
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(ago(now - 3.seconds(), now), "3 s ago");
        assert_eq!(ago(now + 3.seconds(), now), "2026-01-02 03:04:08Z");
        assert_eq!(moment_text("2026-01-02T03:04:05.678Z"), "2026-01-02 03:04:05Z");
        assert_eq!(ago_text("never", now), "never");
    }

    #[test]
    fn sizes_have_three_digits_that_count() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (262_144, "256 KiB"),
            (1_048_575, "1.00 MiB"),
            (15_728_640, "15.0 MiB"),
            (1 << 50, "1024 TiB"),
        ];
        for (count, shown) in cases {
            assert_eq!(bytes(count), shown);
        }
    }
}
