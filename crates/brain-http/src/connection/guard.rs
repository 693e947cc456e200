//! When a connection has been quiet for too long: a pure decision over what is seen of it at regular times.

use std::time::Duration;

use crate::routes::HEARTBEAT;

/// Looks within the time that the head of a request may take.
const LOOKS: u32 = 4;
/// How long a connection may wait between two requests.
const IDLE: Duration = Duration::from_secs(75);
/// Looks at a draining connection without any progress before it is cut.
const DRAIN_LOOKS: u32 = 10;
/// How long a stream may move nothing: its heartbeats come three times in it.
const STALLED: Duration = HEARTBEAT.saturating_mul(3);
/// What a peer must take of an answer between two looks, to count as reading it.
const PROGRESS_BYTES: u64 = 1024;

/// How often to look, when the head of a request may take this long.
pub(super) fn tick(header_timeout: Duration) -> Duration {
    (header_timeout / LOOKS).max(Duration::from_millis(1))
}

/// What is seen of a connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sight {
    /// Requests that are being handled.
    pub(super) active: u32,
    /// Answers that go on.
    pub(super) streams: u32,
    /// Requests that have arrived.
    pub(super) requests: u64,
    /// Something has arrived since the last answer that is not a whole head yet.
    pub(super) unread_head: bool,
    /// Bytes that the peer has taken.
    pub(super) written: u64,
}

/// What to do with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Leave it.
    Keep,
    /// Tell the peer that this was all.
    Finish,
    /// End it, for this reason unless it was told before.
    Cut(Option<&'static str>),
}

/// The memory of what was seen.
#[derive(Debug)]
pub(super) struct Guard {
    last: Sight,
    /// Looks in a row without any progress.
    quiet: u32,
    /// Looks in a row at which a head was awaited.
    awaiting: u32,
    idle: u32,
    stalled: u32,
    finishing: bool,
    draining: bool,
}

impl Guard {
    /// `tick` is the time between two looks.
    pub(super) fn new(tick: Duration) -> Self {
        let looks = |time: Duration| u32::try_from(time.as_nanos() / tick.as_nanos().max(1)).unwrap_or(u32::MAX);
        Self {
            last: Sight::default(),
            quiet: 0,
            awaiting: 0,
            idle: looks(IDLE).max(LOOKS),
            stalled: looks(STALLED).max(LOOKS),
            finishing: false,
            draining: false,
        }
    }

    /// From now on only what is under way is waited for.
    pub(super) fn drain(&mut self) {
        self.draining = true;
        self.quiet = 0;
    }

    /// Decides about what is seen now. In a crowd, whoever waits for nothing makes room for others.
    pub(super) fn look(&mut self, now: Sight, crowded: bool) -> Verdict {
        // What a stream says when there is nothing to say is short.
        let progress = if now.streams > 0 { 1 } else { PROGRESS_BYTES };
        let moved = now.requests != self.last.requests || now.written - self.last.written >= progress;
        self.last = now;
        // Requests have limits of their own.
        if now.active > 0 || moved {
            (self.quiet, self.awaiting) = (0, 0);
            return Verdict::Keep;
        }
        self.quiet += 1;
        if self.draining {
            return if self.quiet >= DRAIN_LOOKS {
                Verdict::Cut(Some("drain"))
            } else {
                Verdict::Keep
            };
        }
        if now.streams > 0 {
            // A peer that takes nothing holds what is under way for it.
            return if self.quiet >= self.stalled {
                Verdict::Cut(Some("slow-reader"))
            } else {
                Verdict::Keep
            };
        }
        self.awaiting = if now.requests == 0 || now.unread_head {
            self.awaiting + 1
        } else {
            0
        };
        if self.awaiting >= LOOKS {
            return Verdict::Cut(Some("slow-head"));
        }
        if self.finishing {
            // It was told, and has not gone.
            return if self.quiet >= LOOKS {
                Verdict::Cut(None)
            } else {
                Verdict::Keep
            };
        }
        if self.quiet >= if crowded { LOOKS } else { self.idle } {
            self.finishing = true;
            self.quiet = 0;
            return Verdict::Finish;
        }
        Verdict::Keep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_secs(1);

    /// The looks until something is done, with what is done.
    fn until(guard: &mut Guard, crowded: bool, sight: impl Fn(u32) -> Sight) -> (u32, Verdict) {
        for look in 1..1000 {
            let verdict = guard.look(sight(look), crowded);
            if verdict != Verdict::Keep {
                return (look, verdict);
            }
        }
        (1000, Verdict::Keep)
    }

    fn after_a_request() -> Sight {
        Sight {
            requests: 1,
            written: 300,
            ..Sight::default()
        }
    }

    #[test]
    fn a_stream_lives_for_as_long_as_its_peer_takes_something() {
        let stream = |written| Sight {
            streams: 1,
            written,
            ..after_a_request()
        };
        let beats = until(&mut Guard::new(TICK), false, |look| stream(u64::from(look / 15) * 3));
        assert_eq!(beats, (1000, Verdict::Keep));
        let silent = until(&mut Guard::new(TICK), true, |_| stream(300));
        assert_eq!(silent, (46, Verdict::Cut(Some("slow-reader"))));
        let mut draining = Guard::new(TICK);
        draining.drain();
        assert_eq!(
            until(&mut draining, false, |_| stream(300)).1,
            Verdict::Cut(Some("drain"))
        );
    }

    #[test]
    fn a_connection_without_a_request_is_cut_when_a_head_is_due() {
        let silent = until(&mut Guard::new(TICK), false, |_| Sight::default());
        assert_eq!(silent, (LOOKS, Verdict::Cut(Some("slow-head"))));
    }

    #[test]
    fn so_is_one_whose_second_head_trickles() {
        let trickle = until(&mut Guard::new(TICK), false, |_| Sight {
            unread_head: true,
            ..after_a_request()
        });
        assert_eq!(trickle, (LOOKS + 1, Verdict::Cut(Some("slow-head"))));
    }

    #[test]
    fn one_that_is_kept_for_later_is_finished_then_cut() {
        let mut guard = Guard::new(TICK);
        assert_eq!(until(&mut guard, false, |_| after_a_request()), (76, Verdict::Finish));
        assert_eq!(
            until(&mut guard, false, |_| after_a_request()),
            (LOOKS, Verdict::Cut(None))
        );
        assert_eq!(
            until(&mut Guard::new(TICK), true, |_| after_a_request()),
            (LOOKS + 1, Verdict::Finish),
            "in a crowd"
        );
    }

    #[test]
    fn work_and_reading_count_as_life() {
        let working = until(&mut Guard::new(TICK), true, |_| Sight {
            active: 1,
            ..after_a_request()
        });
        assert_eq!(working.1, Verdict::Keep);
        let reading = until(&mut Guard::new(TICK), true, |look| Sight {
            written: u64::from(look) * PROGRESS_BYTES,
            ..after_a_request()
        });
        assert_eq!(reading.1, Verdict::Keep);
        let never_reading = until(&mut Guard::new(TICK), false, |look| Sight {
            written: u64::from(look),
            ..after_a_request()
        });
        assert_eq!(
            never_reading,
            (76, Verdict::Finish),
            "a byte now and then is not reading"
        );
    }

    #[test]
    fn a_draining_connection_has_a_second() {
        let mut guard = Guard::new(TICK);
        guard.drain();
        assert_eq!(
            until(&mut guard, false, |_| Sight::default()),
            (DRAIN_LOOKS, Verdict::Cut(Some("drain")))
        );
    }
}
