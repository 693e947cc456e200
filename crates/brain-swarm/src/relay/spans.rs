//! The spans of what was put on a stream: one for each event, below the place that the event carries.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    event::Event,
    ids::StreamName,
    trace::{Kind, Span, Tracer, of_message},
};

/// Tells that these events are on the stream.
pub(super) fn relayed(tracer: &Tracer, stream: &StreamName, started: SystemTime, entries: &[(i64, Arc<Event>)]) {
    let ended = SystemTime::now().max(started + Duration::from_nanos(1));
    for (seq, event) in entries {
        let Some((parent, place)) = tracer.below_message(event.context.traceparent.as_deref()) else {
            continue;
        };
        tracer.tell(place, || Span {
            name: format!("send {stream}").into(),
            kind: Kind::Producer,
            place,
            parent: Some(parent.span()),
            started,
            ended,
            attributes: of_message(event, *seq, ("send", "send"), stream),
            failed: false,
        });
    }
}
