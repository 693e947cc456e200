//! `/api/swarm/schemas`.

use axum::http::Method;
use brain_swarm::schema::Registered;
use serde_json::json;

use super::{Described, described, operation::Operation};
use crate::{problem::Kind, routes::schemas};

pub(super) const OPERATIONS: &[Described] = &[
    described(Method::GET, "/api/swarm/schemas", |it| {
        it.named("listSchemas", "The JSON Schemas of event types, by page")
            .says(
                "First those that the brain knows itself, which are the same for everybody, then the registered ones by type and \
                 version. An event of one of these types is stored only when its payload fits. Other types may have any payload.",
            )
            .event_type()
            .paged()
            .gives::<schemas::Page>(200, "A page of schemas.")
    }),
    described(Method::POST, "/api/swarm/schemas", |it| {
        proposed(it.named("registerSchema", "Register the next version of the schema of a custom event type"))
            .says(
                "A version is never changed. From then on events of the type must fit the version that they name, on every way in; \
                 other replicas know it within a second. The same schema again is answered with its version.",
            )
            .gives::<Registered>(200, "It was there already.")
            .gives::<Registered>(201, "It is registered.")
            .leads_to(201, "listSchemasOfType", "eventType", "/type")
            .problems(&[Kind::SchemaConflict, Kind::IncompatibleSchema, Kind::Rejected])
    }),
    described(Method::POST, "/api/swarm/schemas/check", |it| {
        proposed(it.named("checkSchema", "Say what registering a schema would do"))
            .says("It changes nothing.")
            .gives::<schemas::Checked>(200, "Whether it goes with the version before, and where not.")
            .problems(&[Kind::SchemaConflict])
    }),
    described(Method::POST, "/api/swarm/schemas/validate", |it| {
        it.named(
            "validatePayload",
            "Say whether an event with this payload would be taken",
        )
        .body::<schemas::Example>()
        .example(json!({ "type": "build.finished", "schemaVersion": 1, "payload": { "ok": true } }))
        .gives::<schemas::Validated>(200, "Whether it fits, and where not.")
    }),
    described(Method::GET, "/api/swarm/schemas/{eventType}", |it| {
        of_type(it.named(
            "listSchemasOfType",
            "All versions of the schema of a type, the oldest first",
        ))
        .gives::<schemas::Versions>(200, "The versions.")
    }),
    described(Method::GET, "/api/swarm/schemas/{eventType}/{version}", |it| {
        of_type(it.named("getSchema", "One version of the schema of a type"))
            .path::<i16>("version", "1")
            .gives::<schemas::Entry>(200, "The schema.")
    }),
];

fn proposed(it: Operation<'_>) -> Operation<'_> {
    it.body::<schemas::Given>()
        .example(
            json!({ "type": "build.finished", "schema": { "type": "object", "required": ["ok"],
            "properties": { "ok": { "type": "boolean" } } } }),
        )
        .problems(&[Kind::InvalidSchema])
}

fn of_type(it: Operation<'_>) -> Operation<'_> {
    it.path::<String>("eventType", "build.finished")
}
