//! Foreign text on pages: cut where it is long, shown where it would act.
//!
//! Invariants: no control character but line breaks and tabs, and nothing that changes the direction of text, leaves in a page; what
//! is cut says so. That markup in it stays text is the work of the templates, which escape everything.

use std::fmt::{self, Write as _};

use askama::filters::HtmlSafe;
use brain_swarm::foreign_text;
use jiff::{Timestamp, tz::TimeZone};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

/// The most bytes of one text on the page of one thing.
pub(super) const MAX_BYTES: usize = 64 * 1024;
/// The most bytes of one text in a list.
pub(super) const MAX_LISTED_BYTES: usize = 4 * 1024;
/// The most characters of a text that is one field of a row.
const MAX_FIELD_CHARS: usize = 160;

/// What stands in a path as it is.
const SEGMENT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A part of a path or of a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, &SEGMENT).to_string()
}

/// A page in which nothing acts that is not markup.
pub(super) fn disarmed(page: String) -> String {
    if !page.contains(is_active) {
        return page;
    }
    let mut shown = String::with_capacity(page.len() + 64);
    for c in page.chars() {
        if is_active(c) {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Whether a text holds nothing that [`disarmed`] would change, so that it can be sent back as it is shown.
pub(super) fn is_plain(text: &str) -> bool {
    !text.contains(|c| is_active(c) || c == '\r')
}

/// Line breaks and tabs do no harm within a page.
fn is_active(c: char) -> bool {
    foreign_text::is_active(c) && !matches!(c, '\n' | '\t' | '\r')
}

/// A text of which a page shows the beginning.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) text: String,
    /// What is not shown.
    pub(super) note: Option<String>,
}

/// The first bytes of a text, by whole characters.
pub(super) fn cut(mut text: String, most: usize) -> Cut {
    let whole = text.len();
    if whole <= most {
        return Cut { text, note: None };
    }
    text.truncate(text.floor_char_boundary(most));
    let note = format!(
        "Cut: the first {} of {whole} bytes are shown. The API has all of it.",
        text.len()
    );
    Cut { text, note: Some(note) }
}

/// JSON as people read it.
pub(super) fn pretty(value: &impl Serialize, most: usize) -> Cut {
    cut(serde_json::to_string_pretty(value).unwrap_or_default(), most)
}

/// One field of a row.
pub(super) fn field(text: &str) -> String {
    match text.char_indices().nth(MAX_FIELD_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Bytes as text; what is none is written as `\xff`.
pub(super) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// A moment, for people and for programs.
#[derive(Debug, Clone, Copy)]
pub(super) struct When(pub(super) Timestamp);

/// As templates write it.
pub(super) fn when(time: &Timestamp) -> When {
    When(*time)
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.0.to_zoned(TimeZone::UTC);
        let shown = time.strftime("%Y-%m-%d %H:%M:%S");
        write!(f, "<time datetime=\"{:.3}\">{shown} UTC</time>", self.0)
    }
}

/// It is made of digits and of words of ours.
impl HtmlSafe for When {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_would_act_is_shown() {
        assert_eq!(disarmed("a\u{202e}b\u{7}c\n\t".to_owned()), "a\\u{202e}b\\u{7}c\n\t");
        assert_eq!(
            disarmed("a\u{ad}\u{180e}\u{fff9}".to_owned()),
            "a\\u{ad}\\u{180e}\\u{fff9}"
        );
        assert_eq!(disarmed("Grüße, 世界 🙂".to_owned()), "Grüße, 世界 🙂");
        assert!(is_plain("{\"a\": 1}\n") && !is_plain("\u{200f}") && !is_plain("a\r\n"));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let cut_to = |text: &str, most| cut(text.to_owned(), most);
        assert_eq!(cut_to("äöü", 6).note, None);
        let three = cut_to("äöü", 3);
        assert_eq!(three.text, "ä");
        assert_eq!(
            three.note.unwrap(),
            "Cut: the first 2 of 6 bytes are shown. The API has all of it."
        );
        assert_eq!(field(&"x".repeat(161)).chars().count(), 161);
    }

    #[test]
    fn a_moment_is_in_utc() {
        let when = When("2026-01-02T03:04:05.678901Z".parse().unwrap());
        assert_eq!(
            when.to_string(),
            "<time datetime=\"2026-01-02T03:04:05.678Z\">2026-01-02 03:04:05 UTC</time>"
        );
    }

    proptest! {
        #[test]
        fn nothing_active_is_left(text in any::<String>()) {
            prop_assert!(!disarmed(text).contains(is_active));
        }

        #[test]
        fn bytes_are_text_or_escapes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let text = escaped(&bytes);
            if let Ok(valid) = std::str::from_utf8(&bytes) {
                prop_assert_eq!(text, valid);
            }
        }
    }
}
