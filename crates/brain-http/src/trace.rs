//! W3C trace context: the trace that a request belongs to.
//!
//! A trace that the caller names is continued as it is; without one, or with one that cannot be read, a new one starts.

use axum::http::{HeaderMap, HeaderName};

use crate::identity::Identities;

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Length of a `traceparent` of version 00.
const LENGTH: usize = 55;
/// The flag that says that the caller records the trace.
const SAMPLED: u8 = 1;

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    id: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

impl Trace {
    /// Continues the caller's trace or starts one.
    pub(crate) fn of(headers: &HeaderMap, identities: &Identities) -> Self {
        let mut given = headers.get_all(TRACEPARENT).iter();
        let continued = match (given.next(), given.next()) {
            (Some(only), None) => Self::parse(only.as_bytes()),
            _ => None,
        };
        continued.unwrap_or_else(|| Self::start(identities))
    }

    /// Starts a trace.
    pub(crate) fn start(identities: &Identities) -> Self {
        Self {
            id: identities.trace_id(),
            span: identities.span_id(),
            flags: SAMPLED,
        }
    }

    /// Reads a `traceparent`. Of versions after 00 it reads the part that version 00 has, as the standard asks.
    fn parse(text: &[u8]) -> Option<Self> {
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
        let trace = Self {
            id: hex(part(0, 32)?)?,
            span: hex(part(33, 16)?)?,
            flags: hex::<1>(part(50, 2)?)?[0],
        };
        (trace.id != [0; 16] && trace.span != [0; 8]).then_some(trace)
    }

    /// The trace id in lower-case hexadecimal.
    pub(crate) fn id(&self) -> Hex<32> {
        Hex::of(&self.id)
    }

    /// As a `traceparent` of version 00.
    pub(crate) fn traceparent(&self) -> String {
        let (id, span, flags) = (
            Hex::<32>::of(&self.id),
            Hex::<16>::of(&self.span),
            Hex::<2>::of(&[self.flags]),
        );
        ["00", id.as_str(), span.as_str(), flags.as_str()].join("-")
    }
}

/// Lower-case hexadecimal digits. Each request writes some, so they are made without the machinery of formatting.
#[derive(Clone, Copy)]
pub(crate) struct Hex<const DIGITS: usize>([u8; DIGITS]);

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

    pub(crate) fn as_str(&self) -> &str {
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

    fn of(values: &[&str]) -> Trace {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, value.parse().unwrap());
        }
        Trace::of(&headers, &Identities::new())
    }

    #[test]
    fn continues_what_the_caller_names() {
        assert_eq!(of(&[GIVEN]).traceparent(), GIVEN);
        assert_eq!(of(&[GIVEN]).id().as_str(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let later = GIVEN.replacen("00", "42", 1) + "-more";
        assert_eq!(of(&[&later]).traceparent(), GIVEN);
    }

    #[test]
    fn starts_a_new_one_instead_of_trusting_nonsense() {
        let zero_trace = GIVEN.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        let zero_span = GIVEN.replace("00f067aa0ba902b7", &"0".repeat(16));
        let upper = GIVEN.to_uppercase();
        let longer = format!("{GIVEN}-x");
        let forbidden = GIVEN.replacen("00", "ff", 1);
        for wrong in [
            "",
            "00",
            &GIVEN[..54],
            &zero_trace,
            &zero_span,
            &upper,
            &longer,
            &forbidden,
        ] {
            assert_ne!(
                of(&[wrong]).id().as_str(),
                "4bf92f3577b34da6a3ce929d0e0e4736",
                "{wrong}"
            );
        }
        assert_ne!(of(&[GIVEN, GIVEN]).traceparent(), GIVEN, "two are none");
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Trace::parse(&bytes);
        }

        #[test]
        fn what_it_writes_it_reads(id in any::<[u8; 16]>(), span in any::<[u8; 8]>(), flags in any::<u8>()) {
            prop_assume!(id != [0; 16] && span != [0; 8]);
            let trace = Trace { id, span, flags };
            prop_assert_eq!(Trace::parse(trace.traceparent().as_bytes()), Some(trace));
            prop_assert_eq!(trace.id().as_str().to_owned(), format!("{:032x}", u128::from_be_bytes(id)));
        }
    }
}
