INSERT INTO swarm_schedules AS s
    (tenant_id, swarm_id, schedule_id, cron, time_zone, missed_runs, task, enabled, next_at, actor_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (tenant_id, swarm_id, schedule_id) DO UPDATE
SET cron = excluded.cron, time_zone = excluded.time_zone, missed_runs = excluded.missed_runs, task = excluded.task,
    enabled = excluded.enabled, actor_id = excluded.actor_id, updated_at = clock_timestamp(),
    -- The same plan goes on where it was.
    next_at = CASE
        WHEN excluded.enabled AND s.next_at IS NOT NULL AND s.cron = excluded.cron AND s.time_zone = excluded.time_zone
        THEN s.next_at
        ELSE excluded.next_at
    END
RETURNING schedule_id, swarm_id, cron, time_zone, missed_runs, task, enabled, actor_id, next_at, last_fired_at, last_task_id,
    created_at, updated_at
