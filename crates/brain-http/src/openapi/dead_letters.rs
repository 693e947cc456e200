//! `/api/swarm/dead-letters`.

use axum::http::Method;
use brain_swarm::{
    dead_letters::{DeadLetter, Reason, Status},
    event::Event,
};
use uuid::Uuid;

use super::{Described, described, operation::Operation};
use crate::{
    problem::Kind,
    routes::{dead_letters, events},
};

pub(super) const OPERATIONS: &[Described] = &[
    described(Method::GET, "/api/swarm/dead-letters", |it| {
        it.named("listDeadLetters", "What could not be stored, the newest first, by page")
            .says("Those of all swarms. A list shows the first 2,048 characters of their text.")
            .query::<Status>("status", "Only those about which that was decided.")
            .query::<Reason>("reason", "Only those that are here because of that.")
            .paged()
            .gives::<dead_letters::Page>(200, "A page of dead letters.")
    }),
    described(Method::GET, "/api/swarm/dead-letters/{deadLetterId}", |it| {
        of_letter(it.named("getDeadLetter", "One dead letter with its text"))
            .gives_thing::<DeadLetter>("The dead letter.")
    }),
    described(Method::DELETE, "/api/swarm/dead-letters/{deadLetterId}", |it| {
        of_letter(it.named("dropDeadLetter", "Give a dead letter up"))
            .says("It can still be read until it is cleared away.")
            .gives_nothing(204, "It is dropped.")
            .problems(&[Kind::NotParked, Kind::ForbiddenOrigin])
    }),
    described(
        Method::POST,
        "/api/swarm/dead-letters/{deadLetterId}/replay",
        |mut it| {
            let event = it.schema_of::<Event>();
            of_letter(it.named(
                "replayDeadLetter",
                "Publish what a dead letter holds, or the mended event of the body",
            ))
            .body_as("application/json", event)
            .body_is_optional()
            .gives::<events::Receipt>(201, "It is stored.")
            .gives::<events::Receipt>(200, "It was stored before.")
            .problems(&[
                Kind::NotParked,
                Kind::InvalidEvent,
                Kind::EventConflict,
                Kind::EventTooLarge,
                Kind::Rejected,
            ])
        },
    ),
];

fn of_letter(it: Operation<'_>) -> Operation<'_> {
    it.path::<Uuid>("deadLetterId", "01981d5e-7c1a-7000-8000-000000000000")
}
