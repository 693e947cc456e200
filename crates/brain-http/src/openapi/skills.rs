//! `/api/skills`.

use axum::http::Method;
use brain_swarm::skills::Installed;
use serde_json::json;

use super::{Described, described, operation::Operation};
use crate::{
    problem::Kind,
    routes::skills,
    skills::{Offered, Swept},
};

pub(super) const OPERATIONS: &[Described] = &[
    described(Method::GET, "/api/skills", |it| {
        it.named("listSkills", "Installed skills by name and version, by page")
            .paged()
            .gives::<skills::Page>(200, "A page of skills.")
    }),
    described(Method::POST, "/api/skills", |it| {
        it.named("installSkill", "Install a skill from the registry")
            .says(
                "The policy is asked first, then the bundle is fetched, its signatures and every file of it are verified, and it is put in its \
                 place as a whole. The event `skill.install.completed` or `skill.install.blocked` says what came of it.",
            )
            .swarm()
            .body::<skills::Given>()
            .example(json!({ "reference": "calendar-triage@1.4.0" }))
            .gives::<Installed>(201, "The installed skill.")
            .problems(&[Kind::SkillRefused, Kind::Unavailable])
    }),
    described(Method::GET, "/api/skills/registry", |it| {
        it.named(
            "listRegistry",
            "What the registry offers, and how long what it says holds",
        )
        .gives::<Offered>(200, "What it offers.")
        .problems(&[Kind::SkillRefused, Kind::Unavailable])
    }),
    described(Method::POST, "/api/skills/registry/refresh", |it| {
        it.named(
            "refreshRegistry",
            "Look at the registry now: for new skills and for revocations",
        )
        .gives::<Offered>(200, "What it offers.")
        .problems(&[Kind::SkillRefused, Kind::Unavailable, Kind::ForbiddenOrigin])
    }),
    described(Method::GET, "/api/skills/sandbox", |it| {
        it.named("getSandbox", "What confines skills on this brain")
            .gives::<skills::Sandbox>(200, "Each mechanism.")
            .problems(&[Kind::Unavailable])
    }),
    described(Method::POST, "/api/skills/gc", |it| {
        it.named(
            "collectSkills",
            "Remove from the disk of this brain what no tenant has installed",
        )
        .gives::<Swept>(200, "What was removed.")
        .problems(&[Kind::Unavailable, Kind::ForbiddenOrigin])
    }),
    described(Method::GET, "/api/skills/{reference}", |it| {
        of_skill(it.named("getSkill", "One installed skill")).gives_thing::<Installed>("The skill.")
    }),
    described(Method::DELETE, "/api/skills/{reference}", |it| {
        of_skill(it.named("removeSkill", "Remove a skill"))
            .says("It is not started any more. Its digest is kept: the same version with other bytes stays refused.")
            .gives_nothing(204, "It is removed.")
            .problems(&[Kind::ForbiddenOrigin])
    }),
    described(Method::POST, "/api/skills/{reference}/verify", |it| {
        of_skill(it.named("verifySkill", "Read every file of an installed skill again"))
            .gives::<skills::Verified>(200, "Whether it is what was installed.")
            .problems(&[Kind::Unavailable, Kind::ForbiddenOrigin])
    }),
    described(Method::POST, "/api/skills/{reference}/call", |it| {
        of_skill(it.named("callSkill", "Call a skill, and wait for its answer"))
            .says("It runs in the sandbox. A call that its caller gives up is ended.")
            .body::<skills::GivenCall>()
            .example(json!({ "command": "triage", "payload": { "day": "2026-11-24" } }))
            .gives::<skills::Answer>(200, "What it answered.")
            .problems(&[
                Kind::SkillRefused,
                Kind::SkillFailed,
                Kind::Overloaded,
                Kind::Unavailable,
            ])
    }),
];

fn of_skill(it: Operation<'_>) -> Operation<'_> {
    it.path::<skills::Reference>("reference", "calendar-triage@1.4.0")
}
