//! Retention: what is old goes in bounded batches, what is needed stays, and readers are told.
//!
//! Age is made by moving `stored_at` and its like back; ids, positions and cursors stay what they are.

mod holds;
mod plans;
mod service;

use brain_connectivity::postgres::Postgres;
use brain_swarm::{
    bus::StreamNames,
    events::{self, Gap, Page},
    ids::{SwarmId, TenantId},
    retention::{Counts, Pass},
};
use serde_json::json;

use crate::world::{World, created, event, joined, parse};

/// The retention time of these tests.
const DAYS: u32 = 30;

pub(crate) async fn begin(world: &World) -> Pass {
    let streams = StreamNames::new(&world.config.bus);
    Pass::begin(world.postgres.clone(), streams, DAYS).await.unwrap()
}

/// A whole pass.
pub(crate) async fn prune(world: &World) -> Counts {
    let mut pass = begin(world).await;
    while pass.step().await.unwrap() {}
    pass.counts().clone()
}

/// Events that nothing holds, as if they had been relayed.
pub(crate) async fn notes(world: &World, swarm: &str, count: usize) {
    let notes: Vec<_> = (0..count)
        .map(|n| {
            let mut note = event("note.made", "writer", json!({ "n": n }));
            note["swarmId"] = json!(swarm);
            parse(&note)
        })
        .collect();
    for batch in notes.chunks(500) {
        world.publisher.publish(batch.to_vec()).await.unwrap();
    }
    world.execute("DELETE FROM swarm_outbox").await;
}

/// What the agent that has a task says at its end.
pub(crate) fn done(task: &str) -> serde_json::Value {
    event(
        "agent.message",
        "agent-1",
        json!({ "taskId": task, "state": "done", "outputs": {} }),
    )
}

/// Makes everything of a swarm old, its events up to a number. Tasks get their place in the queue.
pub(crate) async fn age(world: &World, swarm: &str, up_to: i64) {
    let old = "now() - interval '31 days'";
    world
        .execute(&format!(
            "UPDATE swarm_events SET stored_at = {old} WHERE swarm_id = '{swarm}' AND seq <= {up_to};
             UPDATE swarm_tasks SET updated_at = {old} WHERE swarm_id = '{swarm}';
             UPDATE swarm_tasks t SET position = e.seq
             FROM swarm_events e
             WHERE t.swarm_id = '{swarm}' AND e.swarm_id = t.swarm_id AND e.event_id = t.created_event_id;
             UPDATE swarm_runs SET updated_at = {old}, finished_at = CASE WHEN state <> 'open' THEN {old} END
             WHERE swarm_id = '{swarm}'"
        ))
        .await;
}

/// How far the history of a swarm is gone.
pub(crate) async fn pruned_seq(world: &World, swarm: &str) -> i64 {
    let sql = format!("SELECT pruned_seq FROM swarm_sequences WHERE swarm_id = '{swarm}'");
    world.count(&sql).await
}

async fn page(postgres: &Postgres, swarm: &str, after: i64) -> Page {
    let query = events::Query {
        tenant_id: TenantId::single(),
        swarm_id: SwarmId::new(swarm).unwrap(),
        run_id: None,
        kind: None,
        actor_id: None,
        after,
        limit: 10,
    };
    events::list(postgres, &query).await.unwrap()
}

#[tokio::test]
async fn what_is_old_goes_and_readers_are_told_what_is_missing() {
    let world = World::new().await;
    notes(&world, "s", 30).await;
    assert_eq!(prune(&world).await, Counts::default(), "nothing is old");
    age(&world, "s", 20).await;
    assert_eq!(prune(&world).await.events, 20);
    assert_eq!(pruned_seq(&world, "s").await, 20);

    let gap = |from_seq| Some(Gap { from_seq, to_seq: 20 });
    for (after, expected, first) in [(0, gap(1), 21), (5, gap(6), 21), (20, None, 21), (25, None, 26)] {
        let page = page(&world.postgres, "s", after).await;
        assert_eq!((page.gap, page.events[0].seq, page.last_seq), (expected, first, 30));
    }
    for after in [30, 31, i64::MAX] {
        let end = page(&world.postgres, "s", after).await;
        assert_eq!((end.gap, end.events.len(), end.next_after), (None, 0, None));
    }

    // The whole history may go; numbers go on where they were.
    age(&world, "s", 30).await;
    assert_eq!(prune(&world).await.events, 10);
    let empty = page(&world.postgres, "s", 0).await;
    assert_eq!((empty.gap.map(|gap| gap.to_seq), empty.next_after), (Some(30), None));
    world.sound().await;
    assert_eq!(world.publish(event("note.made", "writer", json!({}))).await.seq, 31);
    world.sound().await;
    assert_eq!(page(&world.postgres, "unknown", 0).await.gap, None);
}

#[tokio::test]
async fn a_batch_is_bounded_and_the_first_young_event_ends_it() {
    let world = World::new().await;
    notes(&world, "s", 2_600).await;
    age(&world, "s", 2_600).await;
    // Young in the middle of the old: what comes after it stays too.
    world
        .execute("UPDATE swarm_events SET stored_at = now() WHERE seq = 2501")
        .await;
    let mut pass = begin(&world).await;
    let mut removed = Vec::new();
    let mut before = 0;
    while pass.step().await.unwrap() {
        let now = pass.counts().events;
        if now > before {
            removed.push(now - before);
        }
        before = now;
    }
    assert_eq!(removed, [1000, 1000, 500]);
    assert_eq!(world.count("SELECT min(seq) FROM swarm_events").await, 2501);
    world.sound().await;
}

#[tokio::test]
async fn a_task_goes_with_the_event_that_ended_it_and_then_its_run_and_budget() {
    let mut world = World::new().await;
    let replica = world.orchestrate("one");
    world.publish(joined("agent-1")).await;
    for task in ["t1", "t2", "t3"] {
        world.publish(created(task)).await;
    }
    for task in ["t1", "t2"] {
        world.publish(done(task)).await;
    }
    world.sound().await;
    replica.leave().await;
    world
        .execute(
            "UPDATE swarm_runs SET state = 'finished', finished_at = now();
             UPDATE swarm_tasks SET budget_id = 'b' WHERE task_id = 't1';
             INSERT INTO swarm_budgets (swarm_id, budget_id, unit, max_units, spent, state, created_at, updated_at)
             SELECT 's', budget_id, 'units', 10, spent, state, made, made
             FROM (VALUES ('b', 5, 'stopped'), ('unused', 0, 'open'), ('spending', 5, 'open')) AS b(budget_id, spent, state),
                 (VALUES (now() - interval '40 days')) AS t(made);
             INSERT INTO swarm_budget_reservations (swarm_id, reservation_id, budget_id, task_id, fencing_token, units, settled)
             VALUES ('s', 'x', 'b', 't1', 1, 5, 5), ('s', 'y', 'b', 't3', 1, 5, 5);
             INSERT INTO swarm_task_dependencies (swarm_id, task_id, depends_on_id, satisfied)
             VALUES ('s', 't2', 't1', true), ('s', 't3', 't2', true);
             UPDATE swarm_streams SET cursor = NULL",
        )
        .await;
    age(&world, "s", 1_000).await;

    // The third task is open, so its creation and all after it stay, and so do the tasks that ended after it.
    let counts = prune(&world).await;
    // The replica's own run, which nobody finished, is abandoned.
    assert_eq!((counts.tasks, counts.runs, counts.budgets), (0, 1, 1), "{counts:?}");
    assert_eq!(counts.held.get("openTask"), Some(&1), "{counts:?}");
    world.sound().await;

    // Once it has ended everything may go; the edges and settled reservations go with the tasks.
    world.publish(done("t3")).await;
    world
        .execute("DELETE FROM swarm_outbox; UPDATE swarm_runs SET updated_at = now() - interval '31 days'")
        .await;
    age(&world, "s", 1_000).await;
    let counts = prune(&world).await;
    assert_eq!((counts.tasks, counts.runs, counts.budgets), (3, 1, 1), "{counts:?}");
    for table in [
        "swarm_events",
        "swarm_tasks",
        "swarm_task_dependencies",
        "swarm_budget_reservations",
        "swarm_runs",
    ] {
        assert_eq!(
            world
                .count(&format!("SELECT count(*) FROM {table} WHERE swarm_id = 's'"))
                .await,
            0,
            "{table}"
        );
    }
    assert_eq!(
        world
            .count("SELECT count(*) FROM swarm_budgets WHERE budget_id = 'spending'")
            .await,
        1,
        "what an open budget has spent is not forgotten"
    );
    world.sound().await;
}

#[tokio::test]
async fn dead_letters_go_by_age_whatever_became_of_them() {
    let world = World::new().await;
    // Ids as they are made: time-ordered, the first three old.
    world
        .execute(
            "INSERT INTO swarm_dead_letters (dead_letter_id, stream_name, entry_id, raw_sha256, reason, detail, raw, status, created_at)
             SELECT (lpad(to_hex((extract(epoch FROM made) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid,
                 'gone', n || '-0', n::text, 'malformed', 'x', 'x', status, made
             FROM (VALUES (1, 'parked', 50), (2, 'replayed', 40), (3, 'dropped', 31), (4, 'parked', 29), (5, 'dropped', 1))
                     AS letter(n, status, days)
             CROSS JOIN LATERAL (SELECT now() - days * interval '1 day' AS made) at",
        )
        .await;
    let counts = prune(&world).await;
    assert_eq!((counts.dead_letters, counts.parked), (3, 1), "{counts:?}");
    assert_eq!(
        world
            .count("SELECT min(raw_sha256)::bigint FROM swarm_dead_letters")
            .await,
        4
    );
    assert_eq!(world.count("SELECT count(*) FROM swarm_dead_letters").await, 2);
}
