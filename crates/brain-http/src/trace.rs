//! The trace that a request belongs to, by the W3C trace context.
//!
//! A trace that the caller names is continued; without one, or with one that cannot be read, a new one starts. Where spans
//! are exported the request is a span of its own, below the caller's, and what it brings about is below the request.

use axum::http::{HeaderMap, HeaderName};
use brain_swarm::trace::{Hex, Place, Tracer};

use crate::identity::Identities;

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Where a request is in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    here: Place,
    /// The caller's span; `None` where the trace starts here, or the request is no span.
    parent: Option<[u8; 8]>,
}

impl Trace {
    /// Continues the caller's trace or starts one.
    pub(crate) fn of(headers: &HeaderMap, identities: &Identities, tracer: &Tracer) -> Self {
        let mut given = headers.get_all(TRACEPARENT).iter();
        let callers = match (given.next(), given.next()) {
            (Some(only), None) => Place::parse(only.as_bytes()),
            _ => None,
        };
        let Some(callers) = callers else {
            return tracer.root().map_or_else(|| Self::start(identities), Self::at);
        };
        match tracer.below(callers) {
            Some(here) => Self {
                here,
                parent: Some(callers.span()),
            },
            None => Self::at(callers),
        }
    }

    /// Starts a trace.
    pub(crate) fn start(identities: &Identities) -> Self {
        Self::at(Place::new(identities.trace_id(), identities.span_id(), true))
    }

    fn at(here: Place) -> Self {
        Self { here, parent: None }
    }

    /// The place of the request.
    pub(crate) fn here(&self) -> Place {
        self.here
    }

    /// The caller's span, where the request is one below it.
    pub(crate) fn parent(&self) -> Option<[u8; 8]> {
        self.parent
    }

    /// The trace id in lower-case hexadecimal.
    pub(crate) fn id(&self) -> Hex<32> {
        self.here.trace_id()
    }

    /// As a `traceparent` of version 00.
    pub(crate) fn traceparent(&self) -> String {
        self.here.traceparent()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn of(values: &[&str]) -> Trace {
        with(values, &Tracer::default())
    }

    fn with(values: &[&str], tracer: &Tracer) -> Trace {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, value.parse().unwrap());
        }
        Trace::of(&headers, &Identities::new(), tracer)
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

    #[test]
    fn is_a_span_below_the_callers_where_spans_are_told() {
        let tracer = Tracer::new(0, |_| ());
        let trace = with(&[GIVEN], &tracer);
        let callers = Place::parse(GIVEN.as_bytes()).unwrap();
        assert_eq!(trace.parent(), Some(callers.span()));
        assert_eq!(trace.here().trace(), callers.trace());
        assert!(trace.here().span() != callers.span() && trace.here().is_sampled());
        let new = with(&[], &tracer);
        assert!(
            new.parent().is_none() && !new.here().is_sampled(),
            "none of a thousand is sampled"
        );
    }
}
