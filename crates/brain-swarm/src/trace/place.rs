//! W3C trace context: a place in a trace, as `traceparent` writes it.

/// Length of a `traceparent` of version 00.
const LENGTH: usize = 55;
/// The flag that says that the trace is recorded.
const SAMPLED: u8 = 1;

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

impl Place {
    /// A place; neither id may be all zero.
    #[must_use]
    pub const fn new(trace: [u8; 16], span: [u8; 8], sampled: bool) -> Self {
        let flags = if sampled { SAMPLED } else { 0 };
        Self { trace, span, flags }
    }

    /// Another span of the same trace.
    pub(super) const fn with_span(self, span: [u8; 8]) -> Self {
        Self { span, ..self }
    }

    /// Reads a `traceparent`. Of versions after 00 it reads the part that version 00 has, as the standard asks.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (version, rest) = text.split_at_checked(2)?;
        let version = hex::<1>(version)?[0];
        let longer = text.get(LENGTH);
        if version == 0xff || (version == 0 && longer.is_some()) || longer.is_some_and(|next| *next != b'-') {
            return None;
        }
        let part = |from: usize, length: usize| {
            let (separator, part) = rest.get(from..=from + length)?.split_first()?;
            (*separator == b'-').then_some(part)
        };
        let place = Self {
            trace: hex(part(0, 32)?)?,
            span: hex(part(33, 16)?)?,
            flags: hex::<1>(part(50, 2)?)?[0],
        };
        (place.trace != [0; 16] && place.span != [0; 8]).then_some(place)
    }

    /// Whether the trace is recorded.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The id of the trace.
    #[must_use]
    pub fn trace(&self) -> [u8; 16] {
        self.trace
    }

    /// The id of the span.
    #[must_use]
    pub fn span(&self) -> [u8; 8] {
        self.span
    }

    /// The trace id in lower-case hexadecimal.
    #[must_use]
    pub fn trace_id(&self) -> Hex<32> {
        Hex::of(&self.trace)
    }

    /// As a `traceparent` of version 00.
    #[must_use]
    pub fn traceparent(&self) -> String {
        let (trace, span, flags) = (
            Hex::<32>::of(&self.trace),
            Hex::<16>::of(&self.span),
            Hex::<2>::of(&[self.flags]),
        );
        ["00", trace.as_str(), span.as_str(), flags.as_str()].join("-")
    }
}

/// Lower-case hexadecimal digits. Each request writes some, so they are made without the machinery of formatting.
#[derive(Debug, Clone, Copy)]
pub struct Hex<const DIGITS: usize>([u8; DIGITS]);

impl<const DIGITS: usize> Hex<DIGITS> {
    fn of(bytes: &[u8]) -> Self {
        const ALPHABET: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'0'; DIGITS];
        for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
            pair[0] = ALPHABET[usize::from(byte >> 4)];
            pair[1] = ALPHABET[usize::from(byte & 15)];
        }
        Self(text)
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Digits are text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Lower-case hexadecimal of exactly `N` bytes.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn reads_also_what_later_versions_write() {
        let place = Place::parse(GIVEN.as_bytes()).unwrap();
        assert_eq!(place.traceparent(), GIVEN);
        assert_eq!(place.trace_id().as_str(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(place.is_sampled());
        let later = GIVEN.replacen("00", "42", 1) + "-more";
        assert_eq!(Place::parse(later.as_bytes()), Some(place));
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Place::parse(&bytes);
        }

        #[test]
        fn what_it_writes_it_reads(trace in any::<[u8; 16]>(), span in any::<[u8; 8]>(), flags in any::<u8>()) {
            prop_assume!(trace != [0; 16] && span != [0; 8]);
            let place = Place { trace, span, flags };
            prop_assert_eq!(Place::parse(place.traceparent().as_bytes()), Some(place));
            prop_assert_eq!(place.trace_id().as_str().to_owned(), format!("{:032x}", u128::from_be_bytes(trace)));
        }
    }
}
