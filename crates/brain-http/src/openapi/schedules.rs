//! `/api/swarm/schedules`.

use axum::http::Method;
use brain_swarm::{ids::ScheduleId, schedules::Schedule};
use serde_json::json;

use super::{Described, described, operation::Operation};
use crate::{problem::Kind, routes::schedules};

pub(super) const OPERATIONS: &[Described] = &[
    described(Method::GET, "/api/swarm/schedules", |it| {
        it.named("listSchedules", "Schedules of a swarm by id, by page")
            .swarm()
            .paged()
            .gives::<schedules::Page>(200, "A page of schedules.")
    }),
    described(Method::GET, "/api/swarm/schedules/{scheduleId}", |it| {
        of_schedule(it.named("getSchedule", "One schedule")).gives_thing::<Schedule>("The schedule.")
    }),
    described(Method::PUT, "/api/swarm/schedules/{scheduleId}", |mut it| {
        let schedule = it.schema_of::<schedules::Given>();
        of_schedule(it.named("putSchedule", "Store a schedule, new or in place of the one with its id"))
            .says(
                "`cron` has five fields, minute hour day month weekday, or six with the second first, or is a nickname such as \
                 `@daily`. `timeZone` is a name of the IANA database.",
            )
            .rule("A token that is bound acts as its own name alone: `actorId` is left out or that name.")
            .body_as("application/json", schedule)
            .example(json!({ "cron": "30 2 * * MON-FRI", "timeZone": "Europe/Berlin", "task": { "capability": "rust" } }))
            .gives::<Schedule>(200, "The schedule.")
            .leads_to(200, "getSchedule", "scheduleId", "/scheduleId")
            .leads_to(200, "removeSchedule", "scheduleId", "/scheduleId")
            .problems(&[Kind::InvalidSchedule, Kind::Rejected])
    }),
    described(Method::DELETE, "/api/swarm/schedules/{scheduleId}", |it| {
        of_schedule(it.named("removeSchedule", "Remove a schedule; the tasks that it created stay"))
            .gives_nothing(204, "It is removed.")
            .problems(&[Kind::ForbiddenOrigin])
    }),
];

fn of_schedule(it: Operation<'_>) -> Operation<'_> {
    it.path::<ScheduleId>("scheduleId", "nightly-build").swarm()
}
