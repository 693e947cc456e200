SELECT schedule_id, swarm_id, cron, time_zone, missed_runs, task, enabled, actor_id, next_at, last_fired_at, last_task_id,
    created_at, updated_at
FROM swarm_schedules
WHERE tenant_id = $1 AND swarm_id = $2 AND schedule_id > $3
ORDER BY schedule_id
LIMIT $4
