//! Fresh identifiers for requests and traces, without asking the operating system each time.
//!
//! They are unique, not secret: a counter, mixed with a seed that was random once.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use uuid::{Builder, Uuid};

/// Makes identifiers for one server.
#[derive(Debug)]
pub(crate) struct Identities {
    seed: (u64, u64),
    made: AtomicU64,
}

impl Identities {
    /// A source that no other server shares.
    pub(crate) fn new() -> Self {
        Self {
            seed: Uuid::new_v4().as_u64_pair(),
            made: AtomicU64::new(0),
        }
    }

    /// A time-ordered UUID (version 7).
    pub(crate) fn request_id(&self) -> Uuid {
        let millis = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
        let [random, _] = self.next();
        let mut bytes = [0; 10];
        bytes[..2].copy_from_slice(&self.seed.0.to_be_bytes()[..2]);
        bytes[2..].copy_from_slice(&random.to_be_bytes());
        Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }

    /// 16 bytes that are not all zero.
    pub(crate) fn trace_id(&self) -> [u8; 16] {
        let [high, low] = self.next();
        (u128::from(high) << 64 | u128::from(low)).max(1).to_be_bytes()
    }

    /// 8 bytes that are not all zero.
    pub(crate) fn span_id(&self) -> [u8; 8] {
        self.next()[1].max(1).to_be_bytes()
    }

    fn next(&self) -> [u64; 2] {
        let count = self.made.fetch_add(1, Ordering::Relaxed);
        [
            mix(self.seed.0.wrapping_add(count.wrapping_mul(GOLDEN))),
            mix(self.seed.1 ^ mix(count.wrapping_add(GOLDEN))),
        ]
    }
}

/// The step of SplitMix64.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of SplitMix64: a bijection, so that distinct counters give distinct numbers.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn never_gives_the_same_twice() {
        let (one, two) = (Identities::new(), Identities::new());
        let ids: HashSet<Uuid> = (0..10_000).flat_map(|_| [one.request_id(), two.request_id()]).collect();
        assert_eq!(ids.len(), 20_000);
        let traces: HashSet<[u8; 16]> = (0..10_000).flat_map(|_| [one.trace_id(), two.trace_id()]).collect();
        assert_eq!(traces.len(), 20_000);
        let spans: HashSet<[u8; 8]> = (0..10_000).map(|_| one.span_id()).collect();
        assert_eq!(spans.len(), 10_000);
    }

    #[test]
    fn request_ids_are_uuids_of_version_7() {
        let id = Identities::new().request_id();
        assert_eq!(id.get_version_num(), 7);
    }
}
