//! Tenants that name everything alike, over one database and one stream: none sees, wakes or moves anything of another.
//!
//! Whatever a tenant writes carries its tag, so that a word of it in another's rows is found wherever it is.

mod load;
mod refusals;
mod stream;

use brain_swarm::{
    calls::{Created, NewTask, Registration, Scope},
    dead_letters::{self, DeadLetter},
    event::{Defaults, Event},
    events::{self, StoredEvent},
    ids::{SwarmId, TenantId},
};
use serde_json::json;

use crate::{
    tasks::{actor, calls, run},
    world::World,
};

/// They share a database, a stream and every id. What leaks by accident leaks into the first.
pub(crate) const TENANTS: [&str; 3] = ["default", "acme", "beta"];

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub(crate) fn scope_of(name: &str) -> Scope {
    Scope {
        tenant_id: tenant(name),
        swarm_id: SwarmId::new("s").unwrap(),
    }
}

/// What everything that a tenant says holds.
pub(crate) fn tag(name: &str) -> String {
    format!("<{name}>")
}

/// Fails where a text holds the tag of another tenant.
pub(crate) fn only_its_own(name: &str, what: &str, text: &str) {
    for other in TENANTS.into_iter().filter(|other| *other != name) {
        assert!(!text.contains(&tag(other)), "{name} has {what} of {other}: {text}");
    }
}

pub(crate) fn event_of(name: &str, event: &serde_json::Value) -> Event {
    let defaults = Defaults {
        tenant_id: tenant(name),
        ..Defaults::default()
    };
    Event::parse(event.to_string().as_bytes(), 1 << 20, &defaults).unwrap()
}

/// A note with an id that other tenants use too.
pub(crate) fn note(name: &str, id: &str) -> serde_json::Value {
    json!({ "id": id, "type": "note.made", "swarmId": "s", "runId": "r", "actorId": "writer",
        "payload": { "tag": tag(name) }, "createdAt": "2026-01-01T00:00:00Z" })
}

/// What a foreign program of a tenant adds to the stream.
pub(crate) async fn xadd(world: &World, name: &str, body: &str) {
    let mut fields = vec![("event", body.to_owned())];
    if name != "default" {
        fields.push(("tenant", name.to_owned()));
    }
    world.xadd_to(&world.config.bus.stream_name, &fields).await;
}

pub(crate) async fn join(world: &World, name: &str, agent: &str) {
    let registration: Registration =
        serde_json::from_value(json!({ "agentId": agent, "capabilities": [tag(name)] })).unwrap();
    calls(world)
        .register_agent(&scope_of(name), &run(), registration)
        .await
        .unwrap();
}

pub(crate) async fn create(world: &World, name: &str, task: NewTask) -> Created {
    let (calls, scope, me) = (calls(world), scope_of(name), actor("me"));
    let made = calls.create_tasks(&scope, (&run(), &me), vec![task]).await;
    made.unwrap().remove(0)
}

pub(crate) async fn events_of(world: &World, name: &str) -> Vec<StoredEvent> {
    let scope = scope_of(name);
    let query = events::Query {
        tenant_id: scope.tenant_id,
        swarm_id: scope.swarm_id,
        run_id: None,
        kind: None,
        actor_id: None,
        after: 0,
        limit: 100_000,
    };
    events::list(&world.postgres, &query).await.unwrap().events
}

pub(crate) async fn letters_of(world: &World, name: &str) -> Vec<DeadLetter> {
    let query = dead_letters::Query {
        tenant_id: tenant(name),
        status: None,
        reason: None,
        before: None,
        limit: 1000,
    };
    dead_letters::list(&world.postgres, &query).await.unwrap().dead_letters
}
