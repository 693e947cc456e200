//! What a span says of an event: identifiers alone, never what the event holds.

use super::Value;
use crate::{decide, event::Event, ids::StreamName};

/// Which event, and what it belongs to.
pub(crate) fn of_event(event: &Event, seq: i64) -> Vec<(&'static str, Value)> {
    let mut attributes: Vec<(&'static str, Value)> = Vec::with_capacity(14);
    attributes.extend([
        ("studio_brain.event.id", event.id.to_string().into()),
        ("studio_brain.event.type", event.kind.to_string().into()),
        ("studio_brain.event.seq", seq.into()),
        ("studio_brain.tenant.id", event.tenant_id.to_string().into()),
        ("studio_brain.swarm.id", event.swarm_id.to_string().into()),
        ("studio_brain.run.id", event.run_id.to_string().into()),
    ]);
    let task = decide::task_id(event);
    attributes.extend(task.map(|task| ("studio_brain.task.id", task.to_string().into())));
    attributes
}

/// The same of an event as a message. `operation`: its name, and its type by the semantic conventions.
pub(crate) fn of_message(
    event: &Event,
    seq: i64,
    operation: (&'static str, &'static str),
    stream: &StreamName,
) -> Vec<(&'static str, Value)> {
    let mut attributes = of_event(event, seq);
    attributes.extend([
        ("messaging.system", "studio_brain".into()),
        ("messaging.operation.name", operation.0.into()),
        ("messaging.operation.type", operation.1.into()),
        ("messaging.destination.name", stream.to_string().into()),
        ("messaging.message.id", event.id.to_string().into()),
    ]);
    attributes
}
