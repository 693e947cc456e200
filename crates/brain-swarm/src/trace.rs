//! Traces: what was done is told as finished spans, to whoever exports them.
//!
//! Spans here reach over processes and transactions and are known only when they end, so nothing is ever entered or left: a
//! span is a fact that is told once.
//!
//! Invariants: a tracer that is off costs one comparison; what takes the spans must not block; a trace that is not sampled
//! tells nothing; no span holds a payload.

mod attributes;
mod place;

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use uuid::Uuid;

pub(crate) use self::attributes::{of_event, of_message};
pub use self::place::{Hex, Place};
use crate::event::Event;

/// Where finished spans are told. Clones share it; the default one is off.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Sink>>);

struct Sink {
    /// Of a thousand new traces, how many are sampled.
    ratio: u16,
    seed: u64,
    made: AtomicU64,
    tell: Box<dyn Fn(Span) + Send + Sync>,
}

/// Something that was done, from its beginning to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// What was done, in words of which there are few.
    pub name: Cow<'static, str>,
    /// Its part in an exchange.
    pub kind: Kind,
    /// Where in its trace it is.
    pub place: Place,
    /// The span it belongs to; `None` at the root of a trace.
    pub parent: Option<[u8; 8]>,
    /// When it began.
    pub started: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// What is known of it, under the names of the semantic conventions of OpenTelemetry.
    pub attributes: Vec<(&'static str, Value)>,
    /// Whether it failed.
    pub failed: bool,
}

/// The part that a span has in an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something inside.
    Internal,
    /// It answered a request.
    Server,
    /// It handed over a message.
    Producer,
    /// It handled a message.
    Consumer,
}

/// What is known of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(Cow<'static, str>),
    /// A whole number.
    Number(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl Tracer {
    /// A tracer that tells `tell` of every span, which must not block. `ratio`: of a thousand new traces, how many are
    /// sampled.
    #[must_use]
    pub fn new(ratio: u16, tell: impl Fn(Span) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(Sink {
            ratio,
            seed: Uuid::new_v4().as_u64_pair().0,
            made: AtomicU64::new(0),
            tell: Box::new(tell),
        })))
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The root of a new trace; `None` when nobody listens.
    #[must_use]
    pub fn root(&self) -> Option<Place> {
        let sink = self.0.as_ref()?;
        let trace = Uuid::new_v4().into_bytes();
        // The last bytes are random in full.
        let chance = u64::from_be_bytes([
            0, trace[9], trace[10], trace[11], trace[12], trace[13], trace[14], trace[15],
        ]);
        let sampled = chance % 1000 < u64::from(sink.ratio);
        Some(Place::new(trace, sink.span_id(), sampled))
    }

    /// Makes an event that nobody put into a trace the root of a new one, and says whether it did. What is not shared yet is not
    /// copied.
    #[must_use]
    pub(crate) fn begin(&self, event: &mut Arc<Event>) -> bool {
        if event.context.traceparent.is_some() {
            return false;
        }
        let Some(root) = self.root() else { return false };
        Arc::make_mut(event).context.traceparent = Some(root.traceparent());
        true
    }

    /// A new place below another; `None` when nobody listens.
    #[must_use]
    pub fn below(&self, parent: Place) -> Option<Place> {
        Some(parent.with_span(self.0.as_ref()?.span_id()))
    }

    /// A new place below one that a message carries; `None` when nobody listens, or the trace is not sampled.
    #[must_use]
    pub(crate) fn below_message(&self, traceparent: Option<&str>) -> Option<(Place, Place)> {
        let sink = self.0.as_ref()?;
        let parent = Place::parse(traceparent?.as_bytes()).filter(Place::is_sampled)?;
        Some((parent, parent.with_span(sink.span_id())))
    }

    /// Tells a span of a sampled trace.
    pub fn tell(&self, place: Place, span: impl FnOnce() -> Span) {
        if let Some(sink) = self.0.as_ref().filter(|_| place.is_sampled()) {
            (sink.tell)(span());
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tracer").field(&self.is_on()).finish()
    }
}

impl Sink {
    /// 8 bytes that are not all zero, and that no other process gives: a counter, mixed with a seed that was random once.
    fn span_id(&self) -> [u8; 8] {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let count = self.made.fetch_add(1, Ordering::Relaxed);
        // SplitMix64.
        let mut bits = self.seed.wrapping_add(count.wrapping_mul(GOLDEN));
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)).max(1).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{collections::HashSet, sync::Mutex};

    use super::*;
    use crate::event::Defaults;

    fn span(place: Place) -> Span {
        Span {
            name: "test".into(),
            kind: Kind::Internal,
            place,
            parent: None,
            started: SystemTime::UNIX_EPOCH,
            ended: SystemTime::UNIX_EPOCH,
            attributes: Vec::new(),
            failed: false,
        }
    }

    #[test]
    fn a_tracer_that_is_off_makes_nothing() {
        let off = Tracer::default();
        let sampled = Place::new([1; 16], [1; 8], true);
        assert!(!off.is_on() && off.root().is_none() && off.below(sampled).is_none());
        off.tell(sampled, || panic!("nobody listens"));
    }

    #[test]
    fn only_what_is_sampled_is_told() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&told);
        let tracer = Tracer::new(1000, move |span| kept.lock().unwrap().push(span.place));
        let (yes, no) = (Place::new([1; 16], [1; 8], true), Place::new([1; 16], [2; 8], false));
        tracer.tell(yes, || span(yes));
        tracer.tell(no, || panic!("it is not sampled"));
        assert_eq!(*told.lock().unwrap(), [yes]);
        assert!(tracer.below_message(Some(&no.traceparent())).is_none());
        let (parent, below) = tracer.below_message(Some(&yes.traceparent())).unwrap();
        assert!(parent == yes && below.trace() == yes.trace() && below.span() != yes.span());
    }

    #[test]
    fn the_ratio_says_how_many_new_traces_are_sampled() {
        let sampled = |ratio| {
            let tracer = Tracer::new(ratio, |_| ());
            (0..4000).filter(|_| tracer.root().unwrap().is_sampled()).count()
        };
        assert_eq!((sampled(0), sampled(1000)), (0, 4000));
        // Far outside of what chance does.
        assert!((700..1300).contains(&sampled(250)));
    }

    #[test]
    fn never_gives_the_same_span_twice() {
        let (one, two) = (Tracer::new(1000, |_| ()), Tracer::new(1000, |_| ()));
        let root = one.root().unwrap();
        let places = (0..10_000).flat_map(|_| [one.below(root), two.below(root)]);
        let spans: HashSet<[u8; 8]> = places.map(|place| place.unwrap().span()).collect();
        assert_eq!(spans.len(), 20_000);
    }

    #[test]
    fn what_nobody_put_into_a_trace_begins_one_without_a_copy() {
        let mut event = Arc::new(
            Event::parse(
                br#"{"id":"e","type":"a.b","swarmId":"s","runId":"r","actorId":"a","createdAt":"2026-01-02T03:04:05Z"}"#,
                1000,
                &Defaults::default(),
            )
            .unwrap(),
        );
        let same = Arc::as_ptr(&event);
        assert!(!Tracer::default().begin(&mut event) && event.context.traceparent.is_none());
        let tracer = Tracer::new(1000, |_| {});
        assert!(tracer.begin(&mut event));
        let began = event.context.traceparent.clone();
        assert!(Place::parse(began.as_deref().unwrap().as_bytes()).unwrap().is_sampled());
        assert!(!tracer.begin(&mut event), "it has one");
        assert_eq!((Arc::as_ptr(&event), &event.context.traceparent), (same, &began));
    }
}
