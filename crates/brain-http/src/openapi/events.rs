//! `/api/swarm/events`.

use axum::http::Method;
use brain_swarm::{event::Event, events::StoredEvent, ids};
use serde_json::{Value, json};

use super::{Described, described, operation::Operation};
use crate::{
    problem::Kind,
    routes::events::{self, batch::MAX_EVENTS, cloud},
};

pub(super) const OPERATIONS: &[Described] = &[
    described(Method::GET, "/api/swarm/events", |mut it| {
        let schema = it.written::<cloud::Shown<'_>>();
        selecting(it.named("listEvents", "Events of a swarm in their order, by page"))
            .says(
                "Who keeps the last `seq` that it has seen goes on from there with `after`, whatever happened meanwhile. \
                 Who accepts `application/cloudevents-batch+json` gets the events alone, as CloudEvents, and the rest in headers.",
            )
            .paged()
            .after("Only events after this `seq`.")
            .query_as(
                "waitMs",
                "Where the page would be empty: waits so long for an event that belongs on it.",
                json!({ "type": "integer", "minimum": 0, "maximum": events::MAX_WAIT.as_millis() as u64 }),
            )
            .gives::<events::Page>(200, "A page of events.")
            .gives_as(
                200,
                "A page of events.",
                "application/cloudevents-batch+json",
                json!({ "type": "array", "items": schema }),
            )
            .with_header(200, "x-last-seq", "`lastSeq`, for CloudEvents.", json!({ "type": "integer" }))
            .with_header(200, "x-next-cursor", "`nextCursor`, for CloudEvents.", json!({ "type": "string" }))
            .with_header(200, "x-gap", "The first and the last number that are gone, for CloudEvents.", json!({ "type": "string", "pattern": "^[0-9]+-[0-9]+$" }))
    }),
    described(Method::POST, "/api/swarm/events", |mut it| {
        let (own, foreign) = (it.schema_of::<Event>(), it.schema_of::<cloud::Foreign<'_>>());
        let several = |one: &Value| json!({ "type": "array", "items": one, "minItems": 1, "maxItems": MAX_EVENTS });
        let object = |events: &Value| json!({ "type": "object", "required": ["events"], "properties": { "events": events }, "additionalProperties": false });
        let forms = |one: &Value| json!({ "oneOf": [one, several(one), object(&several(one))] });
        it.named("publishEvents", "Store one event or several, all or none")
            .says(
                "The answer comes when the events are durable. Events with ids of their own can be sent again: the same id with \
                 the same content is answered again, with other content it is a conflict.\n\n\
                 The payload of a known type must fit its schema (`GET /api/swarm/schemas`). `task.started`, `run.summarised` \
                 and `budget.exhausted` are published by the brain alone. `createdAt` is not before 1970.\n\n\
                 CloudEvents 1.0 are taken in three modes: structured and batched by their media types, and binary, where the \
                 attributes are headers `ce-…` and the body is the data.",
            )
            .rule("A token that is bound publishes as its own name alone: `actorId` must be that name.")
            .body_as("application/json", forms(&own))
            .example(json!({ "type": "note.taken", "actorId": "me", "payload": { "text": "hello" } }))
            .body_as("application/cloudevents+json", foreign.clone())
            .body_as("application/cloudevents-batch+json", several(&foreign))
            .gives::<events::Receipt>(201, "At least one of them is new.")
            .gives::<events::Receipt>(200, "All of them were stored before.")
            .problems(&[Kind::InvalidEvent, Kind::EventConflict, Kind::EventTooLarge, Kind::Rejected])
            .limit("events", MAX_EVENTS)
            .limit("eventBytes", "STUDIO_BRAIN_EVENT_MAX_BYTES")
    }),
    described(Method::GET, "/api/swarm/events/stream", |mut it| {
        let event = it.written::<StoredEvent>();
        selecting(it.named("followEvents", "Follow the events of a swarm as server-sent events"))
            .says(
                "It goes on after `last-event-id`, else after `after`, else from now. Each message has the `seq` of its event as \
                 id, the type as event and the event as data; `gap` tells of events that are gone, `end` of a server that stops. \
                 The stream does not end by itself; a comment comes every 15 seconds where there is nothing to say.",
            )
            .after("Only events after this `seq`.")
            .header(
                "last-event-id",
                "What a client that reconnects sends by itself. It goes before `after`.",
                json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX }),
            )
            .gives_stream(
                200,
                "The stream.",
                json!({
                    "type": "object",
                    "properties": {
                        "id": { "type": "string", "pattern": "^[0-9]+$" },
                        "event": { "type": "string", "description": "The type of the event, or `gap` or `end`." },
                        "data": { "type": "string", "contentMediaType": "application/json", "contentSchema": event },
                    },
                }),
            )
            .with_header(200, "x-accel-buffering", "Asks proxies not to keep events back.", json!({ "type": "string", "enum": ["no"] }))
            .limit("streams", crate::app::App::MAX_STREAMS)
    }),
];

fn selecting(it: Operation<'_>) -> Operation<'_> {
    it.swarm()
        .query::<ids::RunId>("runId", "Only events of this run.")
        .event_type()
        .query::<ids::ActorId>("actorId", "Only events of this actor.")
}
