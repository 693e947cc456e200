-- One row at least: the time, and what is planned after it. With it, what is due.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() + $1::bigint * interval '1 microsecond' AS now)
SELECT clock.now, (SELECT min(later.next_at) FROM swarm_schedules later WHERE later.next_at > clock.now), due.*
FROM clock
LEFT JOIN LATERAL (
    SELECT s.tenant_id, s.swarm_id, s.schedule_id, s.next_at, s.cron, s.time_zone, s.missed_runs, s.task, s.actor_id
    FROM swarm_schedules s
    WHERE s.next_at <= clock.now
    ORDER BY s.next_at
    LIMIT $2) due ON true
