//! The spans of a committed batch: each event that came in, and what became of tasks.
//!
//! Invariants: an event is below the place that it carries, or is the root of its trace where it carries none; what became of
//! a task is below the event that created it, whoever brought it about; it names who had the task and in which attempt when it
//! was decided, whatever the same batch did to the task later.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::Value as Json;

use super::{BRAIN_ACTOR, StoredEvent, fold::Changes};
use crate::{
    bus::StreamNames,
    decide,
    event::EventType,
    trace::{Kind, Place, Span, Tracer, Value, of_event, of_message},
};

/// Tells what a batch did that began then and is committed now.
pub(super) fn committed(tracer: &Tracer, streams: &StreamNames, started: SystemTime, changes: &Changes) {
    let batch = Moment {
        started,
        // The clock may have been set back meanwhile.
        ended: SystemTime::now().max(started + Duration::from_nanos(1)),
    };
    for stored in &changes.events {
        let word = word_of_task(&stored.event.kind).filter(|_| stored.note.is_none());
        if let Some(word) = word {
            of_task(tracer, batch, changes, stored, word);
        }
        // What the brain itself says of a task is said by that span.
        if word.is_none() || stored.event.actor_id.as_str() != BRAIN_ACTOR {
            of_message_in(tracer, batch, streams, stored);
        }
    }
}

/// From when to when a batch was at work.
#[derive(Clone, Copy)]
struct Moment {
    started: SystemTime,
    ended: SystemTime,
}

/// An event that came in, over a stream or by a call.
fn of_message_in(tracer: &Tracer, batch: Moment, streams: &StreamNames, stored: &StoredEvent) {
    let event = &stored.event;
    let Some((carried, below)) = tracer.below_message(event.context.traceparent.as_deref()) else {
        return;
    };
    let (place, parent) = if stored.root {
        (carried, None)
    } else {
        (below, Some(carried.span()))
    };
    let stream = streams.of(&event.tenant_id, &event.swarm_id);
    let (operation, kind) = match stored.entry {
        Some(_) => (("process", "process"), Kind::Consumer),
        None => (("publish", "create"), Kind::Producer),
    };
    tracer.tell(place, || Span {
        name: format!("{} {stream}", operation.0).into(),
        kind,
        place,
        parent,
        started: batch.started,
        ended: batch.ended,
        attributes: of_message(event, stored.seq, operation, &stream),
        failed: false,
    });
}

/// What an event says of a task, where it says something that a trace should show.
fn word_of_task(kind: &EventType) -> Option<&'static str> {
    match kind {
        EventType::TaskAssigned => Some("task assign"),
        EventType::TaskStarted => Some("task claim"),
        EventType::TaskRetrying => Some("task retry"),
        EventType::TaskCompleted => Some("task complete"),
        EventType::TaskFailed => Some("task fail"),
        EventType::TaskCancelled => Some("task cancel"),
        _ => None,
    }
}

/// What became of a task, and the attempt that ended with it.
fn of_task(tracer: &Tracer, batch: Moment, changes: &Changes, stored: &StoredEvent, word: &'static str) {
    let event = &stored.event;
    let swarm = (event.tenant_id.clone(), event.swarm_id.clone());
    let task = changes.swarms.get(&swarm).and_then(|(_, state)| {
        let id = decide::task_id(event)?;
        state.task(&id)
    });
    let Some(task) = task else { return };
    let Some((created, place)) = tracer.below_message(task.origin.context.traceparent.as_deref()) else {
        return;
    };
    let attempt = ended_attempt(stored).and_then(|begun| {
        let started = SystemTime::from(begun).min(batch.ended - Duration::from_nanos(1));
        Some((started, tracer.below(created)?))
    });
    let about = || about_task(stored);
    if let Some((started, place)) = attempt {
        tracer.tell(place, || Span {
            name: "task attempt".into(),
            kind: Kind::Internal,
            place,
            parent: Some(created.span()),
            started,
            ended: batch.ended,
            attributes: about(),
            failed: matches!(event.kind, EventType::TaskFailed)
                || outcome(stored).is_some_and(|what| what != "released"),
        });
    }
    let parent = attempt.map_or(created, |(_, attempt): (_, Place)| attempt);
    tracer.tell(place, || Span {
        name: word.into(),
        kind: Kind::Internal,
        place,
        parent: Some(parent.span()),
        started: batch.started,
        ended: batch.ended,
        attributes: about(),
        failed: matches!(event.kind, EventType::TaskFailed),
    });
}

/// When the attempt began that ended with this event, if one did.
fn ended_attempt(stored: &StoredEvent) -> Option<Timestamp> {
    match stored.event.kind {
        EventType::TaskCompleted | EventType::TaskFailed | EventType::TaskRetrying => stored.attempt.as_ref()?.begun,
        _ => None,
    }
}

/// Why an attempt ended that is not the last.
fn outcome(stored: &StoredEvent) -> Option<&str> {
    let retrying = stored.event.kind == EventType::TaskRetrying;
    let reason = stored.event.payload.get("reason").filter(|_| retrying);
    reason.and_then(Json::as_str)
}

fn about_task(stored: &StoredEvent) -> Vec<(&'static str, Value)> {
    let mut attributes = of_event(&stored.event, stored.seq);
    if let Some(attempt) = &stored.attempt {
        attributes.push(("studio_brain.task.attempt", i64::from(attempt.number).into()));
        let agent = attempt.agent.as_ref().map(ToString::to_string);
        attributes.extend(agent.map(|agent| ("studio_brain.agent.id", agent.into())));
    }
    // A word of ours; what a person gave as the reason is content.
    let by_brain = stored.event.actor_id.as_str() == BRAIN_ACTOR;
    let outcome = outcome(stored).filter(|_| by_brain).map(str::to_owned);
    attributes.extend(outcome.map(|outcome| ("studio_brain.task.outcome", outcome.into())));
    attributes
}
