//! A swarm at a glance, against counts that are made the long way.

use brain_connectivity::postgres::Postgres;
use brain_swarm::{
    ids::{SwarmId, TenantId},
    overview,
};

use crate::audit::Trail;

async fn run(postgres: &Postgres, sql: &str) {
    postgres.client().await.unwrap().batch_execute(sql).await.unwrap();
}

/// 3,000 events from two hours ago until now, more of them the younger it gets, the first 500 gone; every tenth ends a task that
/// was created two seconds before.
const HISTORY: &str = "
    INSERT INTO swarm_sequences (tenant_id, swarm_id, last_seq, pruned_seq) VALUES ('default', 's', 3000, 500), ('other', 's', 1, 0);
    INSERT INTO swarm_events (tenant_id, swarm_id, seq, event_id, event_type, run_id, actor_id, payload, created_at, stored_at)
    SELECT 'default', 's', n, 'e-' || n, CASE WHEN n % 10 = 0 THEN 'task.completed' ELSE 'a.b' END, 'r', 'a',
        CASE WHEN n % 10 = 0 THEN jsonb_build_object('taskId', 't-' || n) ELSE '{}' END, now(),
        now() - make_interval(secs => 7200 * (1 - sqrt(n / 3000.0)))
    FROM generate_series(501, 3000) n;
    INSERT INTO swarm_events (tenant_id, swarm_id, seq, event_id, event_type, run_id, actor_id, payload, created_at)
    VALUES ('other', 's', 1, 'e', 'a.b', 'r', 'a', '{}', now());
    INSERT INTO swarm_tasks (tenant_id, swarm_id, task_id, run_id, status, created_event_id, terminal_event_id, created_at)
    SELECT tenant_id, swarm_id, payload ->> 'taskId', 'r', 'completed', 'c-' || seq, event_id, stored_at - interval '2 seconds'
    FROM swarm_events WHERE event_type = 'task.completed';";

#[tokio::test]
async fn the_last_hour_is_counted_by_halving_as_by_counting() {
    let trail = Trail::new().await;
    let (postgres, swarm) = (&trail.postgres, SwarmId::new("s").unwrap());
    run(postgres, HISTORY).await;
    let client = postgres.client().await.unwrap();
    let counting = "SELECT m, (SELECT count(*) FROM swarm_events WHERE tenant_id = 'default' AND swarm_id = 's'
            AND date_trunc('minute', stored_at) = m)
        FROM generate_series(date_trunc('minute', now()) - interval '59 minutes', date_trunc('minute', now()), '1 minute') m ORDER BY m";
    // Again where a minute begins between the two questions.
    let (minutes, counted) = loop {
        let minutes = overview::last_hour(postgres, &trail.tenant, &swarm).await.unwrap();
        let counted = client.query(counting, &[]).await.unwrap();
        if counted[0].get::<_, jiff::Timestamp>(0) == minutes[0].begins {
            break (minutes, counted);
        }
    };
    assert_eq!(minutes.len(), 60);
    for (minute, row) in minutes.iter().zip(&counted) {
        let (begins, events): (jiff::Timestamp, i64) = (row.get(0), row.get(1));
        assert_eq!((minute.begins, minute.events), (begins, events));
        assert!(
            minute.ended == minute.completed && minute.ended * 10 <= events + 10,
            "{minute:?}"
        );
        if let Some(p95) = minute.p95 {
            assert_eq!(p95.as_secs(), 2, "{minute:?}");
        }
    }
    assert!(minutes.iter().map(|minute| minute.ended).sum::<i64>() > 100);
}

#[tokio::test]
async fn a_swarm_that_nobody_knows_has_nothing() {
    let trail = Trail::new().await;
    let (tenant, swarm) = (TenantId::new("nobody").unwrap(), SwarmId::new("s").unwrap());
    run(&trail.postgres, HISTORY).await;
    let counts = overview::counts(&trail.postgres, &tenant, &swarm).await.unwrap();
    assert_eq!(counts, overview::Counts::default());
    assert_eq!(overview::last_hour(&trail.postgres, &tenant, &swarm).await.unwrap(), []);
    assert_eq!(overview::swarms(&trail.postgres, &tenant, 5).await.unwrap(), []);
    let own = overview::swarms(&trail.postgres, &trail.tenant, 5).await.unwrap();
    assert_eq!(own, [swarm]);
}
