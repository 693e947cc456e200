//! Opaque cursors: where the next page of a list begins.
//!
//! Invariant: a cursor only ever continues the query that gave it. It names the list, carries a checksum of the filters
//! and is refused anywhere else, so that a page is never silently the wrong one.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::problem::{Kind, Problem};

/// The format that this program writes.
const VERSION: u8 = 1;
/// Version, list and checksum.
const HEADER: usize = 6;
/// The longest position: an identifier, and the version of a schema.
const MAX_POSITION: usize = brain_swarm::ids::MAX_ID_BYTES + 8;

/// Which list a cursor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum List {
    /// Events; the position is a sequence number.
    Events = b'e',
    /// Tasks; the position is a task id.
    Tasks = b't',
    /// Agents; the position is an agent id.
    Agents = b'a',
    /// Dead letters; the position is a dead letter's id.
    DeadLetters = b'd',
    /// Runs; the position is a run id.
    Runs = b'r',
    /// Budgets; the position is a budget id.
    Budgets = b'b',
    /// Schedules; the position is a schedule id.
    Schedules = b's',
    /// API tokens; the position is a token's id.
    Tokens = b'k',
    /// Event schemas; the position is a place in the catalogue, or the type and version of a registered one.
    Schemas = b'c',
    /// Records of the audit trail; the position is a number of the chain.
    Audit = b'u',
    /// Proposals; the position is a proposal's id.
    Proposals = b'p',
    /// Delegations; the position is a delegation's id.
    Delegations = b'g',
    /// Exemptions; the position is an exemption's id.
    Exemptions = b'x',
    /// Quotas; the position is a bucket.
    Quotas = b'q',
    /// Installed skills; the position is a reference.
    Skills = b'l',
}

/// A list with its filters: what a cursor is valid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope {
    list: List,
    filters: u32,
}

impl Scope {
    /// The scope of a query. The filters in a fixed order, none where a filter is not set.
    pub(crate) fn new(list: List, filters: &[Option<&str>]) -> Self {
        // FNV-1a. Each filter ends with a byte that no filter contains, so that moving a letter changes the sum.
        let mut sum: u32 = 0x811C_9DC5;
        let mut add = |byte: u8| sum = (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        for filter in filters {
            match filter {
                Some(text) => text.bytes().chain([0xff]).for_each(&mut add),
                None => add(0xfe),
            }
        }
        Self { list, filters: sum }
    }

    /// The cursor for what follows `position`.
    pub(crate) fn encode(&self, position: &str) -> String {
        let mut bytes = Vec::with_capacity(HEADER + position.len());
        bytes.push(VERSION);
        bytes.push(self.list as u8);
        bytes.extend_from_slice(&self.filters.to_be_bytes());
        bytes.extend_from_slice(position.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position that a cursor holds.
    ///
    /// # Errors
    /// A problem for the caller when the text is no cursor, or the cursor of another query.
    pub(crate) fn decode(&self, cursor: &str) -> Result<String, Problem> {
        if cursor.len() > (HEADER + MAX_POSITION).div_ceil(3) * 4 {
            return Err(no_cursor());
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| no_cursor())?;
        let (header, position) = bytes.split_at_checked(HEADER).ok_or_else(no_cursor)?;
        if header[0] != VERSION {
            return Err(no_cursor());
        }
        if header[1] != self.list as u8 || header[2..] != self.filters.to_be_bytes() {
            return Err(Problem::new(
                Kind::InvalidCursor,
                "this cursor belongs to another query: keep the list and its filters as they were",
            ));
        }
        match std::str::from_utf8(position) {
            Ok(position) if !position.is_empty() => Ok(position.to_owned()),
            _ => Err(no_cursor()),
        }
    }

    /// The position that a cursor holds, read as what this list is ordered by.
    ///
    /// # Errors
    /// As [`Scope::decode`].
    pub(crate) fn decode_as<T: std::str::FromStr>(&self, cursor: &str) -> Result<T, Problem> {
        self.decode(cursor)?.parse().map_err(|_| no_cursor())
    }
}

fn no_cursor() -> Problem {
    Problem::new(
        Kind::InvalidCursor,
        "this is not a cursor that this version of the server gave; start without one",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn scope() -> Scope {
        Scope::new(List::Events, &[Some("swarm"), None])
    }

    #[test]
    fn only_continues_its_own_query() {
        let cursor = scope().encode("41");
        assert_eq!(scope().decode_as::<i64>(&cursor).unwrap(), 41);
        let others = [
            Scope::new(List::Tasks, &[Some("swarm"), None]),
            Scope::new(List::Events, &[Some("swarm"), Some("")]),
            Scope::new(List::Events, &[None, Some("swarm")]),
            Scope::new(List::Events, &[Some("swar"), Some("m")]),
        ];
        for other in others {
            let problem = other.decode(&cursor).unwrap_err();
            assert!(problem.detail().contains("another query"), "{problem:?}");
        }
    }

    #[test]
    fn refuses_what_it_did_not_write() {
        let good = scope().encode("41");
        let padded = format!("{good}=");
        let longer = "A".repeat(4000);
        let empty = scope().encode("");
        for wrong in ["", "41", "!", &good[..4], &padded, &longer, &empty] {
            assert_eq!(
                scope().decode(wrong).unwrap_err().kind(),
                Kind::InvalidCursor,
                "{wrong}"
            );
        }
        let mut later = URL_SAFE_NO_PAD.decode(&good).unwrap();
        later[0] = VERSION + 1;
        let problem = scope().decode(&URL_SAFE_NO_PAD.encode(later)).unwrap_err();
        assert!(problem.detail().contains("this version"), "{problem:?}");
        assert!(scope().decode_as::<i64>(&scope().encode("x")).is_err());
    }

    proptest! {
        #[test]
        fn round_trips(position in "\\PC{1,32}") {
            prop_assert_eq!(scope().decode(&scope().encode(&position)).unwrap(), position);
        }

        #[test]
        fn foreign_text_never_panics(text in "\\PC*") {
            let _ = scope().decode_as::<i64>(&text);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = scope().decode(&URL_SAFE_NO_PAD.encode(bytes));
        }
    }
}
