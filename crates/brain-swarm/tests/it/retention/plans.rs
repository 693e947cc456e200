//! A pass that has nothing to do must not read what it leaves alone.

use serde_json::Value;
use tokio_postgres::types::ToSql;

use super::{DAYS, notes};
use crate::world::World;

/// Every node of a plan.
fn nodes(plan: &Value) -> Vec<&Value> {
    let below = plan["Plans"].as_array().into_iter().flatten().flat_map(nodes);
    std::iter::once(plan).chain(below).collect()
}

#[tokio::test]
async fn where_nothing_is_old_no_large_table_is_read() {
    let world = World::new().await;
    notes(&world, "s", 5_000).await;
    notes(&world, "other", 10).await;
    world
        .execute(
            "INSERT INTO swarm_tasks (swarm_id, task_id, run_id, status, created_event_id, terminal_event_id)
             SELECT 's', 't' || n, 'r', 'completed', 'c', 'e' FROM generate_series(1, 5000) AS n;
             INSERT INTO swarm_dead_letters (dead_letter_id, stream_name, entry_id, raw_sha256, reason, detail, raw)
             SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '70008' || lpad(n::text, 15, '0'))::uuid,
                 'x', n || '-0', n::text, 'malformed', 'x', 'x'
             FROM generate_series(1, 5000) AS n;
             INSERT INTO swarm_runs (swarm_id, run_id, state, first_seq, finished_at)
             SELECT 's', 'r' || n, 'finished', 1, now() FROM generate_series(1, 5000) AS n;
             ANALYZE",
        )
        .await;
    let mut client = world.postgres.client().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    transaction
        .batch_execute("SET LOCAL enable_seqscan = off")
        .await
        .unwrap();
    let cutoff = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(i64::from(DAYS) * 24);
    let first_id = uuid::Uuid::from_u128(u128::try_from(cutoff.as_millisecond()).unwrap() << 80);
    let swarms: [&(dyn ToSql + Sync); 4] = [&"", &"", &cutoff, &100i64];
    let letters: [&(dyn ToSql + Sync); 4] = [&uuid::Uuid::nil(), &first_id, &cutoff, &1000i64];
    let open: [&(dyn ToSql + Sync); 2] = [&"default", &"s"];
    for (sql, parameters) in [
        (include_str!("../../../src/sql/select_prunable_swarms.sql"), &swarms[..]),
        (
            include_str!("../../../src/sql/select_old_dead_letters.sql"),
            &letters[..],
        ),
        (include_str!("../../../src/sql/select_first_open_task.sql"), &open[..]),
    ] {
        let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}");
        let row = transaction.query_one(&explain, parameters).await.unwrap();
        let plan = &row.get::<_, Value>(0)[0]["Plan"];
        for node in nodes(plan) {
            assert_ne!(node["Node Type"], "Seq Scan", "{plan:#}");
            let filtered = node["Rows Removed by Filter"].as_f64().unwrap_or(0.0);
            assert!(filtered <= 10.0, "{plan:#}");
        }
        let pages = plan["Shared Hit Blocks"].as_i64().unwrap() + plan["Shared Read Blocks"].as_i64().unwrap();
        assert!(pages <= 60, "{pages} pages: {plan:#}");
    }
}
