//! Frames: one JSON value a line, as programs write them.
//!
//! Invariants: no more than the longest frame and one piece of reading are held, whatever comes; how deep a value nests is
//! known before it is parsed; how the bytes are cut into pieces changes nothing.

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{error::Violation, escape::escaped_line};

/// Longest frame, where nothing else is set.
pub const DEFAULT_MAX_BYTES: usize = 1 << 20;

/// How deep a value may nest.
pub const MAX_DEPTH: usize = 64;

/// Lines without anything in them, one after the other, that are passed over.
const MAX_BLANK: usize = 1000;

/// How much is read at a time.
const PIECE_BYTES: usize = 16 << 10;

/// Cuts bytes into frames.
#[derive(Debug)]
pub struct Splitter {
    held: Vec<u8>,
    /// Where the next frame begins, and up to where no line feed was found.
    start: usize,
    scanned: usize,
    limit: usize,
    blank: usize,
}

impl Splitter {
    /// For frames of at most this many bytes, without the line feed.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            held: Vec::new(),
            start: 0,
            scanned: 0,
            limit,
            blank: 0,
        }
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole frame, without its line feed.
    ///
    /// # Errors
    /// [`Violation::FrameTooLarge`] and [`Violation::Flood`].
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, Violation> {
        loop {
            let Some(at) = self.held[self.scanned..].iter().position(|byte| *byte == b'\n') else {
                self.scanned = self.held.len();
                if self.scanned - self.start > self.limit {
                    return Err(Violation::FrameTooLarge(self.limit));
                }
                self.held.drain(..self.start);
                self.scanned -= self.start;
                self.start = 0;
                return Ok(None);
            };
            let (start, end) = (self.start, self.scanned + at);
            (self.start, self.scanned) = (end + 1, end + 1);
            if end - start > self.limit {
                return Err(Violation::FrameTooLarge(self.limit));
            }
            if self.held[start..end].trim_ascii().is_empty() {
                self.blank += 1;
                if self.blank > MAX_BLANK {
                    return Err(Violation::Flood);
                }
                continue;
            }
            self.blank = 0;
            return Ok(Some(&self.held[start..end]));
        }
    }

    /// Whether bytes of a frame are held that has not ended.
    #[must_use]
    pub fn is_within_frame(&self) -> bool {
        !self.held[self.start..].trim_ascii().is_empty()
    }
}

/// The value in a frame.
///
/// # Errors
/// [`Violation::NotUtf8`], [`Violation::TooDeep`], and [`Violation::NotJson`].
pub fn parse(frame: &[u8]) -> Result<Value, Violation> {
    let text = str::from_utf8(frame).map_err(|_| Violation::NotUtf8)?;
    if depth(frame) > MAX_DEPTH {
        return Err(Violation::TooDeep(MAX_DEPTH));
    }
    serde_json::from_str(text).map_err(|error| Violation::NotJson(escaped_line(&error.to_string(), 200)))
}

/// How deep brackets nest outside of strings; of what is no JSON any number.
fn depth(frame: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in frame {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// What one look at the output of a program finds.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Frame { value: Value, bytes: usize },
    End,
}

/// Reads frames from the output of a program.
pub(super) struct Frames {
    from: Box<dyn AsyncRead + Send + Unpin>,
    splitter: Splitter,
    piece: Vec<u8>,
}

impl Frames {
    pub(super) fn new(from: Box<dyn AsyncRead + Send + Unpin>, limit: usize) -> Self {
        Self {
            from,
            splitter: Splitter::new(limit),
            piece: Vec::with_capacity(PIECE_BYTES),
        }
    }

    /// Waits for the next frame. Giving up waiting loses nothing.
    pub(super) async fn next(&mut self) -> Result<Next, Violation> {
        loop {
            if let Some(frame) = self.splitter.next_frame()? {
                let bytes = frame.len();
                return Ok(Next::Frame {
                    value: parse(frame)?,
                    bytes,
                });
            }
            self.piece.clear();
            // What cannot be read has ended.
            let count = self.from.read_buf(&mut self.piece).await.unwrap_or(0);
            if count == 0 && self.splitter.is_within_frame() {
                return Err(Violation::Truncated);
            }
            if count == 0 {
                return Ok(Next::End);
            }
            self.splitter.push(&self.piece);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn split(pieces: &[&[u8]], limit: usize) -> Result<Vec<Vec<u8>>, Violation> {
        let mut splitter = Splitter::new(limit);
        let mut frames = Vec::new();
        for piece in pieces {
            splitter.push(piece);
            while let Some(frame) = splitter.next_frame()? {
                frames.push(frame.to_vec());
            }
            assert!(splitter.held.len() <= limit, "no more is held than a frame");
        }
        Ok(frames)
    }

    #[test]
    fn lines_are_frames_and_blank_ones_are_not() {
        assert_eq!(
            split(&[b"a\nb", b"c\n\n \r\n", b"d\r\ne"], 9).unwrap(),
            [&b"a"[..], b"bc", b"d\r"]
        );
        let blank = "\n".repeat(MAX_BLANK);
        assert_eq!(split(&[blank.as_bytes()], 9), Ok(vec![]));
        assert_eq!(split(&[blank.as_bytes(), b"\n"], 9), Err(Violation::Flood));
        assert_eq!(
            split(&[blank.as_bytes(), b"a\n", blank.as_bytes()], 9).unwrap().len(),
            1
        );
    }

    #[test]
    fn the_longest_frame_is_as_long_as_it_may_be() {
        assert_eq!(split(&[b"123456789\n"], 9).unwrap().len(), 1);
        assert_eq!(split(&[b"1234567890\n"], 9), Err(Violation::FrameTooLarge(9)));
        assert_eq!(
            split(&[b"12345", b"67890"], 9),
            Err(Violation::FrameTooLarge(9)),
            "without an end, too"
        );
    }

    #[test]
    fn values_nest_as_deep_as_they_may() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(
            parse(nested(MAX_DEPTH + 1).as_bytes()),
            Err(Violation::TooDeep(MAX_DEPTH))
        );
        assert_eq!(
            parse("{\"a\":".repeat(500_000).as_bytes()),
            Err(Violation::TooDeep(MAX_DEPTH))
        );
        let quoted = serde_json::to_string(&"\\\"[".repeat(200)).unwrap();
        assert!(parse(quoted.as_bytes()).is_ok());
        assert_eq!(parse(b"\"\xff\""), Err(Violation::NotUtf8));
        assert!(matches!(parse(b"{}{}"), Err(Violation::NotJson(_))));
        assert!(matches!(parse(b"NaN"), Err(Violation::NotJson(_))));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b' '), Just(b'\r'), any::<u8>()], 0..200),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
            limit in 1_usize..40,
        ) {
            let mut cuts = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect::<Vec<_>>();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&bytes[from..cut]);
                from = cut;
            }
            pieces.push(&bytes[from..]);
            let whole = split(&[&bytes], limit);
            let cut = split(&pieces, limit);
            prop_assert_eq!(&whole, &cut);
            if let Ok(frames) = whole {
                let expected = bytes.split(|byte| *byte == b'\n').collect::<Vec<_>>();
                let ended = &expected[..expected.len() - 1];
                let filled = ended.iter().filter(|line| !line.trim_ascii().is_empty()).map(|line| line.to_vec());
                prop_assert_eq!(frames, filled.collect::<Vec<_>>());
            }
        }

        #[test]
        fn any_bytes_are_parsed_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[\\[\\]{}\",:0-9a\\\\]{0,80}") {
            let _ = parse(&bytes);
            if let Ok(value) = parse(text.as_bytes()) {
                prop_assert!(serde_json::to_vec(&value).is_ok());
            }
        }
    }
}
